"""Reviews: in batches, resumable, safe to run twice and at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from tests.db.tiers.conftest import TIERS, Club, at, make_ladder
from tests.factories import make_programme
from tiers.review import review_all, review_due
from tiers.tables import tier_change_table


async def _silver_members(engine: AsyncEngine, count: int) -> tuple[Programme, list[UUID]]:
    """Members who were silver in 2025 and bought enough since only every third time."""
    members = [uuid4() for _ in range(count)]
    async with transaction(engine) as connection:
        club = Club(connection, await make_programme(connection))
        await club.publish(make_ladder())
        for index, member in enumerate(members):
            await club.earn("2025-01-10", 500, member=member)
            if index % 3 == 0:
                await club.record("2025-06-01", 500, member=member)
    return club.programme, members


async def _kinds(engine: AsyncEngine, programme: Programme) -> Counter[str]:
    async with transaction(engine) as connection:
        kinds = await connection.scalars(select(tier_change_table.c.kind).filter_by(programme_id=programme.id))
        return Counter(kinds.all())


async def test_all_who_are_due_are_reviewed_in_batches(committed_engine: AsyncEngine) -> None:
    programme, _ = await _silver_members(committed_engine, 7)
    totals = await review_all(committed_engine, programme_id=programme.id, moment=at("2026-01-11"), batch_size=3)
    assert (totals.reviewed, totals.kept, totals.downgrade) == (7, 3, 4)
    assert (totals.grace, totals.upgrade) == (0, 0)


async def test_a_second_review_does_nothing(committed_engine: AsyncEngine) -> None:
    programme, _ = await _silver_members(committed_engine, 4)
    await review_all(committed_engine, programme_id=programme.id, moment=at("2026-01-11"))
    again = await review_all(committed_engine, programme_id=programme.id, moment=at("2026-01-11"))
    assert again.reviewed == 0
    assert await _kinds(committed_engine, programme) == {"upgrade": 4, "kept": 2, "downgrade": 2}


async def test_two_reviews_at_once_share_the_work_and_decide_once(committed_engine: AsyncEngine) -> None:
    programme, _ = await _silver_members(committed_engine, 12)
    totals = await asyncio.gather(
        *(
            review_all(committed_engine, programme_id=programme.id, moment=at("2026-01-11"), batch_size=2)
            for _ in range(3)
        )
    )
    assert sum(each.reviewed for each in totals) == 12
    assert await _kinds(committed_engine, programme) == {"upgrade": 12, "kept": 4, "downgrade": 8}


async def test_a_review_that_stops_half_way_goes_on_where_it_stopped(committed_engine: AsyncEngine) -> None:
    programme, _ = await _silver_members(committed_engine, 6)
    async with transaction(committed_engine) as connection:
        first = await review_due(connection, programme_id=programme.id, moment=at("2026-01-11"), limit=4)
    assert first.members == 4

    async with committed_engine.connect() as connection:
        await review_due(connection, programme_id=programme.id, moment=at("2026-01-11"), limit=4)
        await connection.rollback()

    rest = await review_all(committed_engine, programme_id=programme.id, moment=at("2026-01-11"))
    assert rest.reviewed == 2


async def test_an_order_under_way_counts_in_the_review_that_meets_it(committed_engine: AsyncEngine) -> None:
    """Whoever is being posted to is passed by, and decided about with what was posted."""
    programme, members = await _silver_members(committed_engine, 5)
    buyer = members[1]
    async with committed_engine.connect() as buying:
        club = Club(buying, programme)
        await club.lock(buyer)
        await club.record("2026-01-10", 900, member=buyer)
        first = await review_all(committed_engine, programme_id=programme.id, moment=at("2026-01-11"))
        await buying.commit()
    assert (first.reviewed, first.kept, first.downgrade) == (4, 2, 2)
    second = await review_all(committed_engine, programme_id=programme.id, moment=at("2026-01-11"))
    assert (second.reviewed, second.kept, second.downgrade) == (1, 1, 0)


async def test_members_whose_days_are_the_same_and_all_others_in_one_batch(committed_engine: AsyncEngine) -> None:
    """Most tiers end on the same day; two were confirmed later, one is in its grace, and all are decided about."""
    alike, later, graced = [uuid4() for _ in range(5)], [uuid4() for _ in range(2)], uuid4()
    async with transaction(committed_engine) as connection:
        club = Club(connection, await make_programme(connection))
        await club.publish(make_ladder(grace_days=30), effective_at=at("2024-01-01"))
        await club.earn("2024-01-05", 500, member=graced)
        await club.review("2025-01-06", member=graced)
        for member in alike:
            await club.earn("2024-02-01", 500, member=member)
        for member in later:
            await club.earn("2024-01-20", 500, member=member)
        await club.record("2025-01-30", 600, member=alike[0])
        await club.record("2025-01-10", 600, member=later[0])
    totals = await review_all(committed_engine, programme_id=club.programme.id, moment=at("2025-02-05"))
    assert (totals.kept, totals.grace, totals.downgrade) == (2, 5, 1)
    async with transaction(committed_engine) as connection:
        club = Club(connection, club.programme)
        assert [kind for kind, *_ in await club.told(graced)] == ["upgrade", "grace", "downgrade"]
        assert [kind for kind, *_ in await club.told(alike[0])] == ["upgrade", "kept"]
        assert [kind for kind, *_ in await club.told(later[0])] == ["upgrade", "kept"]
        assert [kind for kind, *_ in await club.told(later[1])] == ["upgrade", "grace"]


async def test_whoever_missed_several_reviews_is_met_again_until_nothing_is_due(committed_engine: AsyncEngine) -> None:
    programme, _ = await _silver_members(committed_engine, 7)
    totals = await review_all(committed_engine, programme_id=programme.id, moment=at("2028-01-11"), batch_size=2)
    assert totals.reviewed == 7 + totals.kept  # who was kept once is due again
    again = await review_all(committed_engine, programme_id=programme.id, moment=at("2028-01-11"))
    assert again.reviewed == 0


async def test_a_review_of_a_programme_without_a_ladder_has_nothing_to_do(club: Club) -> None:
    assert await club.review("2026-01-11") == []


async def test_a_member_who_is_not_due_is_left_alone(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-01-10", 500)
    assert await club.review("2026-01-10") == []
    assert await club.told() == [("upgrade", "member", "silver")]


async def test_grace_is_written_down_with_what_is_missing(club: Club) -> None:
    await club.publish(make_ladder(grace_days=30))
    await club.earn("2025-01-10", 500)
    await club.record("2025-03-10", 120)

    (grace,) = await club.review("2026-01-11")

    assert (grace.kind, grace.from_tier, grace.to_tier) == ("grace", "silver", "silver")
    assert [(reason.value, reason.at_least) for reason in grace.reasons] == [(120, 500)]
    assert grace.cause == "review"
    assert grace.grace_until == at("2026-02-10 00:00")


async def test_promised_grace_outlives_a_new_version_without_grace(club: Club) -> None:
    await club.publish(make_ladder(grace_days=30), effective_at=at("2025-01-01"))
    await club.earn("2025-01-10", 500)
    await club.review("2026-01-11")
    await club.publish(make_ladder(grace_days=0), effective_at=at("2026-01-12"))

    assert await club.review("2026-02-09") == []
    assert await club.tier("2026-02-09") == "silver"


async def test_a_review_is_made_by_the_version_in_force_and_pinned_to_it(club: Club) -> None:
    await club.publish(make_ladder(), effective_at=at("2025-01-01"))
    await club.earn("2025-01-10", 500)
    await club.record("2025-06-01", 300)
    lower = [TIERS[0], *(tier for tier in make_ladder().tiers[2:])]
    easier = make_ladder(
        tiers=[TIERS[0], type(TIERS[1])(code="silver", name=TIERS[1].name, rank=10, threshold=300), *lower[1:]]
    )
    second = await club.publish(easier, effective_at=at("2025-12-01"))

    (kept,) = await club.review("2026-01-11")

    assert (kept.kind, kept.reasons[0].at_least, kept.ladder_version) == ("kept", 300, second.version)


async def test_the_key_of_activity_has_the_amount_in_it(connection: AsyncConnection) -> None:
    """Nothing else would tell that it was lost: reviews would only take three times as long."""
    index = await connection.scalar(text("SELECT pg_get_indexdef('tier_activity_pkey'::regclass)"))
    assert index.endswith("(member_id, metric, day) INCLUDE (amount)")
