"""Codes on their way to printers: `tallystar items printer|export|fetch|exports|withdraw|labels|leaks`."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.commands.items_options import open_keys, range_uuid
from loyalty.commands.progress import Counter
from loyalty.commands.running import (
    Opened,
    actor,
    answer_json,
    json_option,
    programme_option,
    run,
    run_in_transaction,
    until_stopped,
)
from loyalty.items.digital_link import format_link
from loyalty.items.exports import (
    Export,
    create_export,
    create_pins_export,
    list_exports,
    record_labels,
    withdraw_export,
)
from loyalty.items.handing_out import Download, Stream, begin_download, end_download
from loyalty.items.keys import MasterKeys
from loyalty.items.labels import LABELS_LIMIT, SHEETS, Label, LabelSheet, label_sheet, roll
from loyalty.items.leaks import Leak, list_leaks
from loyalty.items.printers import Printer, get_printer_by_name, list_printers, retire_printer, save_printer
from loyalty.items.ranges import CodeRange, get_range
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import parse_public_id

_MANY: Final = 1000
_SIZES: Final = 2


async def ranges_of(connection: AsyncConnection, programme_id: UUID, identifiers: list[UUID]) -> list[CodeRange]:
    """Ranges of a programme by their ids. Raises NotFoundError."""
    return [await get_range(connection, programme_id=programme_id, range_id=each) for each in identifiers]


@click.group()
def printer() -> None:
    """Who prints codes."""


@printer.command("add")
@click.argument("name")
@click.option("--recipient", help="Their public key of age (age1…): their files are encrypted to it.")
@click.option("--note", default="")
@programme_option
@json_option
def add_printer(*, name: str, recipient: str | None, note: str, programme: str | None, as_json: bool) -> None:
    """Add a printer, or change the one of this name."""

    async def work(opened: Opened, connection: AsyncConnection) -> Printer:
        programme_id = (await opened.programme(connection, programme)).id
        return await save_printer(connection, programme_id=programme_id, name=name, recipient=recipient, note=note)

    _tell_printers([run_in_transaction(work)], as_json=as_json)


@printer.command("list")
@programme_option
@json_option
def show_printers(*, programme: str | None, as_json: bool) -> None:
    """List printers, retired ones last."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[Printer]:
        return await list_printers(connection, programme_id=(await opened.programme(connection, programme)).id)

    _tell_printers(run_in_transaction(work), as_json=as_json)


@printer.command("retire")
@click.argument("name")
@programme_option
@json_option
def retire(*, name: str, programme: str | None, as_json: bool) -> None:
    """Hand nothing more to a printer."""

    async def work(opened: Opened, connection: AsyncConnection) -> Printer:
        programme_id = (await opened.programme(connection, programme)).id
        found = await get_printer_by_name(connection, programme_id=programme_id, name=name)
        return await retire_printer(connection, programme_id=programme_id, printer_id=found.id)

    _tell_printers([run_in_transaction(work)], as_json=as_json)


@click.command()
@click.argument("range_id", metavar="[RANGE]", required=False)
@click.option("--printer", "printer_name", help="Who it is for; the file is encrypted where they have a key.")
@click.option("--contents", type=click.Choice(["serials", "all"]), default="serials", show_default=True)
@click.option("--pins-of", metavar="EXPORT", help="Instead: the PINs that belong to that export, for another printer.")
@click.option("--gzip/--no-gzip", "packed", default=False)
@click.option("--case-size", type=int, help="Number boxes of so many lines.")
@click.option("--honey", default=0, show_default=True, help="Codes among the others that are on no goods.")
@click.option("--again", is_flag=True, help="Although these codes are in another file already.")
@programme_option
@json_option
def export(
    *,
    range_id: str | None,
    printer_name: str | None,
    contents: Any,
    pins_of: str | None,
    packed: bool,
    case_size: int | None,
    honey: int,
    again: bool,
    programme: str | None,
    as_json: bool,
) -> None:
    """Make a file of a range's codes for a printer. Nothing leaves before it is fetched."""
    if (range_id is None) == (pins_of is None):
        raise click.UsageError("say of what: a range, or --pins-of an export")

    async def work(opened: Opened, connection: AsyncConnection) -> Export:
        programme_id = (await opened.programme(connection, programme)).id
        printer_id = None
        if printer_name is not None:
            found = await get_printer_by_name(connection, programme_id=programme_id, name=printer_name)
            printer_id = found.id
        how: dict[str, Any] = {
            "programme_id": programme_id,
            "printer_id": printer_id,
            "packed": packed,
            "again": again,
            "actor": actor(),
        }
        if pins_of is not None:
            return await create_pins_export(connection, export_id=_export_uuid(pins_of), **how)
        return await create_export(
            connection,
            range_id=range_uuid(range_id or ""),
            base_url=opened.settings.public_url,
            contents=contents,
            case_size=case_size,
            honey=honey,
            **how,
        )

    _tell_exports([run_in_transaction(work)], as_json=as_json)


