"""The life of a benefit after its issue: locked, used, released, returned, revoked, given away, expired."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.clock import end_of_local_day, local_date
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import get_programme
from redemption.benefits.errors import BenefitUsedError, NotTransferableError
from redemption.benefits.events import NOBODY, Doer, record
from redemption.benefits.issuing import GIVEN_BY_MEMBERS, new_code
from redemption.benefits.stock import return_to_stock
from redemption.benefits.tables import benefit_table
from redemption.benefits.wallet import USABLE, Benefit, get_benefit, not_usable
from redemption.checks import read_clock


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """For what a benefit is locked or used: `holder_id` is the redemption's id; what it takes off; on which order."""

    holder_id: UUID
    by: Doer
    amount_minor: int
    currency: str | None
    order_number: str | None = None


async def lock(connection: AsyncConnection, benefit: Benefit, sale: Sale, *, until: datetime, now: datetime) -> None:
    """Lock a benefit for one sale. Raises BenefitNotUsableError, also where another was quicker."""
    if benefit.state not in USABLE or benefit.waiting:
        raise not_usable(benefit)
    columns = benefit_table.c
    stale = (columns.state == "locked") & (columns.locked_until <= now)
    query = (
        update(benefit_table)
        .where(columns.member_id == benefit.member_id, columns.id == benefit.id)
        .where(columns.state.in_(USABLE) | stale, columns.expires_at > now, columns.valid_from <= now)
        .values(state="locked", locked_by=sale.holder_id, locked_until=until, changed_at=now)
        .returning(benefit_table)
    )
    row = (await connection.execute(query)).first()
    if row is None:
        raise not_usable(await get_benefit(connection, member_id=benefit.member_id, benefit_id=benefit.id))
    await _tell(connection, row, "locked", sale, now)


async def _tell(connection: AsyncConnection, row: Any, kind: Any, sale: Sale, now: datetime) -> None:
    await record(
        connection,
        row,
        kind,
        at=now,
        by=sale.by,
        order_number=sale.order_number,
        amount_minor=sale.amount_minor,
        currency=sale.currency,
    )


async def use(connection: AsyncConnection, *, member_id: UUID, benefit_id: UUID, sale: Sale, now: datetime) -> bool:
    """Use a benefit that this sale has locked; False where it has not."""
    after = {"state": "used", "open": False, "locked_until": None, "changed_at": now}
    row = await _move(connection, member_id, benefit_id, sale.holder_id, before="locked", after=after)
    if row is not None:
        await _tell(connection, row, "used", sale, now)
    return row is not None


async def release(connection: AsyncConnection, *, member_id: UUID, benefit_id: UUID, sale: Sale, now: datetime) -> bool:
    """Free a benefit that this sale has locked."""
    after = {"state": "issued", "locked_by": None, "locked_until": None, "changed_at": now}
    row = await _move(connection, member_id, benefit_id, sale.holder_id, before="locked", after=after)
    if row is not None:
        await _tell(connection, row, "released", sale, now)
    return row is not None


async def give_back(
    connection: AsyncConnection, *, member_id: UUID, benefit_id: UUID, sale: Sale, now: datetime
) -> bool:
    """After a refund: give a benefit back that this sale has used, if its template says so. Answers whether it was.

    It is valid to its old end, or the days longer that its definition grants from now.
    """
    benefit = await get_benefit(connection, member_id=member_id, benefit_id=benefit_id)
    if benefit.definition.after_refund == "keep_used":
        return False
    after = {"state": "returned", "open": True, "locked_by": None, "changed_at": now}
    if benefit.definition.return_days:
        zone = (await get_programme(connection, benefit.programme_id)).time_zone
        last_day = local_date(now, zone) + timedelta(days=benefit.definition.return_days)
        after["expires_at"] = max(benefit.expires_at, end_of_local_day(last_day, zone))
    row = await _move(connection, member_id, benefit_id, sale.holder_id, before="used", after=after)
    if row is not None:
        await _tell(connection, row, "returned", sale, now)
    return row is not None


async def _move(
    connection: AsyncConnection,
    member_id: UUID,
    benefit_id: UUID,
    holder_id: UUID,
    *,
    before: str,
    after: dict[str, Any],
) -> Any:
    query = (
        update(benefit_table)
        .filter_by(member_id=member_id, id=benefit_id, locked_by=holder_id, state=before)
        .values(after)
        .returning(benefit_table)
    )
    return (await connection.execute(query)).first()


