"""Refunds: exact shares back, whatever the parts and the order of arrival."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import audit, reading
from ledger.units import Unit, define_unit
from loyalty.campaigns.earning import EarnRule, PerAmount
from loyalty.channels.orders import (
    OrderResult,
    RefundExceedsOrderError,
    RefundLine,
    RefundResult,
    RefusedOnArrivalError,
)
from loyalty.channels.orders.tables import waiting_refund_table
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.errors import IdempotencyMismatchError, InvalidInputError
from loyalty.kit.rules import Compare
from loyalty.members.merge import merge
from redemption import till
from redemption.basket import Line, Member
from redemption.benefits.definition import DaysFromIssue, Definition, MoneyOff
from redemption.benefits.issuing import issue
from redemption.benefits.templates import publish_definition
from redemption.benefits.wallet import wallet
from redemption.checkout.finishing import use
from redemption.checkout.locking import lock
from redemption.checkout.quoting import Wish
from redemption.checkout.record import get_checkout
from redemption.reading import find_by_receipt
from tests.db.channels.orders.conftest import GROWTH, MOMENT, PER_YUAN, Shop, line, open_shop
from tiers.tables import tier_activity_table

SPRING, AUTUMN = datetime(2099, 4, 1, tzinfo=UTC), datetime(2099, 10, 1, tzinfo=UTC)


async def merge_into(shop: Shop, survivor: str, keyring: Keyring) -> None:
    """The shop's member turns out to be another one."""
    survivor_id = await shop.join(survivor)
    await merge(
        shop.connection,
        keyring,
        programme_id=shop.programme.id,
        survivor_id=survivor_id,
        absorbed_id=shop.member_id,
        reason="same person",
        actor="stf_1",
        key="merge",
    )
    shop.member_id = survivor_id


async def test_three_parts_of_an_order_that_earned_70_and_cost_100_points_sum_exactly(
    shop: Shop, connection: AsyncConnection
) -> None:
    await shop.give(60, expires_at=SPRING)
    await shop.give(80, expires_at=AUTUMN)
    redemption = await shop.redeem(100, "1001")
    assert await shop.lots() == [(0, SPRING), (40, AUTUMN)]
    await shop.order("1001", line(1, 7_000))
    assert await shop.lots() == [(0, SPRING), (40, AUTUMN), (70, None)]

    parts = [await shop.refund(number, "1001", of) for number, of in (("R1", 2_300), ("R2", 2_350), ("R3", 2_350))]

    assert [part.taken_back["points"] for part in parts] == [23, 23, 24]
    assert [part.given_back[redemption.id] for part in parts] == [32, 34, 34]
    assert sum(part.taken_back["points"] for part in parts) == 70
    assert sum(part.given_back[redemption.id] for part in parts) == 100
    assert await shop.lots() == [(60, SPRING), (80, AUTUMN), (0, None)]
    assert await shop.balance() == (140, 0)
    (refunded,) = await find_by_receipt(connection, channel_id=shop.channel.id, receipt_number="1001")
    assert refunded.state == "refunded"


async def test_what_was_spent_goes_back_before_what_was_earned_is_taken(shop: Shop) -> None:
    await shop.give(100, expires_at=SPRING)
    await shop.redeem(100, "1001")
    await shop.order("1001", line(1, 7_000))
    await shop.redeem(70, "1002")  # what this order earned is gone
    await shop.give(20, expires_at=AUTUMN)

    await shop.refund("R1", "1001", 7_000)

    # The 100 points are back, and the 70 were taken from them, because they expire first and none of the order's are
    # left. The other way round, the gift would have gone, and a debt would have been made and repaid.
    assert await shop.lots() == [(30, SPRING), (0, None), (20, AUTUMN)]
    assert await shop.balance() == (50, 0)


async def test_points_that_the_member_no_longer_has_become_debt(shop: Shop) -> None:
    await shop.order("1001", line(1, 7_000))
    await shop.redeem(50, "1002")

    result = await shop.refund("R1", "1001", 7_000)

    assert result.taken_back == {"points": 70}
    assert await shop.balance() == (0, 50)


async def test_a_line_takes_back_its_own_share_in_every_unit(shop: Shop) -> None:
    tea = EarnRule(code="tea", rate=PerAmount(5, 100, "CNY"), items=Compare("category", "eq", "tea"))
    await shop.publish(PER_YUAN, tea, GROWTH)
    await shop.order("1001", line(1, 3_000, category="tea"), line(2, 4_000, quantity=2))

    cups = await shop.refund("R1", "1001", lines=[RefundLine(line_id="2", amount_minor=2_000, quantity=1)])
    assert cups.taken_back == {"points": 20, "growth": 2}
    tea_back = await shop.refund("R2", "1001", lines=[RefundLine(line_id="1", amount_minor=3_000, quantity=1)])
    assert tea_back.taken_back == {"points": 180, "growth": 3}


