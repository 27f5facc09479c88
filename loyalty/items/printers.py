"""Printers: who is handed codes, and the key that what they are handed is encrypted to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.age import Recipient
from loyalty.items.code_tables import printer_table
from loyalty.items.ranges import clean_text
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, public_id

PRINTER_PREFIX: Final = "prn"
_NOTE_LIMIT: Final = 2000
_printer: Final = printer_table.c


class Printer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who prints codes. `recipient` is their public key of age; without one, files are not encrypted."""

    id: UUID
    programme_id: UUID
    name: str
    recipient: str | None
    note: str
    retired_at: datetime | None
    created_at: datetime

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id(PRINTER_PREFIX, self.id)


async def save_printer(
    connection: AsyncConnection, *, programme_id: UUID, name: str, recipient: str | None = None, note: str = ""
) -> Printer:
    """Create a printer, or change the one of this name; a retired one is back then.

    Exports that were made keep the key they were made for. Raises InvalidInputError naming the field.
    """
    cleaned = clean_text(name, field="name")
    if not cleaned:
        raise InvalidInputError("a printer needs a name", field="name")
    if len(note) > _NOTE_LIMIT:
        raise InvalidInputError(f"a note has at most {_NOTE_LIMIT} characters", field="note")
    key = Recipient(recipient).text if recipient else None
    saved = insert(printer_table).values(
        id=new_id(), programme_id=programme_id, name=cleaned, recipient=key, note=note.strip()
    )
    saved = saved.on_conflict_do_update(
        index_elements=["programme_id", "name"],
        set_={"recipient": saved.excluded.recipient, "note": saved.excluded.note, "retired_at": None},
    )
    return _read((await connection.execute(saved.returning(printer_table))).mappings().one())


async def list_printers(connection: AsyncConnection, *, programme_id: UUID) -> list[Printer]:
    """A programme's printers by name, retired ones last."""
    query = select(printer_table).where(_printer.programme_id == programme_id)
    rows = await connection.execute(query.order_by(_printer.retired_at.is_not(None), _printer.name))
    return [_read(row) for row in rows.mappings()]


async def get_printer(connection: AsyncConnection, *, programme_id: UUID, printer_id: UUID) -> Printer:
    """A printer by its id. Raises NotFoundError."""
    return await _find(connection, programme_id, _printer.id == printer_id)


async def get_printer_by_name(connection: AsyncConnection, *, programme_id: UUID, name: str) -> Printer:
    """A printer by its name. Raises NotFoundError."""
    return await _find(connection, programme_id, _printer.name == name.strip())


async def retire_printer(connection: AsyncConnection, *, programme_id: UUID, printer_id: UUID) -> Printer:
    """Hand nothing more to a printer. Raises NotFoundError."""
    retired = (
        update(printer_table)
        .where(_printer.id == printer_id, _printer.programme_id == programme_id)
        .values(retired_at=func.coalesce(_printer.retired_at, func.now()))
    )
    row = (await connection.execute(retired.returning(printer_table))).mappings().first()
    if row is None:
        raise NotFoundError("there is no such printer", field="printer")
    return _read(row)


async def _find(connection: AsyncConnection, programme_id: UUID, condition: Any) -> Printer:
    query = select(printer_table).where(_printer.programme_id == programme_id, condition)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NotFoundError("there is no such printer", field="printer")
    return _read(row)


def _read(values: RowMapping | Mapping[str, Any]) -> Printer:
    return Printer(**{name: values[name] for name in Printer.__struct_fields__})
