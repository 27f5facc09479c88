"""Cases and pallets: `tallystar items pack-file|packed|unpack`, and moving what lies in one."""

from __future__ import annotations

from typing import Any, Final

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.commands.items_options import open_keys
from loyalty.commands.running import Opened, actor, answer_json, json_option, programme_option, run_in_transaction
from loyalty.items.codes import ItemCode
from loyalty.items.lookup import find_code, find_serial
from loyalty.items.packing.files import PackedFile, PackingFileError, pack_file
from loyalty.items.packing.intervals import Interval, intervals_of
from loyalty.items.packing.packing import unpack
from loyalty.items.packing.reading import UnitContents, contents, whereabouts
from loyalty.items.trace.searching import read_text
from loyalty.kit.errors import InvalidInputError, NotFoundError

_code_argument = click.argument("code", metavar="CODE")


@click.command("pack-file")
@click.argument("file", type=click.File("r", encoding="utf-8", lazy=False))
@click.option("--gtin", help="Of codes that are serials alone.")
@click.option("--repack", is_flag=True, help="Take what lies in other units out of there.")
@programme_option
@json_option
def pack_scan_file(*, file: Any, gtin: str | None, repack: bool, programme: str | None, as_json: bool) -> None:
    """Pack what a line scanned: CSV with the columns `sscc` and `code`, and `gtin` where there is one.

    A code is an item in any spelling, or the SSCC of a case that goes onto a pallet. All lines are packed, or none;
    each one at fault is told. `-` reads standard input.
    """

    async def work(opened: Opened, connection: AsyncConnection) -> PackedFile:
        return await pack_file(
            connection,
            open_keys(opened),
            programme_id=(await opened.programme(connection, programme)).id,
            lines=file,
            gtin=gtin,
            repack=repack,
            actor=actor(),
        )

    try:
        packed = run_in_transaction(work)
    except PackingFileError as error:
        for line in error.lines:
            click.echo(f"line {line.line}: {line.reason}", err=True)
        raise
    if as_json:
        answer_json({"lines": packed.lines, "items": packed.items, "units": packed.units})
    else:
        click.echo(f"{packed.items:,} items in {packed.units:,} units, from {packed.lines:,} lines.")


@click.command()
@_code_argument
@programme_option
@json_option
def packed(*, code: str, programme: str | None, as_json: bool) -> None:
    """Ask an item for its case and pallet, or an SSCC for what lies in it. CODE is in any spelling."""

    async def work(opened: Opened, connection: AsyncConnection) -> dict[str, Any]:
        programme_id = (await opened.programme(connection, programme)).id
        sscc = read_text(code).sscc
        if sscc:
            return _shown(await contents(connection, programme_id=programme_id, sscc=sscc))
        item = await _item(connection, opened, code)
        units = await whereabouts(connection, programme_id=programme_id, code=item)
        serial = await find_serial(connection, open_keys(opened), item)
        return {"gtin": item.gtin, "serial": serial, "units": units}

    found = run_in_transaction(work)
    if as_json:
        answer_json(found)
        return
    if "serial" in found:
        click.echo("\n".join(found["units"]) if found["units"] else "not packed")
        return
    click.echo(f"{found['sscc']}\t{found['count']:,} items\t{' in '.join(found['parents'])}")
    for each in found["items"]:
        click.echo(f"{each['gtin']}\t{each['kid']}\t{each['lo']}–{each['hi']}\t{each['count']:,}")
    for unit in found["units"]:
        click.echo(unit)


@click.command("unpack")
@click.argument("sscc")
@click.option(
    "--item", "items", multiple=True, metavar="CODE", help="This item only, in any spelling; may be repeated."
)
@programme_option
@json_option
def unpack_unit(*, sscc: str, items: tuple[str, ...], programme: str | None, as_json: bool) -> None:
    """Take everything out of a case or pallet, or single items. What was packed stays in its history."""

    async def work(opened: Opened, connection: AsyncConnection) -> int:
        taken: list[Interval] | None = None
        if items:
            taken = intervals_of([await _item(connection, opened, each) for each in items])
        return await unpack(
            connection,
            programme_id=(await opened.programme(connection, programme)).id,
            sscc=read_text(sscc).sscc or sscc,
            items=taken,
            actor=actor(),
        )

    out = run_in_transaction(work)
    if as_json:
        answer_json({"items": out})
    else:
        click.echo(f"{out:,} items were taken out.")


async def _item(connection: AsyncConnection, opened: Opened, typed: str) -> ItemCode:
    named = read_text(typed)
    if not (named.gtin and named.serial):
        raise InvalidInputError("write an item as its address, (01)…(21)…, or `GTIN serial`", field="code")
    found = await find_code(connection, open_keys(opened), gtin=named.gtin, serial=named.serial)
    if not isinstance(found, ItemCode):
        raise NotFoundError("this is not a code of ours", field="code")
    return found


def _shown(found: UnitContents) -> dict[str, Any]:
    return {
        "sscc": found.sscc,
        "parents": found.parents,
        "count": found.count,
        "items": [
            {"gtin": each.gtin, "kid": each.kid, "lo": each.lo, "hi": each.hi, "count": each.count}
            for each in found.items
        ],
        "units": found.units,
    }


COMMANDS: Final = (pack_scan_file, packed, unpack_unit)
