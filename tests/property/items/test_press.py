"""The file for the press, against the plainest way to write it."""

from __future__ import annotations

import csv
import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.items import press
from loyalty.items.codes import ItemKeys
from loyalty.items.press import BLOCK_LINES, Contents, PressFile, PressOrder

GTIN = "06901234567892"
KEYS = ItemKeys(gtin=GTIN, kid=1, master=bytes(range(32)), pin_master=bytes(range(32, 64)))


def plainly(order: PressOrder) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["seq", "url", "serial", "pin", "case", "lot"])
    goods, honey = iter(range(order.lo, order.hi + 1)), iter(range(order.honey_lo, order.honey_lo + order.lines))
    for sequence in range(1, order.lines + 1):
        index = next(honey if sequence in order.honey_lines else goods)
        serial = KEYS.mint(index)
        case = "" if order.case_size is None else (sequence - 1) // order.case_size + 1
        url = f"https://example.com/01/{GTIN}/21/{serial}"
        pin = "" if order.contents == "serials" else KEYS.pin(index)
        named = ["", ""] if order.contents == "pins" else [url, serial]
        writer.writerow([sequence, *named, pin, case, order.lot])
    return text.getvalue().encode()


@st.composite
def orders(draw: st.DrawFn) -> PressOrder:
    lo = draw(st.integers(min_value=0, max_value=1 << 34))
    count = draw(st.integers(min_value=1, max_value=150))
    honey = draw(st.integers(min_value=0, max_value=10))
    lines = st.integers(min_value=1, max_value=count + honey)
    contents: Contents = draw(st.sampled_from(["all", "serials", "pins"]))
    return PressOrder(
        gtin=GTIN,
        kid=1,
        lo=lo,
        hi=lo + count - 1,
        base_url="https://example.com",
        lot=draw(st.sampled_from(["", "L1", "a,b", 'say "x"', "批次七"])),
        contents=contents,
        case_size=draw(st.none() | st.integers(min_value=1, max_value=40)),
        honey_lo=(1 << 34) + 1000,
        honey_lines=tuple(sorted(draw(st.sets(lines, min_size=honey, max_size=honey)))),
    )


@settings(max_examples=60, deadline=None)
@given(order=orders(), first=st.integers(min_value=1, max_value=200), block=st.sampled_from([7, 100, BLOCK_LINES]))
def test_the_fast_file_is_the_plain_file_byte_for_byte(order: PressOrder, first: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(press, "BLOCK_LINES", block)
        file = PressFile(KEYS, order)
        content = b"".join(bytes(piece) for piece in file.pieces())
        blocks = b"".join(bytes(piece) for number in range(file.blocks) for piece in file.block(number))
        packed = b"".join(file.packed())
    assert content == plainly(order)
    assert blocks == content
    assert file.size == len(content)
    assert gzip.decompress(packed) == content
    some = b"".join(bytes(piece) for piece in file.pieces(max(first, 2), order.lines))
    assert content.splitlines(keepends=True)[max(first, 2) :] == some.splitlines(keepends=True)


@settings(max_examples=15, deadline=None)
@given(
    lines=st.sampled_from([9_998, 10_000, 20_001, 100_002]),
    case_size=st.sampled_from([1, 2, 9, 24, 9_999, 10_000, 10_001]),
    data=st.data(),
)
def test_numbers_are_right_wherever_they_gain_a_digit(lines: int, case_size: int, data: st.DataObject) -> None:
    order = PressOrder(
        gtin=GTIN, kid=1, lo=5, hi=lines + 4, base_url="https://example.com", contents="pins", case_size=case_size
    )
    file = PressFile(KEYS, order)
    rows = list(csv.reader(io.StringIO(b"".join(bytes(piece) for piece in file.pieces()).decode())))[1:]
    assert [int(row[0]) for row in rows] == list(range(1, lines + 1))
    assert [int(row[4]) for row in rows] == [(line - 1) // case_size + 1 for line in range(1, lines + 1)]
    assert all(row[4] == str(int(row[4])) and row[0] == str(int(row[0])) for row in rows)
    line = data.draw(st.integers(min_value=1, max_value=lines))
    assert rows[line - 1][3] == KEYS.pin(line + 4)
