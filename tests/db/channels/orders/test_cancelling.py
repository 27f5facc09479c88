"""Cancellations: of a named order, and of goods whose order nobody names."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import reading
from loyalty.campaigns.earning import EarnRule, PerAmount
from loyalty.channels.orders import RefundResult, RefusedOnArrivalError
from loyalty.channels.orders.tables import waiting_refund_table
from loyalty.kit.errors import IdempotencyMismatchError, NotFoundError
from loyalty.kit.ids import new_id
from tests.db.channels.orders.conftest import GROWTH, MOMENT, PER_YUAN, Shop, line


async def test_a_cancelled_order_gives_and_takes_back_all_that_is_left(shop: Shop) -> None:
    await shop.give(100)
    redemption = await shop.redeem(100, "1001")
    await shop.order("1001", line(1, 7_000), line(2, 0))
    await shop.refund("R1", "1001", 2_300)

    result = await shop.cancel("C1", of="1001")

    assert (result.state, result.taken_back, result.given_back) == ("booked", {"points": 47}, {redemption.id: 68})
    assert await shop.balance() == (100, 0)


async def test_an_order_is_cancelled_once_whatever_says_so(shop: Shop) -> None:
    await shop.order("1001", line(1, 7_000))
    await shop.cancel("C1", of="1001")

    assert (await shop.cancel("C1", of="1001")).replayed
    assert (await shop.cancel("C2", of="1001")).taken_back == {}
    assert await shop.balance() == (0, 0)


async def test_a_cancellation_before_its_order_waits_and_leaves_nothing_of_it(
    shop: Shop, connection: AsyncConnection
) -> None:
    waiting = await shop.cancel("C1", of="1001", identities=(shop.customer("1"),))
    assert waiting.state == "waiting"
    kept = (await connection.execute(select(waiting_refund_table.c.document))).scalar_one()
    assert kept["identities"] == []

    await shop.refund("R1", "1001", 100)
    order = await shop.order("1001", line(1, 7_000))

    assert {refund.external_id: refund.state for refund in order.refunds} == {"C1": "booked", "R1": "refused"}
    assert await shop.balance() == (0, 0)
    with pytest.raises(RefusedOnArrivalError, match="cancelled whole"):
        await shop.refund("R1", "1001", 100)


async def test_goods_without_a_reference_take_back_what_the_policy_gives_for_them(
    shop: Shop, connection: AsyncConnection
) -> None:
    await shop.publish(PER_YUAN, GROWTH)
    await shop.order("1001", line(1, 7_000))

    result = await shop.cancel("C1", line(1, 1_150), line(2, 1_250), cancelled_at=MOMENT + timedelta(days=2))

    assert (result.state, result.order_id, result.taken_back) == ("booked", None, {"points": 24, "growth": 2})
    assert await shop.balance() == (46, 0)
    newest = (await reading.history(connection, member_ids=[shop.member_id]))[0]
    assert (newest.kind, newest.source, newest.rule_version) == ("claw_back", "cancellation:online/C1", "earn/2")
    assert newest.effective_at == MOMENT + timedelta(days=2)


async def test_goods_without_a_reference_go_into_debt_which_later_orders_repay(shop: Shop) -> None:
    await shop.cancel("C1", line(1, 2_400))
    assert await shop.balance() == (0, 24)
    await shop.order("1001", line(1, 7_000))
    assert await shop.balance() == (46, 0)


async def test_goods_without_a_reference_are_valued_by_the_policy_of_that_moment(shop: Shop) -> None:
    await shop.publish(EarnRule(code="double", rate=PerAmount(2, 100, "CNY")), valid_from=MOMENT)
    before = await shop.cancel("C1", line(1, 1_000), cancelled_at=MOMENT - timedelta(seconds=1))
    after = await shop.cancel("C2", line(1, 1_000), cancelled_at=MOMENT)
    assert (before.taken_back, after.taken_back) == ({"points": 10}, {"points": 20})


async def test_the_same_cancellation_again_answers_the_same_and_posts_nothing(shop: Shop) -> None:
    first = await shop.cancel("C1", line(1, 2_400))
    again = await shop.cancel("C1", line(1, 2_400))
    assert (again.refund_id, again.taken_back, again.replayed) == (first.refund_id, {"points": 24}, True)
    assert await shop.balance() == (0, 24)
    with pytest.raises(IdempotencyMismatchError):
        await shop.cancel("C1", line(1, 2_500))


async def test_goods_worth_less_than_a_point_are_noted_and_post_nothing(shop: Shop) -> None:
    assert (await shop.cancel("C1", line(1, 99))).taken_back == {}
    assert await shop.entries() == 0


async def test_a_guests_cancellation_is_answered_and_not_kept(shop: Shop) -> None:
    result = await shop.cancel("C1", line(1, 2_400), identities=())
    assert result == RefundResult(state="guest", external_id="C1", kind="cancellation")


async def test_a_cancellation_of_nobody_known_is_refused(shop: Shop) -> None:
    with pytest.raises(NotFoundError) as refused:
        await shop.cancel("C1", line(1, 2_400), member_id=new_id())
    assert refused.value.field == "member_id"


async def test_a_refund_and_a_cancellation_may_have_the_same_number(shop: Shop) -> None:
    await shop.order("1", line(1, 7_000))
    assert (await shop.refund("1", "1", 1_000)).taken_back == {"points": 10}
    assert (await shop.cancel("1", line(1, 1_000))).taken_back == {"points": 10}
