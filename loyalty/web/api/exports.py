"""Exports of codes: printers, files for them, and what honey says about who let a file out."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.digital_link import format_link
from loyalty.items.exports import (
    EXPORT_PREFIX,
    create_export,
    create_pins_export,
    get_export,
    list_exports,
    record_labels,
    withdraw_export,
)
from loyalty.items.handing_out import begin_download, entity_tag, list_downloads
from loyalty.items.labels import SHEETS, Label, label_sheet
from loyalty.items.leaks import list_leaks
from loyalty.items.printers import PRINTER_PREFIX, list_printers, retire_printer, save_printer
from loyalty.items.ranges import get_range
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import parse_public_id
from loyalty.web.api import codes_schemas as shapes
from loyalty.web.api import items_schemas
from loyalty.web.api.operations import (
    PAGE_SIZE,
    Cursor,
    IdempotencyKey,
    Limit,
    Require,
    body_problems,
    keyed_problems,
    problems,
    read_cursor,
    write_cursor,
)
from loyalty.web.handing_out import pieces_of
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

MAX_LABELS: Final = 1000
"""Labels of one request. More are for a press, which takes the CSV."""
_OCTETS: Final = "application/octet-stream"
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-")

RangeId = Annotated[
    str,
    PathParameter(pattern=f"^{items_schemas.RANGE_PREFIX}_[0-9A-Za-z]{{26}}$", description="The range's id."),
]
ExportId = Annotated[str, PathParameter(pattern=f"^{EXPORT_PREFIX}_[0-9A-Za-z]{{26}}$", description="The export's id.")]
PrinterId = Annotated[
    str, PathParameter(pattern=f"^{PRINTER_PREFIX}_[0-9A-Za-z]{{26}}$", description="The printer's id.")
]
Sheet = Annotated[str, QueryParameter(pattern=f"^({'|'.join(SHEETS)})$", description="The paper and its labels.")]
First = Annotated[int, QueryParameter(ge=1, le=2**35, description="The first label, counted from 1.")]
Count = Annotated[int, QueryParameter(ge=1, le=MAX_LABELS, description="How many labels at most.")]
CropMarks = Annotated[bool, QueryParameter(description="With marks in the page's margins to cut along.")]
OfRange = Annotated[
    str | None,
    QueryParameter(pattern=f"^{items_schemas.RANGE_PREFIX}_[0-9A-Za-z]{{26}}$", description="Of one print order."),
]
From = Annotated[
    str | None,
    HeaderParameter(
        name="Range",
        pattern=r"^bytes=\d{1,18}-$",
        description="The byte to go on from after a download broke off, such as `bytes=1048576-`.",
    ),
]
IfRange = Annotated[
    str | None,
    HeaderParameter(name="If-Range", max_length=100, description="The `ETag` of the download that broke off."),
]


def _range_uuid(range_id: str) -> UUID:
    return parse_public_id(items_schemas.RANGE_PREFIX, range_id, field="range_id")


def _export_uuid(export_id: str) -> UUID:
    return parse_public_id(EXPORT_PREFIX, export_id, field="export_id")


def _printer_uuid(printer_id: str | None) -> UUID | None:
    return None if printer_id is None else parse_public_id(PRINTER_PREFIX, printer_id, field="printer_id")


@get(
    "/printers",
    operation_id="listPrinters",
    summary="List printers",
    guards=[Require("items:read")],
    responses=problems(),
)
async def list_all_printers(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> shapes.Printers:
    """Who prints codes."""
    async with services.transaction() as connection:
        found = await list_printers(connection, programme_id=caller.programme_id)
    return shapes.Printers(data=[shapes.printer_answer(printer) for printer in found])


@put(
    "/printers",
    operation_id="savePrinter",
    summary="Save a printer",
    guards=[Require("codes:export")],
    responses=body_problems(),
)
async def save_one_printer(
    services: NamedDependency[Services], caller: NamedDependency[Caller], data: JSONBody[shapes.PrinterRequest]
) -> shapes.PrinterAnswer:
    """Create a printer, or change the one of this name. Exports that were made keep the key they were made for."""
    async with services.transaction() as connection:
        printer = await save_printer(
            connection,
            programme_id=caller.programme_id,
            name=data.name,
            recipient=data.recipient,
            note=data.note,
        )
    return shapes.printer_answer(printer)


@delete(
    "/printers/{printer_id:str}",
    operation_id="retirePrinter",
    summary="Retire a printer",
    status_code=200,
    guards=[Require("codes:export")],
    responses=problems(404),
)
async def retire_one_printer(
    services: NamedDependency[Services], caller: NamedDependency[Caller], printer_id: PrinterId
) -> shapes.PrinterAnswer:
    """Hand nothing more to a printer."""
    identifier = parse_public_id(PRINTER_PREFIX, printer_id, field="printer_id")
    async with services.transaction() as connection:
        printer = await retire_printer(connection, programme_id=caller.programme_id, printer_id=identifier)
    return shapes.printer_answer(printer)


@post(
    "/ranges/{range_id:str}/exports",
    operation_id="exportRange",
    summary="Export codes",
    guards=[Require("codes:export")],
    responses=keyed_problems(404),
)
async def export_codes(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    range_id: RangeId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ExportRequest],
) -> Response[shapes.ExportAnswer]:
    """Make a file of a range's codes for the press, `seq,url,serial,pin,case,lot`, to be fetched once."""

    async def work(connection: AsyncConnection) -> shapes.ExportAnswer:
        made = await create_export(
            connection,
            programme_id=caller.programme_id,
            range_id=_range_uuid(range_id),
            base_url=services.settings.public_url,
            printer_id=_printer_uuid(data.printer_id),
            contents=data.contents,
            packed=data.gzip,
            case_size=data.case_size,
            honey=data.honey,
            again=data.again,
            actor=_actor(caller),
        )
        return shapes.export_answer(made)

    request = {"range": range_id, "export": data}
    return await once(
        services, caller, idempotency_key, operation="exportRange", request=request, status=201, work=work
    )


