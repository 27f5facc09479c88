"""Exports: the files of codes that were made for printers, which together are the print manifest.

An export pins everything that its bytes follow from, so that a download that broke off goes on where it stopped and its
hash says for ever what was handed out. Honey codes are drawn for each export by itself and stand at places of its file
that nobody can foresee: a scan of one names the file, and with it the printer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import code_export_table
from loyalty.items.codes import ItemCode
from loyalty.items.imported import IMPORTED_KID
from loyalty.items.key_records import refuse_compromised
from loyalty.items.press import Contents, PressOrder
from loyalty.items.printers import get_printer
from loyalty.items.ranges import CodeRange, get_range, lock_series, open_range
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, public_id

EXPORT_PREFIX: Final = "exp"
HONEY_LIMIT: Final = 1000
"""The most honey codes of one export. A handful in a file is enough: each is as likely to be sold on as any other."""

ExportState = Literal["ready", "begun", "completed", "withdrawn"]
ExportContents = Contents | Literal["labels"]
"""What was handed out: columns of the file for the press, or sheets of labels."""

_export: Final = code_export_table.c


class CodesHandedOutError(ConflictError):
    """These codes are in another file already."""

    type = "codes-handed-out"
    title = "These codes were handed out before"


class ExportStateError(ConflictError):
    """An export cannot be fetched, or withdrawn, any more; or somebody else is fetching it."""

    type = "export-state"
    title = "This export cannot be handed out"


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A file of codes made for somebody: those from `lo` to `hi`, and the honey among them.

    `handed_out_at` is when somebody first began to fetch it, `completed_at` when all of it had been sent; `sha256` and
    `size` are then those of the file as it was sent. `codes_sha256` is that of the list of its codes, if one is kept.
    """

    id: UUID
    programme_id: UUID
    range_id: UUID
    gtin: str
    kid: int
    lo: int
    hi: int
    printer_id: UUID | None
    contents: ExportContents
    layout: PressOrder
    packed: bool
    recipient: str | None
    honey_lo: int | None
    honey_hi: int | None
    lines: int
    state: ExportState
    holder: str | None
    size: int | None
    sha256: bytes | None
    codes_sha256: bytes | None
    created_at: datetime
    created_by: str | None
    handed_out_at: datetime | None
    completed_at: datetime | None

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id(EXPORT_PREFIX, self.id)

    @property
    def file_name(self) -> str:
        """What the file is called: its endings say how to open it."""
        return f"{self.public_id}.csv{'.gz' if self.packed else ''}{'.age' if self.recipient else ''}"


async def create_export(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    range_id: UUID,
    base_url: str,
    printer_id: UUID | None = None,
    contents: Contents = "serials",
    packed: bool = False,
    case_size: int | None = None,
    honey: int = 0,
    again: bool = False,
    actor: str | None = None,
) -> Export:
    """Make a file of a range's codes for a printer; nothing is handed out before somebody fetches it.

    It is encrypted where the printer has a key. `honey` codes are added among the others. With `again`, codes that are
    in another file already are put into this one, too. For the PINs of an export of serials see create_pins_export.

    Raises NotFoundError, InvalidInputError naming the field, CodesHandedOutError, KeyCompromisedError.
    """
    if contents == "pins":
        raise InvalidInputError("PINs follow an export of serials: say of which", field="contents")
    found = await get_range(connection, programme_id=programme_id, range_id=range_id)
    await _refuse_unexportable(connection, found)
    if not 0 <= honey <= HONEY_LIMIT:
        raise InvalidInputError(f"an export has up to {HONEY_LIMIT} honey codes", field="honey")
    # Two who export a range at once: the second one sees what the first one made.
    await lock_series(connection, programme_id=programme_id, gtin=found.gtin, kid=found.kid)
    if not again:
        await _refuse_handed_out(connection, found, contents)
    identifier = new_id()
    layout = PressOrder(
        gtin=found.gtin,
        kid=found.kid,
        lo=found.lo,
        hi=found.hi,
        base_url=base_url,
        lot=found.lot or "",
        contents=contents,
        case_size=case_size,
    )
    if honey:
        drawn = await open_range(
            connection,
            programme_id=programme_id,
            gtin=found.gtin,
            kid=found.kid,
            count=honey,
            print_order=found.print_order,
            honey_export_id=identifier,
        )
        places = secrets.SystemRandom().sample(range(1, found.count + honey + 1), honey)
        layout = msgspec.structs.replace(layout, honey_lo=drawn.lo, honey_lines=tuple(sorted(places)))
    layout.check()
    return await _insert(
        connection,
        found,
        layout,
        identifier=identifier,
        contents=contents,
        printer_id=printer_id,
        packed=packed,
        actor=actor,
    )


