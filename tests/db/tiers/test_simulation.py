"""Simulation tells what publishing would do, and does nothing. What it said is what then happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from tests.db.tiers.conftest import Club, make_ladder
from tests.factories import make_programme
from tests.waiting import until_somebody_waits
from tiers import starting, versions
from tiers.policies import TierPolicy
from tiers.rules import AllOf, GrowthMetric, OrdersMetric, Reach, SpendMetric
from tiers.simulation import find_simulation, preview, simulate_version
from tiers.starting import start_versions
from tiers.tables import ladder_version_table, member_tier_table, tier_activity_table, tier_change_table
from tiers.windows import RollingMonthsWindow

YEAR = RollingMonthsWindow(months=12)
AMOUNTS = (100, 450, 500, 520, 1_000, 3_000)
"""What six members did today: by the ladder two of them are members, two silver, one gold and one black."""


def stricter() -> TierPolicy:
    """Silver also asks for two orders, which nobody placed; gold costs and earns."""
    policy = make_ladder().policy()
    _, silver, gold, black = policy.tiers
    asked = AllOf(
        rules=(
            Reach(metric=GrowthMetric(), window=YEAR, at_least=500),
            Reach(metric=OrdersMetric(), window=YEAR, at_least=2),
        )
    )
    silver = msgspec.structs.replace(silver, qualify=asked)
    gold = msgspec.structs.replace(gold, benefit_cost_minor=700, earn_rate_bp=15_000)
    return msgspec.structs.replace(
        policy, tiers=(policy.base, silver, gold, black), downgrade="to_matching", at_start="place_all"
    )


async def _town(engine: AsyncEngine) -> tuple[Club, list[UUID]]:
    members = [uuid4() for _ in AMOUNTS]
    today = utc_now().date().isoformat()
    async with transaction(engine) as connection:
        club = Club(connection, await make_programme(connection))
        await club.publish(make_ladder())
        for member, amount in zip(members, AMOUNTS, strict=True):
            await club.earn(today, amount, member=member)
            await club.record(today, amount, metric="points", member=member)
    return club, members


async def test_what_was_simulated_is_what_happens_and_only_then(committed_engine: AsyncEngine) -> None:
    club, members = await _town(committed_engine)
    programme_id, now = club.programme.id, utc_now()
    async with transaction(committed_engine) as connection:
        draft = await versions.create_draft(
            connection, programme_id=programme_id, policy=stricter(), title="", by="li.na"
        )
        before = await _books(connection, programme_id)
        stored = await simulate_version(
            connection, programme_id=programme_id, version=draft.version, moment=now, member_count=10, by="li.na"
        )
        assert await _books(connection, programme_id) == before
        tried = await preview(
            connection, programme_id=programme_id, policy=stricter(), member_id=members[2], moment=now
        )
    result = stored.result
    moves = {(move.from_tier, move.to_tier): move.members for move in result.movements}
    assert moves == {
        ("member", "member"): 6,
        ("silver", "member"): 2,
        ("gold", "gold"): 1,
        ("black", "black"): 1,
    }
    assert (result.members, result.up, result.down) == (10, 0, 2)
    assert (result.cost_now_minor, result.cost_then_minor) == (0, 700)
    assert (result.points_now, result.points_then) == (sum(AMOUNTS), sum(AMOUNTS) + 500)
    assert (tried.now, tried.then.code) == ("silver", "member")
    assert [reason.missing for reason in tried.asked["silver"]] == [0, 2]
    made = [(edge.member_id, edge.tier, edge.reached_bp) for edge in result.edges if edge.made]
    assert made == [(members[4], "gold", 10_000), (members[5], "black", 10_000)]

    async with transaction(committed_engine) as connection:
        await versions.publish_draft(connection, programme_id=programme_id, version=draft.version, by="li.na")
    done = await start_versions(committed_engine, programme_id=programme_id, moment=utc_now())
    assert done is not None
    assert (done.downgrade, done.upgrade) == (2, 0)
    assert await start_versions(committed_engine, programme_id=programme_id, moment=utc_now()) is None
    async with transaction(committed_engine) as connection:
        tiers = await connection.scalars(select(member_tier_table.c.tier_code).filter_by(programme_id=programme_id))
        assert Counter(tiers.all()) == {"member": 4, "gold": 1, "black": 1}
        kept = await find_simulation(connection, programme_id=programme_id, version=draft.version)
        assert kept == stored


async def test_a_version_meets_everybody_whatever_the_size_of_its_batches(
    committed_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom it does not move is not written."""
    monkeypatch.setattr(starting, "BATCH_SIZE", 2)
    club, _ = await _town(committed_engine)
    async with transaction(committed_engine) as connection:
        draft = await versions.create_draft(
            connection, programme_id=club.programme.id, policy=stricter(), title="", by="li.na"
        )
        await versions.publish_draft(connection, programme_id=club.programme.id, version=draft.version, by="li.na")
    done = await start_versions(committed_engine, programme_id=club.programme.id, moment=utc_now())
    assert done is not None
    assert (done.reviewed, done.downgrade) == (2, 2)


