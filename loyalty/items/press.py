"""The file for the press: a line of CSV for every code, `seq,url,serial,pin,case,lot`, made as fast as it is written.

A press renders its own symbols, so it gets addresses. Serials and PINs may go to different printers: each gets a file
of its own, and `seq` says which belong together. Lines of equal length are one table of bytes, in which only what
differs is written anew; memory does not grow with the order, and the same order gives the same bytes each time.
"""

from __future__ import annotations

import csv
import io
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from loyalty.items.batches import BATCH, Mill
from loyalty.items.codes import INDEX_LIMIT, PIN_LENGTH, SERIAL_LENGTH, ItemKeys
from loyalty.items.digital_link import format_link
from loyalty.kit.errors import InvalidInputError

HEADER: Final = b"seq,url,serial,pin,case,lot\r\n"
"""RFC 4180: lines end with CR LF, and the first one names the columns."""

CASE_LIMIT: Final = 1_000_000
BLOCK_LINES: Final = 8 * BATCH
"""Lines that one process makes at once, and that one member of a gzip file holds."""
_GZIP_LEVEL: Final = 1
"""Serials are random: the levels above take several times as long and save a few in a hundred."""
_GZIP: Final = 31
Contents = Literal["all", "serials", "pins"]
"""Which columns are filled: `serials` leaves out the PINs, `pins` the addresses and serials."""


class PressOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the bytes of a press file follow from, besides the keys.

    The codes from index `lo` to `hi`, and among them, at the line numbers `honey_lines`, those from index `honey_lo`
    on: codes that are printed and never sold. A box number counts every `case_size` lines.
    """

    gtin: str
    kid: int
    lo: int
    hi: int
    base_url: str
    lot: str = ""
    contents: Contents = "all"
    case_size: int | None = None
    honey_lo: int = 0
    honey_lines: tuple[int, ...] = ()

    @property
    def lines(self) -> int:
        """How many codes the file holds."""
        return self.hi - self.lo + 1 + len(self.honey_lines)

    def check(self) -> None:
        """Raise InvalidInputError naming the field where no file can be made of this."""
        if not 0 <= self.lo <= self.hi < INDEX_LIMIT:
            raise InvalidInputError(f"indexes {self.lo} to {self.hi} are not an interval of codes", field="lo")
        if self.case_size is not None and not 0 < self.case_size <= CASE_LIMIT:
            raise InvalidInputError(f"a case holds 1 to {CASE_LIMIT} items", field="case_size")
        ordered = sorted(set(self.honey_lines))
        if tuple(ordered) != self.honey_lines or (ordered and not 0 < ordered[0] <= ordered[-1] <= self.lines):
            raise InvalidInputError("line numbers of the file in ascending order are needed", field="honey_lines")
        if not 0 <= self.honey_lo <= INDEX_LIMIT - len(self.honey_lines):
            raise InvalidInputError("there are no such indexes", field="honey_lo")
        if not self.base_url.isascii() or any(mark in self.base_url for mark in '",\r\n'):
            raise InvalidInputError("an address without commas and quotes is needed", field="base_url")


class PressFile:
    """The file of an order. Raises InvalidInputError as the order's check does."""

    def __init__(self, keys: ItemKeys, order: PressOrder) -> None:
        order.check()
        self._keys: Final = keys
        self._order: Final = order

    @property
    def size(self) -> int:
        """How many bytes it has."""
        stretches = _stretches(1, self._order.lines, self._order.case_size)
        return len(HEADER) + sum(count * _Table.width(self._order, first) for first, count in stretches)

    def pieces(self, first: int = 1, last: int | None = None) -> Iterator[memoryview]:
        """The file in pieces of less than a megabyte, or its lines `first` to `last`; before line 1 comes the header.

        A piece is a view of a buffer and holds until the next one is asked for.
        """
        order, mill = self._order, self._keys.mill()
        if first == 1:
            yield memoryview(HEADER)
        table: _Table | None = None
        for start, count in _stretches(first, order.lines if last is None else last, order.case_size):
            if table is None or not table.fits(start):
                table = _Table(order, start)
            for line, length in _rounds(start, count):
                yield table.fill(mill, line, self._indexes(line, length))

    def packed(self) -> Iterator[bytes]:
        """The same as gzip (RFC 1952), a member for every block; equal for equal orders: no name, no time."""
        for number in range(self.blocks):
            yield self.packed_block(number)

    @property
    def blocks(self) -> int:
        """How many blocks of BLOCK_LINES lines there are."""
        return self._order.lines // BLOCK_LINES + 1

    def block(self, number: int) -> Iterator[memoryview]:
        """One block of the file, as `pieces` gives it."""
        first = number * BLOCK_LINES
        return self.pieces(max(first, 1), min(first + BLOCK_LINES - 1, self._order.lines))

    def packed_block(self, number: int) -> bytes:
        """One block as a member of a gzip file."""
        packer = zlib.compressobj(level=_GZIP_LEVEL, wbits=_GZIP)
        packed = [packer.compress(piece) for piece in self.block(number)]
        return b"".join([*packed, packer.flush()])

    def _indexes(self, line: int, count: int) -> NDArray[np.int64]:
        """Which code each of so many lines carries."""
        order = self._order
        before = bisect_left(order.honey_lines, line)
        start = order.lo + line - 1 - before
        index = np.arange(start, start + count, dtype=np.int64)
        for rank in range(before, bisect_left(order.honey_lines, line + count)):
            place = order.honey_lines[rank] - line
            index[place + 1 :] -= 1
            index[place] = order.honey_lo + rank
        return index


