"""Reading a brand's own serials from a file: checked line by line, copied in as they are read, all of them or none.

The file is CSV (RFC 4180) in UTF-8. Its first line names the columns: `serial`, and `pin` where items have a code under
a scratch-off. Memory does not grow with the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import AsyncConnection as DriverConnection
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import PIN_LENGTH
from loyalty.items.imported import IMPORTED_KID, SERIAL_LIMIT, pin_digest
from loyalty.items.keys import MasterKeys
from loyalty.items.line_errors import ERRORS_TOLD, LineError, LinesError
from loyalty.items.products import get_product
from loyalty.items.ranges import CodeRange, RangePolicy, open_range
from loyalty.kit.ids import new_id

_SERIAL: Final = re.compile(r"""[!"%&'()*+,\-./0-9:;<=>?A-Z_a-z]{1,20}""")
"""GS1's set of 82 characters (General Specifications, figure 7.11-1)."""
_PIN: Final = re.compile("[!-~]{4,20}")
_COLUMNS: Final = ("serial", "pin")
_BATCH: Final = 10_000
_COPY: Final = "COPY imported_line (import_id, line, serial, pin_digest) FROM STDIN"
_TWICE: Final = text("""
    SELECT line, first FROM (
        SELECT line, min(line) OVER (PARTITION BY serial) AS first FROM imported_line WHERE import_id = :import
    ) AS lines WHERE line <> first ORDER BY line LIMIT :most
""")
_KNOWN: Final = text("""
    SELECT l.line FROM imported_line AS l JOIN imported_code AS c ON c.gtin = :gtin AND c.serial = l.serial
    WHERE l.import_id = :import ORDER BY l.line LIMIT :most
""")
_KEEP: Final = text("""
    INSERT INTO imported_code (gtin, serial, index, programme_id, pin_digest)
    SELECT :gtin, serial, :lo - 1 + row_number() OVER (ORDER BY line), :programme, pin_digest
    FROM imported_line WHERE import_id = :import
""")
_FORGET: Final = text("DELETE FROM imported_line WHERE import_id = :import")


class SerialFileError(LinesError):
    """A file of serials that cannot be taken."""

    type = "invalid-serial-file"
    title = "This file of serials cannot be taken"
    undone = "nothing was imported"


class _Line(msgspec.Struct, frozen=True):
    number: int
    serial: str
    pin: str | None


async def import_serials(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    gtin: str,
    lines: Iterable[str],
    print_order: str,
    lot: str | None = None,
    region: str | None = None,
    expires_on: date | None = None,
    policy: RangePolicy | None = None,
    actor: str | None = None,
) -> CodeRange:
    """Take a product's own serials from the lines of a file as one range in state `issued`, of key id 0.

    Raises SerialFileError naming the lines that cannot be taken, NotFoundError where there is no such product,
    InvalidInputError naming the field.
    """
    product = await get_product(connection, programme_id=programme_id, gtin=gtin)
    policy = policy or RangePolicy()
    identifier = new_id()
    # A file of millions takes longer than a page may; it is one transaction all the same.
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    reader = _Reader(keys, product.gtin, pins=policy.pin_required)
    count = await _copy(connection, identifier, reader, lines)
    reader.raise_errors()
    if count == 0:
        raise SerialFileError([LineError(1, "there are no serials in this file")])
    parameters: dict[str, Any] = {"import": identifier, "gtin": product.gtin, "most": ERRORS_TOLD}
    for query, say in ((_TWICE, _said_twice), (_KNOWN, _said_known)):
        found = (await connection.execute(query, parameters)).all()
        if found:
            raise SerialFileError([say(row) for row in found])
    opened = await open_range(
        connection,
        programme_id=programme_id,
        gtin=product.gtin,
        kid=IMPORTED_KID,
        count=count,
        print_order=print_order,
        lot=lot,
        region=region,
        expires_on=expires_on,
        policy=policy,
        actor=actor,
    )
    await connection.execute(_KEEP, {**parameters, "lo": opened.lo, "programme": programme_id})
    await connection.execute(_FORGET, {"import": identifier})
    return opened