async def test_a_refund_counts_off_the_day_of_its_order(shop: Shop, connection: AsyncConnection) -> None:
    await shop.order("1001", line(1, 7_000))
    await shop.refund("R1", "1001", 3_000, refunded_at=MOMENT + timedelta(days=90))

    query = select(tier_activity_table).filter_by(member_id=shop.member_id)
    days = {row.metric: (row.day, row.amount) for row in await connection.execute(query)}
    assert days == {
        "points": (MOMENT.date(), 40),
        "spend:CNY": (MOMENT.date(), 4_000),
        "orders": (MOMENT.date(), 1),  # of which something was kept
    }


async def test_a_refund_is_booked_when_it_happened_and_never_before_its_order(
    shop: Shop, connection: AsyncConnection
) -> None:
    await shop.order("1001", line(1, 7_000))
    await shop.refund("R1", "1001", 3_000, refunded_at=MOMENT + timedelta(days=9))
    await shop.refund("R2", "1001", 3_000, refunded_at=MOMENT - timedelta(hours=12))  # dated by the day alone

    entries = await reading.history(connection, member_ids=[shop.member_id])
    moments = {entry.source: entry.effective_at for entry in entries}
    assert moments["refund:online/R1"] == MOMENT + timedelta(days=9)
    assert moments["refund:online/R2"] == MOMENT


async def test_the_same_refund_again_answers_the_same_and_posts_nothing(shop: Shop) -> None:
    await shop.give(100)
    await shop.redeem(100, "1001")
    await shop.order("1001", line(1, 7_000))
    first = await shop.refund("R1", "1001", 2_000)
    entries = await shop.entries()

    again = await shop.refund("R1", "1001", 2_000)

    assert again.replayed
    assert (again.refund_id, again.taken_back, again.given_back) == (
        first.refund_id,
        first.taken_back,
        first.given_back,
    )
    assert await shop.entries() == entries
    with pytest.raises(IdempotencyMismatchError):
        await shop.refund("R1", "1001", 2_001)


async def test_a_refund_before_its_order_waits_and_is_booked_with_it(shop: Shop, connection: AsyncConnection) -> None:
    waiting = await shop.refund("R1", "1001", 2_000)
    assert waiting.state == "waiting"
    assert (await shop.refund("R1", "1001", 2_000)) == RefundResult(
        state="waiting", external_id="R1", kind="refund", refund_id=waiting.refund_id, replayed=True
    )

    order = await shop.order("1001", line(1, 7_000))

    (booked,) = order.refunds
    assert (booked.state, booked.refund_id, booked.taken_back) == ("booked", waiting.refund_id, {"points": 20})
    assert await shop.balance() == (50, 0)
    assert (await shop.refund("R1", "1001", 2_000)).taken_back == {"points": 20}
    assert (await connection.execute(select(waiting_refund_table))).first() is None


async def test_a_waiting_refund_that_does_not_fit_is_reported_and_does_not_stop_its_order(shop: Shop) -> None:
    await shop.refund("R1", "1001", 8_000)
    await shop.refund("R2", "1001", 1_000)

    order = await shop.order("1001", line(1, 7_000))

    assert [(refund.external_id, refund.state) for refund in order.refunds] == [("R1", "refused"), ("R2", "booked")]
    assert order.earned == {"points": 70}
    assert await shop.balance() == (60, 0)
    with pytest.raises(RefusedOnArrivalError, match="7000 is left") as refused:
        await shop.refund("R1", "1001", 8_000)
    assert refused.value.field == "amount_minor"


async def test_a_guests_order_leaves_its_refund_waiting(shop: Shop) -> None:
    await shop.refund("R1", "1001", 2_000)
    assert (await shop.order("1001", line(1, 7_000), identities=())).state == "guest"
    assert (await shop.refund("R1", "1001", 2_000)).state == "waiting"


