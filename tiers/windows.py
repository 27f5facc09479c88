"""Windows in days of the programme's calendar: what counts on a day. Each has a form in Python and one in SQL."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec

from loyalty.kit.clock import add_months

_ONE_DAY: Final = timedelta(days=1)
_MONTHS_OF_A_YEAR: Final = 12
BEGINNING: Final = date.min
"""The day that stands for `since ever` in SQL."""


class LifetimeWindow(msgspec.Struct, frozen=True, kw_only=True, tag="lifetime", forbid_unknown_fields=True):
    """Everything since the member's first day counts."""


class CalendarYearWindow(msgspec.Struct, frozen=True, kw_only=True, tag="calendar_year", forbid_unknown_fields=True):
    """What happened since 1 January counts."""


class MembershipYearWindow(
    msgspec.Struct, frozen=True, kw_only=True, tag="membership_year", forbid_unknown_fields=True
):
    """What happened since the last anniversary of joining counts.

    Who joined on 29 February has the anniversary on 28 February of ordinary years. Where nobody knows when a member
    joined, the year is the calendar's.
    """


class RollingMonthsWindow(msgspec.Struct, frozen=True, kw_only=True, tag="rolling_months", forbid_unknown_fields=True):
    """The last `months` calendar months count.

    They start on the day after the same date N months ago, clamped to the month's end: on 28 February 2025 twelve
    months reach back to 29 February 2024, on 29 February 2024 to 1 March 2023.
    """

    months: int


class TierStartWindow(msgspec.Struct, frozen=True, kw_only=True, tag="since_tier_start", forbid_unknown_fields=True):
    """What happened since the tier was reached or last confirmed counts, from the day after.

    What was bought on the day itself counted for the tier that was reached. A member who never had another tier than
    the first counts since ever.
    """


Window = LifetimeWindow | CalendarYearWindow | MembershipYearWindow | RollingMonthsWindow | TierStartWindow


class Span(msgspec.Struct, frozen=True):
    """Days that count, both ends included; `first_day` None is since ever. The first may come after the last: none."""

    first_day: date | None
    last_day: date


def span_on(
    window: Window, day: date, *, joined_on: date | None = None, counts_from: date | None = None, resets: bool = False
) -> Span:
    """What counts on `day`; nothing before `counts_from` counts where the window `resets` with each tier."""
    first: date | None
    match window:
        case CalendarYearWindow():
            first = date(day.year, 1, 1)
        case MembershipYearWindow():
            first = _anniversary(joined_on or date(day.year, 1, 1), day)
        case RollingMonthsWindow(months=months):
            first = add_months(day, -months) + _ONE_DAY
        case TierStartWindow():
            first = counts_from
        case LifetimeWindow():
            first = None
    if resets and counts_from is not None:
        first = max(first or BEGINNING, counts_from)
    return Span(first, day)


def _anniversary(joined_on: date, day: date) -> date:
    years = day.year - joined_on.year
    this_year = add_months(joined_on, _MONTHS_OF_A_YEAR * years)
    return this_year if this_year <= day else add_months(joined_on, _MONTHS_OF_A_YEAR * (years - 1))


def first_day_sql(window: Window, day: str, *, joined_on: str, counts_from: str, resets: bool) -> str:
    """`span_on`'s first day as an SQL expression; `day`, `joined_on` and `counts_from` are SQL expressions too.

    PostgreSQL clamps a date plus months to the month's end, as `add_months` does.
    """
    beginning = f"CAST('{BEGINNING.isoformat()}' AS date)"
    match window:
        case CalendarYearWindow():
            first = f"CAST(date_trunc('year', {day}) AS date)"
        case MembershipYearWindow():
            joined = f"coalesce({joined_on}, CAST(date_trunc('year', {day}) AS date))"
            first = f"tier_anniversary({joined}, {day})"
        case RollingMonthsWindow(months=months):
            first = f"(CAST({day} - make_interval(months => {months:d}) AS date) + 1)"
        case TierStartWindow():
            return f"coalesce({counts_from}, {beginning})"
        case LifetimeWindow():
            first = beginning
    return f"greatest({first}, {counts_from})" if resets else first


def window_kind(window: Window) -> str:
    """`lifetime`, `calendar_year`, `membership_year`, `rolling_months` or `since_tier_start`."""
    return str(window.__struct_config__.tag)
