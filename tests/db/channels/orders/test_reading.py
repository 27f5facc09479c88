"""Histories page by key, and an order is read with everything about it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.earning import EarnRule, PerItem
from loyalty.channels.orders import RefundLine
from loyalty.channels.orders.reading import EarningDetail, RefundedLine, find_order, get_order, purchase_history
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import NotFoundError
from loyalty.kit.ids import new_id
from loyalty.members.merge import merge
from tests.db.channels.orders.conftest import MOMENT, PER_YUAN, Shop, line, open_shop


async def test_a_history_pages_through_orders_and_cancellations_newest_first(
    shop: Shop, connection: AsyncConnection
) -> None:
    for day in range(5):
        await shop.order(f"{day}", line(1, 1_000), placed_at=MOMENT + timedelta(days=day))
    await shop.cancel("C1", line(1, 500), cancelled_at=MOMENT + timedelta(days=2, hours=1))
    await shop.refund("R1", "4", 600)

    seen, before = [], None
    while page := await purchase_history(connection, member_id=shop.member_id, before=before, limit=2):
        seen += page
        before = (page[-1].at, page[-1].id)

    assert [(item.kind, item.external_id) for item in seen] == [
        ("order", "4"),
        ("order", "3"),
        ("cancellation", "C1"),
        ("order", "2"),
        ("order", "1"),
        ("order", "0"),
    ]
    assert (seen[0].amount_minor, seen[0].refunded_minor) == (1_000, 600)
    assert (seen[0].earned, seen[0].taken_back) == ({"points": 10}, {"points": 6})
    assert (seen[2].amount_minor, seen[2].earned, seen[2].taken_back) == (500, {}, {"points": 5})
    assert seen[0].public_id.startswith("ord_")
    assert seen[2].public_id.startswith("ref_")
    assert (seen[0].channel, seen[0].channel_name) == ("online", "Online shop")


async def test_orders_at_the_same_moment_are_all_seen(shop: Shop, connection: AsyncConnection) -> None:
    for number in range(5):
        await shop.order(f"{number}", line(1, 1_000))
    first = await purchase_history(connection, member_id=shop.member_id, limit=3)
    rest = await purchase_history(connection, member_id=shop.member_id, before=(first[-1].at, first[-1].id))
    assert {item.external_id for item in first + rest} == {"0", "1", "2", "3", "4"}
    assert len(rest) == 2


async def test_a_survivor_has_both_histories(shop: Shop, connection: AsyncConnection, keyring: Keyring) -> None:
    survivor = await shop.join("2")
    await shop.order("1001", line(1, 1_000))
    await shop.order("1002", line(1, 1_000), member_id=survivor, placed_at=MOMENT + timedelta(days=1))
    await merge(
        connection,
        keyring,
        programme_id=shop.programme.id,
        survivor_id=survivor,
        absorbed_id=shop.member_id,
        reason="same person",
        actor="stf_1",
        key="merge",
    )
    history = await purchase_history(connection, member_id=survivor)
    assert [item.external_id for item in history] == ["1002", "1001"]


async def test_an_order_is_read_with_lines_earnings_and_refunds(shop: Shop, connection: AsyncConnection) -> None:
    await shop.publish(PER_YUAN, EarnRule(code="piece", rate=PerItem(5)))
    await shop.order("1001", line(1, 3_000, category="tea", description="Tea 茶"), line(2, 4_000, quantity=2))
    await shop.refund("R1", "1001", lines=[RefundLine(line_id="2", amount_minor=2_000, quantity=1)])

    order = await find_order(connection, channel=shop.channel, external_id="1001")

    assert order == await get_order(connection, programme_id=shop.programme.id, order_id=order.id)
    assert (order.member_id, order.total_minor, order.refunded_minor) == (shop.member_id, 7_000, 2_000)
    assert (order.policy_version, order.tier_code, order.receipt_number) == (2, None, "1001")
    assert [(part.line_id, part.description, part.points) for part in order.lines] == [
        ("1", "Tea 茶", {"points": 35}),
        ("2", None, {"points": 50}),
    ]
    assert order.earnings == [
        EarningDetail(unit="points", points=85, taken_back=25, rules={"base": 70, "piece": 15}),
    ]
    (refund,) = order.refunds
    assert refund.lines == [RefundedLine(line_id="2", quantity=1, amount_minor=2_000)]
    assert (refund.kind, refund.taken_back, refund.given_back) == ("refund", {"points": 25}, {})


async def test_an_unknown_order_is_not_found(shop: Shop, connection: AsyncConnection, keyring: Keyring) -> None:
    await shop.refund("R1", "1001", 100)  # an order that only a refund has named is not there yet
    with pytest.raises(NotFoundError) as refused:
        await find_order(connection, channel=shop.channel, external_id="1001")
    assert refused.value.field == "external_id"
    with pytest.raises(NotFoundError):
        await get_order(connection, programme_id=shop.programme.id, order_id=new_id())
    other = await open_shop(connection, keyring)
    order = await other.order("1001", line(1, 100))
    assert order.order_id is not None
    with pytest.raises(NotFoundError):
        await get_order(connection, programme_id=shop.programme.id, order_id=order.order_id)
