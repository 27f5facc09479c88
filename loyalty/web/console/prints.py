"""A print order: its parts, its files for printers, and who fetched them; printers, and files that leaked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.digital_link import format_link
from loyalty.items.exports import (
    EXPORT_PREFIX,
    HONEY_LIMIT,
    CodesHandedOutError,
    Export,
    ExportStateError,
    create_export,
    create_pins_export,
    get_export,
    list_exports,
    record_labels,
    withdraw_export,
)
from loyalty.items.handing_out import begin_download, list_downloads
from loyalty.items.key_records import KeyCompromisedError
from loyalty.items.labels import LABELS_LIMIT, SHEETS, Label, label_sheet
from loyalty.items.leaks import list_leaks
from loyalty.items.printers import (
    PRINTER_PREFIX,
    get_printer,
    list_printers,
    retire_printer,
    save_printer,
)
from loyalty.items.products import get_product
from loyalty.items.ranges import CodeRange, get_range, list_ranges
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError, InvalidInputError, NotFoundError
from loyalty.kit.ids import parse_public_id
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import network_address, read_form, see_other
from loyalty.web.handing_out import pieces_of
from loyalty.web.security.staff_actions import record_action
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

_REFUSED: Final = 422
_PARTS: Final = 200
_LEAK_DAYS: Final = 365
_EXPORT_FIELDS: Final = ("printer", "contents", "case_size", "honey", "gzip", "again")
_LABEL_FIELDS: Final = ("sheet", "first", "count", "marks")
_PRINTER_FIELDS: Final = ("name", "recipient", "note")
_ORDERS: Final = "/console/codes"
_PRINTERS: Final = "/console/printers"
_SAID: Final[dict[type[DomainError], str]] = {
    CodesHandedOutError: "handed_out",
    ExportStateError: "spent",
    KeyCompromisedError: "leaked",
}


@get("/codes/{range_id:str}")
async def show_print_order(
    request: Request[Any, Any, Any], services: NamedDependency[Services], range_id: FromPath[str]
) -> Response[Any]:
    """One print order, by the id of any of its parts."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show(request, connection, desk, range_id)


async def _show(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    range_id: str,
    *,
    form: dict[str, str] | None = None,
    error: DomainError | None = None,
) -> Response[Any]:
    programme_id = desk.programme.id
    found = await get_range(connection, programme_id=programme_id, range_id=_range_uuid(range_id))
    parts = await list_ranges(connection, programme_id=programme_id, origin_id=found.origin_id, limit=_PARTS)
    exports = await list_exports(connection, programme_id=programme_id, range_ids=[found.origin_id])
    printers = await list_printers(connection, programme_id=programme_id)
    return console_page(
        request,
        "console/print_order.html",
        desk,
        section="codes",
        status_code=_REFUSED if error else 200,
        here=f"{_ORDERS}/{range_id}",
        order=found,
        product=await get_product(connection, programme_id=programme_id, gtin=found.gtin),
        parts_of_order=sorted(parts, key=lambda part: part.lo),
        exports=exports,
        downloads=await list_downloads(connection, export_ids=[each.id for each in exports]),
        printers=[printer for printer in printers if printer.retired_at is None],
        printer_names={printer.id: printer.name for printer in printers},
        may_export=desk.staff.may("admin"),
        sheets=sorted(SHEETS),
        labels_limit=LABELS_LIMIT,
        honey_limit=HONEY_LIMIT,
        form=form or dict.fromkeys(_EXPORT_FIELDS, ""),
        notice=_say(request, desk, error),
    )


@post("/codes/{range_id:str}/exports", status_code=303)
async def make_export(
    request: Request[Any, Any, Any], services: NamedDependency[Services], range_id: FromPath[str]
) -> Response[Any]:
    """Make a file of a part's codes for a printer."""
    form = await read_form(request, *_EXPORT_FIELDS)

    async def work(connection: AsyncConnection, desk: Desk) -> None:
        await create_export(
            connection,
            programme_id=desk.programme.id,
            range_id=_range_uuid(range_id),
            base_url=services.settings.public_url,
            printer_id=_printer_uuid(form["printer"]),
            contents="all" if form["contents"] == "all" else "serials",
            packed=form["gzip"] == "yes",
            case_size=_number(form["case_size"], "case_size"),
            honey=_number(form["honey"], "honey") or 0,
            again=form["again"] == "yes",
            actor=_actor(desk),
        )

    return await _do(request, services, range_id, work, form=form)


