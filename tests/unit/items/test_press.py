from __future__ import annotations

import csv
import io
import tracemalloc

import pytest

from loyalty.items.codes import INDEX_LIMIT
from loyalty.items.digital_link import parse_link
from loyalty.items.keys import Master, MasterKeys
from loyalty.items.press import press_lines
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError, NotFoundError

GTIN = "06901234567892"
KEYS = MasterKeys({1: Master(master=bytes(range(32)), pin_master=bytes(range(32, 64)), created_at=utc_now())})


def test_a_line_holds_everything_the_press_needs_and_its_address_is_a_digital_link() -> None:
    lines = press_lines(
        KEYS, gtin=GTIN, kid=1, lo=0, hi=1, base_url="https://example.com", lot="L26", pins=True, case_size=24
    )
    first, second = csv.DictReader(io.StringIO(b"".join(lines).decode(), newline=""))
    url = f"https://example.com/01/{GTIN}/21/10Y7DJPF72MHRCYR"
    assert first == {
        "seq": "1",
        "url": url,
        "serial": "10Y7DJPF72MHRCYR",
        "pin": "TQFT0W",
        "case": "1",
        "lot": "L26",
    }
    assert second["serial"] == "1Z1MZPN0HPK6EC3K"
    assert parse_link(url).serial == "10Y7DJPF72MHRCYR"


def test_pins_are_left_out_for_a_printer_that_must_not_have_them() -> None:
    lines = press_lines(KEYS, gtin=GTIN, kid=1, lo=0, hi=99, base_url="https://example.com", pins=False)
    assert {row["pin"] for row in csv.DictReader(io.StringIO(b"".join(lines).decode(), newline=""))} == {""}


def test_memory_does_not_grow_with_the_range() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in press_lines(KEYS, gtin=GTIN, kid=1, lo=0, hi=count - 1, base_url="https://example.com"):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(1_000)
    assert peak(400_000) < 1.5 * peak(100_000)


@pytest.mark.parametrize(
    ("lo", "hi", "case_size", "field"),
    [(5, 4, None, "lo"), (-1, 4, None, "index"), (0, INDEX_LIMIT, None, "index"), (0, 4, 0, "case_size")],
)
def test_what_cannot_be_printed_is_refused_before_the_first_byte(
    lo: int, hi: int, case_size: int | None, field: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        press_lines(KEYS, gtin=GTIN, kid=1, lo=lo, hi=hi, base_url="https://example.com", case_size=case_size)
    assert refused.value.field == field


def test_an_unknown_key_is_refused_before_the_first_byte() -> None:
    with pytest.raises(NotFoundError, match="key 2"):
        press_lines(KEYS, gtin=GTIN, kid=2, lo=0, hi=1, base_url="https://example.com")
