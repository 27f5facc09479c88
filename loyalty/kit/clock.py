"""Time: UTC and aware everywhere; calendar rules in the programme's time zone."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def utc_now() -> datetime:
    """The application's clock. The ledger does not trust it: the database stamps entries."""
    return datetime.now(UTC)


def add_months(day: date, months: int) -> date:
    """Add calendar months, clamped to the month's last day: 31 January + 1 month is 28 or 29 February."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def end_of_month(day: date) -> date:
    """The last day of the month that `day` is in."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def local_date(moment: datetime, time_zone: str) -> date:
    """The calendar day of an aware moment in a time zone (IANA name)."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def start_of_local_day(day: date, time_zone: str) -> datetime:
    """The first moment of a local day, in UTC."""
    return datetime.combine(day, time.min, ZoneInfo(time_zone)).astimezone(UTC)


def end_of_local_day(day: date, time_zone: str) -> datetime:
    """The moment a local day is over, which is the first moment of the next one, in UTC."""
    return start_of_local_day(day + timedelta(days=1), time_zone)


def last_moment_of_local_day(day: date, time_zone: str) -> datetime:
    """The last microsecond of a local day, in UTC: for sums up to and including a moment."""
    return end_of_local_day(day, time_zone) - timedelta(microseconds=1)