@pytest.mark.parametrize(
    ("amount_minor", "lines", "field"),
    [
        (7_001, (), "amount_minor"),
        (None, (RefundLine(line_id="1", amount_minor=3_001),), "lines[0].amount_minor"),
        (None, (RefundLine(line_id="2", amount_minor=0, quantity=3),), "lines[0].quantity"),
    ],
)
async def test_more_than_is_left_is_refused_and_nothing_is_booked(
    shop: Shop, amount_minor: int | None, lines: tuple[RefundLine, ...], field: str
) -> None:
    await shop.order("1001", line(1, 3_000), line(2, 4_000, quantity=2))
    with pytest.raises(RefundExceedsOrderError) as refused:
        await shop.refund("R1", "1001", amount_minor, lines=lines)
    assert refused.value.field == field
    assert await shop.balance() == (70, 0)


async def test_a_line_is_not_refunded_beyond_what_amounts_without_lines_left_of_the_order(shop: Shop) -> None:
    await shop.order("1001", line(1, 3_000), line(2, 4_000))
    await shop.refund("R1", "1001", 5_000)
    with pytest.raises(RefundExceedsOrderError, match="2000 is left of the order"):
        await shop.refund("R2", "1001", lines=[RefundLine(line_id="1", amount_minor=2_001)])


async def test_an_unknown_line_is_refused(shop: Shop) -> None:
    await shop.order("1001", line(1, 7_000))
    with pytest.raises(InvalidInputError, match="no line '9'") as refused:
        await shop.refund("R1", "1001", lines=[RefundLine(line_id="9", amount_minor=1)])
    assert refused.value.field == "lines[0].line_id"


async def test_a_refund_replays_what_was_earned_and_not_what_todays_policy_gives(shop: Shop) -> None:
    await shop.order("1001", line(1, 7_000))
    await shop.publish(EarnRule(code="ten", rate=PerAmount(10, 100, "CNY")), valid_from=MOMENT)

    assert (await shop.refund("R1", "1001", 7_000)).taken_back == {"points": 70}


async def test_what_a_clerk_gave_back_at_the_till_is_not_given_back_again(shop: Shop) -> None:
    await shop.give(100)
    redemption = await shop.redeem(100, "1001")
    await shop.order("1001", line(1, 7_000))
    await till.refund(
        shop.connection, programme_id=shop.programme.id, redemption_id=redemption.id, points=40, key="clerk"
    )

    half = await shop.refund("R1", "1001", 3_500)
    rest = await shop.refund("R2", "1001", 3_500)

    assert (half.given_back, rest.given_back) == ({redemption.id: 10}, {redemption.id: 50})


async def test_a_receipt_may_have_another_number_than_its_order(shop: Shop) -> None:
    await shop.give(100)
    redemption = await shop.redeem(100, "R-77")
    await shop.order("1001", line(1, 7_000), receipt_number="R-77")
    assert (await shop.refund("R1", "1001", 7_000)).given_back == {redemption.id: 100}


async def test_refunds_of_a_member_merged_since_are_booked_on_the_survivor(shop: Shop, keyring: Keyring) -> None:
    await shop.give(100, expires_at=SPRING)
    redemption = await shop.redeem(100, "1001")
    await shop.order("1001", line(1, 7_000))
    before = await shop.refund("R1", "1001", 3_500)
    absorbed = shop.member_id
    await merge_into(shop, "2", keyring)

    after = await shop.refund("R2", "1001", 3_500)

    assert (before.taken_back, after.taken_back) == ({"points": 35}, {"points": 35})
    assert (before.given_back, after.given_back) == ({redemption.id: 50}, {redemption.id: 50})
    assert await shop.balance() == (100, 0)
    assert await shop.balance(absorbed) == (0, 0)
    assert {expires_at for remaining, expires_at in await shop.lots() if remaining} == {SPRING}


async def test_a_unit_that_forgives_shortfalls_leaves_no_debt(shop: Shop, connection: AsyncConnection) -> None:
    await define_unit(connection, Unit(programme_id=shop.programme.id, shortfall="forgive"))
    await shop.order("1001", line(1, 7_000))
    await shop.redeem(50, "1002")
    await shop.refund("R1", "1001", 7_000)
    assert await shop.balance() == (0, 0)


class Two:
    """Two transactions of one shop at the same time: the second begins while the first is not committed."""

    def __init__(self, engine: AsyncEngine, shop: Shop) -> None:
        self.engine, self.shop = engine, shop

    def at(self, connection: AsyncConnection) -> Shop:
        return Shop(connection, self.shop.keyring, self.shop.programme, self.shop.channel, self.shop.member_id)

    async def order(self) -> OrderResult:
        async with transaction(self.engine) as connection:
            return await self.at(connection).order("1001", line(1, 7_000))

    async def refund(self) -> RefundResult:
        async with transaction(self.engine) as connection:
            return await self.at(connection).refund("R1", "1001", 1_000)


