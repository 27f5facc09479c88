"""What the channels sold and took back since a moment, in sums."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Sales(msgspec.Struct, frozen=True, kw_only=True):
    """One channel's orders and refunds in one currency. `points` are those its orders earned, of the unit asked for."""

    channel_id: UUID
    currency: str
    orders: int
    amount_minor: int
    points: int
    refunds: int
    refunded_minor: int


_SALES: Final = text("""
    SELECT channel_id, currency, sum(orders)::bigint AS orders, sum(amount_minor)::bigint AS amount_minor,
           sum(points)::bigint AS points, sum(refunds)::bigint AS refunds,
           sum(refunded_minor)::bigint AS refunded_minor
    FROM (
        SELECT o.channel_id, o.currency, count(*) AS orders, sum(o.total_minor) AS amount_minor,
               coalesce(sum(e.points), 0) AS points, 0 AS refunds, 0 AS refunded_minor
        FROM purchase_order AS o
        LEFT JOIN order_earning AS e ON e.member_id = o.member_id AND e.order_id = o.order_id AND e.unit = :unit
        WHERE o.programme_id = :programme AND o.placed_at >= :since
        GROUP BY o.channel_id, o.currency
        UNION ALL
        SELECT channel_id, currency, 0, 0, 0, count(*), sum(amount_minor)
        FROM refund WHERE programme_id = :programme AND refunded_at >= :since
        GROUP BY channel_id, currency
    ) AS parts
    GROUP BY channel_id, currency ORDER BY orders DESC, channel_id, currency
""")


async def sales_since(
    connection: AsyncConnection, *, programme_id: UUID, since: datetime, unit: str = "points"
) -> list[Sales]:
    """Orders placed and refunds made since a moment, by channel and currency, the busiest channel first."""
    rows = await connection.execute(_SALES, {"programme": programme_id, "since": since, "unit": unit})
    return [Sales(**row) for row in rows.mappings()]