@post("/codes/{range_id:str}/exports/{export_id:str}/pins", status_code=303)
async def make_pins_export(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    range_id: FromPath[str],
    export_id: FromPath[str],
) -> Response[Any]:
    """Make the file of the PINs that belong to an export, for another printer."""
    form = await read_form(request, "printer")

    async def work(connection: AsyncConnection, desk: Desk) -> None:
        await create_pins_export(
            connection,
            programme_id=desk.programme.id,
            export_id=_export_uuid(export_id),
            printer_id=_printer_uuid(form["printer"]),
            actor=_actor(desk),
        )

    return await _do(request, services, range_id, work)


@post("/codes/{range_id:str}/exports/{export_id:str}/withdraw", status_code=303)
async def withdraw(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    range_id: FromPath[str],
    export_id: FromPath[str],
) -> Response[Any]:
    """Let nobody fetch an export any more."""

    async def work(connection: AsyncConnection, desk: Desk) -> None:
        await withdraw_export(connection, programme_id=desk.programme.id, export_id=_export_uuid(export_id))

    return await _do(request, services, range_id, work)


async def _do(
    request: Request[Any, Any, Any],
    services: Services,
    range_id: str,
    work: Callable[[AsyncConnection, Desk], Awaitable[None]],
    *,
    form: dict[str, str] | None = None,
) -> Response[Any]:
    """Do something an administrator may, and show the print order again: with a word where it was refused."""
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            await work(connection, desk)
    except (InvalidInputError, CodesHandedOutError, ExportStateError, KeyCompromisedError) as error:
        async with services.transaction() as connection:
            return await _show(request, connection, desk, range_id, form=form, error=error)
    return see_other(f"{_ORDERS}/{range_id}#exports")


@post("/codes/{range_id:str}/exports/{export_id:str}/file", status_code=200)
async def fetch_export(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    range_id: FromPath[str],
    export_id: FromPath[str],
) -> Response[Any] | Stream:
    """The file, once. Whoever has it can print these codes, so who took it is written down."""
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            export = await get_export(connection, programme_id=desk.programme.id, export_id=_export_uuid(export_id))
            download = await begin_download(
                connection,
                services.item_keys,
                programme_id=desk.programme.id,
                export_id=export.id,
                actor=_actor(desk),
                address=network_address(request) or None,
            )
            await _record(connection, desk, export.range_id)
    except (ExportStateError, KeyCompromisedError) as error:
        async with services.transaction() as connection:
            return await _show(request, connection, desk, range_id, error=error)
    headers = _attachment(export.file_name)
    if download.size is not None:
        headers["Content-Length"] = str(download.size)
    return Stream(pieces_of(services, download), media_type=_media_type(export), headers=headers)


@post("/codes/{range_id:str}/labels.pdf", status_code=200)
async def download_labels(
    request: Request[Any, Any, Any], services: NamedDependency[Services], range_id: FromPath[str]
) -> Response[Any]:
    """Labels of some codes of a part as a PDF, which is written down like any other file of codes."""
    form = await read_form(request, *_LABEL_FIELDS)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            found = await get_range(connection, programme_id=desk.programme.id, range_id=_range_uuid(range_id))
            lo, hi = _labels_asked(form, found)
            base_url = services.settings.public_url
            await record_labels(connection, found, lo=lo, hi=hi, base_url=base_url, actor=_actor(desk))
            await _record(connection, desk, found.origin_id)
    except (InvalidInputError, KeyCompromisedError) as error:
        async with services.transaction() as connection:
            return await _show(request, connection, desk, range_id, error=error)
    pdf = await asyncio.to_thread(
        _draw_labels, services, found, (lo, hi), form["sheet"], crop_marks=form["marks"] == "yes"
    )
    return Response(pdf, media_type="application/pdf", headers=_attachment(f"{found.public_id}.pdf"))


def _labels_asked(form: dict[str, str], found: CodeRange) -> tuple[int, int]:
    first, count = _number(form["first"], "first") or 1, _number(form["count"], "count") or LABELS_LIMIT
    if not (1 <= first <= found.count and 1 <= count <= LABELS_LIMIT):
        raise InvalidInputError("there are no such labels", field="first")
    lo = found.lo + first - 1
    return lo, min(found.hi, lo + count - 1)


