"""What the channels sold and took back since a moment, in sums."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal
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


class MonthlySales(msgspec.Struct, frozen=True, kw_only=True):
    """What the orders of one month that earned points were sold for in one currency, less what was paid back by then.

    `month` is the first day of the orders' local month; `points` are those they earned, less what was taken back.
    """

    month: date
    currency: str
    orders: int
    amount_minor: int
    points: int


_MONTHLY: Final = """
    SELECT date_trunc('month', o.placed_at AT TIME ZONE :time_zone)::date AS month, o.currency, count(*) AS orders,
           sum(o.total_minor - coalesce(back.amount_minor, 0))::bigint AS amount_minor,
           sum(e.points - coalesce(back.points, 0))::bigint AS points
    FROM purchase_order AS o
    JOIN order_earning AS e ON e.member_id = o.member_id AND e.order_id = o.order_id
        AND e.unit = :unit AND e.points > 0
    LEFT JOIN (
        SELECT order_id, sum(amount_minor) AS amount_minor, sum((taken_back ->> CAST(:unit AS text))::bigint) AS points
        FROM refund
        WHERE programme_id = :programme AND order_id IS NOT NULL AND {refunded} <= :moment
        GROUP BY order_id
    ) AS back ON back.order_id = o.order_id
    WHERE o.programme_id = :programme AND {placed} <= :moment
    GROUP BY month, o.currency ORDER BY month, o.currency
"""


async def sales_by_month(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    time_zone: str,
    moment: datetime,
    known: Literal["then", "now"] = "now",
    unit: str = "points",
) -> list[MonthlySales]:
    """Orders that earned points by the month they were placed in: by a moment, as was `known` `then` or is `now`."""
    columns = (
        {"placed": "o.recorded_at", "refunded": "recorded_at"}
        if known == "then"
        else {"placed": "o.placed_at", "refunded": "refunded_at"}
    )
    rows = await connection.execute(
        text(_MONTHLY.format(**columns)),
        {"programme": programme_id, "time_zone": time_zone, "moment": moment, "unit": unit},
    )
    return [MonthlySales(**row) for row in rows.mappings()]
