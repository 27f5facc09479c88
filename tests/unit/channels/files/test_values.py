from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from loyalty.channels.files.mapping import Rounding
from loyalty.channels.files.values import TimeReader, UnreadableError, read_number, to_minor


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.95", "2.95"),
        ("-12", "-12"),
        ("+0.5", "0.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("4.440892e-16", "0.0000000000000004440892"),
        ("1E3", "1000"),
    ],
)
def test_numbers_are_read_exactly(text: str, number: str) -> None:
    assert read_number(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1,234.50",
        "£5",
        "nan",
        "inf",
        "1 000",
        "١٢",
        "0x10",
        "1_000",
        "--1",
        "1e",
        "1e999",
        "1e-99",
        "9" * 16,
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        read_number(text)


def test_a_decimal_comma() -> None:
    assert read_number("12,50", ",") == Decimal("12.5")
    with pytest.raises(UnreadableError, match="1234,50"):
        read_number("12.50", ",")


def minor(*amounts: str, digits: int = 2, rounding: Rounding = "floor") -> list[int]:
    return to_minor([Decimal(amount) for amount in amounts], digits=digits, rounding=rounding)


def test_amounts_in_minor_units() -> None:
    assert minor("2.95", "0.1", "7") == [295, 10, 700]
    assert minor("1500", digits=0) == [1500]
    assert minor("1.234", digits=3) == [1234]


def test_a_document_is_rounded_once_and_its_lines_sum_to_it() -> None:
    thirds = ("0.333", "0.333", "0.334")
    assert minor(*thirds) == [33, 33, 34]
    assert sum(minor("0.005", "0.005", "0.005")) == 1
    assert sum(minor("0.005", "0.005", "0.005", rounding="half_up")) == 2
    assert sum(minor("0.001", rounding="ceil")) == 1


def test_dust_of_floating_point_changes_nothing() -> None:
    assert minor("1.88", "4.440892e-16", "3.49") == [188, 0, 349]


@pytest.mark.parametrize(
    ("text", "form", "zone", "moment"),
    [
        ("2011-07-01 09:41:00", "%Y-%m-%d %H:%M:%S", "Europe/London", datetime(2011, 7, 1, 8, 41, tzinfo=UTC)),
        ("1/12/2010 8:26", "%d/%m/%Y %H:%M", "UTC", datetime(2010, 12, 1, 8, 26, tzinfo=UTC)),
        ("2011-07-01T09:41:00+08:00", None, "Europe/London", datetime(2011, 7, 1, 1, 41, tzinfo=UTC)),
        ("2011-07-01", None, "Asia/Shanghai", datetime(2011, 6, 30, 16, tzinfo=UTC)),
    ],
)
def test_times_in_a_format_and_a_zone(text: str, form: str | None, zone: str, moment: datetime) -> None:
    assert TimeReader(form, zone).read(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2011-13-01", "0001-01-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError, match="ISO 8601"):
        TimeReader(None, "Asia/Shanghai").read(text)
