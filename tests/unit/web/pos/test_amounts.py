from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.kit.errors import InvalidInputError
from loyalty.web.pos.amounts import parse_amount, write_amount


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("128", "CNY", 12_800),
        ("128.5", "CNY", 12_850),
        ("128.50", "CNY", 12_850),
        ("128,50", "CNY", 12_850),
        ("1,280", "CNY", 128_000),
        ("1,280.5", "CNY", 128_050),
        ("1 280.50", "CNY", 128_050),
        ("12,345,678.90", "CNY", 1_234_567_890),
        (".5", "CNY", 50),
        ("5.", "CNY", 500),
        ("¥128.00", "CNY", 12_800),
        ("128元", "CNY", 12_800),
        ("１２８．５０", "CNY", 12_850),
        ("￥128", "CNY", 12_800),
        ("HK$ 20", "HKD", 2_000),
        ("20 GBP", "GBP", 2_000),
        ("1280", "JPY", 1_280),
        ("1,280", "JPY", 1_280),
        ("1280.00", "JPY", 1_280),
        ("1.280", "KWD", 1_280),
        ("1,280", "KWD", 1_280),
        ("0", "CNY", 0),
    ],
)
def test_an_amount_is_read_as_people_type_it(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "reason"),
    [
        ("", "CNY", "empty"),
        ("  ", "CNY", "empty"),
        ("twelve", "CNY", "not_an_amount"),
        ("-5", "CNY", "not_an_amount"),
        ("1.2.3", "CNY", "not_an_amount"),
        ("1,28,0", "CNY", "not_an_amount"),
        ("1e5", "CNY", "not_an_amount"),
        ("٣", "CNY", "not_an_amount"),
        ("M01M828TKTBEPC824DHNPBYHV20", "CNY", "not_an_amount"),
        ("1.234", "CNY", "too_precise"),
        ("1.5", "JPY", "too_precise"),
        ("99999999999.00", "CNY", "too_large"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(text: str, currency: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_amount(text, currency)

    assert (refused.value.field, refused.value.members["reason"]) == ("amount", reason)


@given(st.integers(0, 10**11), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_what_is_written_reads_the_same(minor: int, currency: str) -> None:
    assert parse_amount(write_amount(minor, currency), currency) == minor


@given(st.text(max_size=30), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_any_text_is_an_amount_or_refused(text: str, currency: str) -> None:
    try:
        minor = parse_amount(text, currency)
    except InvalidInputError:
        return
    assert 0 <= minor < 10**12
