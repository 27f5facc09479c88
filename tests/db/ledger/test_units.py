"""When points expire: each row is a sentence that a CRM manager would say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from ledger.reading import lots
from ledger.units import Unit, get_unit
from loyalty.kit.errors import InvalidInputError, NotFoundError
from tests.db.ledger.conftest import NEW_YEAR, Book

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")

AFTER_MONTHS = {"expiry_kind": "fixed_period", "expiry_months": 1}
AFTER_DAYS = {"expiry_kind": "fixed_period", "expiry_days": 30}
END_OF_MONTH = {"expiry_kind": "end_of_month", "expiry_months": 12}
YEAR_END = {"expiry_kind": "yearly", "expiry_month": 12, "expiry_day": 31}
LEAP_DAY = {"expiry_kind": "yearly", "expiry_month": 2, "expiry_day": 29}
HALF_YEAR_THEN_MARCH = {"expiry_kind": "yearly", "expiry_month": 3, "expiry_day": 31, "expiry_months": 6}


@pytest.mark.parametrize(
    ("sentence", "policy", "zone", "earned", "first_moment_without"),
    [
        ("a month after 31 January is the end of 28 February", AFTER_MONTHS, SHANGHAI, (2025, 1, 31), (2025, 3, 1)),
        ("in a leap year it is the end of 29 February", AFTER_MONTHS, SHANGHAI, (2024, 1, 31), (2024, 3, 1)),
        ("thirty days after 1 March is the end of 31 March", AFTER_DAYS, SHANGHAI, (2025, 3, 1), (2025, 4, 1)),
        ("12 months on, at the end of the month", END_OF_MONTH, SHANGHAI, (2024, 11, 2), (2025, 12, 1)),
        ("29 February a year on is the end of February", END_OF_MONTH, SHANGHAI, (2024, 2, 29), (2025, 3, 1)),
        ("all points of a year end with it", YEAR_END, SHANGHAI, (2025, 1, 1), (2026, 1, 1)),
        ("points of its last day end with it", YEAR_END, SHANGHAI, (2025, 12, 31), (2026, 1, 1)),
        ("29 February each year is 28 in others", LEAP_DAY, SHANGHAI, (2025, 1, 5), (2025, 3, 1)),
        ("March of a year hence, when it is too near", HALF_YEAR_THEN_MARCH, SHANGHAI, (2025, 1, 5), (2026, 4, 1)),
        ("March of this year, when it is far enough", HALF_YEAR_THEN_MARCH, SHANGHAI, (2024, 9, 5), (2025, 4, 1)),
        ("the day is the programme's own", AFTER_DAYS, NEW_YORK, (2025, 3, 1), (2025, 4, 1)),
    ],
)
async def test_points_expire(
    book: Book,
    member: UUID,
    sentence: str,
    policy: dict[str, Any],
    zone: ZoneInfo,
    earned: tuple[int, int, int],
    first_moment_without: tuple[int, int, int],
) -> None:
    assert sentence
    await book.unit(time_zone=zone.key, **policy)
    late_that_day = datetime(*earned, 23, 30, tzinfo=zone)
    await book.at(late_that_day)
    await book.earn(member, 10)
    expected = datetime(*first_moment_without, tzinfo=zone).astimezone(UTC)
    assert await book.open_lots(member) == [(10, expected)]


async def test_points_expire_months_after_the_member_last_did_something(book: Book, member: UUID) -> None:
    await book.unit(expiry_kind="after_activity", expiry_months=6, time_zone="UTC")
    await book.earn(member, 100)
    await book.at(datetime(2026, 6, 20, tzinfo=UTC))
    await book.spend(member, 10)
    await book.at(datetime(2026, 12, 20, 23, tzinfo=UTC))
    assert await book.spendable(member) == 90
    await book.at(datetime(2026, 12, 21, tzinfo=UTC))
    assert await book.spendable(member) == 0
    await book.earn(member, 5)
    assert await book.spendable(member) == 5


async def test_a_policy_that_is_changed_leaves_what_is_posted(book: Book, member: UUID) -> None:
    await book.unit(expiry_kind="never")
    await book.earn(member, 10)
    await book.unit(**AFTER_DAYS)
    await book.earn(member, 10)
    expiries = [expires_at for _, expires_at in await book.open_lots(member)]
    assert expiries == [datetime(2026, 2, 1, tzinfo=UTC), None]


@pytest.mark.parametrize(
    ("policies", "field"),
    [
        ({"code": "Points!"}, "code"),
        ({"expiry_kind": "end_of_month"}, "expiry_months"),
        ({"expiry_kind": "fixed_period"}, "expiry_months"),
        ({"expiry_kind": "yearly", "expiry_month": 13, "expiry_day": 1}, "expiry_month"),
        ({"expiry_months": -1}, "expiry_months"),
        ({"expiry_days": 10**6}, "expiry_days"),
    ],
)
async def test_policies_that_do_not_fit_are_refused_by_field(
    book: Book, member: UUID, policies: dict[str, Any], field: str
) -> None:
    await book.unit()
    await book.earn(member, 1)
    with pytest.raises(InvalidInputError) as refused:
        await book.unit(**policies)
    assert refused.value.field == field


async def test_a_unit_is_read_as_it_was_defined(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 1, effective_at=NEW_YEAR)
    unit = await book.unit(code="growth", spendable=False, adjust_limit=5)
    assert isinstance(unit, Unit)
    assert await get_unit(book.connection, programme_id=book.programme_id, code="growth") == unit
    with pytest.raises(NotFoundError):
        await get_unit(book.connection, programme_id=book.programme_id, code="stars")


async def test_the_days_expiry_that_is_kept_ends_with_the_day_and_with_the_policy(book: Book, member: UUID) -> None:
    """What is worked out once a day is the same as what would be worked out for each posting."""
    policy: dict[str, Any] = {"time_zone": "Asia/Shanghai", "expiry_kind": "fixed_period", "expiry_days": 1}
    await book.unit(**policy)
    midnight = datetime(2026, 3, 10, tzinfo=SHANGHAI)
    moments = (
        midnight - timedelta(hours=5),
        midnight - timedelta(hours=4),
        midnight - timedelta(microseconds=1),
        midnight,
        midnight + timedelta(hours=1),
    )
    for moment in moments:
        await book.at(moment)
        await book.earn(member, 1)
    await book.earn(member, 1, effective_at=midnight - timedelta(hours=1))
    await book.unit(**{**policy, "expiry_days": 9})
    await book.earn(member, 1)
    found = await lots(book.connection, member_id=member)
    days = [lot.expires_at.astimezone(SHANGHAI).day for lot in found if lot.expires_at]
    assert sorted(days) == [11, 11, 11, 11, 12, 12, 20]
