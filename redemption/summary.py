"""What was redeemed since a moment, in sums."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Redeemed(msgspec.Struct, frozen=True, kw_only=True):
    """What one channel redeemed, refunds taken off. `currency` is None for gifts, which take no money off."""

    channel_id: UUID
    currency: str | None
    redemptions: int
    points: int
    amount_minor: int


_REDEEMED: Final = text("""
    SELECT channel_id, CASE WHEN kind = 'catalogue' THEN NULL ELSE currency END AS currency,
           count(*) AS redemptions, sum(points - refunded_points)::bigint AS points,
           sum(amount_minor - refunded_minor)::bigint AS amount_minor
    FROM redemption
    WHERE programme_id = :programme AND state = 'captured' AND begun_at >= :since
    GROUP BY 1, 2 ORDER BY redemptions DESC, 1, 2
""")


async def redeemed_since(connection: AsyncConnection, *, programme_id: UUID, since: datetime) -> list[Redeemed]:
    """What was taken and neither voided nor wholly refunded, of what began since a moment; by channel and currency."""
    rows = await connection.execute(_REDEEMED, {"programme": programme_id, "since": since})
    return [Redeemed(**row) for row in rows.mappings()]