@post(
    "/exports/{export_id:str}/pins",
    operation_id="exportPins",
    summary="Export PINs",
    guards=[Require("codes:export")],
    responses=keyed_problems(404),
)
async def export_pins(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    export_id: ExportId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.PinsRequest],
) -> Response[shapes.ExportAnswer]:
    """Make the file of the PINs that belong to an export of serials, line by line, for another printer."""

    async def work(connection: AsyncConnection) -> shapes.ExportAnswer:
        made = await create_pins_export(
            connection,
            programme_id=caller.programme_id,
            export_id=_export_uuid(export_id),
            printer_id=_printer_uuid(data.printer_id),
            packed=data.gzip,
            again=data.again,
            actor=_actor(caller),
        )
        return shapes.export_answer(made)

    request = {"export": export_id, "pins": data}
    return await once(services, caller, idempotency_key, operation="exportPins", request=request, status=201, work=work)


@get(
    "/exports",
    operation_id="listExports",
    summary="List exports",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def list_all_exports(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    range_id: OfRange = None,
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Exports:
    """The print manifest: every file of codes that was made for somebody, newest first."""
    before = read_cursor(cursor, tuple[UUID])[0] if cursor is not None else None
    async with services.transaction() as connection:
        found = await list_exports(
            connection,
            programme_id=caller.programme_id,
            range_ids=None if range_id is None else [_range_uuid(range_id)],
            before=before,
            limit=limit,
        )
    return shapes.Exports(
        data=[shapes.export_answer(each) for each in found],
        next_cursor=write_cursor(found[-1].id) if len(found) == limit else None,
    )


@get(
    "/exports/{export_id:str}",
    operation_id="getExport",
    summary="An export",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_one_export(
    services: NamedDependency[Services], caller: NamedDependency[Caller], export_id: ExportId
) -> shapes.ExportDetails:
    """One export and who fetched it when."""
    async with services.transaction() as connection:
        found = await get_export(connection, programme_id=caller.programme_id, export_id=_export_uuid(export_id))
        downloads = await list_downloads(connection, export_ids=[found.id])
    return shapes.ExportDetails(
        export=shapes.export_answer(found), downloads=[shapes.download_answer(each) for each in downloads]
    )


@delete(
    "/exports/{export_id:str}",
    operation_id="withdrawExport",
    summary="Withdraw an export",
    status_code=200,
    guards=[Require("codes:export")],
    responses=problems(404, 409),
)
async def withdraw_one_export(
    services: NamedDependency[Services], caller: NamedDependency[Caller], export_id: ExportId
) -> shapes.ExportAnswer:
    """Let nobody fetch an export any more."""
    async with services.transaction() as connection:
        found = await withdraw_export(connection, programme_id=caller.programme_id, export_id=_export_uuid(export_id))
    return shapes.export_answer(found)


@get(
    "/exports/{export_id:str}/file",
    operation_id="fetchExport",
    summary="Fetch an export",
    media_type=_OCTETS,
    guards=[Require("codes:export")],
    responses={
        206: ResponseSpec(bytes, media_type=_OCTETS, generate_examples=False, description="The rest of the file."),
        **problems(404, 409, 416),
    },
)
async def fetch_export(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    export_id: ExportId,
    from_byte: From = None,
    if_range: IfRange = None,
) -> Stream:
    """The file, once. Whoever began may go on from where it broke off (`Range`), until all of it was sent.

    Whoever has this file can print your codes.
    """
    identifier = _export_uuid(export_id)
    async with services.transaction() as connection:
        found = await get_export(connection, programme_id=caller.programme_id, export_id=identifier)
        tag = f'"{entity_tag(found)}"'
        wanted = _RANGE.fullmatch(from_byte or "")
        # Where a packed file would end is not known before it is made, so it is sent from its beginning again.
        first = int(wanted[1]) if wanted and if_range in (None, tag) and not found.packed else 0
        download = await begin_download(
            connection,
            services.item_keys,
            programme_id=caller.programme_id,
            export_id=identifier,
            actor=_actor(caller),
            address=request.client.host if request.client else None,
            first_byte=first,
        )
    headers = {
        "Content-Disposition": f'attachment; filename="{found.file_name}"',
        "Cache-Control": "no-store",
        "ETag": tag,
        "Accept-Ranges": "none" if found.packed else "bytes",
    }
    if download.size is not None:
        headers["Content-Length"] = str(download.size - first)
        if first:
            headers["Content-Range"] = f"bytes {first}-{download.size - 1}/{download.size}"
    return Stream(pieces_of(services, download), status_code=206 if first else 200, media_type=_OCTETS, headers=headers)


@get(
    "/ranges/{range_id:str}/labels.pdf",
    operation_id="downloadLabels",
    summary="A sheet of labels",
    media_type="application/pdf",
    guards=[Require("codes:export")],
    responses=problems(404, 409),
)
async def download_labels(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    range_id: RangeId,
    sheet: Sheet = "a4-24",
    first: First = 1,
    count: Count = 240,
    *,
    crop_marks: CropMarks = False,
) -> Response[bytes]:
    """Labels of a small run as PDF: `count` of them from the `first` code on. It is written down as an export."""
    async with services.transaction() as connection:
        found = await get_range(connection, programme_id=caller.programme_id, range_id=_range_uuid(range_id))
        if first > found.count:
            message = f"the range has {found.count} codes"
            raise InvalidInputError(message, field="first")
        lo, number = found.lo + first - 1, min(count, found.count - first + 1)
        base_url = services.settings.public_url
        await record_labels(connection, found, lo=lo, hi=lo + number - 1, base_url=base_url, actor=_actor(caller))
    keys = services.item_keys.for_product(found.gtin, found.kid)
    labels = [
        Label(url=format_link(base_url, gtin=found.gtin, serial=serial), gtin=found.gtin, serial=serial)
        for serial in keys.mint_many(lo, number).astype(str).tolist()
    ]
    pdf = await asyncio.to_thread(
        label_sheet, labels, sheet=SHEETS[sheet], title=found.print_order, crop_marks=crop_marks
    )
    return Response(pdf, media_type="application/pdf")


@get(
    "/leaks",
    operation_id="listLeaks",
    summary="Leaked files",
    guards=[Require("items:read")],
    responses=problems(),
)
async def list_all_leaks(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    days: Annotated[int, QueryParameter(ge=1, le=3650, description="How far back to look.")] = 365,
) -> shapes.Leaks:
    """Honey codes that somebody scanned, and the files they stood in: those files are out."""
    since = utc_now() - timedelta(days)
    async with services.transaction() as connection:
        found = await list_leaks(connection, services.item_keys, programme_id=caller.programme_id, since=since)
    return shapes.Leaks(data=[shapes.leak_answer(leak) for leak in found])


def _actor(caller: Caller) -> str:
    return f"api:{caller.key.prefix}"


router: Final = Router(
    path="/",
    tags=["Items"],
    route_handlers=[
        list_all_printers,
        save_one_printer,
        retire_one_printer,
        export_codes,
        export_pins,
        list_all_exports,
        get_one_export,
        withdraw_one_export,
        fetch_export,
        download_labels,
        list_all_leaks,
    ],
)
