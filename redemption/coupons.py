"""Coupons in members' wallets: issued under a key, locked and used by a redemption at a till, returned, revoked.

A member who was merged with others has their coupons too: `person_ids` are all the ids of one person.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import end_of_local_day, local_date
from loyalty.kit.errors import IdempotencyMismatchError
from loyalty.kit.ids import encode_base32, new_id
from loyalty.kit.programme import get_programme
from redemption.checks import check_text, clock, read_clock
from redemption.coupon_templates import CouponTemplate, get_template, read_template
from redemption.errors import CouponNotUsableError, CouponUsedError, UnknownCouponError
from redemption.tables import coupon_table, coupon_template_table

CouponState = Literal["issued", "locked", "used", "returned", "expired", "void"]

CODE_CHARACTERS: Final = 16
"""80 random bits: nobody guesses a coupon."""

_BITS_PER_CHARACTER: Final = 5


class Coupon(msgspec.Struct, frozen=True, kw_only=True):
    """One coupon of one member. `issued` and `returned` can be used before `expires_at`; `locked` waits for its till.

    `state` is true at the moment of reading: a coupon past its time reads `expired`, and a lock that ran out reads
    `issued`, whether or not anything has swept by. `code` is what a till scans; it cannot be guessed.
    """

    id: UUID
    member_id: UUID
    programme_id: UUID
    code: str
    state: CouponState
    template: CouponTemplate
    source: str
    issued_at: datetime
    expires_at: datetime
    locked_until: datetime | None


def _state(row: Row[Any]) -> CouponState:
    state: CouponState = row.state
    if state == "locked" and row.locked_until <= row.now:
        state = "issued"
    return "expired" if state in ("issued", "returned") and row.expires_at <= row.now else state


def _coupon(row: Row[Any]) -> Coupon:
    state = _state(row)
    return Coupon(
        id=row.id,
        member_id=row.member_id,
        programme_id=row.programme_id,
        code=row.code,
        state=state,
        template=read_template(row, prefix="template_"),
        source=row.source,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        locked_until=row.locked_until if state == "locked" else None,
    )


def _coupons() -> Select[Any]:
    terms = [
        coupon_template_table.c[field].label(f"template_{field}")
        for field in CouponTemplate.__struct_fields__
        if field != "id"
    ]
    return select(coupon_table, clock().label("now"), *terms).join(
        coupon_template_table, coupon_template_table.c.id == coupon_table.c.template_id
    )


async def issue_coupon(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, template_code: str, key: str, source: str
) -> Coupon:
    """Put a coupon into a member's wallet, valid for the template's days from now to the end of the last local day.

    The same key and template answer the same coupon; the same key with another template raises
    IdempotencyMismatchError. Raises NotFoundError for an unknown template, InvalidInputError for a key or source.
    """
    check_text(key, "key")
    check_text(source, "source")
    template = await get_template(connection, programme_id=programme_id, code=template_code)
    return await issue_terms(connection, member_id=member_id, template=template, key=key, source=source)


async def issue_terms(
    connection: AsyncConnection, *, member_id: UUID, template: CouponTemplate, key: str, source: str
) -> Coupon:
    """Issue a coupon under a certain version of a template; otherwise as `issue_coupon`."""
    now = await read_clock(connection)
    programme = await get_programme(connection, template.programme_id)
    last_day = local_date(now, programme.time_zone) + timedelta(days=template.valid_days)
    values = {
        "member_id": member_id,
        "id": new_id(),
        "programme_id": template.programme_id,
        "template_id": template.id,
        "code": encode_base32(secrets.randbits(CODE_CHARACTERS * _BITS_PER_CHARACTER), CODE_CHARACTERS),
        "state": "issued",
        "source": source,
        "issue_key": key,
        "issued_at": now,
        "expires_at": end_of_local_day(last_day, programme.time_zone),
        "changed_at": now,
    }
    await connection.execute(
        insert(coupon_table).values(values).on_conflict_do_nothing(index_elements=["member_id", "issue_key"])
    )
    query = _coupons().where(coupon_table.c.member_id == member_id, coupon_table.c.issue_key == key)
    coupon = _coupon((await connection.execute(query)).one())
    if coupon.template.code != template.code:
        message = "this key issued a coupon of another template"
        raise IdempotencyMismatchError(message, field="key", template=coupon.template.code)
    return coupon


async def wallet(
    connection: AsyncConnection, *, member_id: UUID, person_ids: Sequence[UUID] = (), usable_only: bool = True
) -> list[Coupon]:
    """A member's coupons, soonest to expire first; with `usable_only=False` also the used, expired and void ones."""
    query = _coupons().where(coupon_table.c.member_id.in_({member_id, *person_ids}))
    rows = await connection.execute(query.order_by(coupon_table.c.expires_at, coupon_table.c.id))
    coupons = [_coupon(row) for row in rows]
    return [coupon for coupon in coupons if coupon.state in ("issued", "returned", "locked") or not usable_only]


