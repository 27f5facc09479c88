"""Rolling up what members do, and moving up at once."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.programme import Programme
from tests.db.tiers.conftest import Club, at, last_day, make_ladder
from tests.factories import make_programme
from tiers.qualification import evaluate, record
from tiers.reading import history
from tiers.rules import GrowthMetric, PointsMetric, SpendMetric
from tiers.tables import tier_activity_table
from tiers.windows import LifetimeWindow


async def _days(connection: AsyncConnection, club: Club) -> dict[tuple[str, date], int]:
    query = select(tier_activity_table).filter_by(member_id=club.member_id)
    return {(row.metric, row.day): row.amount for row in await connection.execute(query)}


async def test_activity_is_summed_by_the_day_of_the_programmes_time_zone(
    club: Club, connection: AsyncConnection
) -> None:
    await club.record("2025-12-31 23:59", 100)
    await club.record("2025-12-31 00:00", 20)
    await club.record("2026-01-01 00:00", 3)
    await club.record("2025-12-31", 7, metric="spend:CNY")

    assert await _days(connection, club) == {
        ("growth", date(2025, 12, 31)): 120,
        ("growth", date(2026, 1, 1)): 3,
        ("spend:CNY", date(2025, 12, 31)): 7,
    }


async def test_a_refund_is_booked_on_the_orders_day(club: Club, connection: AsyncConnection) -> None:
    await club.record("2025-05-01", 100)
    await club.record("2025-05-01", -40)

    assert await _days(connection, club) == {("growth", date(2025, 5, 1)): 60}


@pytest.mark.parametrize("metric", ["", "visits", "spend", "spend:cny", "spend:CNY ", "points\n"])
async def test_an_unknown_metric_is_refused(club: Club, metric: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await club.record("2025-05-01", 1, metric=metric)
    assert refused.value.field == "metric"


async def test_an_unknown_programme_is_refused(connection: AsyncConnection) -> None:
    with pytest.raises(NotFoundError):
        await record(
            connection,
            programme_id=uuid4(),
            member_id=uuid4(),
            metric="points",
            at=at("2025-05-01"),
            amount=1,
        )


async def test_a_programme_without_a_ladder_moves_nobody(club: Club) -> None:
    assert await club.earn("2025-05-01", 5_000) is None


async def test_reaching_a_threshold_moves_up_at_once_and_says_why(club: Club) -> None:
    version = await club.publish(make_ladder())
    assert await club.earn("2025-05-01", 499) is None

    change = await club.earn("2025-05-02", 1)

    assert change is not None
    assert (change.kind, change.from_tier, change.to_tier) == ("upgrade", "member", "silver")
    (reason,) = change.reasons
    assert (reason.metric, reason.value, reason.at_least) == ("growth", 500, 500)
    assert (reason.window, reason.first_day) == ("rolling_months", date(2024, 5, 3))
    assert (reason.last_day, change.at) == (date(2025, 5, 2), at("2025-05-02"))
    assert (change.ladder_version, change.cause) == (version.version, "order:online/1")
    assert last_day(change.valid_until) == date(2026, 5, 2)
    assert await history(club.connection, member_id=club.member_id) == [change]


async def test_one_large_order_may_skip_a_tier(club: Club) -> None:
    await club.publish(make_ladder())
    change = await club.earn("2025-05-01", 1_200)
    assert change is not None
    assert (change.from_tier, change.to_tier) == ("member", "gold")


async def test_evaluating_again_changes_nothing(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-05-01", 600)
    assert await club.evaluate("2025-05-01") is None
    assert await club.told() == [("upgrade", "member", "silver")]


async def test_only_the_ladders_own_metric_counts(club: Club) -> None:
    await club.publish(make_ladder(metric=PointsMetric()))
    assert await club.earn("2025-05-01", 9_999, metric="growth") is None
    assert await club.earn("2025-05-01", 500, metric="points") is not None


async def test_other_currencies_count_at_their_stated_rate_floored(club: Club) -> None:
    spend = SpendMetric(currency="GBP", other_rates_bp={"USD": 7_500})
    await club.publish(make_ladder(metric=spend, window=LifetimeWindow()))
    await club.record("2025-05-01", 400, metric="spend:GBP")
    await club.record("2025-05-01", 133, metric="spend:USD")
    await club.record("2025-05-01", 9_999, metric="spend:EUR")

    assert await club.evaluate("2025-05-01") is None
    assert [each.value for each in (await club.standing("2025-05-01")).next_asks] == [499]

    change = await club.earn("2025-05-02", 1, metric="spend:USD")
    assert change is not None
    assert [(each.metric, each.value) for each in change.reasons] == [("spend:GBP", 500)]


async def test_orders_that_arrive_in_disorder_end_in_the_same_tier(club: Club) -> None:
    await club.publish(make_ladder())
    assert await club.earn("2025-05-20", 300) is None
    change = await club.earn("2025-05-01", 200)
    assert change is not None
    assert change.to_tier == "silver"


async def test_an_order_from_before_the_last_change_does_not_rewrite_history(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-05-20", 600)
    change = await club.earn("2025-05-01", 600)
    assert change is not None
    assert (change.to_tier, change.at) == ("gold", at("2025-05-20"))


async def test_a_cause_is_needed(club: Club) -> None:
    with pytest.raises(InvalidInputError):
        await club.evaluate("2025-05-01", cause="")


async def test_two_orders_at_once_do_not_miss_the_threshold_they_reach_together(
    committed_engine: AsyncEngine,
) -> None:
    async with transaction(committed_engine) as connection:
        programme = await make_programme(connection)
        club = Club(connection, programme)
        await club.publish(make_ladder(metric=GrowthMetric()))
    member_id = uuid4()

    async def order(day: str) -> object:
        async with transaction(committed_engine) as connection:
            common: dict[str, Any] = {"programme_id": programme.id, "member_id": member_id}
            await record(connection, **common, metric="growth", at=at(day), amount=100)
            await asyncio.sleep(0.02)
            return await evaluate(connection, **common, moment=at("2025-06-30"), cause=f"order:{day}")

    changes = await asyncio.gather(*(order(f"2025-06-{day:02}") for day in range(1, 6)))

    assert sum(change is not None for change in changes) == 1
    async with transaction(committed_engine) as connection:
        assert [change.to_tier for change in await history(connection, member_id=member_id)] == ["silver"]


async def test_a_member_of_another_programme_is_refused(club: Club, connection: AsyncConnection) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-05-01", 600)
    other: Programme = await make_programme(connection)
    stranger = Club(connection, other)
    stranger.member_id = club.member_id
    await stranger.publish(make_ladder())
    with pytest.raises(NotFoundError):
        await stranger.evaluate("2025-05-01")