async def create_pins_export(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    export_id: UUID,
    printer_id: UUID | None = None,
    packed: bool = False,
    again: bool = False,
    actor: str | None = None,
) -> Export:
    """Make the file of the PINs that belong to an export of serials, line by line, for another printer.

    Raises NotFoundError, InvalidInputError naming the field, CodesHandedOutError, KeyCompromisedError.
    """
    serials = await get_export(connection, programme_id=programme_id, export_id=export_id)
    if serials.contents != "serials":
        raise InvalidInputError("that export holds no serials without PINs", field="export")
    if printer_id is not None and printer_id == serials.printer_id:
        raise InvalidInputError("this printer has the serials; PINs go to another one", field="printer")
    found = await get_range(connection, programme_id=programme_id, range_id=serials.range_id)
    await _refuse_unexportable(connection, found)
    await lock_series(connection, programme_id=programme_id, gtin=serials.gtin, kid=serials.kid)
    if not again:
        await _refuse_handed_out(connection, found, "pins")
    return await _insert(
        connection,
        msgspec.structs.replace(found, lo=serials.lo, hi=serials.hi),
        msgspec.structs.replace(serials.layout, contents="pins"),
        identifier=new_id(),
        contents="pins",
        printer_id=printer_id,
        packed=packed,
        actor=actor,
    )


async def record_labels(
    connection: AsyncConnection, found: CodeRange, *, lo: int, hi: int, base_url: str, actor: str | None
) -> Export:
    """Write down that labels of some codes of a range were drawn for somebody. Raises KeyCompromisedError."""
    await _refuse_unexportable(connection, found)
    layout = PressOrder(gtin=found.gtin, kid=found.kid, lo=lo, hi=hi, base_url=base_url, contents="serials")
    made = await _insert(
        connection,
        msgspec.structs.replace(found, lo=lo, hi=hi),
        layout,
        identifier=new_id(),
        contents="labels",
        printer_id=None,
        packed=False,
        actor=actor,
    )
    done = {"state": "completed", "handed_out_at": made.created_at, "completed_at": made.created_at}
    await connection.execute(update(code_export_table).where(*this_export(made)).values(done))
    return await get_export(connection, programme_id=found.programme_id, export_id=made.id)


async def get_export(connection: AsyncConnection, *, programme_id: UUID, export_id: UUID) -> Export:
    """An export by its id. Raises NotFoundError."""
    query = select(code_export_table).where(_export.id == export_id, _export.programme_id == programme_id)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NotFoundError("there is no such export in this programme", field="export")
    return export_from_row(row)


async def list_exports(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    range_ids: list[UUID] | None = None,
    before: UUID | None = None,
    limit: int = 100,
) -> list[Export]:
    """A programme's exports made before the export `before`, newest first; of these print orders (origins) if asked."""
    query = select(code_export_table).where(_export.programme_id == programme_id)
    if range_ids is not None:
        query = query.where(_export.range_id.in_(range_ids))
    if before is not None:
        query = query.where(_export.id < before)
    rows = await connection.execute(query.order_by(_export.id.desc()).limit(limit))
    return [export_from_row(row) for row in rows.mappings()]


