"""The file for the press: a line of CSV for every code, `seq,url,serial,pin,case,lot`, made as fast as it is written.

A press renders its own symbols, so it gets addresses. PINs go to another printer, so they may be left out. Lines of the
same widths are built together as a table of bytes; memory does not grow with the range.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loyalty.items.codes import PIN_LENGTH, SERIAL_LENGTH
from loyalty.items.digital_link import format_link
from loyalty.items.keys import MasterKeys
from loyalty.kit.errors import InvalidInputError

HEADER: Final = b"seq,url,serial,pin,case,lot\r\n"
"""RFC 4180: lines end with CR LF, and the first one names the columns."""

CASE_LIMIT: Final = 1_000_000
_ROWS: Final = 32_768
"""Lines made at once: some megabytes, enough to make the work of a call small beside that of its bytes."""
_ZERO: Final = ord("0")
_Field = bytes | NDArray[np.uint8]
"""What every line has alike, or a table of characters with a row for each line."""


def press_lines(
    keys: MasterKeys,
    *,
    gtin: str,
    kid: int,
    lo: int,
    hi: int,
    base_url: str,
    lot: str | None = None,
    pins: bool = True,
    case_size: int | None = None,
) -> Iterator[bytes]:
    """The CSV of the codes from index `lo` to `hi`, in pieces of a few megabytes, header first.

    `seq` counts from 1; `case` numbers boxes of `case_size` items from 1, and is empty without one; `pin` is empty
    where PINs are printed elsewhere. Raises InvalidInputError on a wrong interval or case size, NotFoundError on an
    unknown key id, before the first piece.
    """
    if lo > hi:
        raise InvalidInputError(f"the first index, {lo}, is after the last, {hi}", field="lo")
    if case_size is not None and not 0 < case_size <= CASE_LIMIT:
        raise InvalidInputError(f"a case holds 1 to {CASE_LIMIT} items", field="case_size")
    item_keys = keys.for_product(gtin, kid)
    item_keys.mint(lo)
    item_keys.mint(hi)
    blank = "0" * SERIAL_LENGTH
    head = format_link(base_url, gtin=gtin, serial=blank).removesuffix(blank).encode()
    tail = _last_field(lot or "") + b"\r\n"

    def lines() -> Iterator[bytes]:
        yield HEADER
        for first, count in _stretches(hi - lo + 1, case_size):
            start = lo + first - 1
            serial = _characters(item_keys.mint_many(start, count), SERIAL_LENGTH)
            sequence = np.arange(first, first + count)
            fields: list[_Field] = [_digits(sequence), b"," + head, serial, b",", serial, b","]
            if pins:
                fields.append(_characters(item_keys.pin_many(start, count), PIN_LENGTH))
            fields.append(b",")
            if case_size is not None:
                fields.append(_digits((sequence - 1) // case_size + 1))
            yield _table(count, [*fields, tail])

    return lines()


def compress(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes as gzip (RFC 1952), equal for equal input: no name and no time in its header."""
    packer = zlib.compressobj(level=6, wbits=31)
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()


def _stretches(total: int, case_size: int | None) -> Iterator[tuple[int, int]]:
    """Runs of lines, as (first seq, count), in which neither seq nor case gains a digit, so that all are as long."""
    first = 1
    while first <= total:
        ends = [total, first + _ROWS - 1, 10 ** len(str(first)) - 1]
        if case_size is not None:
            case = (first - 1) // case_size + 1
            ends.append((10 ** len(str(case)) - 1) * case_size)
        last = min(ends)
        yield first, last - first + 1
        first = last + 1


def _table(count: int, fields: list[_Field]) -> bytes:
    widths = [len(field) if isinstance(field, bytes) else field.shape[1] for field in fields]
    table = np.empty((count, sum(widths)), dtype=np.uint8)
    start = 0
    for field, width in zip(fields, widths, strict=True):
        table[:, start : start + width] = np.frombuffer(field, dtype=np.uint8) if isinstance(field, bytes) else field
        start += width
    return table.tobytes()


def _characters(texts: NDArray[np.bytes_], length: int) -> NDArray[np.uint8]:
    return texts.view(np.uint8).reshape(len(texts), length)


def _digits(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Decimal digits, most significant first; the numbers have as many digits each."""
    width = len(str(numbers[0]))
    digits = np.empty((len(numbers), width), dtype=np.uint8)
    rest = numbers
    for place in range(width - 1, -1, -1):
        rest, digits[:, place] = np.divmod(rest, 10)
    return digits + np.uint8(_ZERO)


def _last_field(text: str) -> bytes:
    """A comma and a CSV field, quoted where it must be."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["", text])
    return line.getvalue().encode()
