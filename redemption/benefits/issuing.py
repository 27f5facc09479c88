"""Issuing one benefit to one member: by staff, by a campaign, claimed, bought with points, given at a tier's entry."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import local_date, start_of_local_day
from loyalty.kit.errors import IdempotencyMismatchError
from loyalty.kit.ids import encode_base32, new_id
from loyalty.kit.programme import get_programme
from redemption.benefits.errors import MemberLimitError, NotClaimableError
from redemption.benefits.events import NOBODY, Doer, record
from redemption.benefits.stock import return_to_stock, take_from_stock
from redemption.benefits.tables import benefit_table, holder_table
from redemption.benefits.templates import Template, get_published
from redemption.benefits.wallet import Benefit, read_benefit, select_benefits
from redemption.checks import check_text, read_clock

CODE_CHARACTERS: Final = 16
"""80 random bits: nobody guesses a coupon."""

_BITS_PER_CHARACTER: Final = 5
GIVEN_BY_MEMBERS: Final = "transfer:"
"""What the keys of benefits begin with that came from another member: they count against nobody's limit."""


def new_code() -> str:
    """A code that cannot be guessed."""
    return encode_base32(secrets.randbits(CODE_CHARACTERS * _BITS_PER_CHARACTER), CODE_CHARACTERS)


async def issue(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    template_code: str,
    key: str,
    source: str,
    campaign: str | None = None,
    by: Doer = NOBODY,
) -> Benefit:
    """Put a benefit of a published template into a member's wallet.

    The same key and template answer the same benefit; the same key with another template raises
    IdempotencyMismatchError. Raises UnknownTemplateError, NotPublishedError, OutOfBenefitsError, MemberLimitError,
    InvalidInputError for a key, source or campaign.
    """
    template = await get_published(connection, programme_id=programme_id, code=template_code)
    return await issue_of(connection, template, member_id=member_id, key=key, source=source, campaign=campaign, by=by)


async def claim(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, template_code: str, key: str, by: Doer = NOBODY
) -> Benefit:
    """Issue what members may take by themselves. Raises NotClaimableError, and as `issue`."""
    template = await get_published(connection, programme_id=programme_id, code=template_code)
    if not template.definition.claimable:
        raise NotClaimableError(f"{template_code!r} is given, not taken", field="template")
    return await issue_of(connection, template, member_id=member_id, key=key, source="claim", by=by)


async def issue_of(
    connection: AsyncConnection,
    template: Template,
    *,
    member_id: UUID,
    key: str,
    source: str,
    campaign: str | None = None,
    by: Doer = NOBODY,
) -> Benefit:
    """Issue a benefit of a template that was read, under its version in force; otherwise as `issue`."""
    check_text(key, "key")
    check_text(source, "source")
    check_text(campaign, "campaign")
    known = await _issued(connection, template, member_id, key)
    if known is not None:
        return known
    now = await read_clock(connection)
    zone = (await get_programme(connection, template.programme_id)).time_zone
    definition = template.definition
    if _is_limited(template):
        await _check_limits(connection, template, member_id, now, zone)
    imported = await take_from_stock(connection, template, member_id=member_id, at=now)
    valid_from, expires_at = definition.valid_between(now, zone)
    values = {
        "member_id": member_id,
        "id": new_id(),
        "programme_id": template.programme_id,
        "template_id": template.id,
        "version": template.version,
        "code": imported or new_code(),
        "state": "issued",
        "open": True,
        "source": source,
        "campaign": campaign,
        "issue_key": key,
        "issued_at": now,
        "valid_from": valid_from,
        "expires_at": expires_at,
        "changed_at": now,
    }
    query = insert(benefit_table).values(values).on_conflict_do_nothing(index_elements=["member_id", "issue_key"])
    made = (await connection.execute(query.returning(benefit_table))).first()
    if made is not None:
        await record(connection, made, "issued", at=now, by=by)
    elif template.stock == "counted":
        await return_to_stock(connection, template_id=template.id)  # the same key came at the same moment
    benefit = await _issued(connection, template, member_id, key)
    assert benefit is not None  # noqa: S101  (it was put in, or found there)
    return benefit


async def _issued(connection: AsyncConnection, template: Template, member_id: UUID, key: str) -> Benefit | None:
    query = select_benefits().where(benefit_table.c.member_id == member_id, benefit_table.c.issue_key == key)
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    benefit = read_benefit(row)
    if benefit.template_id != template.id:
        message = "this key issued a benefit of another template"
        raise IdempotencyMismatchError(message, field="key", template=benefit.template_code)
    return benefit


async def hold_limits(connection: AsyncConnection, holders: Sequence[tuple[UUID, Template]]) -> None:
    """Hold what limits templates a member, for members and templates in the order of their ids.

    For a transaction that issues to several members: a limit that is held only after stock was taken from could be
    waited for by whoever waits for that stock.
    """
    limited = sorted({(member_id, each.id) for member_id, each in holders if _is_limited(each)})
    if limited:
        now = await read_clock(connection)
        for member_id, template_id in limited:
            await _hold(connection, member_id, template_id, now)


def _is_limited(template: Template) -> bool:
    return template.definition.per_member is not None or template.definition.per_member_day is not None


async def _hold(connection: AsyncConnection, member_id: UUID, template_id: UUID, now: datetime) -> None:
    holder = {"member_id": member_id, "template_id": template_id, "asked_at": now}
    locked = insert(holder_table).values(holder)
    changed = locked.on_conflict_do_update(index_elements=["member_id", "template_id"], set_={"asked_at": now})
    await connection.execute(changed)


async def _check_limits(
    connection: AsyncConnection, template: Template, member_id: UUID, now: datetime, time_zone: str
) -> None:
    """Count what a member was given, while nobody else gives them any of it."""
    await _hold(connection, member_id, template.id, now)
    columns = benefit_table.c
    today = start_of_local_day(local_date(now, time_zone), time_zone)
    query = select(func.count(), func.count().filter(columns.issued_at >= today)).where(
        columns.member_id == member_id,
        columns.template_id == template.id,
        columns.state != "revoked",
        ~columns.issue_key.startswith(GIVEN_BY_MEMBERS),
    )
    ever, of_today = (await connection.execute(query)).one()
    limits = (("ever", template.definition.per_member, ever), ("day", template.definition.per_member_day, of_today))
    for period, limit, count in limits:
        if limit is not None and count >= limit:
            message = f"a member is given {template.code!r} at most {limit} times ({period})"
            raise MemberLimitError(message, field="template", limit=limit, period=period)
