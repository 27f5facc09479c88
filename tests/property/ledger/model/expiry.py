"""When points expire, said again with Python's calendar: months are clamped, the last day counts whole."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ledger.units import Unit


def add_months(day: date, months: int) -> date:
    """So many months later; the 31st of a shorter month is its last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return clamped(year, month + 1, day.day)


def clamped(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def end_of_day(day: date, unit: Unit) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=ZoneInfo(unit.time_zone)).astimezone(UTC)


def local_day(moment: datetime, unit: Unit) -> date:
    return moment.astimezone(ZoneInfo(unit.time_zone)).date()


def expires_at(unit: Unit, earned_at: datetime) -> datetime | None:
    """The first moment without points that were earned at `earned_at`; None where it depends on the member."""
    day = local_day(earned_at, unit)
    match unit.expiry_kind:
        case "fixed_period":
            last = add_months(day, unit.expiry_months or 0) + timedelta(days=unit.expiry_days or 0)
        case "end_of_month":
            later = add_months(day, unit.expiry_months or 0)
            last = clamped(later.year, later.month, 31)
        case "yearly":
            earliest = add_months(day, unit.expiry_months or 0)
            last = next(
                each
                for year in (earliest.year, earliest.year + 1)
                if (each := clamped(year, unit.expiry_month or 0, unit.expiry_day or 0)) >= earliest
            )
        case _:
            return None
    return end_of_day(last, unit)


def idle_expires_at(unit: Unit, active_at: datetime) -> datetime | None:
    """The moment at which a member who was last active at `active_at` loses what has no expiry of its own."""
    if unit.expiry_kind != "after_activity":
        return None
    return end_of_day(add_months(local_day(active_at, unit), unit.expiry_months or 0), unit)