class _Reader:
    """Reads and checks lines, and remembers what is wrong with them."""

    def __init__(self, keys: MasterKeys, gtin: str, *, pins: bool) -> None:
        self._keys: Final = keys
        self._gtin: Final = gtin
        self._pins: Final = pins
        self._errors: list[LineError] = []

    def raise_errors(self) -> None:
        """Raise SerialFileError where a line was wrong."""
        if self._errors:
            raise SerialFileError(self._errors)

    def kept_pin(self, pin: str | None) -> str:
        """What is kept of a PIN, as COPY reads it."""
        return r"\N" if pin is None else rf"\\x{pin_digest(self._keys, self._gtin, pin).hex()}"

    def batches(self, lines: Iterable[str]) -> Iterator[list[_Line]]:
        """The lines in batches, until some are wrong."""
        read = self._read(lines)
        while not self._errors and (batch := list(islice(read, _BATCH))):
            ours, _ = self._keys.verify_many(self._gtin, [line.serial for line in batch])
            for line, kid in zip(batch, ours.tolist(), strict=True):
                if kid >= 0:
                    self._refuse(line.number, "is a code that one of your own keys made")
            if not self._errors:
                yield batch

    def _read(self, lines: Iterable[str]) -> Iterator[_Line]:
        rows = csv.reader(lines, strict=True)
        columns = self._columns(next(rows, []))
        try:
            for row in rows:
                if len(self._errors) >= ERRORS_TOLD:
                    return
                if not row:
                    continue  # an empty line, such as the last one
                reason = self._fault(row, columns)
                if reason is not None:
                    self._refuse(rows.line_num, reason)
                elif not self._errors:
                    pin = row[columns.index("pin")].strip() if "pin" in columns else ""
                    yield _Line(rows.line_num, row[columns.index("serial")].strip(), pin or None)
        except csv.Error as error:
            self._refuse(rows.line_num, f"is not CSV: {error}")
        except UnicodeDecodeError:
            self._refuse(rows.line_num + 1, "is not UTF-8")

    def _columns(self, header: list[str]) -> list[str]:
        columns = [name.strip().removeprefix("\ufeff").lower() for name in header]
        if "serial" not in columns or len(set(columns)) != len(columns) or not set(columns) <= set(_COLUMNS):
            raise SerialFileError([LineError(1, "has to name the columns: serial, and pin where there are PINs")])
        if self._pins and "pin" not in columns:
            raise SerialFileError([LineError(1, "names no column pin, and claiming these items shall take one")])
        return columns

    def _fault(self, row: list[str], columns: list[str]) -> str | None:
        if len(row) != len(columns):
            return f"has {len(row)} fields, not {len(columns)}"
        values = dict(zip(columns, (value.strip() for value in row), strict=True))
        if not _SERIAL.fullmatch(values["serial"]):
            return _say_serial(values["serial"])
        pin = values.get("pin", "")
        if not pin and self._pins:
            return "has no PIN"
        if pin and not _PIN.fullmatch(pin):
            return f"a PIN has 4 to 20 characters without blanks, such as {PIN_LENGTH} letters and digits"
        return None

    def _refuse(self, number: int, reason: str) -> None:
        self._errors.append(LineError(number, reason))


def _say_serial(serial: str) -> str:
    if not serial:
        return "has no serial"
    if len(serial) > SERIAL_LIMIT:
        return f"the serial has {len(serial)} characters; GS1 allows {SERIAL_LIMIT}"
    strange = next((character for character in serial if not _SERIAL.fullmatch(character)), "")
    return f"{strange!r} is not a character that GS1 allows in a serial"


def _said_twice(row: Row[Any]) -> LineError:
    return LineError(row.line, f"is the same as line {row.first}")


def _said_known(row: Row[Any]) -> LineError:
    return LineError(row.line, "was imported before")


async def _copy(connection: AsyncConnection, identifier: UUID, reader: _Reader, lines: Iterable[str]) -> int:
    """Copy the lines into the table they wait in; how many there were."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, DriverConnection)  # noqa: S101  (create_engine says psycopg)
    count = 0
    async with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        for batch in reader.batches(lines):
            # No character of a serial needs escaping here.
            block = [f"{identifier}\t{line.number}\t{line.serial}\t{reader.kept_pin(line.pin)}\n" for line in batch]
            await copy.write("".join(block))
            count += len(batch)
    return count
