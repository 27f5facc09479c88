from __future__ import annotations

import csv
import gzip
import io
import multiprocessing
import tracemalloc
from typing import Any

import pytest

from loyalty.items.codes import INDEX_LIMIT, ItemKeys
from loyalty.items.digital_link import parse_link
from loyalty.items.press import BLOCK_LINES, PressFile, PressOrder
from loyalty.items.press_workers import pieces_by_workers
from loyalty.kit.errors import InvalidInputError, UnavailableError

GTIN = "06901234567892"
MASTERS = (bytes(range(32)), bytes(range(32, 64)))
KEYS = ItemKeys(gtin=GTIN, kid=1, master=MASTERS[0], pin_master=MASTERS[1])
URL = f"https://example.com/01/{GTIN}/21/10Y7DJPF72MHRCYR"


def order(count: int = 2, **fields: Any) -> PressOrder:
    defaults: dict[str, Any] = {"gtin": GTIN, "kid": 1, "lo": 0, "hi": count - 1, "base_url": "https://example.com"}
    return PressOrder(**defaults | fields)


def content(ordered: PressOrder) -> bytes:
    return b"".join(bytes(piece) for piece in PressFile(KEYS, ordered).pieces())


def rows(ordered: PressOrder) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(ordered).decode(), newline="")))


def test_a_line_holds_everything_the_press_needs_and_its_address_is_a_digital_link() -> None:
    first, second = rows(order(lot="L26", case_size=24))
    assert first == {
        "seq": "1",
        "url": URL,
        "serial": "10Y7DJPF72MHRCYR",
        "pin": "TQFT0W",
        "case": "1",
        "lot": "L26",
    }
    assert second["serial"] == "1Z1MZPN0HPK6EC3K"
    assert parse_link(URL).serial == "10Y7DJPF72MHRCYR"


def test_serials_and_pins_go_to_different_printers_and_meet_by_their_line_number() -> None:
    serials, pins = rows(order(50, contents="serials")), rows(order(50, contents="pins"))
    assert {line["pin"] for line in serials} == {""}
    assert {line["serial"] + line["url"] for line in pins} == {""}
    together = [{**serial, "pin": pin["pin"]} for serial, pin in zip(serials, pins, strict=True)]
    assert [line["seq"] for line in serials] == [line["seq"] for line in pins]
    assert together == rows(order(50))


def test_honey_stands_among_the_others_and_looks_like_them() -> None:
    lines = rows(order(10, honey_lo=500, honey_lines=(1, 4, 12)))
    indexes = KEYS.verify_many([line["serial"] for line in lines]).tolist()
    assert indexes == [500, 0, 1, 501, 2, 3, 4, 5, 6, 7, 8, 502, 9]
    assert [line["seq"] for line in lines] == [str(number) for number in range(1, 14)]


def test_memory_does_not_grow_with_the_order() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in PressFile(KEYS, order(count)).pieces():
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(1_000)
    assert peak(2_000_000) < 1.2 * peak(200_000)


@pytest.mark.parametrize("packed", [False, True])
def test_several_processes_make_the_bytes_of_one(packed: bool) -> None:
    ordered = order(5 * BLOCK_LINES + 17, honey_lo=INDEX_LIMIT - 9, honey_lines=(3, BLOCK_LINES, 4 * BLOCK_LINES + 1))
    made = [bytes(piece) for piece in pieces_by_workers(MASTERS, ordered, workers=2, packed=packed)]
    assert len(made) == 6
    joined = b"".join(made)
    assert (gzip.decompress(joined) if packed else joined) == content(ordered)
    assert joined == content(ordered) or joined == b"".join(PressFile(KEYS, ordered).packed())


def test_a_file_that_is_not_read_to_its_end_leaves_no_process_behind() -> None:
    pieces = pieces_by_workers(MASTERS, order(9 * BLOCK_LINES), workers=2)
    next(pieces)
    assert len(multiprocessing.active_children()) == 2
    pieces.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_ends_the_file_with_an_error() -> None:
    pieces = pieces_by_workers(MASTERS, order(50 * BLOCK_LINES), workers=1)
    next(pieces)
    (worker,) = multiprocessing.active_children()
    worker.kill()
    with pytest.raises(UnavailableError, match="ended before it was done"):
        list(pieces)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"lo": 5, "hi": 4}, "lo"),
        ({"lo": -1}, "lo"),
        ({"hi": INDEX_LIMIT}, "lo"),
        ({"case_size": 0}, "case_size"),
        ({"honey_lines": (2, 1)}, "honey_lines"),
        ({"honey_lines": (1, 1)}, "honey_lines"),
        ({"honey_lines": (0,)}, "honey_lines"),
        ({"honey_lines": (4,)}, "honey_lines"),
        ({"honey_lines": (3,), "honey_lo": INDEX_LIMIT}, "honey_lo"),
        ({"base_url": 'https://a"b.example'}, "base_url"),
    ],
)
def test_what_cannot_be_printed_is_refused_before_the_first_byte(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        PressFile(KEYS, order(**fields))
    assert refused.value.field == field
