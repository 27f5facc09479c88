"""What a member's card, a console and an auditor read."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from tests.db.tiers.conftest import TIERS, Club, at, last_day, make_ladder
from tiers.ladders import TierStep
from tiers.reading import Standing, count_by_tier, current_tier, history, standing, tier_at
from tiers.windows import CalendarYearWindow


async def test_a_new_member_stands_at_the_bottom_with_all_the_way_to_go(club: Club) -> None:
    await club.publish(make_ladder())
    found = await club.standing("2025-05-01")
    assert (found.tier.code, found.since, found.valid_until, found.review_at) == ("member", None, None, None)
    assert found.next_tier is not None
    assert found.next_tier.code == "silver"
    assert [(each.value, each.missing) for each in found.next_asks] == [(0, 500)]
    assert (found.progress_bp, found.keep_asks) == (0, [])


async def test_progress_is_the_share_of_the_next_threshold(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-05-01", 666)
    found = await club.standing("2025-06-01")
    (asked,) = found.next_asks
    assert (found.tier.code, asked.metric, asked.window) == ("silver", "growth", "rolling_months")
    assert (asked.value, asked.missing, found.progress_bp) == (666, 334, 6_660)
    assert found.since == at("2025-05-01")
    assert asked.first_day == date(2024, 6, 2)


async def test_at_the_top_nothing_is_needed(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-05-01", 9_000)
    found = await club.standing("2025-06-01")
    assert (found.tier.code, found.next_tier, found.next_asks, found.progress_bp) == ("black", None, [], 10_000)


async def test_a_refund_below_zero_is_no_negative_progress(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-05-01", -40)
    found = await club.standing("2025-06-01")
    assert [(each.value, each.missing) for each in found.next_asks] == [(-40, 540)]
    assert found.progress_bp == 0


async def test_what_is_needed_to_keep_is_of_the_period_under_review(club: Club) -> None:
    await club.publish(make_ladder(window=CalendarYearWindow(), grace_days=31))
    await club.earn("2025-05-01", 500)
    assert missing_to_keep(await club.standing("2025-06-01")) == 500

    await club.record("2026-02-01", 200)
    assert missing_to_keep(await club.standing("2026-06-01")) == 300

    await club.review("2027-01-01")
    await club.record("2027-01-15", 100)
    found = await club.standing("2027-01-15")
    assert (missing_to_keep(found), found.next_asks[0].value) == (200, 100)
    assert last_day(found.grace_until) == date(2027, 1, 31)


def missing_to_keep(found: Standing) -> int:
    (asked,) = found.keep_asks
    return asked.missing


async def test_a_programme_without_a_ladder_has_no_tiers(club: Club, connection: AsyncConnection) -> None:
    asked: dict[str, Any] = {"programme_id": club.programme.id, "member_id": club.member_id}
    assert await standing(connection, **asked, moment=at("2025-01-01")) is None
    assert await current_tier(connection, **asked) is None
    assert await tier_at(connection, **asked, moment=at("2025-01-01")) is None
    assert (
        await count_by_tier(connection, programme_id=club.programme.id, member_count=3, moment=at("2025-01-01")) == []
    )


async def test_the_tier_at_any_moment_is_in_the_history(club: Club, connection: AsyncConnection) -> None:
    await club.publish(make_ladder())
    asked: dict[str, Any] = {"programme_id": club.programme.id, "member_id": club.member_id}
    assert await tier_at(connection, **asked, moment=at("2025-01-01")) == "member"
    await club.earn("2025-01-10", 500)
    await club.earn("2025-03-10", 500)
    await club.review("2026-03-11")

    days = ["2025-01-09", "2025-01-10", "2025-03-09", "2025-03-10", "2026-03-10", "2026-03-11"]
    tiers = [await tier_at(connection, **asked, moment=at(day)) for day in days]

    assert tiers == ["member", "silver", "silver", "gold", "gold", "silver"]
    assert await current_tier(connection, **asked) == "silver"


async def test_history_comes_newest_first_and_limited(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-01-10", 500)
    await club.earn("2025-03-10", 500)
    (newest,) = await history(club.connection, member_id=club.member_id, limit=1)
    assert (newest.sequence, newest.to_tier) == (2, "gold")


async def test_members_are_counted_by_tier_and_those_who_did_nothing_are_in_the_first(
    club: Club, connection: AsyncConnection
) -> None:
    await club.publish(make_ladder())
    for amount in (100, 500, 700, 1_000):
        await club.earn("2025-01-10", amount, member=uuid4())

    counts = await count_by_tier(connection, programme_id=club.programme.id, member_count=10, moment=at("2025-02-01"))

    assert [(count.tier.code, count.members) for count in counts] == [
        ("member", 7),
        ("silver", 2),
        ("gold", 1),
        ("black", 0),
    ]


async def test_a_tier_that_a_new_version_drops_reads_as_the_highest_below_it(
    club: Club, connection: AsyncConnection
) -> None:
    await club.publish(make_ladder(), effective_at=at("2025-01-01"))
    await club.earn("2025-01-10", 1_000)
    platinum = TierStep(code="platinum", name={"zh": "白金", "en": "Platinum"}, rank=15, threshold=700)
    await club.publish(make_ladder(tiers=[*TIERS[:2], platinum]), effective_at=at("2025-02-01"))

    assert await club.tier("2025-02-02") == "platinum"
    counts = await count_by_tier(connection, programme_id=club.programme.id, member_count=1, moment=at("2025-02-02"))
    assert [count.members for count in counts] == [0, 0, 1]
