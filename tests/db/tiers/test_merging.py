"""One person's tiers when two members turn out to be one, and when they turn out not to be."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from tests.db.tiers.conftest import Club, at, make_ladder
from tiers.merging import move_activity, return_activity
from tiers.reading import tier_at
from tiers.tables import tier_activity_table


@pytest.fixture
def absorbed() -> UUID:
    return uuid4()


def _pair(club: Club, absorbed: UUID, day: str) -> dict[str, Any]:
    return {
        "programme_id": club.programme.id,
        "survivor_id": club.member_id,
        "absorbed_id": absorbed,
        "moment": at(day),
    }


async def _activity(connection: AsyncConnection, member_id: UUID) -> dict[str, int]:
    query = select(tier_activity_table).filter_by(member_id=member_id)
    return {f"{row.metric} {row.day}": row.amount for row in await connection.execute(query)}


async def test_the_survivor_counts_what_both_did_and_moves_up_at_once(
    club: Club, connection: AsyncConnection, absorbed: UUID
) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-01-10", 300)
    await club.earn("2025-01-10", 150, member=absorbed)
    await club.earn("2025-02-10", 100, member=absorbed)

    await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))

    assert await _activity(connection, club.member_id) == {"growth 2025-01-10": 450, "growth 2025-02-10": 100}
    assert await _activity(connection, absorbed) == {}
    assert await club.tier("2025-03-01") == "silver"


async def test_the_better_tier_is_kept_with_its_dates_and_the_reason_is_told(
    club: Club, connection: AsyncConnection, absorbed: UUID
) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-02-01", 500)
    await club.earn("2025-01-10", 1_000, member=absorbed)

    await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))

    found = await club.standing("2025-03-01")
    assert (found.tier.code, found.valid_until) == ("gold", at("2026-01-11 00:00"))
    assert await club.told() == [("upgrade", "member", "silver"), ("merge", "silver", "gold")]
    assert await club.told(absorbed) == [("upgrade", "member", "gold")]


async def test_unmerging_gives_each_what_was_theirs(club: Club, connection: AsyncConnection, absorbed: UUID) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-02-01", 500)
    await club.earn("2025-01-10", 1_000, member=absorbed)
    before = await club.standing("2025-03-01"), await club.standing("2025-03-01", absorbed)

    await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))
    await club.earn("2025-03-05", 60)
    await return_activity(connection, **_pair(club, absorbed, "2025-03-10"))

    assert await _activity(connection, club.member_id) == {"growth 2025-02-01": 500, "growth 2025-03-05": 60}
    assert await _activity(connection, absorbed) == {"growth 2025-01-10": 1_000}
    survivor, other = await club.standing("2025-03-10"), await club.standing("2025-03-10", absorbed)
    assert (survivor.tier, survivor.valid_until) == (before[0].tier, before[0].valid_until)
    assert (other.tier, other.valid_until, other.since) == (before[1].tier, before[1].valid_until, before[1].since)
    assert (await club.told())[-1] == ("unmerge", "gold", "silver")


async def test_a_tier_that_was_reached_after_the_merge_stays_until_its_review(
    club: Club, connection: AsyncConnection, absorbed: UUID
) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-01-10", 600, member=absorbed)
    await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))
    await club.earn("2025-03-05", 400)
    await return_activity(connection, **_pair(club, absorbed, "2025-03-10"))

    assert await club.tier("2025-03-10") == "gold"
    await club.review("2026-03-06")
    assert await club.tier("2026-03-06") == "silver"


async def test_members_without_tiers_merge_and_part_again(
    club: Club, connection: AsyncConnection, absorbed: UUID
) -> None:
    await club.publish(make_ladder())
    await club.record("2025-01-10", 30, member=absorbed)
    await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))
    await return_activity(connection, **_pair(club, absorbed, "2025-03-02"))
    assert await _activity(connection, absorbed) == {"growth 2025-01-10": 30}
    assert await _activity(connection, club.member_id) == {}
    assert (await club.told(), await club.told(absorbed)) == ([], [])


async def test_history_is_numbered_on_after_merge_and_unmerge(
    club: Club, connection: AsyncConnection, absorbed: UUID
) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-01-10", 500, member=absorbed)
    for _ in range(2):
        await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))
        await return_activity(connection, **_pair(club, absorbed, "2025-03-01"))
    await club.earn("2025-03-02", 500, member=absorbed)

    assert await club.told(absorbed) == [("upgrade", "member", "silver"), ("upgrade", "silver", "gold")]
    assert [kind for kind, *_ in await club.told()] == ["merge", "unmerge"] * 2
    asked: dict[str, Any] = {"programme_id": club.programme.id, "member_id": absorbed}
    assert await tier_at(connection, **asked, moment=at("2025-02-01")) == "silver"


async def test_a_programme_without_a_ladder_still_moves_what_members_did(
    club: Club, connection: AsyncConnection, absorbed: UUID
) -> None:
    await club.record("2025-01-10", 30, member=absorbed)
    await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))
    assert await _activity(connection, club.member_id) == {"growth 2025-01-10": 30}


async def test_the_same_two_are_merged_once(club: Club, connection: AsyncConnection, absorbed: UUID) -> None:
    await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))
    with pytest.raises(ConflictError):
        await move_activity(connection, **_pair(club, absorbed, "2025-03-01"))


async def test_nobody_is_merged_with_himself(club: Club, connection: AsyncConnection) -> None:
    with pytest.raises(InvalidInputError):
        await move_activity(connection, **_pair(club, club.member_id, "2025-03-01"))


async def test_what_was_not_merged_cannot_be_unmerged(club: Club, connection: AsyncConnection, absorbed: UUID) -> None:
    with pytest.raises(NotFoundError):
        await return_activity(connection, **_pair(club, absorbed, "2025-03-01"))
