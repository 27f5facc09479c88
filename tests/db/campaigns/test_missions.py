"""Missions: progress is counted from what happened, and the reward is given once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.missions import (
    BuyTimes,
    CompleteProfile,
    MissionOpenError,
    MissionTerms,
    Progress,
    ScanProducts,
    SignIn,
    Task,
    collect,
    collected,
    end_mission,
    list_missions,
    longest_streak,
    note_visit,
    progress_of,
    publish_mission,
)
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.members.profile import ProfileFields, update_profile
from tests.db.channels.orders.conftest import Shop, line, open_shop

NAME = {"zh": "任务", "en": "Mission"}


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
async def shop(connection: AsyncConnection, keyring: Keyring) -> Shop:
    return await open_shop(connection, keyring)


async def begin(shop: Shop, task: Task, *, points: int = 40, **span: Any) -> UUID:
    mission = await publish_mission(
        shop.connection,
        programme_id=shop.programme.id,
        code=f"m-{uuid4().hex[:10]}",
        terms=MissionTerms(name=NAME, task=task, points=points),
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
    await end_mission(shop.connection, programme_id=shop.programme.id, mission_id=running)
    for mission_id in (running, later):
        with pytest.raises(NotFoundError):
            await get_reward(shop, mission_id)
        with pytest.raises(NotFoundError):
            await end_mission(shop.connection, programme_id=shop.programme.id, mission_id=mission_id)
    with pytest.raises(InvalidInputError):
        await begin(shop, BuyTimes(times=0))
    terms = MissionTerms(name=NAME, task=BuyTimes(times=1), points=1)
    again: dict[str, Any] = {"programme_id": shop.programme.id, "code": "same", "terms": terms, "published_by": "ann"}
    await publish_mission(shop.connection, **again)
    with pytest.raises(ConflictError):
        await publish_mission(shop.connection, **again)
