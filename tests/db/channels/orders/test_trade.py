"""What members bought by day and channel is the same as their orders less their refunds, however those come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.db.channels.orders.conftest import MOMENT, Shop, line

LATE = datetime(2026, 3, 1, 23, tzinfo=UTC)
"""The second of March in Shanghai."""


async def trade(connection: AsyncConnection, shop: Shop) -> dict[str, tuple[int, int]]:
    rows = await connection.execute(
        text("SELECT day, orders, amount_minor FROM member_trade WHERE member_id = :member"), {"member": shop.member_id}
    )
    return {row.day.isoformat(): (row.orders, row.amount_minor) for row in rows}


async def test_orders_count_on_their_day_and_refunds_on_their_orders_day(
    connection: AsyncConnection, shop: Shop
) -> None:
    await shop.order("1", line(1, 10_000))
    await shop.order("2", line(1, 5_000), line(2, 1_000))
    await shop.order("3", line(1, 2_000), placed_at=LATE)
    assert await trade(connection, shop) == {"2026-03-01": (2, 16_000), "2026-03-02": (1, 2_000)}

    await shop.order("1", line(1, 10_000))  # the same again
    await shop.refund("r1", "2", 2_000, refunded_at=MOMENT + timedelta(days=9))
    assert await trade(connection, shop) == {"2026-03-01": (2, 14_000), "2026-03-02": (1, 2_000)}
    await shop.refund("r2", "2", 4_000)
    assert (await trade(connection, shop))["2026-03-01"] == (1, 10_000)  # what was refunded whole is no order
    await shop.cancel("c1", of="3")
    await shop.cancel("c2", of="3")
    assert (await trade(connection, shop))["2026-03-02"] == (0, 0)
    await shop.cancel("c3", line(1, 700))  # of an order that nobody knows
    assert (await trade(connection, shop))["2026-03-01"] == (1, 9_300)


async def test_a_refund_that_came_before_its_order_ends_in_the_same(connection: AsyncConnection, shop: Shop) -> None:
    await shop.refund("r1", "1", 2_500)
    assert await trade(connection, shop) == {}
    await shop.order("1", line(1, 10_000))
    assert await trade(connection, shop) == {"2026-03-01": (1, 7_500)}
