from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from loyalty.web.i18n.formats import Formats

SHANGHAI = ZoneInfo("Asia/Shanghai")
ENGLISH = Formats("en", SHANGHAI)
CHINESE = Formats("zh", SHANGHAI)
LATE = datetime(2026, 11, 22, 16, 54, tzinfo=UTC)  # 00:54 of the next day in Shanghai


def test_a_moment_is_written_in_the_programmes_time_zone() -> None:
    assert ENGLISH.moment(LATE) == "23\N{NO-BREAK SPACE}Nov\N{NO-BREAK SPACE}2026, 00:54"
    assert CHINESE.moment(LATE) == "2026年11月23日 00:54"


def test_a_calendar_day_is_not_shifted() -> None:
    assert CHINESE.day(date(2026, 1, 31)) == "2026年1月31日"
    assert ENGLISH.month(date(2026, 1, 31)) == "Jan 2026"
    assert CHINESE.short_month(date(2026, 1, 31)) == "1月"


def test_what_ends_at_midnight_was_good_until_the_day_before() -> None:
    midnight = datetime(2026, 8, 31, 16, 0, tzinfo=UTC)  # the first moment of 1 September in Shanghai

    assert CHINESE.last_day(midnight) == "2026年8月31日"
    assert CHINESE.last_day(midnight + timedelta(hours=9)) == "2026年9月1日"


@pytest.mark.parametrize(
    ("minor", "currency", "english", "chinese"),
    [
        (123450, "CNY", "¥1,234.50", "¥1,234.50"),
        (-305, "GBP", "−£3.05", "−£3.05"),
        (199, "USD", "$1.99", "US$1.99"),
        (1500, "JPY", "JP¥1,500", "JP¥1,500"),
        (1234, "KWD", "KWD\N{NO-BREAK SPACE}1.234", "KWD\N{NO-BREAK SPACE}1.234"),
        (5, "CHF", "CHF\N{NO-BREAK SPACE}0.05", "CHF\N{NO-BREAK SPACE}0.05"),
        (0, "EUR", "€0.00", "€0.00"),
    ],
)
def test_money_is_written_with_its_currencys_own_digits(minor: int, currency: str, english: str, chinese: str) -> None:
    assert ENGLISH.money(minor, currency) == english
    assert CHINESE.money(minor, currency) == chinese


@pytest.mark.parametrize(("change", "written"), [(120, "+120"), (-4000, "−4,000"), (0, "0")])
def test_a_change_shows_its_direction(change: int, written: str) -> None:
    assert ENGLISH.signed(change) == written


@pytest.mark.parametrize(("rate_bp", "written"), [(1000, "10%"), (1250, "12.5%"), (1, "0.01%"), (10000, "100%")])
def test_basis_points_are_written_as_per_cent(rate_bp: int, written: str) -> None:
    assert ENGLISH.percent(rate_bp) == written
