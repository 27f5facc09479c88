"""Orders in: what they earn, what a repeat answers, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import reading
from loyalty.campaigns.earning import EarnRule, NoEarnPolicyError, PerAmount
from loyalty.channels.orders import OrderResult, accept_order, accept_orders
from loyalty.channels.orders.reading import find_order
from loyalty.channels.orders.tables import order_reference_table, purchase_order_table
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.errors import ConflictError, DomainError, IdempotencyMismatchError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.members.erasure import erase
from loyalty.members.merge import merge
from tests.db.channels.orders.conftest import GROWTH, MOMENT, PER_YUAN, Shop, line, open_shop
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.reading import standing
from tiers.rules import PointsMetric, SpendMetric
from tiers.windows import LifetimeWindow


def ladder(metric: PointsMetric | SpendMetric, **thresholds: int) -> Ladder:
    return Ladder(
        metric=metric,
        window=LifetimeWindow(),
        tiers=[
            TierStep(code=code, name={"zh": code, "en": code}, rank=rank, threshold=threshold)
            for rank, (code, threshold) in enumerate({"base": 0, **thresholds}.items(), start=1)
        ],
    )


async def rows(connection: AsyncConnection, shop: Shop) -> int:
    orders = select(func.count()).select_from(purchase_order_table).filter_by(programme_id=shop.programme.id)
    references = select(func.count()).select_from(order_reference_table).filter_by(programme_id=shop.programme.id)
    return int((await connection.scalar(orders)) or 0) + int((await connection.scalar(references)) or 0)


async def test_an_order_posts_what_it_earns_at_the_time_it_was_placed(shop: Shop, connection: AsyncConnection) -> None:
    await shop.publish(PER_YUAN, GROWTH)

    result = await shop.order("1001", line(1, 5_050), line(2, 1_960))

    assert (result.state, result.earned, result.replayed) == ("booked", {"points": 70, "growth": 7}, False)
    assert await shop.balance() == (70, 0)
    assert await shop.balance(unit="growth") == (7, 0)
    (entry,) = await reading.history(connection, member_ids=[shop.member_id])
    assert entry.effective_at == MOMENT
    assert entry.source == "order:online/1001"
    assert entry.rule_version == "earn/2"
    assert entry.key == f"order:{result.order_id}:points"


async def test_a_discount_of_the_order_is_spread_over_its_lines(shop: Shop, connection: AsyncConnection) -> None:
    result = await shop.order("1001", line(1, 6_000), line(2, 2_000), discount_minor=800, total_minor=7_200)

    assert result.earned == {"points": 72}
    order = await find_order(connection, channel=shop.channel, external_id="1001")
    assert [(part.amount_minor, part.paid_minor) for part in order.lines] == [(6_000, 5_400), (2_000, 1_800)]
    assert order.total_minor == 7_200


async def test_an_order_that_earns_nothing_is_in_the_history_and_not_in_the_ledger(
    shop: Shop, connection: AsyncConnection
) -> None:
    result = await shop.order("1001", line(1, 99))

    assert (result.state, result.earned) == ("booked", {})
    assert await shop.entries() == 0
    assert (await find_order(connection, channel=shop.channel, external_id="1001")).total_minor == 99


async def test_the_same_order_again_answers_the_same_and_posts_nothing(shop: Shop) -> None:
    first = await shop.order("1001", line(1, 5_000))

    again = await shop.order("1001", line(1, 5_000))

    assert again.replayed
    assert (again.order_id, again.member_id, again.earned) == (first.order_id, first.member_id, first.earned)
    assert await shop.entries() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"placed_at": MOMENT + timedelta(seconds=1)},
        {"discount_minor": 1},
        {"receipt_number": "R-1"},
    ],
)
async def test_another_order_under_the_same_number_is_refused(shop: Shop, other: dict[str, Any]) -> None:
    await shop.order("1001", line(1, 5_000))

    with pytest.raises(IdempotencyMismatchError) as refused:
        await shop.order("1001", line(1, 5_000), **other)

    assert refused.value.field == "external_id"
    assert await shop.entries() == 1


async def test_a_caller_cannot_give_an_order_to_another_member_by_sending_it_again(shop: Shop) -> None:
    await shop.order("1001", line(1, 5_000))
    with pytest.raises(IdempotencyMismatchError) as refused:
        await shop.order("1001", line(1, 5_000), member_id=await shop.join("2"))
    assert refused.value.field == "member_id"


async def test_an_order_stays_where_it_was_booked_when_members_were_merged_since(
    shop: Shop, connection: AsyncConnection, keyring: Keyring
) -> None:
    first = await shop.order("1001", line(1, 5_000), identities=(shop.customer("1"),))
    survivor = await shop.join("2")
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

    by_identity = await shop.order("1001", line(1, 5_000), identities=(shop.customer("1"),))
    by_old_id = await shop.order("1001", line(1, 5_000), member_id=shop.member_id)
    by_new_id = await shop.order("1001", line(1, 5_000), member_id=survivor)

    assert {again.order_id for again in (by_identity, by_old_id, by_new_id)} == {first.order_id}
    assert all(again.replayed for again in (by_identity, by_old_id, by_new_id))
    assert await shop.balance(survivor) == (50, 0)


async def test_an_order_of_a_merged_member_goes_to_the_survivor(
    shop: Shop, connection: AsyncConnection, keyring: Keyring
) -> None:
    survivor = await shop.join("2")
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

    result = await shop.order("1001", line(1, 5_000), member_id=shop.member_id)

    assert result.member_id == survivor
    assert await shop.balance(survivor) == (50, 0)


async def test_a_channel_knows_its_customers_by_their_identities(shop: Shop) -> None:
    result = await shop.order("1001", line(1, 5_000), identities=(shop.customer("1"),))
    assert result.member_id == shop.member_id


async def test_a_guests_order_is_answered_and_not_kept(shop: Shop, connection: AsyncConnection) -> None:
    result = await shop.order("1001", line(1, 5_000), identities=())
    assert result == OrderResult(state="guest", external_id="1001")
    assert await rows(connection, shop) == 0


async def _erase(shop: Shop, connection: AsyncConnection) -> None:
    await erase(
        connection, programme_id=shop.programme.id, member_id=shop.member_id, reason="asked for it", actor="stf_1"
    )


async def test_unknown_people_are_refused_and_nothing_is_kept(
    shop: Shop, connection: AsyncConnection, keyring: Keyring
) -> None:
    with pytest.raises(NotFoundError) as refused:
        await shop.order("1001", line(1, 5_000), member_id=new_id())
    assert refused.value.field == "member_id"
    with pytest.raises(NotFoundError) as refused:
        await shop.order("1001", line(1, 5_000), identities=(shop.customer("nobody"),))
    assert refused.value.field == "identities"
    other = await open_shop(connection, keyring)
    with pytest.raises(NotFoundError) as refused:
        await shop.order("1001", line(1, 5_000), member_id=other.member_id)
    assert refused.value.field == "member_id"
    assert await rows(connection, shop) == 0


async def test_identities_of_two_people_are_refused(shop: Shop) -> None:
    await shop.join("2")
    with pytest.raises(ConflictError) as refused:
        await shop.order("1001", line(1, 5_000), identities=(shop.customer("1"), shop.customer("2")))
    assert refused.value.field == "identities"


async def test_an_erased_member_buys_no_more(shop: Shop, connection: AsyncConnection) -> None:
    await _erase(shop, connection)
    with pytest.raises(ConflictError) as refused:
        await shop.order("1001", line(1, 5_000))
    assert refused.value.field == "member_id"


async def test_an_order_that_was_booked_before_its_member_was_erased_is_still_known(
    shop: Shop, connection: AsyncConnection
) -> None:
    await shop.order("1001", line(1, 5_000), identities=(shop.customer("1"),))
    await _erase(shop, connection)
    assert (await shop.order("1001", line(1, 5_000), identities=(shop.customer("1"),))).replayed


async def test_a_currency_that_the_channel_does_not_sell_in_is_refused(shop: Shop) -> None:
    with pytest.raises(InvalidInputError, match="sells in CNY") as refused:
        await shop.order("1001", line(1, 5_000), currency="EUR")
    assert refused.value.field == "currency"


async def test_a_currency_that_no_rule_counts_is_refused(shop: Shop) -> None:
    await shop.publish(EarnRule(code="gbp", rate=PerAmount(1, 100, "GBP")))
    with pytest.raises(InvalidInputError, match="no rule of earn policy 2 counts CNY") as refused:
        await shop.order("1001", line(1, 5_000))
    assert refused.value.field == "currency"


async def test_a_purchase_earns_by_the_policy_of_its_day(shop: Shop) -> None:
    await shop.publish(EarnRule(code="double", rate=PerAmount(2, 100, "CNY")), valid_from=MOMENT)

    before = await shop.order("1001", line(1, 5_000), placed_at=MOMENT - timedelta(seconds=1))
    after = await shop.order("1002", line(1, 5_000), placed_at=MOMENT)

    assert (before.earned, after.earned) == ({"points": 50}, {"points": 100})


async def test_before_the_first_policy_an_order_is_refused(connection: AsyncConnection, keyring: Keyring) -> None:
    shop = await open_shop(connection, keyring, valid_from=MOMENT)

    with pytest.raises(NoEarnPolicyError):
        await shop.order("1001", line(1, 5_000), placed_at=MOMENT - timedelta(seconds=1))

    assert await rows(connection, shop) == 0


async def test_purchases_count_towards_tiers_and_raise_them_at_once(shop: Shop, connection: AsyncConnection) -> None:
    await publish_ladder(
        connection, programme_id=shop.programme.id, ladder=ladder(SpendMetric(currency="CNY"), gold=10_000)
    )

    await shop.order("1001", line(1, 9_999))
    await shop.order("1002", line(1, 1), placed_at=MOMENT + timedelta(days=1))

    now = await standing(
        connection, programme_id=shop.programme.id, member_id=shop.member_id, moment=MOMENT + timedelta(days=2)
    )
    assert now is not None
    assert (now.tier.code, now.keep_asks, now.since) == ("gold", [], MOMENT + timedelta(days=1))


async def test_in_a_batch_an_order_earns_by_the_tier_that_earlier_ones_reached(
    shop: Shop, connection: AsyncConnection, keyring: Keyring
) -> None:
    await publish_ladder(connection, programme_id=shop.programme.id, ladder=ladder(PointsMetric(), gold=100))
    await shop.publish(EarnRule(code="base", rate=PerAmount(1, 100, "CNY"), tier_bonus_bp={"gold": 10_000}))
    orders = [shop.purchase(str(day), line(1, 5_000), placed_at=MOMENT + timedelta(days=day)) for day in (3, 1, 2, 4)]

    results = await accept_orders(connection, keyring, channel=shop.channel, orders=orders)

    assert [result.earned["points"] for result in results] == [100, 50, 50, 100]
    order = await find_order(connection, channel=shop.channel, external_id="3")
    assert order.tier_code == "gold"


async def test_a_batch_books_the_good_ones_and_says_why_the_others_are_not(
    shop: Shop, connection: AsyncConnection, keyring: Keyring
) -> None:
    await shop.order("old", line(1, 1_000))
    good = shop.purchase("good", line(1, 5_000))

    results = await accept_orders(
        connection,
        keyring,
        channel=shop.channel,
        orders=[
            shop.purchase("bad", line(1, -1)),
            good,
            shop.purchase("nobody", line(1, 100), member_id=new_id()),
            good,
            shop.purchase("good", line(1, 5_001)),
            shop.purchase("guest", line(1, 100), identities=()),
            shop.purchase("guest", line(1, 100), identities=()),
            shop.purchase("old", line(1, 1_000)),
        ],
    )

    def told(error: DomainError | None) -> tuple[str, str | None] | None:
        return (type(error).__name__, error.field) if error else None

    assert [(result.state, result.replayed, told(result.error)) for result in results] == [
        ("refused", False, ("InvalidInputError", "lines[0].amount_minor")),
        ("booked", False, None),
        ("refused", False, ("NotFoundError", "member_id")),
        ("booked", True, None),
        ("refused", False, ("IdempotencyMismatchError", "external_id")),
        ("guest", False, None),
        ("guest", False, None),
        ("booked", True, None),
    ]
    assert await shop.balance() == (60, 0)


async def test_an_empty_batch_is_nothing(shop: Shop, connection: AsyncConnection, keyring: Keyring) -> None:
    assert await accept_orders(connection, keyring, channel=shop.channel, orders=[]) == []


async def test_one_order_sent_by_many_at_once_is_booked_once(committed_engine: AsyncEngine, keyring: Keyring) -> None:
    async with transaction(committed_engine) as connection:
        shop = await open_shop(connection, keyring)
    order = shop.purchase("1001", line(1, 5_000))

    async def send() -> OrderResult:
        async with transaction(committed_engine) as connection:
            return await accept_order(connection, keyring, channel=shop.channel, order=order)

    results = await asyncio.gather(*(send() for _ in range(8)))

    assert len({(result.order_id, tuple(result.earned.items())) for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    async with transaction(committed_engine) as connection:
        shop.connection = connection
        assert await shop.balance() == (50, 0)


async def test_batches_with_the_same_orders_at_once_do_not_deadlock(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with transaction(committed_engine) as connection:
        shop = await open_shop(connection, keyring)
        members = [await shop.join(str(number)) for number in range(2, 8)]
    orders = [shop.purchase(str(uuid4()), line(1, 1_000), member_id=member) for member in members * 5]

    async def send(batch: list[Any]) -> None:
        async with transaction(committed_engine) as connection:
            results = await accept_orders(connection, keyring, channel=shop.channel, orders=batch)
        assert all(result.state == "booked" for result in results)

    await asyncio.gather(send(orders), send(orders[::-1]), send(orders[10:] + orders[:10]))

    async with transaction(committed_engine) as connection:
        shop.connection = connection
        assert [await shop.balance(member) for member in members] == [(50, 0)] * 6