@click.command()
@click.option("--range", "range_id", metavar="ID", help="Of one print order.")
@programme_option
@json_option
def exports(*, range_id: str | None, programme: str | None, as_json: bool) -> None:
    """List the print manifest: every file of codes that was made for somebody, newest first."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[Export]:
        return await list_exports(
            connection,
            programme_id=(await opened.programme(connection, programme)).id,
            range_ids=[range_uuid(range_id)] if range_id else None,
            limit=_MANY,
        )

    _tell_exports(run_in_transaction(work), as_json=as_json)


@click.command()
@click.argument("export_id", metavar="EXPORT")
@programme_option
@json_option
def withdraw(*, export_id: str, programme: str | None, as_json: bool) -> None:
    """Let nobody fetch an export any more."""

    async def work(opened: Opened, connection: AsyncConnection) -> Export:
        programme_id = (await opened.programme(connection, programme)).id
        return await withdraw_export(connection, programme_id=programme_id, export_id=_export_uuid(export_id))

    _tell_exports([run_in_transaction(work)], as_json=as_json)


@click.command()
@click.argument("export_id", metavar="EXPORT")
@click.option("--to", "target", type=click.Path(dir_okay=False), help="Where to; `-` is standard output.")
@click.option("--processes", type=click.IntRange(0, 64), default=0, help="So many processes make it; 0: this one.")
@programme_option
def fetch(*, export_id: str, target: str | None, processes: int, programme: str | None) -> None:
    """Fetch an export, once. Where it was stopped before, it goes on; `NAME.part` is what there is until the end."""

    async def begin(opened: Opened, first_byte: int) -> tuple[MasterKeys, Download]:
        keys = open_keys(opened)
        async with transaction(opened.engine) as connection:
            return keys, await begin_download(
                connection,
                keys,
                programme_id=(await opened.programme(connection, programme)).id,
                export_id=_export_uuid(export_id),
                actor=actor(),
                address="local",
                first_byte=first_byte,
            )

    async def work(opened: Opened) -> tuple[Download, Stream]:
        part = None if target == "-" else Path(f"{target or export_id}.part")
        have = part.stat().st_size if part is not None and part.exists() else 0
        keys, download = await begin(opened, have)
        stream = Stream(keys, download.export, first_byte=have, workers=processes)
        try:
            _write(stream, part, download.size)
        finally:
            async with transaction(opened.engine) as connection:
                await end_download(connection, download, stream)
        if part is not None:
            part.replace(target or download.export.file_name)
        return download, stream

    with until_stopped():
        download, stream = run(work)
        click.echo(
            f"{stream.made_bytes:,} bytes, {download.export.lines:,} codes, SHA-256 {stream.sha256.hex()}", err=True
        )


def _write(stream: Stream, part: Path | None, size: int | None) -> None:
    """Write what comes, and let it be on the disk before it counts as fetched."""
    descriptor = sys.stdout.fileno() if part is None else os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with Counter("bytes", total=size) as counter:
            for piece in stream:
                _write_all(descriptor, piece)
                counter.show(stream.made_bytes, stream.made_bytes)
        if part is not None:
            os.fsync(descriptor)
    finally:
        if part is not None:
            os.close(descriptor)


def _write_all(descriptor: int, piece: memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@click.command()
@click.argument("range_id", metavar="RANGE")
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A PDF.")
@click.option("--sheet", type=click.Choice(sorted(SHEETS)), default="a4-24", show_default=True)
@click.option(
    "--roll", "size", metavar="WIDTHxHEIGHT", help="Instead: one label a page, in millimetres, such as 50x30."
)
@click.option("--bleed", default=0.0, help="With --roll: millimetres that the ground goes beyond the cut.")
@click.option("--ground", help="A colour for the labels, #rrggbb.")
@click.option("--crop-marks", is_flag=True)
@click.option("--first", default=1, show_default=True, help="The first label, counted from 1.")
@click.option("--count", default=240, show_default=True)
@programme_option
def labels(
    *,
    range_id: str,
    target: Path,
    sheet: str,
    size: str | None,
    bleed: float,
    ground: str | None,
    crop_marks: bool,
    first: int,
    count: int,
    programme: str | None,
) -> None:
    """Draw labels of a small run as PDF. That is written down as an export."""
    chosen = SHEETS[sheet] if size is None else _roll(size, bleed)

    async def work(opened: Opened, connection: AsyncConnection) -> bytes:
        programme_id = (await opened.programme(connection, programme)).id
        (found,) = await ranges_of(connection, programme_id, [range_uuid(range_id)])
        if not 1 <= first <= found.count or not 1 <= count <= LABELS_LIMIT:
            message = f"the range has {found.count} codes, and a file at most {LABELS_LIMIT} labels"
            raise InvalidInputError(message, field="first")
        lo, number = found.lo + first - 1, min(count, found.count - first + 1)
        base_url = opened.settings.public_url
        keys = open_keys(opened).for_product(found.gtin, found.kid)
        await record_labels(connection, found, lo=lo, hi=lo + number - 1, base_url=base_url, actor=actor())
        drawn = [
            Label(url=format_link(base_url, gtin=found.gtin, serial=serial), gtin=found.gtin, serial=serial)
            for serial in keys.mint_many(lo, number).astype(str).tolist()
        ]
        return label_sheet(drawn, sheet=chosen, title=found.print_order, ground=ground, crop_marks=crop_marks)

    target.write_bytes(run_in_transaction(work))


def _roll(size: str, bleed: float) -> LabelSheet:
    parts = size.lower().split("x")
    try:
        width, height = (float(part) for part in parts)
    except ValueError as error:
        raise click.UsageError("--roll is written like 50x30") from error
    return roll(width_mm=width, height_mm=height, bleed_mm=bleed)


@click.command()
@click.option("--days", default=365, show_default=True, help="How far back to look.")
@programme_option
@json_option
def leaks(*, days: int, programme: str | None, as_json: bool) -> None:
    """List the honey codes that somebody scanned, and whose file they stood in: that file is out."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[Leak]:
        return await list_leaks(
            connection,
            open_keys(opened),
            programme_id=(await opened.programme(connection, programme)).id,
            since=utc_now() - timedelta(days),
        )

    found = run_in_transaction(work)
    if as_json:
        answer_json({"leaks": [_leak(each) for each in found]})
        return
    for each in found:
        for source in _leak(each)["sources"]:
            who = source["printer"] or "nobody in particular"
            click.echo(f"{each.last_at:%Y-%m-%d %H:%M}\t{each.gtin}\t{each.serial}\t{source['export']}\t{who}")