async def revoke(connection: AsyncConnection, *, member_id: UUID, benefit_id: UUID, by: Doer = NOBODY) -> Benefit:
    """Take a benefit back out of use; revoking it again is the same answer. Counted stock has one more.

    Raises BenefitUsedError where it was used, BenefitNotUsableError where a sale has it locked or it was given away,
    UnknownBenefitError.
    """
    benefit = await get_benefit(connection, member_id=member_id, benefit_id=benefit_id, lock=True)
    if benefit.state == "revoked":
        return benefit
    if benefit.state == "used":
        raise BenefitUsedError("the benefit was used already and cannot be taken back", field="benefit")
    if benefit.state in ("locked", "transferred"):
        raise not_usable(benefit)
    now = await read_clock(connection)
    await _close(connection, benefit, "revoked", now)
    await record(connection, benefit, "revoked", at=now, by=by)
    if not _came_from_a_member(benefit):
        await return_to_stock(connection, template_id=benefit.template_id)
    return msgspec.structs.replace(benefit, state="revoked", locked_until=None)


def _came_from_a_member(benefit: Benefit) -> bool:
    return benefit.source.startswith(GIVEN_BY_MEMBERS)


async def _close(connection: AsyncConnection, benefit: Benefit, state: str, now: datetime) -> None:
    query = update(benefit_table).filter_by(member_id=benefit.member_id, id=benefit.id)
    closed = {"state": state, "open": False, "locked_by": None, "locked_until": None, "changed_at": now}
    await connection.execute(query.values(closed))


async def transfer(
    connection: AsyncConnection, *, member_id: UUID, benefit_id: UUID, to_member_id: UUID, by: Doer = NOBODY
) -> Benefit:
    """Give a benefit to another member; answers theirs, which has a code of its own unless it was imported.

    Raises NotTransferableError, BenefitNotUsableError, UnknownBenefitError, InvalidInputError for oneself.
    """
    if to_member_id == member_id:
        raise InvalidInputError("a benefit is given to somebody else", field="to_member_id")
    benefit = await get_benefit(connection, member_id=member_id, benefit_id=benefit_id, lock=True)
    if not benefit.definition.transferable:
        raise NotTransferableError("this benefit stays with whom it was given to", field="benefit")
    if benefit.state not in USABLE:
        raise not_usable(benefit)
    now = await read_clock(connection)
    await _close(connection, benefit, "transferred", now)
    await record(connection, benefit, "transferred", at=now, by=by)
    values = {
        "member_id": to_member_id,
        "id": new_id(),
        "programme_id": benefit.programme_id,
        "template_id": benefit.template_id,
        "version": benefit.version,
        "code": benefit.code if benefit.definition.kind == "third_party" else new_code(),
        "state": "issued",
        "open": True,
        "source": f"{GIVEN_BY_MEMBERS}{benefit.id}",
        "campaign": benefit.campaign,
        "issue_key": f"{GIVEN_BY_MEMBERS}{benefit.id}",
        "issued_at": now,
        "valid_from": benefit.valid_from,
        "expires_at": benefit.expires_at,
        "changed_at": now,
    }
    row = (await connection.execute(insert(benefit_table).values(values).returning(benefit_table))).one()
    await record(connection, row, "issued", at=now, by=by)
    return await get_benefit(connection, member_id=to_member_id, benefit_id=row.id)


_EXPIRE: Final = text("""
    WITH due AS (
        SELECT member_id, id FROM benefit
        WHERE open AND expires_at <= ledger.clock() AND (state <> 'locked' OR locked_until <= ledger.clock())
        ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), over AS (
        UPDATE benefit b SET state = 'expired', open = false, locked_by = NULL, locked_until = NULL,
            changed_at = b.expires_at
        FROM due WHERE b.member_id = due.member_id AND b.id = due.id
        RETURNING b.*
    )
    INSERT INTO benefit_event (member_id, id, benefit_id, programme_id, template_id, version, kind, at, campaign)
    SELECT member_id, gen_random_uuid(), id, programme_id, template_id, version, 'expired', expires_at, campaign
    FROM over
""")


async def expire_due(engine: AsyncEngine, *, batch_size: int = 5_000) -> int:
    """Write down what ran out of time, one transaction a batch. It could not be used before this either."""
    count = 0
    while True:
        async with transaction(engine) as connection:
            expired = (await connection.execute(_EXPIRE, {"limit": batch_size})).rowcount
        count += expired
        if expired < batch_size:
            return count
