"""The calendar of tiers: every row of `calendar_rows` happens."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from loyalty.kit.programme import programme_table
from tests.db.tiers.calendar_rows import ROWS, Row
from tests.db.tiers.conftest import Club, at, last_day, make_ladder
from tiers.grants import grant_tier, withdraw_grant
from tiers.tables import member_tier_table
from tiers.versions import publish_policy


@pytest.mark.parametrize("row", ROWS, ids=[row.sentence for row in ROWS])
async def test_the_calendar(club: Club, row: Row) -> None:
    zone = update(programme_table).filter_by(id=club.programme.id).values(time_zone=row.zone)
    await club.connection.execute(zone)
    club.zone = row.zone
    policy = msgspec.structs.replace(make_ladder(**row.ladder).policy(), **row.policy)
    await publish_policy(club.connection, programme_id=club.programme.id, policy=policy)
    if row.joined_on is not None:
        await club.evaluate("2020-01-01")
        joined = update(member_tier_table).filter_by(member_id=club.member_id).values(joined_on=row.joined_on)
        await club.connection.execute(joined)

    who: dict[str, Any] = {"programme_id": club.programme.id, "member_id": club.member_id}
    last = ""
    for step in row.steps:
        match step:
            case ("buy", day, amount):
                await club.earn(day, amount)
            case ("refund", ordered_on, amount, day):
                await club.record(ordered_on, -amount)
                await club.evaluate(day, cause="refund:online/1")
            case ("review", day):
                await club.review(day)
            case ("give", day, tier, until):
                given = {"tier_code": tier, "ends_at": at(until, row.zone), "reason": "opened the store", "by": "li.na"}
                await grant_tier(club.connection, **who, **given, moment=at(day, row.zone))
                last = day
                continue
            case ("take_back", day):
                await withdraw_grant(club.connection, **who, by="li.na", moment=at(day, row.zone))
        last = step[-1] if isinstance(step[-1], str) else step[1]

    found = await club.standing(last)
    assert found.tier.code == row.tier
    assert last_day(found.valid_until, row.zone) == row.holds_through
    assert last_day(found.grace_until, row.zone) == row.grace_through
    assert found.review_at == (found.grace_until or found.valid_until)


async def test_a_late_review_tells_each_step(club: Club) -> None:
    await club.publish(make_ladder())
    await club.earn("2025-01-10", 1_000)
    changes = await club.review("2027-01-11")
    assert [(change.kind, change.to_tier, change.at) for change in changes] == [
        ("downgrade", "silver", at("2027-01-11")),
        ("downgrade", "member", at("2027-01-11")),
    ]
    assert [(reason.value, reason.at_least, reason.last_day) for change in changes for reason in change.reasons] == [
        (0, 1_000, date(2026, 1, 10)),
        (0, 500, date(2027, 1, 10)),
    ]
