"""Packing from a line's scan file: what was scanned into which case, all of it or nothing.

The file is CSV (RFC 4180) in UTF-8. Its first line names the columns: `sscc`, the case or pallet; `code`, what went
into it, an item or a unit that is packed already; and `gtin` where codes are serials alone. Codes and SSCCs may be in
any spelling that a scanner gives: a Digital Link, an element string, a GTIN and a serial. Memory does not grow with the
file beyond the numbers of its units.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.checking import CHECK_LIMIT, check_serials
from loyalty.items.codes import ItemCode
from loyalty.items.gtin import normalise_gtin
from loyalty.items.keys import MasterKeys
from loyalty.items.line_errors import ERRORS_TOLD, LineError, LinesError
from loyalty.items.packing.intervals import intervals_of, subtract
from loyalty.items.packing.packing import Packing, lock_items, overlaps, pack
from loyalty.items.packing.reading import parents_of
from loyalty.items.trace.searching import read_text
from loyalty.kit.errors import DomainError, InvalidInputError, NotFoundError

_COLUMNS: Final = ("sscc", "code", "gtin")
_BATCH: Final = 4_000
"""Lines at once, and as many more as it takes until a unit ends."""
_NOT_OURS: Final = "is not a code of ours"


class PackingFileError(LinesError):
    """A scan file that cannot be packed."""

    type = "invalid-packing-file"
    title = "This scan file cannot be packed"
    undone = "nothing was packed"


class PackedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file packed: its lines, the items named by them, each once, and the units they are in."""

    lines: int
    items: int
    units: int


class _Line(msgspec.Struct, frozen=True):
    """A line that could be read: what goes into `sscc` is an item, or the unit `inner`."""

    number: int
    sscc: str
    gtin: str
    serial: str
    inner: str


async def pack_file(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    lines: Iterable[str],
    gtin: str | None = None,
    repack: bool = False,
    at: datetime | None = None,
    actor: str | None = None,
) -> PackedFile:
    """Pack what the lines of a file say, as `pack` does; `gtin` is that of serials alone in files without its column.

    Lines are read in a thread. A line that says what another said is no fault. Raises PackingFileError naming the lines
    that cannot be packed: no code of ours, no SSCC, packed elsewhere (unless `repack`), in two units of the file.
    """
    # A file of a million lines takes longer than a page may; it is one transaction all the same.
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    reader = _Reader(lines, None if gtin is None else normalise_gtin(gtin))
    packer = _Packer(connection, keys, programme_id, reader, repack=repack)
    packed = 0
    while batch := await asyncio.to_thread(reader.next_batch):
        packings = await packer.prepare(batch)
        if not reader.errors:
            packed += await packer.pack(packings, batch, at=at, actor=actor)
    if reader.errors:
        raise PackingFileError(sorted(reader.errors, key=lambda each: each.line)[:ERRORS_TOLD])
    if reader.count == 0:
        raise PackingFileError([LineError(1, "nothing is scanned in this file")])
    return PackedFile(lines=reader.count, items=packed, units=len(packer.units))


class _Reader:
    """Reads lines in batches that end where a unit ends, and remembers what is wrong with them."""

    def __init__(self, lines: Iterable[str], gtin: str | None) -> None:
        self._gtin: Final = gtin
        self._read: Final = self._each(lines)
        self._ahead: _Line | None = None
        self._unit = ("", "")
        self.errors: list[LineError] = []
        self.count = 0

    def refuse(self, number: int, reason: str) -> None:
        """Remember a line at fault."""
        self.errors.append(LineError(number, reason))

    def next_batch(self) -> list[_Line]:
        """The next lines; none at the end, or where enough are at fault."""
        batch = [] if self._ahead is None else [self._ahead]
        self._ahead = None
        for line in self._read:
            if len(self.errors) >= ERRORS_TOLD:
                return []
            full = len(batch) >= _BATCH and line.sscc != batch[-1].sscc
            if full or len(batch) >= CHECK_LIMIT:
                self._ahead = line
                break
            batch.append(line)
        self.count += len(batch)
        return batch

    def _each(self, lines: Iterable[str]) -> Iterator[_Line]:
        rows = csv.reader(lines, strict=True)
        try:
            columns = self._columns(next(rows, []))
            for row in rows:
                if not row:
                    continue  # an empty line, such as the last one
                if len(row) != len(columns):
                    self.refuse(rows.line_num, f"has {len(row)} fields, not {len(columns)}")
                    continue
                values = dict(zip(columns, (value.strip() for value in row), strict=True))
                try:
                    yield self._line(rows.line_num, values)
                except InvalidInputError as error:
                    self.refuse(rows.line_num, str(error))
        except csv.Error as error:
            self.refuse(rows.line_num, f"is not CSV: {error}")
        except UnicodeDecodeError:
            self.refuse(rows.line_num + 1, "is not UTF-8")

    def _columns(self, header: list[str]) -> list[str]:
        columns = [name.strip().removeprefix("\ufeff").lower() for name in header]
        known = {"sscc", "code"} <= set(columns) <= set(_COLUMNS)
        if not known or len(set(columns)) != len(columns):
            raise PackingFileError([LineError(1, "has to name the columns: sscc, code, and gtin where there is one")])
        return columns

    def _line(self, number: int, values: dict[str, str]) -> _Line:
        """Raises InvalidInputError saying what cannot be read."""
        written, sscc = self._unit
        if values["sscc"] != written:
            sscc = read_text(values["sscc"]).sscc
            if not sscc:
                raise InvalidInputError(f"{values['sscc'][:40]!r} is not an SSCC", field="sscc")
            self._unit = (values["sscc"], sscc)
        if not values["code"]:
            raise InvalidInputError("has no code", field="code")
        named = read_text(values["code"])
        if named.sscc:
            if named.sscc == sscc:
                raise InvalidInputError("a unit cannot lie in itself", field="code")
            return _Line(number, sscc, "", "", named.sscc)
        if named.gtin and named.serial:
            return _Line(number, sscc, named.gtin, named.serial, "")
        gtin = normalise_gtin(values["gtin"]) if values.get("gtin") else self._gtin
        if gtin is None:
            raise InvalidInputError(f"{values['code'][:40]!r} names no item: its GTIN is not known", field="code")
        return _Line(number, sscc, gtin, named.word or values["code"], "")


