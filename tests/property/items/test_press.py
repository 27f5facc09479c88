"""The file for the press, against the plainest way to write it."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.items import press
from loyalty.items.keys import Master, MasterKeys
from loyalty.kit.clock import utc_now

GTIN = "06901234567892"
KEYS = MasterKeys({1: Master(master=bytes(range(32)), pin_master=bytes(range(32, 64)), created_at=utc_now())})


def plainly(lo: int, hi: int, *, lot: str, pins: bool, case_size: int | None) -> bytes:
    keys = KEYS.for_product(GTIN, 1)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["seq", "url", "serial", "pin", "case", "lot"])
    for sequence, index in enumerate(range(lo, hi + 1), 1):
        serial = keys.mint(index)
        case = "" if case_size is None else (sequence - 1) // case_size + 1
        url = f"https://example.com/01/{GTIN}/21/{serial}"
        writer.writerow([sequence, url, serial, keys.pin(index) if pins else "", case, lot])
    return text.getvalue().encode()


@settings(max_examples=40, deadline=None)
@given(
    lo=st.integers(min_value=0, max_value=1 << 34),
    count=st.integers(min_value=1, max_value=150),
    lot=st.sampled_from(["", "L1", "a,b", 'say "x"', "批次七"]),
    pins=st.booleans(),
    case_size=st.none() | st.integers(min_value=1, max_value=40),
    rows=st.sampled_from([7, 100, 32_768]),
)
def test_the_fast_file_is_the_plain_file_byte_for_byte(
    lo: int, count: int, lot: str, pins: bool, case_size: int | None, rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(press, "_ROWS", rows)
        made: Any = press.press_lines(
            KEYS,
            gtin=GTIN,
            kid=1,
            lo=lo,
            hi=lo + count - 1,
            base_url="https://example.com",
            lot=lot,
            pins=pins,
            case_size=case_size,
        )
        content = b"".join(made)
    assert content == plainly(lo, lo + count - 1, lot=lot, pins=pins, case_size=case_size)


@given(pieces=st.lists(st.binary(max_size=50), max_size=5))
def test_gzip_holds_the_same_bytes_and_is_the_same_each_time(pieces: list[bytes]) -> None:
    packed = b"".join(press.compress(pieces))
    assert gzip.decompress(packed) == b"".join(pieces)
    assert packed == b"".join(press.compress(pieces))