async def test_a_start_that_is_broken_off_and_begins_again_lowers_nobody_twice(committed_engine: AsyncEngine) -> None:
    """By steps: whoever was gold and is silver now is not to be a member after the second time."""
    programme, gold = await _gold_by_steps(committed_engine)
    first = await start_versions(committed_engine, programme_id=programme.id, moment=utc_now())
    async with transaction(committed_engine) as connection:
        begun = ladder_version_table.update().filter_by(programme_id=programme.id).values(started_at=None)
        await connection.execute(begun)
    second = await start_versions(committed_engine, programme_id=programme.id, moment=utc_now())
    assert first is not None
    assert second is not None
    assert (first.downgrade, second.downgrade) == (1, 0)
    async with transaction(committed_engine) as connection:
        assert (await Club(connection, programme).told(gold))[-1] == ("downgrade", "gold", "silver")


async def test_a_start_waits_for_an_order_under_way_and_decides_with_it(committed_engine: AsyncEngine) -> None:
    programme, gold = await _gold_by_steps(committed_engine)
    async with committed_engine.connect() as buying:
        club = Club(buying, programme)
        await club.lock(gold)
        started = asyncio.create_task(start_versions(committed_engine, programme_id=programme.id, moment=utc_now()))
        await until_somebody_waits(committed_engine, started)
        await club.record(utc_now().date().isoformat(), 2_000, metric="spend:CNY", member=gold)
        await buying.commit()
        done = await started
    assert done is not None
    assert done.downgrade == 0


async def _gold_by_steps(engine: AsyncEngine) -> tuple[Programme, UUID]:
    """Somebody gold by growth, and a version by spend that has not met them yet."""
    gold = uuid4()
    by_spend = make_ladder(metric=SpendMetric(currency="CNY")).policy()
    async with transaction(engine) as connection:
        club = Club(connection, await make_programme(connection))
        await club.publish(make_ladder(), effective_at=utc_now() - timedelta(days=300))
        await club.earn((utc_now() - timedelta(days=100)).date().isoformat(), 1_500, member=gold)
        draft = await versions.create_draft(
            connection,
            programme_id=club.programme.id,
            policy=msgspec.structs.replace(by_spend, downgrade="one_step", at_start="place_all"),
            title="",
            by="li.na",
        )
        await versions.publish_draft(connection, programme_id=club.programme.id, version=draft.version, by="li.na")
    return club.programme, gold


async def test_before_there_is_a_policy_all_who_did_anything_are_in_the_first_tier(club: Club) -> None:
    near, there = uuid4(), uuid4()
    today = utc_now().date().isoformat()
    await club.record(today, 450, member=near)
    await club.record(today, 500, member=there)
    policy = make_ladder().policy()
    draft = await versions.create_draft(
        club.connection, programme_id=club.programme.id, policy=policy, title="", by="li.na"
    )
    stored = await simulate_version(
        club.connection,
        programme_id=club.programme.id,
        version=draft.version,
        moment=utc_now(),
        member_count=5,
        by="li.na",
        entry_costs_minor={"silver": 2_000, "gold": 9_000},
    )
    assert stored.result.entry_cost_minor == 2_000  # one enters silver
    moves = {(move.from_tier, move.to_tier): move.members for move in stored.result.movements}
    assert moves == {(None, "member"): 4, (None, "silver"): 1}
    edges = {(edge.member_id, edge.made): edge.reached_bp for edge in stored.result.edges}
    assert edges == {(near, False): 9_000, (there, True): 10_000}


async def _books(connection: AsyncConnection, programme_id: UUID) -> list[list[tuple[str, ...]]]:
    """Everything that is known of the members' tiers."""
    books = []
    for table in (member_tier_table, tier_change_table, tier_activity_table):
        rows = await connection.execute(select(table).filter_by(programme_id=programme_id))
        books.append(sorted(tuple(map(str, row)) for row in rows))
    return books