async def exports_of(connection: AsyncConnection, code: ItemCode) -> list[Export]:
    """The exports whose files hold a code, oldest first; of a honey code, the one it was drawn for and its PINs'."""
    named = and_(_export.lo <= code.index, _export.hi >= code.index)
    honey = and_(_export.honey_lo <= code.index, _export.honey_hi >= code.index)
    query = select(code_export_table).where(_export.gtin == code.gtin, _export.kid == code.kid, named | honey)
    rows = await connection.execute(query.order_by(_export.id))
    return [export_from_row(row) for row in rows.mappings()]


async def withdraw_export(connection: AsyncConnection, *, programme_id: UUID, export_id: UUID) -> Export:
    """Let nobody fetch an export any more. Raises NotFoundError, ExportStateError where all of it was handed out."""
    found = await get_export(connection, programme_id=programme_id, export_id=export_id)
    withdrawn = update(code_export_table).where(*this_export(found), _export.state.in_(("ready", "begun", "withdrawn")))
    row = (
        (await connection.execute(withdrawn.values(state="withdrawn").returning(code_export_table))).mappings().first()
    )
    if row is None:
        raise ExportStateError("all of it was handed out already", field="export", state="completed")
    return export_from_row(row)


def export_from_row(values: RowMapping | Mapping[str, Any]) -> Export:
    """Read the columns of the export table, by their names."""
    fields = {name: values[name] for name in Export.__struct_fields__}
    return Export(**fields | {"layout": msgspec.convert(values["layout"], PressOrder)})


def this_export(export: Export) -> tuple[Any, ...]:
    """The condition that names one export's row by its whole key."""
    return (_export.gtin == export.gtin, _export.kid == export.kid, _export.lo == export.lo, _export.id == export.id)


async def _refuse_unexportable(connection: AsyncConnection, found: CodeRange) -> None:
    if found.kid == IMPORTED_KID:
        raise InvalidInputError("imported serials were printed by somebody else", field="range")
    if found.honey_export_id is not None:
        raise NotFoundError("there is no such range of codes in this programme", field="range")
    await refuse_compromised(connection, programme_id=found.programme_id, kid=found.kid)


async def _refuse_handed_out(connection: AsyncConnection, found: CodeRange, contents: Contents) -> None:
    same = ("pins", "all") if contents == "pins" else ("serials", "all", "labels")
    query = (
        select(_export.id)
        .where(_export.gtin == found.gtin, _export.kid == found.kid, _export.state != "withdrawn")
        .where(_export.lo <= found.hi, _export.hi >= found.lo, _export.contents.in_(same))
        .limit(1)
    )
    earlier = await connection.scalar(query)
    if earlier is not None:
        message = (
            f"some of these codes are in {public_id(EXPORT_PREFIX, earlier)}; withdraw it, or ask for them again: "
            "codes in two files are in two hands"
        )
        raise CodesHandedOutError(message, field="again", export=public_id(EXPORT_PREFIX, earlier))


async def _insert(
    connection: AsyncConnection,
    found: CodeRange,
    layout: PressOrder,
    *,
    identifier: UUID,
    contents: ExportContents,
    printer_id: UUID | None,
    packed: bool,
    actor: str | None,
) -> Export:
    recipient = None
    if printer_id is not None:
        printer = await get_printer(connection, programme_id=found.programme_id, printer_id=printer_id)
        if printer.retired_at is not None:
            raise InvalidInputError("this printer is handed nothing more", field="printer")
        recipient = printer.recipient
    honey = len(layout.honey_lines)
    values = {
        "id": identifier,
        "programme_id": found.programme_id,
        "range_id": found.origin_id,
        "gtin": found.gtin,
        "kid": found.kid,
        "lo": found.lo,
        "hi": found.hi,
        "printer_id": printer_id,
        "contents": contents,
        "layout": layout,
        "packed": packed,
        "recipient": recipient,
        "honey_lo": layout.honey_lo if honey else None,
        "honey_hi": layout.honey_lo + honey - 1 if honey else None,
        "lines": layout.lines,
        "state": "ready",
        "created_at": utc_now(),
        "created_by": actor,
    }
    made = insert(code_export_table).values(values).returning(code_export_table)
    return export_from_row((await connection.execute(made)).mappings().one())
