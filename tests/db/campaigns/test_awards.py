"""Awards: points and progress together, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import reading
from ledger.errors import OverReversalError
from ledger.operations import ON_EVENT
from ledger.units import Unit, define_unit
from loyalty.campaigns.awards import TakeBack, award, take_back
from loyalty.kit.errors import IdempotencyMismatchError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from tests.factories import make_programme
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.reading import current_tier
from tiers.rules import PointsMetric
from tiers.tables import tier_activity_table
from tiers.windows import LifetimeWindow

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def programme(connection: AsyncConnection) -> Programme:
    """A programme whose members are gold from 100 points on."""
    programme = await make_programme(connection)
    for unit in ("points", "miles"):
        await define_unit(connection, Unit(programme_id=programme.id, code=unit))
    tiers = [
        TierStep(code=code, name={"zh": code, "en": code}, rank=rank, threshold=threshold)
        for rank, (code, threshold) in enumerate({"base": 0, "gold": 100}.items(), start=1)
    ]
    ladder = Ladder(metric=PointsMetric(), window=LifetimeWindow(), tiers=tiers)
    await publish_ladder(connection, programme_id=programme.id, ladder=ladder)
    return programme


async def counted(connection: AsyncConnection, member_id: UUID) -> dict[tuple[str, str], int]:
    rows = await connection.execute(select(tier_activity_table).filter_by(member_id=member_id))
    return {(row.metric, row.day.isoformat()): row.amount for row in rows}


def taken(member_id: UUID, amount: int, sequence: int | None) -> TakeBack:
    return TakeBack(
        member_id=member_id,
        unit="points",
        amount=amount,
        key=str(uuid4()),
        source="refund:1",
        effective_at=MOMENT + timedelta(days=9),
        counts_at=MOMENT,
        sequence=sequence,
    )


async def test_an_award_is_posted_and_counted_and_raises_the_tier(
    connection: AsyncConnection, programme: Programme
) -> None:
    member_id = new_id()
    posted = await award(
        connection,
        programme_id=programme.id,
        member_id=member_id,
        amount=100,
        key="claim:1",
        source="claim:1",
        effective_at=MOMENT,
    )
    assert posted.posted == 100
    assert await counted(connection, member_id) == {("points", "2026-03-01"): 100}
    assert await current_tier(connection, programme_id=programme.id, member_id=member_id) == "gold"


async def test_an_award_repeated_with_its_key_counts_once(connection: AsyncConnection, programme: Programme) -> None:
    member_id = new_id()
    for _ in range(2):
        again = await award(
            connection,
            programme_id=programme.id,
            member_id=member_id,
            amount=60,
            key="claim:1",
            source="claim:1",
            effective_at=MOMENT,
        )
    assert again.replayed
    assert await counted(connection, member_id) == {("points", "2026-03-01"): 60}
    with pytest.raises(IdempotencyMismatchError):
        await award(
            connection, programme_id=programme.id, member_id=member_id, amount=61, key="claim:1", source="claim:1"
        )


async def test_pending_points_count_towards_tiers_as_soon_as_they_are_earned(
    connection: AsyncConnection, programme: Programme
) -> None:
    member_id = new_id()
    await award(
        connection,
        programme_id=programme.id,
        member_id=member_id,
        amount=100,
        key="k",
        source="order:1",
        available_at=ON_EVENT,
    )
    assert (await reading.balance(connection, member_id=member_id)).pending == 100
    assert await current_tier(connection, programme_id=programme.id, member_id=member_id) == "gold"


async def test_a_unit_that_ladders_do_not_know_is_only_posted(
    connection: AsyncConnection, programme: Programme
) -> None:
    member_id = new_id()
    await award(
        connection, programme_id=programme.id, member_id=member_id, unit="miles", amount=5, key="k", source="order:1"
    )
    assert (await reading.balance(connection, member_id=member_id, unit="miles")).spendable == 5
    assert await counted(connection, member_id) == {}


async def test_taking_back_counts_off_the_day_it_counted_on_and_never_beyond_the_award(
    connection: AsyncConnection, programme: Programme
) -> None:
    member_id = new_id()
    posted = await award(
        connection,
        programme_id=programme.id,
        member_id=member_id,
        amount=60,
        key="k",
        source="order:1",
        effective_at=MOMENT,
    )
    await take_back(connection, programme_id=programme.id, take_backs=[taken(member_id, 25, posted.sequence)])

    assert (await reading.balance(connection, member_id=member_id)).spendable == 35
    assert await counted(connection, member_id) == {("points", "2026-03-01"): 35}
    with pytest.raises(OverReversalError):
        await take_back(connection, programme_id=programme.id, take_backs=[taken(member_id, 36, posted.sequence)])


async def test_taking_back_without_a_posting_goes_into_debt(connection: AsyncConnection, programme: Programme) -> None:
    member_id = new_id()
    await take_back(connection, programme_id=programme.id, take_backs=[taken(member_id, 25, None)])
    assert (await reading.balance(connection, member_id=member_id)).debt == 25
    assert await counted(connection, member_id) == {("points", "2026-03-01"): -25}