def _draw_labels(
    services: Services, found: CodeRange, interval: tuple[int, int], sheet: str, *, crop_marks: bool
) -> bytes:
    keys, (lo, hi) = services.item_keys.for_product(found.gtin, found.kid), interval
    labels = [
        Label(
            url=format_link(services.settings.public_url, gtin=found.gtin, serial=serial),
            gtin=found.gtin,
            serial=serial,
        )
        for serial in keys.mint_many(lo, hi - lo + 1).astype(str).tolist()
    ]
    chosen = SHEETS.get(sheet, SHEETS["a4-24"])
    return label_sheet(labels, sheet=chosen, title=found.print_order, crop_marks=crop_marks)


@get("/printers")
async def show_printers(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Who prints codes, and whose file is out."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show_printers(request, services, connection, desk)


async def _show_printers(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    *,
    form: dict[str, str] | None = None,
    error: DomainError | None = None,
) -> Response[Any]:
    t, _ = words(request, desk)
    wrong = {error.field or "name": t(f"prints.printer.{error.field or 'name'}_invalid")} if error else {}
    since = utc_now() - timedelta(_LEAK_DAYS)
    return console_page(
        request,
        "console/printers.html",
        desk,
        section="codes",
        status_code=_REFUSED if error else 200,
        here=_PRINTERS,
        printers=await list_printers(connection, programme_id=desk.programme.id),
        leaks=await list_leaks(connection, services.item_keys, programme_id=desk.programme.id, since=since),
        may_change=desk.staff.may("admin"),
        form=form or dict.fromkeys(_PRINTER_FIELDS, ""),
        errors=wrong,
    )


@post("/printers", status_code=303)
async def add_printer(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Add a printer, or change the one of this name."""
    form = await read_form(request, *_PRINTER_FIELDS, limit=2000)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            await save_printer(
                connection,
                programme_id=desk.programme.id,
                name=form["name"],
                recipient=form["recipient"] or None,
                note=form["note"],
            )
    except InvalidInputError as error:
        async with services.transaction() as connection:
            return await _show_printers(request, services, connection, desk, form=form, error=error)
    return see_other(_PRINTERS)


@post("/printers/{printer_id:str}/retire", status_code=303)
async def retire(
    request: Request[Any, Any, Any], services: NamedDependency[Services], printer_id: FromPath[str]
) -> Response[Any]:
    """Hand nothing more to a printer."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection, role="admin")
        identifier = parse_public_id(PRINTER_PREFIX, printer_id, field="printer")
        found = await get_printer(connection, programme_id=desk.programme.id, printer_id=identifier)
        await retire_printer(connection, programme_id=desk.programme.id, printer_id=found.id)
    return see_other(_PRINTERS)


async def _record(connection: AsyncConnection, desk: Desk, range_id: UUID) -> None:
    await record_action(
        connection,
        programme_id=desk.programme.id,
        staff_id=desk.staff.id,
        action="download-codes",
        subject_id=range_id,
    )


def _say(request: Request[Any, Any, Any], desk: Desk, error: DomainError | None) -> str | None:
    """A refusal in the reader's words."""
    if error is None:
        return None
    t, _ = words(request, desk)
    known = {"honey", "case_size", "printer", "first", "count"}
    kind = _SAID.get(type(error)) or (error.field if error.field in known else "other")
    return t(f"prints.refused.{kind}")


def _number(text: str, field: Literal["case_size", "honey", "first", "count"]) -> int | None:
    digits = text.replace(",", "").replace(" ", "")
    if not digits:
        return None
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidInputError("a whole number is needed", field=field)
    return int(digits[:12])


def _actor(desk: Desk) -> str:
    return f"staff:{desk.staff.username}"


def _range_uuid(text: str) -> UUID:
    return parse_public_id("rng", text, field="range")


def _export_uuid(text: str) -> UUID:
    return parse_public_id(EXPORT_PREFIX, text, field="export")


def _printer_uuid(text: str) -> UUID | None:
    try:
        return parse_public_id(PRINTER_PREFIX, text, field="printer") if text else None
    except NotFoundError as error:
        raise InvalidInputError("there is no such printer", field="printer") from error


def _media_type(export: Export) -> str:
    if export.recipient is not None:
        return "application/octet-stream"
    return "application/gzip" if export.packed else "text/csv"


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


HANDLERS: Final = (
    show_print_order,
    make_export,
    make_pins_export,
    withdraw,
    fetch_export,
    download_labels,
    show_printers,
    add_printer,
    retire,
)
