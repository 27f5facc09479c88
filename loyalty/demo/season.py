"""A tea house's year: how much is sold on which day, online and in stores, and at which hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

_LUNAR_NEW_YEARS: Final = (
    date(2024, 2, 10), date(2025, 1, 29), date(2026, 2, 17), date(2027, 2, 6), date(2028, 1, 26), date(2029, 2, 13),
    date(2030, 2, 3), date(2031, 1, 23), date(2032, 2, 11), date(2033, 1, 31), date(2034, 2, 19), date(2035, 2, 8),
)  # fmt: skip
_MID_AUTUMNS: Final = (
    date(2024, 9, 17), date(2025, 10, 6), date(2026, 9, 25), date(2027, 9, 15), date(2028, 10, 3), date(2029, 9, 22),
    date(2030, 9, 12), date(2031, 10, 1), date(2032, 9, 19), date(2033, 9, 8), date(2034, 9, 27), date(2035, 9, 16),
)  # fmt: skip
"""Feasts of the lunar calendar. In a year that is not listed they are days like others."""

_MONTHS: Final = {1: 100, 2: 75, 3: 115, 4: 135, 5: 105, 6: 95, 7: 80, 8: 80, 9: 110, 10: 110, 11: 115, 12: 105}
"""By month in per cent: new tea in spring, warm tea in autumn, little in summer."""
_STORE_WEEKDAYS: Final = (80, 75, 80, 90, 120, 185, 170)
_ONLINE_WEEKDAYS: Final = (110, 100, 100, 95, 90, 95, 115)
_ONLINE_SALES: Final = {(6, 16): 400, (6, 17): 500, (6, 18): 900, (11, 9): 400, (11, 10): 600, (11, 11): 1_500,
                        (12, 11): 250, (12, 12): 500}  # fmt: skip
"""The big sales, in per cent of a day like others."""
_CLOSED_DAYS: Final = 2
"""Stores are shut on the first days of the lunar year."""

_STORE_HOURS: Final = (6, 9, 10, 10, 12, 14, 14, 12, 10, 9, 7, 4)
_STORE_OPENS: Final = 10
_ONLINE_HOURS: Final = (2, 1, 0, 0, 0, 0, 1, 3, 5, 6, 7, 7, 8, 7, 6, 6, 6, 6, 6, 8, 12, 14, 11, 6)


def is_sale(day: date) -> bool:
    """Whether the online shop has one of its big sales."""
    return (day.month, day.day) in _ONLINE_SALES


def is_gift_season(day: date) -> bool:
    """Whether people buy presents: the three weeks before the lunar new year, and before mid-autumn."""
    feasts = (*_LUNAR_NEW_YEARS, *_MID_AUTUMNS)
    return any(timedelta(1) <= feast - day <= timedelta(21) for feast in feasts)


def weight(day: date, *, online: bool) -> int:
    """How much is sold on a day, in units that mean something only beside those of other days."""
    weekdays = _ONLINE_WEEKDAYS if online else _STORE_WEEKDAYS
    sold = _MONTHS[day.month] * weekdays[day.weekday()]
    if any(timedelta(0) <= day - new_year < timedelta(_CLOSED_DAYS) for new_year in _LUNAR_NEW_YEARS):
        return sold // 4 if online else 0
    if is_gift_season(day):
        sold = sold * 145 // 100
    if online:
        sold = sold * _ONLINE_SALES.get((day.month, day.day), 100) // 100
    return sold


def moment_of(day: date, random: Random, *, online: bool, time_zone: ZoneInfo) -> datetime:
    """A moment of a day at which somebody buys, in UTC."""
    if online:
        hour = random.choices(range(24), _ONLINE_HOURS)[0]
    else:
        hour = _STORE_OPENS + random.choices(range(len(_STORE_HOURS)), _STORE_HOURS)[0]
    local = datetime.combine(day, time(hour, random.randrange(60), random.randrange(60)), time_zone)
    return local.astimezone(UTC)
