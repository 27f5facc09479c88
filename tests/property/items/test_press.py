"""The file for the press, against the plainest way to write it."""

from __future__ import annotations

import csv
import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.items import press
from loyalty.items.batches import BATCH
from loyalty.items.codes import ItemKeys
from loyalty.items.press import Contents, PressFile, PressOrder

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
@given(order=orders(), batch=st.sampled_from([7, 100, BATCH]))
def test_the_fast_file_is_the_plain_file_byte_for_byte(order: PressOrder, batch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(press, "BATCH", batch)
        patch.setattr(press, "BLOCK_LINES", 8 * batch)
        file = PressFile(KEYS, order)
        content = b"".join(bytes(piece) for piece in file.pieces())
        blocks = b"".join(bytes(piece) for number in range(file.blocks) for piece in file.block(number))
        packed = b"".join(file.packed())
    assert content == plainly(order)
    assert blocks == content
    assert file.size == len(content)
    assert gzip.decompress(packed) == content