class _Number:
    """A column of decimal digits of one width. Numbers grow slowly, so that all but the last four digits seldom do."""

    def __init__(self, rows: NDArray[np.uint8], offset: int, width: int) -> None:
        self._width: Final = width
        upper = max(0, width - 4)
        self._upper: Final = _column(rows, offset, f"V{upper}") if upper else None
        self._lowest: Final = _column(rows, offset + upper, "u4") if upper or width == 4 else None  # noqa: PLR2004
        self._short: Final = rows[:, offset : offset + width]
        self._written = (0, 0, -1)

    def write_lowest(self, rows: slice, lowest: NDArray[np.int64]) -> None:
        """Write the last four digits of each."""
        words = np.take(_DECIMALS, lowest, mode="clip")
        if self._lowest is not None:
            self._lowest[rows] = words
        else:
            self._short[rows] = words.view(np.uint8).reshape(len(words), 4)[:, 4 - self._width :]

    def write_upper(self, rows: slice, number: int) -> None:
        """Write the digits before the last four, which are those of `number` for all these rows."""
        wanted = (rows.start, rows.stop, number)
        if self._upper is not None and self._written != wanted:
            self._upper[rows] = np.void(f"{number:0{self._width - 4}}".encode())
            self._written = wanted


class _Table:
    """Lines of one length. What they have alike is written once; a batch writes the rest over the batch before.

    A batch has as many lines as four digits have numbers.
    """

    def __init__(self, order: PressOrder, line: int) -> None:
        self._order: Final = order
        self._widths: Final = _digits(line, order.case_size)
        parts = _parts(order, *self._widths)
        template = np.frombuffer(b"".join(parts.values()), dtype=np.uint8)
        self._rows: Final = np.tile(template, (BATCH, 1))
        offsets = dict(zip(parts, np.cumsum([0, *(len(part) for part in parts.values())]).tolist(), strict=False))
        self._lines: Final = _Number(self._rows, offsets["seq"], self._widths[0])
        # A line stands in the row of its last four digits, so that these are written here and never again.
        self._lines.write_lowest(slice(0, BATCH), np.arange(BATCH))
        self._cases: Final = _Number(self._rows, offsets["case"], self._widths[1])
        # The serial stands in its own column and, one comma before it, at the end of the address.
        serials = () if order.contents == "pins" else (offsets["serial"] - 1 - SERIAL_LENGTH, offsets["serial"])
        self._serials: Final = [_column(self._rows, place, f"V{SERIAL_LENGTH}") for place in serials]
        # A PIN is two words of three characters and a comma: the second writes over the first one's comma.
        pins = () if order.contents == "serials" else (offsets["pin"], offsets["pin"] + 3)
        self._pins: Final = [_column(self._rows, place, "u4") for place in pins]

    @staticmethod
    def width(order: PressOrder, line: int) -> int:
        """The length of a line in bytes."""
        return sum(len(part) for part in _parts(order, *_digits(line, order.case_size)).values())

    def fits(self, line: int) -> bool:
        """Whether a line is as long as these."""
        return self._widths == _digits(line, self._order.case_size)

    def fill(self, mill: Mill, line: int, index: NDArray[np.int64]) -> memoryview:
        """Write the lines from `line` on, for the codes of these indexes; at most to the next round number."""
        upper, row = divmod(line, BATCH)
        rows = slice(row, row + len(index))
        self._lines.write_upper(rows, upper)
        if self._order.case_size is not None:
            self._write_cases(self._order.case_size, line, rows)
        if self._serials:
            serials = mill.serials(index).view(f"V{SERIAL_LENGTH}").reshape(len(index))
            for column in self._serials:
                column[rows] = serials
        if self._pins:
            words = mill.pins(index)
            for place, column in enumerate(self._pins):
                column[rows] = words[:, place]
        return self._rows[rows].data.cast("B")

    def _write_cases(self, case_size: int, line: int, rows: slice) -> None:
        """Number the cases, a run of `case_size` lines each; those with the same upper digits at once."""
        a_run = case_size * BATCH
        place, row = line - 1 + case_size, rows.start
        while row < rows.stop:
            upper, start = divmod(place, a_run)
            run = slice(row, min(rows.stop, row + a_run - start))
            lowest = np.arange(start, start + run.stop - row, dtype=np.int64)
            self._cases.write_lowest(run, lowest // case_size)
            self._cases.write_upper(run, upper)
            place, row = place + run.stop - row, run.stop


def _parts(order: PressOrder, seq_digits: int, case_digits: int) -> dict[str, bytes]:
    """A line in its parts, with zeros for what differs from line to line."""
    blank = b"0" * SERIAL_LENGTH
    url = format_link(order.base_url, gtin=order.gtin, serial=blank.decode()).encode()
    return {
        "seq": b"0" * seq_digits,
        "url": b"," + (b"" if order.contents == "pins" else url) + b",",
        "serial": (b"" if order.contents == "pins" else blank) + b",",
        "pin": b"" if order.contents == "serials" else b"0" * PIN_LENGTH,
        "": b",",
        "case": b"0" * case_digits,
        "lot": _last_field(order.lot) + b"\r\n",
    }


def _digits(line: int, case_size: int | None) -> tuple[int, int]:
    """How many digits the number of a line and of its case have."""
    return len(str(line)), 0 if case_size is None else len(str((line - 1) // case_size + 1))


def _stretches(first: int, last: int, case_size: int | None) -> Iterator[tuple[int, int]]:
    """Runs of lines, as (first, count), in which neither line nor case gains a digit, so that all are as long."""
    while first <= last:
        seq_digits, case_digits = _digits(first, case_size)
        ends = [last, 10**seq_digits - 1]
        if case_size is not None:
            ends.append((10**case_digits - 1) * case_size)
        yield first, min(ends) - first + 1
        first = min(ends) + 1


def _rounds(first: int, count: int) -> Iterator[tuple[int, int]]:
    """Lines as (first, count), cut where a number is round, so that each lot fits a table."""
    last = first + count - 1
    while first <= last:
        length = min(last, first - first % BATCH + BATCH - 1) - first + 1
        yield first, length
        first += length


def _column(rows: NDArray[np.uint8], offset: int, dtype: str) -> NDArray[Any]:
    """The same few bytes of every line, as an array of words. Unaligned, which costs less than bytes one by one."""
    return np.ndarray((len(rows),), dtype=dtype, buffer=rows.data, offset=offset, strides=(rows.shape[1],))


def _last_field(text: str) -> bytes:
    """A comma and a CSV field, quoted where it must be; the comma belongs to the field before."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["", text])
    return line.getvalue().encode()


def _decimal_table() -> NDArray[np.uint32]:
    """The four digits of every number below 10,000, as a word."""
    numbers = np.arange(BATCH)
    table = np.empty((BATCH, 4), dtype=np.uint8)
    for place in range(4):
        table[:, place] = ord("0") + numbers // 10 ** (3 - place) % 10
    return table.view(np.uint32).reshape(BATCH)


_DECIMALS: Final = _decimal_table()
