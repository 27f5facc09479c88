"""What members bought by day and channel, kept as orders and refunds are booked: what segments ask, in few rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.db import to_json


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """What changes: orders and what was paid for them, in minor units, or, below zero, what was taken back of both.

    `at` is when the order was placed, also for a refund of it: it counts on that day of the programme's calendar. An
    order that was refunded whole is none any more.
    """

    member_id: UUID
    at: datetime
    channel_id: UUID
    currency: str
    orders: int
    amount_minor: int


_ADD: Final = text("""
    INSERT INTO member_trade (member_id, day, channel_id, currency, programme_id, orders, amount_minor)
    SELECT new.member_id, (new.at AT TIME ZONE p.time_zone)::date AS day, new.channel_id, new.currency, p.id,
        sum(new.orders), sum(new.amount_minor)
    FROM json_to_recordset(CAST(:trades AS json)) AS new (
        member_id uuid, at timestamptz, channel_id uuid, currency text, orders integer, amount_minor bigint
    ) JOIN programme AS p ON p.id = :programme
    GROUP BY new.member_id, day, new.channel_id, new.currency, p.id
    ORDER BY new.member_id, day, new.channel_id, new.currency
    ON CONFLICT (member_id, day, channel_id, currency) DO UPDATE SET
        orders = member_trade.orders + excluded.orders,
        amount_minor = member_trade.amount_minor + excluded.amount_minor
""")
"""In the order of the key, so that two batches never wait for each other in a circle."""


async def add_trades(connection: AsyncConnection, *, programme_id: UUID, trades: Sequence[Trade]) -> None:
    """Count trades, in one statement. Not idempotent: it belongs in the transaction that books what it counts."""
    if trades:
        await connection.execute(_ADD, {"programme": programme_id, "trades": to_json(trades)})