@pytest.fixture
async def two(committed_engine: AsyncEngine, keyring: Keyring) -> Two:
    async with transaction(committed_engine) as connection:
        return Two(committed_engine, await open_shop(connection, keyring))


async def test_an_order_waits_for_the_refund_that_is_just_being_kept_for_it(two: Two) -> None:
    async with transaction(two.engine) as connection:
        assert (await two.at(connection).refund("R1", "1001", 1_000)).state == "waiting"
        order = asyncio.create_task(two.order())
        await asyncio.sleep(0.2)
        assert not order.done()
    assert [refund.state for refund in (await order).refunds] == ["booked"]


async def test_a_refund_waits_for_the_order_that_is_just_being_booked(two: Two) -> None:
    async with transaction(two.engine) as connection:
        await two.at(connection).order("1001", line(1, 7_000))
        refund = asyncio.create_task(two.refund())
        await asyncio.sleep(0.2)
        assert not refund.done()
    assert (await refund).state == "booked"


async def test_an_order_and_its_refunds_at_once_end_in_the_same_books(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with transaction(committed_engine) as connection:
        shop = await open_shop(connection, keyring)

    async def alone(what: str) -> None:
        async with transaction(committed_engine) as connection:
            own = Shop(connection, keyring, shop.programme, shop.channel, shop.member_id)
            if what == "order":
                await own.order("1001", line(1, 7_000))
            else:
                await own.refund(what, "1001", 1_000)

    await asyncio.gather(*(alone(what) for what in ("R1", "R2", "order", "R3", "R4", "R1", "order")))

    async with transaction(committed_engine) as connection:
        shop.connection = connection
        assert await shop.balance() == (30, 0)
        assert (await connection.execute(select(waiting_refund_table))).first() is None
        assert (await audit.verify(connection)).findings == []


async def test_coupons_come_back_with_the_last_part_of_their_order_as_their_templates_say(
    shop: Shop, connection: AsyncConnection
) -> None:
    """Given an order paid with two coupons and points, when it is refunded in two parts, then the coupon whose template
    says so is back after the second, valid for a week more, and the other one stays used."""
    await shop.give(100)
    gives = MoneyOff(amount_minor=1_000, currency="CNY")
    today = DaysFromIssue(days=0)
    rules: dict[str, Any] = {"back": {"return_days": 7}, "gone": {"after_refund": "keep_used"}}
    for code, fields in rules.items():
        definition = Definition(name={"zh": "券", "en": code}, gives=gives, validity=today, **fields)
        programme_id = shop.programme.id
        await publish_definition(connection, programme_id=programme_id, code=code, definition=definition, actor="li")
        for each in ("a", "b"):
            await issue(
                connection,
                programme_id=programme_id,
                member_id=shop.member_id,
                template_code=code,
                key=code + each,
                source="test",
            )
    before = {each.code: each for each in await wallet(connection, member_id=shop.member_id)}
    chosen = {each.template_code: each.code for each in before.values()}
    held = await lock(
        connection,
        channel=shop.channel,
        member_id=shop.member_id,
        wish=Wish(
            currency="CNY",
            lines=(Line(sku="tea", quantity=1, amount_minor=9_000),),
            coupons=tuple(chosen.values()),
            points=100,
        ),
        facts=Member(),
        key="lock",
    )
    await use(connection, programme_id=programme_id, checkout_id=held.id, order_number="1001", key="use")
    await shop.order("1001", line(1, 6_900))
    assert len(await wallet(connection, member_id=shop.member_id)) == 2

    await shop.refund("R1", "1001", 3_000)
    assert len(await wallet(connection, member_id=shop.member_id)) == 2
    result = await shop.refund("R2", "1001", 3_900)

    left = {each.code: each for each in await wallet(connection, member_id=shop.member_id)}
    assert left.keys() - before.keys() == set()
    assert {each.template_code: each.state for each in left.values() if each.code in chosen.values()} == {
        "back": "returned"
    }
    again = left[chosen["back"]]
    assert again.expires_at == before[again.code].expires_at + timedelta(days=7)
    assert sum(result.given_back.values()) == 57
    assert await shop.balance() == (100, 0)
    whole = await get_checkout(connection, programme_id=programme_id, checkout_id=held.id)
    assert (whole.state, whole.refunded_lines) == ("refunded", (0,))
    assert await shop.refund("R2", "1001", 3_900) == msgspec.structs.replace(result, replayed=True)
