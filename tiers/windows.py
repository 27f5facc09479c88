"""Windows in days of the programme's calendar: what counts on a day, and how long a tier reached on a day holds."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from loyalty.kit.clock import add_months
from tiers.ladders import CalendarYearWindow, RollingMonthsWindow, Window

_ONE_DAY = timedelta(days=1)
_DECEMBER, _LAST_OF_DECEMBER = 12, 31


class Span(msgspec.Struct, frozen=True):
    """Days that count, both ends included; `first_day` None is since ever."""

    first_day: date | None
    last_day: date


def span_on(window: Window, day: date) -> Span:
    """What counts on `day`.

    A rolling window of N months starts on the day after the same date N months ago, clamped to the month's end: on
    28 February 2025 twelve months reach back to 29 February 2024, on 29 February 2024 to 1 March 2023.
    """
    match window:
        case CalendarYearWindow():
            return Span(date(day.year, 1, 1), day)
        case RollingMonthsWindow(months=months):
            return Span(add_months(day, -months) + _ONE_DAY, day)
        case _:
            return Span(None, day)


def holds_through(window: Window, day: date) -> date | None:
    """The last day on which a tier reached on `day`, or confirmed for a period that closed on `day`, holds.

    In a calendar-year ladder that is the end of the next year; in a rolling one the same date N months on, clamped. A
    lifetime ladder has no such day.
    """
    match window:
        case CalendarYearWindow():
            return date(day.year + 1, _DECEMBER, _LAST_OF_DECEMBER)
        case RollingMonthsWindow(months=months):
            return add_months(day, months)
        case _:
            return None


def window_kind(window: Window) -> str:
    """`lifetime`, `calendar_year` or `rolling_months`, as stored with each change."""
    return str(window.__struct_config__.tag)
