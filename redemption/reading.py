"""Reading redemptions: a member's, a channel's since a moment (the till's list), by receipt, by id, and a quote."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import balance
from redemption.errors import UnknownRedemptionError
from redemption.money_off import Quote, quote
from redemption.policies import get_policy
from redemption.record import Redemption, read_redemption, select_redemptions
from redemption.tables import redemption_table

MOST_REDEMPTIONS: Final = 500


async def quote_for_member(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, basket_minor: int, currency: str
) -> Quote:
    """What a member's points can take off a basket now. Raises WrongCurrencyError."""
    policy = await get_policy(connection, programme_id=programme_id, currency=currency)
    available = await balance(connection, member_id=member_id)
    return quote(policy, basket_minor=basket_minor, balance=available.spendable)


async def get_redemption(connection: AsyncConnection, *, programme_id: UUID, redemption_id: UUID) -> Redemption:
    """One redemption. Raises UnknownRedemptionError."""
    query = select_redemptions().filter_by(id=redemption_id, programme_id=programme_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise UnknownRedemptionError("there is no such redemption", field="redemption")
    return read_redemption(row)


async def redemptions_of_member(
    connection: AsyncConnection,
    *,
    member_id: UUID,
    person_ids: Sequence[UUID] = (),
    limit: int = 50,
    before: UUID | None = None,
) -> list[Redemption]:
    """A member's redemptions, newest first; `before` is the last id of the page before.

    `person_ids` are all the ids of a member who was merged with others.
    """
    columns = redemption_table.c
    query = select_redemptions().where(columns.member_id.in_({member_id, *person_ids}))
    if before is not None:
        query = query.where(columns.id < before)
    rows = await connection.execute(query.order_by(columns.id.desc()).limit(min(limit, MOST_REDEMPTIONS)))
    return [read_redemption(row) for row in rows]


async def redemptions_of_channel(
    connection: AsyncConnection, *, channel_id: UUID, since: datetime, clerk: str | None = None, limit: int = 200
) -> list[Redemption]:
    """A till's list since a moment (the start of its local day), newest first; of one clerk where given."""
    columns = redemption_table.c
    query = select_redemptions().where(columns.channel_id == channel_id, columns.begun_at >= since)
    if clerk is not None:
        query = query.where(columns.clerk == clerk)
    newest_first = query.order_by(columns.begun_at.desc(), columns.id.desc())
    rows = await connection.execute(newest_first.limit(min(limit, MOST_REDEMPTIONS)))
    return [read_redemption(row) for row in rows]


async def find_by_receipt(connection: AsyncConnection, *, channel_id: UUID, receipt_number: str) -> list[Redemption]:
    """What was redeemed on a receipt of a channel, newest first; empty where nothing was."""
    query = select_redemptions().filter_by(channel_id=channel_id, receipt_number=receipt_number)
    rows = await connection.execute(query.order_by(redemption_table.c.id.desc()).limit(MOST_REDEMPTIONS))
    return [read_redemption(row) for row in rows]
