"""What campaigns give for orders: exact up to every cap and budget, and taken back with the order's refunds."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.bonus import campaign as lifecycle
from loyalty.campaigns.bonus.campaign import BUDGET, published_between
from loyalty.campaigns.bonus.computing import Purchase
from loyalty.campaigns.bonus.definition import BenefitReward, FixedBonus, Multiplier
from loyalty.campaigns.bonus.giving import give
from loyalty.campaigns.bonus.results import results_of
from loyalty.campaigns.earning import BasketLine
from loyalty.campaigns.segments.segment import create_segment, save_version
from loyalty.campaigns.tables import held_out_table
from loyalty.channels.orders import accept_order, accept_orders
from loyalty.kit.clock import local_date, utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.ids import new_id
from loyalty.kit.quotas import Key, levels
from loyalty.kit.rules import Compare
from loyalty.members.profile import ProfileFields, update_profile
from redemption.benefits.wallet import wallet
from redemption.terms import Items
from tests.db.campaigns.bonus.conftest import CampaignShop
from tests.db.campaigns.gifts import publish_gift
from tests.db.channels.orders.conftest import line, open_shop


async def test_campaigns_give_beside_the_policy_and_a_repeat_gives_nothing_more(campaigns: CampaignShop) -> None:
    await campaigns.run(Multiplier(factor_bp=20_000), items=Items(skus=("sku-1",)))
    await campaigns.run(FixedBonus(points=30))
    moment = utc_now() + timedelta(seconds=1)
    for _ in range(2):
        earned = await campaigns.order("1", line(1, 10_000), line(2, 5_000), placed_at=moment)
        assert earned == 150 + 100 + 30
        assert await campaigns.shop.balance() == (280, 0)


async def test_refunds_take_back_exactly_what_campaigns_gave(campaigns: CampaignShop) -> None:
    await campaigns.run(Multiplier(factor_bp=13_333))
    await campaigns.run(FixedBonus(points=7))
    assert await campaigns.order("1", line(1, 10_000), line(2, 5_000)) == 150 + 49 + 7
    first = await campaigns.shop.refund("r1", "1", 4_999)
    assert first.taken_back == {"points": 49 + 16 + 2}  # each its own share, floored
    for number in range(2, 4):
        await campaigns.shop.refund(f"r{number}", "1", 5_000)
    assert await campaigns.shop.balance() == (3, 0)  # one fen is still paid, and each of three shares is floored
    await campaigns.shop.refund("r4", "1", 1)
    assert await campaigns.shop.balance() == (0, 0)


async def test_first_purchase_and_birthday(campaigns: CampaignShop, keyring: Keyring) -> None:
    await campaigns.run(FixedBonus(points=1_000), first_purchase=True)
    await campaigns.run(FixedBonus(points=10_000), birthday="day")
    assert await campaigns.order("1", line(1, 100)) == 1_001
    today = local_date(utc_now(), campaigns.shop.programme.time_zone)
    birthday = today.replace(year=1988) if (today.month, today.day) != (2, 29) else date(1988, 2, 29)
    fields = ProfileFields(birthday=birthday)
    await update_profile(
        campaigns.connection, keyring, member_id=campaigns.shop.member_id, fields=fields, source="test"
    )
    assert await campaigns.order("2", line(1, 100)) == 10_001


async def bought(campaigns: CampaignShop, moment: datetime) -> int:
    """What all campaigns give for one more purchase at a moment that is past."""
    published = await published_between(
        campaigns.connection, programme_id=campaigns.programme_id, first=moment, last=moment
    )
    purchase = Purchase(
        member_id=campaigns.shop.member_id,
        order_id=new_id(),
        placed_at=moment,
        channel="online",
        channel_kind="online",
        currency="CNY",
        lines=[BasketLine("A", None, 1, 100)],
        earned={},
        campaigns=frozenset(each.campaign_id for each in published),
    )
    given = await give(
        campaigns.connection,
        programme_id=campaigns.programme_id,
        time_zone=campaigns.shop.programme.time_zone,
        campaigns=published,
        purchases=[purchase],
    )
    return sum(each.points for each in given)


async def test_caps_hold_to_the_point(campaigns: CampaignShop, monkeypatch: pytest.MonkeyPatch) -> None:
    await campaigns.run(member_points=120, member_times=3)
    assert [await campaigns.order(str(number), line(1, 100)) for number in range(4)] == [51, 51, 21, 1]

    noon = datetime.combine(utc_now() - timedelta(days=5), time(4), UTC)
    monkeypatch.setattr(lifecycle, "utc_now", lambda: noon)  # it was published then
    limited = await campaigns.run(budget_points=130, day_points=90)
    given = [await bought(campaigns, noon + timedelta(days=place // 3)) for place in range(5)]
    assert given == [50, 40, 0, 40, 0]
    left = {key.unit: level.left for key, level in (await levels(campaigns.connection, [limited.id])).items()}
    days = sorted(unit for unit in left if unit != BUDGET)
    # What the whole budget did not leave went back to the day's.
    assert (left[BUDGET], left[days[0]], left[days[1]]) == (0, 0, 50)


async def test_who_may_take_part_and_who_is_held_out(campaigns: CampaignShop) -> None:
    rule = Compare(field="orders", op="ge", value=1)
    segment = await create_segment(campaigns.connection, programme_id=campaigns.programme_id, name="S")
    saved = await save_version(
        campaigns.connection,
        programme_id=campaigns.programme_id,
        segment_id=segment.id,
        rule={"rule": "compare", "field": "orders", "op": "ge", "value": 2},
        saved_by="ann",
    )
    await campaigns.run(FixedBonus(points=10), rule=rule)
    await campaigns.run(FixedBonus(points=100), segment_id=segment.id, segment_version=saved.version)
    held = await campaigns.run(FixedBonus(points=1_000), holdout_bp=5_000)
    others = [campaigns.shop.member_id, *[await campaigns.shop.join(str(number)) for number in range(2, 12)]]
    earned = [
        [await campaigns.order(f"{member_id}-{number}", line(1, 100), member_id=member_id) for number in range(3)]
        for member_id in others
    ]
    columns = held_out_table.c
    recorded = set(await campaigns.connection.scalars(select(columns.member_id).where(columns.campaign_id == held.id)))
    assert 0 < len(recorded) < len(others)
    for member_id, points in zip(others, earned, strict=True):
        more = 0 if member_id in recorded else 1_000
        assert points == [1 + more, 11 + more, 111 + more]


async def test_a_budget_is_given_out_to_the_point_by_many_at_once(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with committed_engine.begin() as connection:
        shop = CampaignShop(await open_shop(connection, keyring))
        campaign = await shop.run(FixedBonus(points=30), budget_points=500)
        members = [await shop.shop.join(f"m{number}") for number in range(24)]

    async def buy(place: int) -> int:
        async with committed_engine.begin() as connection:
            order = shop.shop.purchase(str(place), line(1, 100), member_id=members[place], placed_at=utc_now())
            result = await accept_order(connection, keyring, channel=shop.shop.channel, order=order)
        return result.earned["points"] - 1

    given = await asyncio.gather(*(buy(place) for place in range(len(members))))
    assert sum(given) == 500
    assert sorted(given)[-16:] == [30] * 16
    async with committed_engine.connect() as connection:
        assert (await levels(connection, [campaign.id]))[Key(campaign.id, BUDGET)].left == 0


@pytest.mark.parametrize("order_points", [None, 20])
async def test_a_version_takes_over_and_what_was_given_stays_pinned(
    campaigns: CampaignShop, order_points: int | None
) -> None:
    campaign = await campaigns.run(FixedBonus(points=50), order_points=order_points)
    assert await campaigns.order("1", line(1, 100)) == 1 + (order_points or 50)
    assert await campaigns.order("0", line(1, 100), placed_at=utc_now() - timedelta(hours=1)) == 1
    assert campaign.versions[0].version == 1


async def test_a_benefit_is_given_with_the_order_while_there_are_any_and_goes_with_its_refund(
    campaigns: CampaignShop,
) -> None:
    await publish_gift(campaigns.connection, campaigns.programme_id, stock=3, per_member=2)
    campaign = await campaigns.run(BenefitReward(template="gift"), minimum_minor=1_000, currency="CNY")
    other = await campaigns.shop.join("2")

    async def hold(member_id: UUID) -> list[str]:
        held = await wallet(campaigns.connection, member_id=member_id)
        return [benefit.source for benefit in held if benefit.campaign == campaign.code]

    moment = utc_now() + timedelta(seconds=1)
    orders = [("1", 999), ("2", 1_000), ("2", 1_000), ("3", 1_000), ("4", 1_000)]
    for number, amount_minor in orders:
        assert await campaigns.order(number, line(1, amount_minor), placed_at=moment) == amount_minor // 100
    # One too small, one that came twice, and one beyond what a member may have.
    assert await hold(campaigns.shop.member_id) == ["campaign:online/2", "campaign:online/3"]
    for number in ("5", "6"):
        await campaigns.order(number, line(1, 1_000), member_id=other)
    assert await hold(other) == ["campaign:online/5"]
    await campaigns.shop.refund("r1", "2", 400)
    assert len(await hold(campaigns.shop.member_id)) == 2
    await campaigns.shop.refund("r2", "2", 600)
    assert await hold(campaigns.shop.member_id) == ["campaign:online/3"]
    result = (await results_of(campaigns.connection, campaign_ids=[campaign.id]))[campaign.id]
    assert (result.benefits, result.orders, result.members, result.points) == (3, 3, 2, 0)


async def test_benefits_of_one_batch_wait_for_nobody_in_a_ring(committed_engine: AsyncEngine, keyring: Keyring) -> None:
    """Batches over the same members, in any order, with less stock than they want."""
    async with committed_engine.begin() as connection:
        shop = CampaignShop(await open_shop(connection, keyring))
        await publish_gift(connection, shop.programme_id, stock=15, per_member=3)
        await shop.run(BenefitReward(template="gift"))
        members = [await shop.shop.join(f"m{number}") for number in range(5)]

    async def buy(batch: int) -> None:
        async with committed_engine.begin() as connection:
            orders = [
                shop.shop.purchase(f"{batch}-{place}", line(1, 100), member_id=member_id, placed_at=utc_now())
                for place, member_id in enumerate(members if batch % 2 else reversed(members))
            ]
            results = await accept_orders(connection, keyring, channel=shop.shop.channel, orders=orders)
        assert all(result.state == "booked" for result in results)

    await asyncio.gather(*(buy(batch) for batch in range(6)))
    async with committed_engine.connect() as connection:
        held = [len(await wallet(connection, member_id=member_id)) for member_id in members]
    assert held == [3, 3, 3, 3, 3]