async def find_coupon(connection: AsyncConnection, *, programme_id: UUID, code: str) -> Coupon:
    """The coupon a till scanned, in any member's wallet; case does not matter. Raises UnknownCouponError."""
    columns = coupon_table.c
    query = _coupons().where(columns.code == code.strip().upper(), columns.programme_id == programme_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise UnknownCouponError("there is no such coupon", field="coupon")
    return _coupon(row)


async def void_coupon(connection: AsyncConnection, *, member_id: UUID, coupon_id: UUID) -> Coupon:
    """Take a coupon back out of use; voiding it again is the same answer.

    Raises CouponUsedError where it was used, CouponNotUsableError where a till has it locked, UnknownCouponError.
    """
    owned = (coupon_table.c.member_id == member_id, coupon_table.c.id == coupon_id)
    row = (await connection.execute(_coupons().where(*owned).with_for_update(of=coupon_table))).first()
    if row is None:
        raise UnknownCouponError("there is no such coupon in this wallet", field="coupon")
    coupon = _coupon(row)
    if coupon.state == "used":
        raise CouponUsedError("the coupon was used already and cannot be taken back", field="coupon")
    if coupon.state == "locked":
        raise _not_usable(coupon)
    void = {"state": "void", "locked_by": None, "locked_until": None, "changed_at": row.now}
    await connection.execute(update(coupon_table).where(*owned).values(void))
    return msgspec.structs.replace(coupon, state="void")


async def lock_coupon(
    connection: AsyncConnection, *, coupon: Coupon, redemption_id: UUID, until: datetime, now: datetime
) -> None:
    """Lock a coupon for one redemption. Raises CouponNotUsableError where another one was quicker."""
    columns = coupon_table.c
    stale = (columns.state == "locked") & (columns.locked_until <= now)
    query = (
        update(coupon_table)
        .where(columns.member_id == coupon.member_id, columns.id == coupon.id)
        .where(columns.state.in_(["issued", "returned"]) | stale, columns.expires_at > now)
        .values(state="locked", locked_by=redemption_id, locked_until=until, changed_at=now)
        .returning(columns.id)
    )
    if coupon.state not in ("issued", "returned") or (await connection.execute(query)).first() is None:
        raise _not_usable(coupon)


async def use_coupon(connection: AsyncConnection, *, coupon_id: UUID, redemption_id: UUID, now: datetime) -> bool:
    """Use a coupon that this redemption has locked; False where it has not."""
    return await _move(
        connection, coupon_id, redemption_id, before="locked", after={"state": "used", "locked_until": None}, now=now
    )


async def unlock_coupon(connection: AsyncConnection, *, coupon_id: UUID, redemption_id: UUID, now: datetime) -> bool:
    """Free a coupon that this redemption has locked."""
    free = {"state": "issued", "locked_by": None, "locked_until": None}
    return await _move(connection, coupon_id, redemption_id, before="locked", after=free, now=now)


async def return_coupon(connection: AsyncConnection, *, coupon_id: UUID, redemption_id: UUID, now: datetime) -> bool:
    """Give a coupon back that this redemption has used; it can be used again while it is valid."""
    returned = {"state": "returned", "locked_by": None}
    return await _move(connection, coupon_id, redemption_id, before="used", after=returned, now=now)


async def _move(
    connection: AsyncConnection,
    coupon_id: UUID,
    redemption_id: UUID,
    *,
    before: CouponState,
    after: dict[str, Any],
    now: datetime,
) -> bool:
    query = (
        update(coupon_table)
        .filter_by(id=coupon_id, locked_by=redemption_id, state=before)
        .values(after | {"changed_at": now})
        .returning(coupon_table.c.id)
    )
    return (await connection.execute(query)).first() is not None


def _not_usable(coupon: Coupon) -> CouponNotUsableError:
    return CouponNotUsableError(f"the coupon is {coupon.state}", field="coupon", state=coupon.state)
