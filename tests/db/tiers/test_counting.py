"""Counting in bulk ends where recording and evaluating one after the other ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import NotFoundError
from loyalty.kit.programme import Programme
from tests.factories import make_programme
from tiers.counting import Activity, count_activities
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.qualification import evaluate, record
from tiers.rules import Metric, PointsMetric, SpendMetric
from tiers.tables import member_tier_table, tier_activity_table, tier_change_table
from tiers.windows import CalendarYearWindow, LifetimeWindow, RollingMonthsWindow, Window

START = datetime(2024, 11, 1, tzinfo=UTC)


def ladder(metric: Metric, window: Window, *thresholds: int) -> Ladder:
    tiers = [
        TierStep(code=f"t{rank}", name={"zh": "级", "en": "tier"}, rank=rank, threshold=threshold)
        for rank, threshold in enumerate((0, *thresholds))
    ]
    return Ladder(metric=metric, window=window, tiers=tiers)


async def books(connection: AsyncConnection, member_ids: list[UUID]) -> list[Any]:
    """All that is known of members' tiers, with their places in the list for their ids."""
    found = []
    for table in (tier_activity_table, member_tier_table, tier_change_table):
        rows = (await connection.execute(select(table).where(table.c.member_id.in_(member_ids)))).mappings()
        found += [
            (
                table.name,
                member_ids.index(row["member_id"]),
                sorted(
                    (name, str(value))
                    for name, value in row.items()
                    if name not in ("member_id", "programme_id", "recorded_at")
                ),
            )
            for row in rows
        ]
    return sorted(found)


STEP = st.tuples(
    st.integers(0, 1),  # which member
    st.sampled_from(["points", "points", "points", "spend:CNY", "spend:USD"]),
    st.sampled_from([60, 60, 100, -50]),
    st.integers(0, 120),  # days after START on which it happens
    st.sampled_from([0, 0, 0, 40]),  # days before that on which it counts
)
CHANGE = timedelta(days=60)
"""When the second version of a ladder begins, in the middle of what happens."""
LADDERS = [
    ladder(PointsMetric(), LifetimeWindow(), 100, 200),
    ladder(PointsMetric(), CalendarYearWindow(), 100, 150, 200),
    ladder(PointsMetric(), RollingMonthsWindow(months=1), 100, 200),
    ladder(SpendMetric(currency="CNY", other_rates_bp={"USD": 70_000}), RollingMonthsWindow(months=2), 100, 500),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    versions=st.lists(st.sampled_from(LADDERS), min_size=1, max_size=2, unique_by=id),
    steps=st.lists(STEP, min_size=4, max_size=14),
    cut=st.integers(2, 10),
)
# What arrives late is judged by the version that the member was last judged by, not by the older one of its own day.
@example(
    versions=[ladder(PointsMetric(), LifetimeWindow(), 100, 150), LADDERS[0]],
    steps=[(0, "points", 100, 80, 0), (0, "points", 60, 30, 0)],
    cut=1,
)
async def test_a_batch_counts_as_its_activities_one_by_one(
    connection: AsyncConnection, versions: list[Ladder], steps: list[tuple[int, str, int, int, int]], cut: int
) -> None:
    slowly, at_once = await make_programme(connection), await make_programme(connection)
    for programme in (slowly, at_once):
        for number, version in enumerate(versions):
            await publish_ladder(
                connection,
                programme_id=programme.id,
                ladder=version,
                effective_at=START + CHANGE * number,
            )
    ones, others = [uuid4() for _ in range(2)], [uuid4() for _ in range(2)]
    activities = [
        Activity(
            member_id=ones[member],
            metric=metric,
            amount=amount,
            counts_at=START + timedelta(days=day - earlier),
            happened_at=START + timedelta(days=day, seconds=number),
            cause=f"step:{number}",
        )
        for number, (member, metric, amount, day, earlier) in enumerate(steps)
    ]
    # What comes in a later batch may have happened before: a batch is in order, batches need not be.
    for batch in (activities[:cut], activities[cut:]):
        for activity in sorted(batch, key=lambda activity: activity.happened_at):
            await _one(connection, slowly, activity)
        await count_activities(
            connection,
            programme_id=at_once.id,
            activities=[
                msgspec.structs.replace(activity, member_id=others[ones.index(activity.member_id)])
                for activity in batch
            ],
        )

    assert await books(connection, others) == await books(connection, ones)


async def _one(connection: AsyncConnection, programme: Programme, activity: Activity) -> None:
    await record(
        connection,
        programme_id=programme.id,
        member_id=activity.member_id,
        metric=activity.metric,
        at=activity.counts_at,
        amount=activity.amount,
    )
    await evaluate(
        connection,
        programme_id=programme.id,
        member_id=activity.member_id,
        moment=activity.happened_at,
        cause=activity.cause,
    )


async def test_members_of_another_programme_are_refused(connection: AsyncConnection) -> None:
    programme, other = await make_programme(connection), await make_programme(connection)
    activity = Activity(
        member_id=uuid4(), metric="points", amount=1, counts_at=START, happened_at=START, cause="order:1"
    )
    for each in (programme, other):
        await publish_ladder(connection, programme_id=each.id, ladder=LADDERS[0])
    await count_activities(connection, programme_id=programme.id, activities=[activity])
    with pytest.raises(NotFoundError):
        await count_activities(connection, programme_id=other.id, activities=[activity])


async def test_without_a_ladder_activity_is_only_rolled_up(connection: AsyncConnection) -> None:
    programme, member_id = await make_programme(connection), uuid4()
    activity = Activity(
        member_id=member_id, metric="points", amount=7, counts_at=START, happened_at=START, cause="order:1"
    )
    await count_activities(connection, programme_id=programme.id, activities=[activity, activity])
    ((name, _, columns),) = await books(connection, [member_id])
    assert name == "tier_activity"
    assert dict(columns) == {"metric": "points", "day": "2024-11-01", "amount": "14"}