def _leak(leak: Leak) -> dict[str, Any]:
    return {
        "gtin": leak.gtin,
        "serial": leak.serial,
        "first_at": leak.first_at,
        "last_at": leak.last_at,
        "times": leak.times,
        "devices": leak.devices,
        "networks": leak.networks,
        "sources": [
            {"export": source.export.public_id, "printer": source.printer.name if source.printer else None}
            for source in leak.sources
        ],
    }


def _tell_printers(printers: list[Printer], *, as_json: bool) -> None:
    if as_json:
        names = ("name", "recipient", "note", "retired_at")
        told = [{"id": each.public_id} | {name: getattr(each, name) for name in names} for each in printers]
        answer_json({"printers": told})
        return
    for each in printers:
        state = "retired" if each.retired_at else ("encrypted" if each.recipient else "not encrypted")
        click.echo(f"{each.public_id}\t{each.name}\t{state}")


def _tell_exports(found: list[Export], *, as_json: bool) -> None:
    if as_json:
        names = ("gtin", "kid", "lo", "hi", "lines", "contents", "state", "file_name", "size", "holder")
        answer_json(
            {
                "exports": [
                    {"id": each.public_id}
                    | {name: getattr(each, name) for name in names}
                    | {"sha256": each.sha256.hex() if each.sha256 else None}
                    for each in found
                ]
            }
        )
        return
    for each in found:
        digest = each.sha256.hex() if each.sha256 else ""
        click.echo(f"{each.public_id}\t{each.gtin}\t{each.lines:,}\t{each.contents}\t{each.state}\t{digest}")


def _export_uuid(text: str) -> UUID:
    return parse_public_id("exp", text, field="export")


COMMANDS: Final = (printer, export, exports, fetch, withdraw, labels, leaks)
