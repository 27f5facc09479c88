"""Requests and answers about lots, printers, exports, imports and checks of codes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from loyalty.items.checking import Check
from loyalty.items.exports import EXPORT_PREFIX, HONEY_LIMIT, Export, ExportContents, ExportState
from loyalty.items.handing_out import DownloadRecord
from loyalty.items.leaks import Leak
from loyalty.items.lots import Lot, LotCount
from loyalty.items.precedence import ExceptionState, ItemState, NextState
from loyalty.items.press import CASE_LIMIT
from loyalty.items.printers import PRINTER_PREFIX, Printer
from loyalty.kit.ids import public_id
from loyalty.web.api.items_schemas import ClaimPoints, Gtin, Label, LocalTextRequest, range_id
from loyalty.web.api.operations import Moment, Person, tell

CHECKS: int = 1000
"""Serials of one request."""
SERIAL_FILE_CHARACTERS: int = 20_000_000

Region = Annotated[str, Meta(min_length=2, max_length=6, description="ISO 3166.", examples=["CN-31"])]
PrinterReference = Annotated[str, Meta(pattern=f"^{PRINTER_PREFIX}_[0-9A-Za-z]{{26}}$", description="A printer's id.")]
LotMove = Literal["printed", "activated", "shipped", "sold", "recalled", "retired", "released"]
"""Where a lot goes; `released` takes a recall back."""


class LotRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a lot was made, how long it is good, and where it is sold."""

    made_on: date | None = None
    expires_on: date | None = None
    region: Region | None = None
    note: Annotated[str, Meta(max_length=2000)] = ""


class LotStateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Move a lot, or recall it. A recall takes effect at the next scan, whatever its codes are in."""

    state: LotMove
    at: Moment | None = None
    place: LocalTextRequest | None = None
    public: bool | None = None
    actor: Person | None = None


class ItemStateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Move one item. With `exempt`, what was said of its range, lot or key by now does not hold for it."""

    gtin: Gtin
    serial: Annotated[str, Meta(min_length=1, max_length=64)]
    state: NextState
    exempt: bool = False
    at: Moment | None = None
    place: LocalTextRequest | None = None
    public: bool | None = None
    actor: Person | None = None


class CheckRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Serials of one product, as they were read."""

    gtin: Gtin
    serials: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(min_length=1, max_length=CHECKS)]


class ImportRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A brand's own serials: CSV whose first line names the columns `serial` and, if there are PINs, `pin`."""

    gtin: Gtin
    file: Annotated[str, Meta(min_length=1, max_length=SERIAL_FILE_CHARACTERS)]
    print_order: Label
    lot: Label | None = None
    region: Region | None = None
    expires_on: date | None = None
    pin_required: bool = False
    points_on_claim: ClaimPoints | None = None


class PrinterRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A printer by name. Files for one with a `recipient`, a public key of age, are encrypted to it."""

    name: Label
    recipient: Annotated[str, Meta(max_length=100, pattern="^age1[02-9ac-hj-np-z]+$")] | None = None
    note: Annotated[str, Meta(max_length=2000)] = ""


class ExportRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a range's codes for a printer, with `honey` codes among them that are on no goods."""

    printer_id: PrinterReference | None = None
    contents: Literal["serials", "all"] = "serials"
    gzip: bool = False
    case_size: Annotated[int, Meta(ge=1, le=CASE_LIMIT)] | None = None
    honey: Annotated[int, Meta(ge=0, le=HONEY_LIMIT)] = 0
    again: bool = False


class PinsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of the PINs that belong to an export of serials, line by line."""

    printer_id: PrinterReference | None = None
    gzip: bool = False
    again: bool = False


class ProductLotAnswer(Struct, frozen=True, kw_only=True):
    """Goods made together. `state` is what is said of all of them; null where their ranges speak for themselves."""

    gtin: str
    code: str
    made_on: date | None
    expires_on: date | None
    region: str | None
    note: str
    state: ExceptionState | None
    state_at: datetime | None
    created_at: datetime


class ProductLotDetails(Struct, frozen=True, kw_only=True):
    """A lot, and how many of its codes are in which state by their ranges."""

    lot: ProductLotAnswer
    codes: list[LotCount]


class ProductLots(Struct, frozen=True, kw_only=True):
    """A page of lots, by GTIN and code."""

    data: list[ProductLotAnswer]
    next_cursor: str | None


class ItemStateAnswer(Struct, frozen=True, kw_only=True):
    """The state of an item, with all that is said of it."""

    gtin: str
    serial: str
    state: ItemState


class CheckAnswer(Struct, frozen=True, kw_only=True):
    """What a serial is; `state` is null where it is no code of this product."""

    serial: str
    genuine: bool
    state: ItemState | None
    lot: str | None


class Checks(Struct, frozen=True, kw_only=True):
    """What each serial is, in the order of the request."""

    data: list[CheckAnswer]


class PrinterAnswer(Struct, frozen=True, kw_only=True):
    """Somebody who prints codes."""

    id: str
    name: str
    recipient: str | None
    note: str
    retired_at: datetime | None
    created_at: datetime


class Printers(Struct, frozen=True, kw_only=True):
    """All printers, retired ones last."""

    data: list[PrinterAnswer]


class ExportAnswer(Struct, frozen=True, kw_only=True):
    """A file of codes. `size` and `sha256` (hexadecimal) are those of the file as it was sent, once all of it was."""

    id: str
    range_id: str
    gtin: str
    kid: int
    lo: int
    hi: int
    lines: int
    honey: int
    printer_id: str | None
    contents: ExportContents
    gzip: bool
    encrypted: bool
    case_size: int | None
    file_name: str
    state: ExportState
    size: int | None
    sha256: str | None
    created_at: datetime
    handed_out_at: datetime | None
    completed_at: datetime | None


class DownloadAnswer(Struct, frozen=True, kw_only=True):
    """Somebody's fetching of an export. `sent_bytes` is null while it runs, or where the server died."""

    at: datetime
    actor: str
    address: str | None
    first_byte: int
    sent_bytes: int | None
    completed: bool
    ended_at: datetime | None


class ExportDetails(Struct, frozen=True, kw_only=True):
    """An export and each time that somebody began to fetch it, newest first."""

    export: ExportAnswer
    downloads: list[DownloadAnswer]


class Exports(Struct, frozen=True, kw_only=True):
    """A page of exports, newest first."""

    data: list[ExportAnswer]
    next_cursor: str | None


class SourceAnswer(Struct, frozen=True, kw_only=True):
    """A file that a honey code stood in, and who it was for."""

    export_id: str
    printer_id: str | None
    printer: str | None


class LeakAnswer(Struct, frozen=True, kw_only=True):
    """A honey code that somebody scanned: its file is out."""

    gtin: str
    serial: str
    first_at: datetime
    last_at: datetime
    times: int
    devices: int
    networks: list[str]
    sources: list[SourceAnswer]


class Leaks(Struct, frozen=True, kw_only=True):
    """Honey codes that were scanned, the last one first."""

    data: list[LeakAnswer]


def lot_answer(lot: Lot) -> ProductLotAnswer:
    """A lot as it is told."""
    return tell(ProductLotAnswer, lot)


def check_answer(check: Check) -> CheckAnswer:
    """What a serial is, as it is told."""
    return tell(CheckAnswer, check, genuine=check.genuine)


def printer_answer(printer: Printer) -> PrinterAnswer:
    """A printer as it is told."""
    return tell(PrinterAnswer, printer, id=printer.public_id)


def export_answer(export: Export) -> ExportAnswer:
    """An export as it is told. Where its honey stands is nobody's business."""
    return tell(
        ExportAnswer,
        export,
        id=export.public_id,
        range_id=range_id(export.range_id),
        honey=len(export.layout.honey_lines),
        printer_id=public_id(PRINTER_PREFIX, export.printer_id) if export.printer_id else None,
        gzip=export.packed,
        encrypted=export.recipient is not None,
        case_size=export.layout.case_size,
        sha256=export.sha256.hex() if export.sha256 else None,
    )


def download_answer(record: DownloadRecord) -> DownloadAnswer:
    """A download as it is told."""
    return tell(DownloadAnswer, record)


def leak_answer(leak: Leak) -> LeakAnswer:
    """A leak as it is told."""
    return tell(
        LeakAnswer,
        leak,
        sources=[
            SourceAnswer(
                export_id=public_id(EXPORT_PREFIX, source.export.id),
                printer_id=source.printer.public_id if source.printer else None,
                printer=source.printer.name if source.printer else None,
            )
            for source in leak.sources
        ],
    )