class _Packer:
    """Proves what was read and packs it, batch by batch."""

    def __init__(
        self, connection: AsyncConnection, keys: MasterKeys, programme_id: UUID, reader: _Reader, *, repack: bool
    ) -> None:
        self._connection: Final = connection
        self._keys: Final = keys
        self._programme_id: Final = programme_id
        self._reader: Final = reader
        self._repack: Final = repack
        self._in_file: Final[dict[str, str]] = {}
        self._earlier: Final[set[str]] = set()
        self.units: Final[set[str]] = set()

    async def prepare(self, batch: list[_Line]) -> list[Packing]:
        """What goes into which unit; lines at fault are remembered."""
        codes = await self._codes(batch)
        contents: dict[str, list[ItemCode]] = {}
        inner: dict[str, list[str]] = {}
        first: dict[ItemCode, _Line] = {}
        for line in batch:
            self.units.add(line.sscc)
            if line.inner:
                other = self._in_file.setdefault(line.inner, line.sscc)
                if other != line.sscc:
                    self._reader.refuse(line.number, f"unit {line.inner} is in unit {other} of this file, too")
                inner.setdefault(line.sscc, []).append(line.inner)
            elif (code := codes.get(line.number)) is not None:
                before = first.setdefault(code, line)
                if before.sscc != line.sscc:
                    self._reader.refuse(line.number, f"is in unit {before.sscc} by line {before.number}, too")
                contents.setdefault(line.sscc, []).append(code)
        await self._find_elsewhere(first)
        await self._find_units_elsewhere([line for line in batch if line.inner])
        self._earlier.update(line.sscc for line in batch)
        return [
            Packing(
                sscc=sscc, items=intervals_of(contents.get(sscc, ())), units=list(dict.fromkeys(inner.get(sscc, ())))
            )
            for sscc in dict.fromkeys(line.sscc for line in batch)
        ]

    async def pack(self, packings: list[Packing], batch: list[_Line], *, at: datetime | None, actor: str | None) -> int:
        """Pack a batch in which no fault was found; how many items it has."""
        how: dict[str, Any] = {"programme_id": self._programme_id, "repack": self._repack, "at": at, "actor": actor}
        try:
            async with self._connection.begin_nested():
                return await pack(self._connection, packings=packings, **how)
        except DomainError as error:  # units in a circle, or too deep: all else was looked at before
            number = next((line.number for line in batch if line.inner), batch[0].number)
            self._reader.refuse(number, str(error))
            return 0

    async def _codes(self, batch: list[_Line]) -> dict[int, ItemCode]:
        """The codes of the lines that name an item of ours, by the lines' numbers."""
        found: dict[int, ItemCode] = {}
        for gtin in sorted({line.gtin for line in batch if line.gtin}):
            lines = [line for line in batch if line.gtin == gtin]
            try:
                checks = await check_serials(
                    self._connection,
                    self._keys,
                    programme_id=self._programme_id,
                    gtin=gtin,
                    serials=[line.serial for line in lines],
                )
            except NotFoundError:
                for line in lines:
                    self._reader.refuse(line.number, f"{gtin} is not a product of yours")
                continue
            for line, check in zip(lines, checks, strict=True):
                if check.code is None or not check.genuine:
                    self._reader.refuse(line.number, f"{line.serial[:40]} {_NOT_OURS}")
                else:
                    found[line.number] = check.code
        return found

    async def _find_elsewhere(self, first: dict[ItemCode, _Line]) -> None:
        """Refuse items that lie in another unit. When repacking, only in one that earlier batches packed into."""
        items = intervals_of(first)
        await lock_items(self._connection, self._programme_id, items)
        for sscc, held in (await overlaps(self._connection, items)).items():
            if self._repack and sscc not in self._earlier:
                continue
            here = intervals_of(code for code, line in first.items() if line.sscc != sscc)
            for taken in subtract(here, subtract(here, held)):
                for index in range(taken.lo, taken.hi + 1):
                    line = first[ItemCode(taken.gtin, taken.kid, index)]
                    self._reader.refuse(line.number, f"lies in unit {sscc} already")

    async def _find_units_elsewhere(self, lines: list[_Line]) -> None:
        """Refuse units that are neither there nor in this file by now, or lie in another unit."""
        parents = await parents_of(self._connection, self._programme_id, {line.inner for line in lines})
        for line in lines:
            if line.inner not in parents and line.inner not in self.units:
                self._reader.refuse(line.number, f"nothing was ever packed into unit {line.inner}")
            elif (parent := parents.get(line.inner)) not in (None, line.sscc) and not self._repack:
                self._reader.refuse(line.number, f"unit {line.inner} lies in unit {parent} already")
