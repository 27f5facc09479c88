"""Deferred revenue from real orders and postings, against arithmetic that is written out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from loyalty.accounting.deferred import DeferralReport, deferred_revenue
from loyalty.accounting.policy import AccountingPolicy, PointValue, publish_policy, read_policy
from loyalty.campaigns.earning import EarnRule, PerAmount
from loyalty.channels.orders import accept_order
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.programme import create_channel
from tests.db.channels.orders.conftest import PER_YUAN, Shop, line, open_shop

MAY, JUNE, JULY = (datetime(2026, month, 10, 4, tzinfo=UTC) for month in (5, 6, 7))
END_OF_MAY, END_OF_JUNE = date(2026, 5, 31), date(2026, 6, 30)


@pytest.fixture
async def shop(connection: AsyncConnection) -> Shop:
    """1,000 yuan earn 1,000 points in May, each worth a fen; 300 are spent in May, 200 in June."""
    opened = await open_shop(connection, Keyring.generate())
    await opened.order("1", line(1, 100_000), placed_at=MAY)
    await spend(opened, 300, MAY)
    await spend(opened, 200, JUNE)
    return opened


async def spend(shop: Shop, points: int, moment: datetime) -> None:
    await posting.spend(
        shop.connection,
        programme_id=shop.programme.id,
        member_id=shop.member_id,
        amount=points,
        effective_at=moment,
        key=str(uuid4()),
        source="test",
    )


async def agree(shop: Shop, policy: AccountingPolicy) -> int:
    return await publish_policy(
        shop.connection, programme_id=shop.programme.id, unit="points", policy=policy, published_by="test"
    )


async def report(shop: Shop, last: date) -> DeferralReport:
    return await deferred_revenue(shop.connection, shop.programme, last=last)


async def test_what_a_month_sold_is_deferred_until_its_points_are_used(shop: Shop) -> None:
    """Nothing is known of later ages, so all points are expected to be used: 1,000 fen beside goods for 100,000."""
    allocated = Fraction(100_000) * 1_000 / 101_000
    may = await report(shop, END_OF_MAY)
    assert (may.first, may.last, may.left) == (date(2026, 5, 1), END_OF_MAY, 700)
    assert [revenue.currency for revenue in may.revenue] == ["CNY"]
    moved = may.revenue[0].total
    assert moved.opening == 0
    assert moved.added == allocated
    assert moved.revenue == allocated * 300 / 1_000
    assert moved.closing == allocated * 700 / 1_000

    june = (await report(shop, END_OF_JUNE)).revenue[0].total
    assert june.opening == moved.closing
    assert june.added == june.true_up == 0
    assert june.redeemed == allocated * 200 / 1_000
    assert june.closing == allocated * 500 / 1_000


async def test_new_expectations_are_caught_up_with(shop: Shop) -> None:
    """Half of what outlives all that was observed is expected to be used.

    At the end of May: 300 of 1,000 were used, and half of the other 700 will be: 650. At the end of June: 200 of 700
    were used at the next age, so 500 are used, and half of the other 500 will be: 750.
    """
    assert await agree(shop, AccountingPolicy(beyond_bp=5_000)) == 1
    allocated = Fraction(100_000) * 650 / 100_650
    found = await report(shop, END_OF_JUNE)
    june = found.revenue[0].total
    assert june.opening == allocated * 350 / 650
    assert june.redeemed == allocated * 200 / 650
    assert june.true_up == allocated * 500 / 750 - allocated * 500 / 650
    assert june.closing == allocated * 250 / 750
    assert found.expected_breakage == 250
    assert [(age.age, age.exposed, age.used) for age in found.ages] == [(0, 1_000, 300), (1, 700, 200)]


async def test_money_paid_back_takes_its_share_of_the_price_and_of_the_points(shop: Shop) -> None:
    await shop.refund("r1", "1", 40_000, refunded_at=JUNE)
    june = (await report(shop, END_OF_JUNE)).revenue[0]
    before = Fraction(100_000) * 1_000 / 101_000
    after = Fraction(60_000) * 600 / 60_600
    assert (june.cohorts[0].sales.amount_minor, june.cohorts[0].sales.points) == (60_000, 600)
    assert june.total.added == after - before
    assert june.cohorts[0].deferral.recognised == after * 500 / 600
    assert june.total.closing == after * 100 / 600


async def test_points_that_no_purchase_earned_are_spread_over_the_purchases(shop: Shop) -> None:
    await posting.earn(
        shop.connection,
        programme_id=shop.programme.id,
        member_id=shop.member_id,
        amount=500,
        effective_at=MAY,
        key="gift",
        source="gift",
    )
    may = (await report(shop, END_OF_MAY)).revenue[0]
    assert may.total.added == Fraction(100_000) * 1_500 / 101_500


async def test_a_currency_has_its_part_of_the_points_and_its_own_value(shop: Shop) -> None:
    """600 points were earned in Hong Kong dollars: 6 in 16 of May's points, of those used and of those left."""
    await shop.publish(PER_YUAN, EarnRule(code="hk", rate=PerAmount(1, 100, "HKD")))
    hong_kong = await create_channel(
        shop.connection, shop.programme, code="hk", name="Hong Kong", kind="store", currency="HKD"
    )
    order = shop.purchase("2", line(1, 60_000), placed_at=MAY, currency="HKD")
    await accept_order(shop.connection, shop.keyring, channel=hong_kong, order=order)
    assert (await report(shop, END_OF_MAY)).unvalued == ["HKD"]
    await agree(shop, AccountingPolicy(values={"HKD": PointValue(points=10, amount_minor=25)}))
    found = await report(shop, END_OF_MAY)
    yuan, dollars = found.revenue
    assert (yuan.currency, dollars.currency, found.unvalued) == ("CNY", "HKD", [])
    assert dollars.cohorts[0].value_per_point == Fraction(5, 2)
    assert dollars.total.added == Fraction(60_000) * 1_500 / 61_500
    assert yuan.total.added == Fraction(100_000) * 1_000 / 101_000
    assert dollars.cohorts[0].deferral.used == Fraction(300 * 6, 16)
    assert dollars.total.closing == dollars.total.added * 1_300 / 1_600


