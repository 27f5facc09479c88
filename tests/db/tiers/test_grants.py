"""A tier given by hand: until its day nobody takes it away, and then the rules decide again."""

from __future__ import annotations

import pytest

from loyalty.kit.errors import ConflictError
from tests.db.tiers.conftest import Club, at, last_day, make_ladder
from tiers.grants import grant_tier, list_grants, withdraw_grant


async def _grant(club: Club, tier: str, until: str, on: str) -> None:
    await grant_tier(
        club.connection,
        programme_id=club.programme.id,
        member_id=club.member_id,
        tier_code=tier,
        ends_at=at(until),
        reason="opened the store with us",
        by="li.na",
        moment=at(on),
    )


async def test_after_the_grant_the_tier_before_it_is_back_while_its_time_lasts(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-03-01", 500)
    await _grant(club, "black", "2025-09-01", on="2025-04-01")
    assert await club.tier("2025-08-31") == "black"
    assert await club.review("2025-08-31") == []

    (ended,) = await club.review("2025-09-02")

    assert (ended.kind, ended.from_tier, ended.to_tier) == ("grant_ended", "black", "silver")
    assert str(last_day(ended.valid_until)) == "2026-03-01"


async def test_who_earned_the_granted_tier_meanwhile_keeps_it(club: Club) -> None:
    await club.publish(make_ladder())
    await _grant(club, "gold", "2025-09-01", on="2025-04-01")
    await club.record("2025-05-01", 1_000)
    (kept,) = await club.review("2025-09-02")
    assert (kept.kind, kept.to_tier) == ("kept", "gold")


async def test_a_grant_taken_back_ends_at_once_and_says_by_whom(club: Club) -> None:
    await club.publish(make_ladder())
    await _grant(club, "gold", "2025-09-01", on="2025-04-01")
    await withdraw_grant(
        club.connection,
        programme_id=club.programme.id,
        member_id=club.member_id,
        by="wang.wei",
        moment=at("2025-05-01"),
    )
    assert await club.tier("2025-05-02") == "member"
    (grant,) = await list_grants(club.connection, member_id=club.member_id)
    assert (grant.reason, grant.granted_by, grant.withdrawn_by) == ("opened the store with us", "li.na", "wang.wei")


async def test_nobody_is_granted_the_tier_they_have(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-03-01", 1_000)
    with pytest.raises(ConflictError):
        await _grant(club, "silver", "2025-09-01", on="2025-04-01")
