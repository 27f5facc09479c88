"""Reading redemptions: a member's, a channel's since a moment (the till's list), by receipt, by id, and a quote."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from redemption.money_off import Quote
from redemption.till import Redemption


async def quote_for_member(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, basket_minor: int, currency: str
) -> Quote:
    """What a member's points can take off a basket now. Raises WrongCurrencyError."""
    raise NotImplementedError


async def get_redemption(connection: AsyncConnection, *, programme_id: UUID, redemption_id: UUID) -> Redemption:
    """One redemption. Raises UnknownRedemptionError."""
    raise NotImplementedError


async def redemptions_of_member(
    connection: AsyncConnection, *, member_id: UUID, limit: int = 50, before: UUID | None = None
) -> list[Redemption]:
    """A member's redemptions, newest first; `before` is the last id of the page before."""
    raise NotImplementedError


async def redemptions_of_channel(
    connection: AsyncConnection, *, channel_id: UUID, since: datetime, clerk: str | None = None, limit: int = 200
) -> list[Redemption]:
    """A till's list since a moment (the start of its local day), newest first; of one clerk where given."""
    raise NotImplementedError


async def find_by_receipt(connection: AsyncConnection, *, channel_id: UUID, receipt_number: str) -> list[Redemption]:
    """What was redeemed on a receipt of a channel, newest first; empty where nothing was."""
    raise NotImplementedError