async def test_settled_cohorts_are_left_out(shop: Shop) -> None:
    await spend(shop, 500, JUNE)
    assert (await report(shop, END_OF_JUNE)).revenue[0].total.closing == 0
    assert (await report(shop, date(2026, 7, 31))).revenue == []


async def test_a_policy_is_a_version_and_repeating_it_is_none(shop: Shop) -> None:
    policy = AccountingPolicy(beyond_bp=9_000, accounts={"member": "2310", "redeemed": "4010"})
    assert await agree(shop, policy) == 1
    assert await agree(shop, policy) == 1
    assert await agree(shop, AccountingPolicy()) == 2
    assert await read_policy(shop.connection, programme_id=shop.programme.id) == AccountingPolicy()


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (AccountingPolicy(beyond_bp=10_001), "beyond_bp"),
        (AccountingPolicy(accounts={"cash": "1000"}), "accounts"),
        (AccountingPolicy(accounts={"member": "=1+1"}), "accounts"),
        (AccountingPolicy(values={"yuan": PointValue(points=1, amount_minor=1)}), "values"),
        (AccountingPolicy(values={"CNY": PointValue(points=0, amount_minor=1)}), "values"),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(shop: Shop, policy: AccountingPolicy, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await agree(shop, policy)
    assert refused.value.field == field


async def test_a_policy_is_about_a_unit_that_there_is(shop: Shop) -> None:
    with pytest.raises(NotFoundError):
        await publish_policy(
            shop.connection,
            programme_id=shop.programme.id,
            unit="stars",
            policy=AccountingPolicy(),
            published_by="test",
        )
