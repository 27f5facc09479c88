"""Missions: progress is counted from what happened, and the reward is given once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.missions.mission import (
    BuyTimes,
    CompleteProfile,
    MissionTerms,
    ScanProducts,
    SignIn,
    Task,
    end_mission,
    get_mission,
    list_missions,
    publish_mission,
)
from loyalty.campaigns.missions.progress import (
    MissionOpenError,
    Progress,
    collect,
    collected,
    longest_streak,
    note_visit,
    progress_of,
)
from loyalty.items.products import LocalText, save_product
from loyalty.kit.clock import local_date, utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.members.profile import ProfileFields, update_profile
from redemption.benefits.errors import OutOfBenefitsError, UnknownTemplateError
from redemption.benefits.wallet import wallet
from tests.db.campaigns.gifts import publish_gift
from tests.db.channels.orders.conftest import Shop, line, open_shop
from tests.db.items.conftest import NOON, make_brand
from tiers.tables import tier_activity_table

NAME = {"zh": "任务", "en": "Mission"}


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
async def shop(connection: AsyncConnection, keyring: Keyring) -> Shop:
    return await open_shop(connection, keyring)


async def begin(shop: Shop, task: Task, *, points: int = 40, benefit: str | None = None, **span: Any) -> UUID:
    mission = await publish_mission(
        shop.connection,
        programme_id=shop.programme.id,
        code=f"m-{uuid4().hex[:10]}",
        terms=MissionTerms(name=NAME, task=task, points=points, benefit=benefit),
        published_by="ann",
        **span,
    )
    return mission.id


async def progress(shop: Shop, mission_id: UUID) -> Progress:
    found = await progress_of(
        shop.connection, programme=shop.programme, member_id=shop.member_id, at=utc_now() + timedelta(seconds=1)
    )
    return next(each for each in found if each.mission.id == mission_id)


async def get_reward(shop: Shop, mission_id: UUID) -> Progress:
    return await collect(
        shop.connection, programme=shop.programme, member_id=shop.member_id, mission_id=mission_id, at=utc_now()
    )


def test_a_streak_is_days_that_follow_each_other() -> None:
    day = date(2028, 2, 27)
    days = {day + timedelta(days=number) for number in (0, 1, 2, 3, 5, 6)}
    assert longest_streak(days) == 4
    assert longest_streak(set()) == 0


async def test_buying_counts_and_the_reward_is_given_once(shop: Shop) -> None:
    mission_id = await begin(shop, BuyTimes(times=2))
    await shop.order("1", line(1, 100), placed_at=utc_now())
    assert (await progress(shop, mission_id)).done == 1
    with pytest.raises(MissionOpenError):
        await get_reward(shop, mission_id)
    await shop.order("2", line(1, 100), placed_at=utc_now())
    before = (await shop.balance())[0]
    for _ in range(2):
        assert (await get_reward(shop, mission_id)).collected_at is not None
        assert (await shop.balance())[0] == before + 40
    # What is refunded afterwards leaves a reward that was collected.
    await shop.refund("r", "1", 100, refunded_at=utc_now())
    assert (await progress(shop, mission_id)).done == 2
    assert await collected(shop.connection, programme_id=shop.programme.id) == {mission_id: 1}


async def test_visits_profile_and_scans_count(shop: Shop, keyring: Keyring) -> None:
    now = utc_now()
    signing_in = await begin(shop, SignIn(days=3), starts_at=now - timedelta(days=9))
    telling = await begin(shop, CompleteProfile(fields=("name", "birthday")))
    scanning = await begin(shop, ScanProducts(products=2), starts_at=now - timedelta(days=1))
    for days in (5, 4, 2, 1, 0, 0):
        await note_visit(
            shop.connection, programme=shop.programme, member_id=shop.member_id, at=now - timedelta(days=days)
        )
    assert (await progress(shop, signing_in)).complete
    await update_profile(
        shop.connection, keyring, member_id=shop.member_id, fields=ProfileFields(name="Li"), source="test"
    )
    assert (await progress(shop, telling)).done == 1
    scan = text(
        "INSERT INTO item_scan (gtin, kid, index, at, id, programme_id, device, member_id, verdict)"
        " VALUES (:gtin, 1, 1, :at, :id, :programme, '', :member, :verdict)"
    )
    for gtin, verdict in (("1", "first_scan"), ("1", "seen_by_you"), ("2", "suspected_copy")):
        where = {"gtin": gtin, "at": now, "id": uuid4(), "programme": shop.programme.id, "member": shop.member_id}
        await shop.connection.execute(scan, where | {"verdict": verdict})
    assert (await progress(shop, scanning)).done == 1


async def test_a_mission_begins_ends_and_is_refused_where_it_makes_no_sense(shop: Shop) -> None:
    later = await begin(shop, BuyTimes(times=1), starts_at=utc_now() + timedelta(days=1))
    running = await begin(shop, BuyTimes(times=1))
    listed = await list_missions(shop.connection, programme_id=shop.programme.id, running_at=utc_now())
    assert [mission.id for mission in listed] == [running]
    await end_mission(shop.connection, programme_id=shop.programme.id, mission_id=running, ended_by="bob")
    ended = await get_mission(shop.connection, programme_id=shop.programme.id, mission_id=running)
    assert (ended.ended_by, ended.ends_at is not None) == ("bob", True)
    for mission_id in (running, later):
        with pytest.raises(NotFoundError):
            await get_reward(shop, mission_id)
        with pytest.raises(NotFoundError):
            await end_mission(shop.connection, programme_id=shop.programme.id, mission_id=mission_id, ended_by="bob")
    with pytest.raises(InvalidInputError):
        await begin(shop, BuyTimes(times=0))
    terms = MissionTerms(name=NAME, task=BuyTimes(times=1), points=1)
    again: dict[str, Any] = {"programme_id": shop.programme.id, "code": "same", "terms": terms, "published_by": "ann"}
    await publish_mission(shop.connection, **again)
    with pytest.raises(ConflictError):
        await publish_mission(shop.connection, **again)


async def test_a_benefit_is_issued_with_the_points_once_or_nothing_is_given(shop: Shop) -> None:
    await publish_gift(shop.connection, shop.programme.id, stock=1)
    mission_id = await begin(shop, BuyTimes(times=1), points=40, benefit="gift")
    other = await shop.join("2")
    for number, member_id in enumerate((shop.member_id, other)):
        await shop.order(str(number), line(1, 100), member_id=member_id, placed_at=utc_now())
    for _ in range(2):
        await get_reward(shop, mission_id)
        (benefit,) = await wallet(shop.connection, member_id=shop.member_id)
        assert (benefit.template_code, benefit.campaign) == ("gift", benefit.source.removeprefix("mission:"))
        assert await shop.balance() == (41, 0)
    with pytest.raises(OutOfBenefitsError):
        async with shop.connection.begin_nested():
            await collect(
                shop.connection, programme=shop.programme, member_id=other, mission_id=mission_id, at=utc_now()
            )
    assert await shop.balance(other) == (1, 0)
    with pytest.raises(UnknownTemplateError):
        await begin(shop, BuyTimes(times=1), benefit="nothing")


async def test_a_visit_counts_towards_tiers_once_a_day(shop: Shop) -> None:
    now, columns = utc_now(), tier_activity_table.c
    visits = (now - timedelta(days=1), now, now)
    noted = [
        await note_visit(shop.connection, programme=shop.programme, member_id=shop.member_id, at=at) for at in visits
    ]
    assert noted == [True, True, False]
    rows = await shop.connection.execute(select(tier_activity_table).where(columns.member_id == shop.member_id))
    assert sorted((row.metric, row.day, row.amount) for row in rows) == [
        ("checkins", local_date(at, shop.programme.time_zone), 1) for at in visits[:2]
    ]


async def test_scans_of_two_different_products_complete_a_mission(connection: AsyncConnection) -> None:
    brand = await make_brand(connection)
    other = "06901234567908"
    await save_product(connection, programme_id=brand.programme.id, gtin=other, names=LocalText(zh="茶", en="Tea"))
    await brand.mint(state="activated")
    await brand.mint(state="activated", gtin=other)
    member_id = await brand.member()
    mission = await publish_mission(
        connection,
        programme_id=brand.programme.id,
        code="two",
        terms=MissionTerms(name=NAME, task=ScanProducts(products=2), points=40),
        published_by="ann",
        starts_at=NOON - timedelta(hours=1),
    )
    done = []
    scans: list[dict[str, Any]] = [{"index": 0}, {"index": 1}, {"gtin": other, "serial": brand.serial()}]
    scans.append({"gtin": other, "serial": brand.keys.for_product(other, 1).mint(0)})
    for fields in scans:  # the third is a code of the one product on the other
        await brand.scan(member_id=member_id, **fields)
        (found,) = await progress_of(connection, programme=brand.programme, member_id=member_id, at=NOON)
        done.append(found.done)
    assert done == [1, 1, 1, 2]
    rewarded = await collect(connection, programme=brand.programme, member_id=member_id, mission_id=mission.id, at=NOON)
    assert rewarded.collected_at == NOON
