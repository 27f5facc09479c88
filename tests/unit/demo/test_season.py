from __future__ import annotations

from datetime import date, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from loyalty.demo.season import is_gift_season, is_sale, moment_of, weight

SHANGHAI = ZoneInfo("Asia/Shanghai")
A_WEEK = timedelta(7)


@pytest.mark.parametrize("sale", [date(2026, 6, 18), date(2026, 11, 11), date(2026, 12, 12)])
def test_the_big_sales_are_online_alone(sale: date) -> None:
    assert is_sale(sale)
    assert weight(sale, online=True) > 3 * weight(sale - 2 * A_WEEK, online=True)
    assert weight(sale, online=False) < 3 * weight(sale - 2 * A_WEEK, online=False)


def test_stores_are_shut_when_the_lunar_year_begins_and_busy_before() -> None:
    new_year = date(2026, 2, 17)
    assert weight(new_year, online=False) == weight(new_year + timedelta(1), online=False) == 0
    assert weight(new_year, online=True) > 0
    assert is_gift_season(new_year - timedelta(1))
    assert not is_gift_season(new_year)


def test_stores_live_from_the_weekend() -> None:
    saturday = date(2026, 5, 16)
    assert weight(saturday, online=False) > 1.5 * weight(saturday - timedelta(3), online=False)


def test_a_year_that_no_feast_is_listed_for_has_days_like_others() -> None:
    assert all(weight(date(2050, 2, day), online=False) > 0 for day in range(1, 29))


def test_purchases_are_made_on_their_day_and_in_stores_while_these_are_open() -> None:
    random, day = Random(1), date(2026, 5, 16)  # noqa: S311  (no secret)
    for online in (True, False):
        for _ in range(300):
            local = moment_of(day, random, online=online, time_zone=SHANGHAI).astimezone(SHANGHAI)
            assert local.date() == day
            assert online or 10 <= local.hour < 22
