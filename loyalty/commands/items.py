"""Products and their codes: `tallystar items …`. Files for printers and keys have commands in modules of their own."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.commands import items_keys, items_packing, items_press
from loyalty.commands.items_options import open_keys, range_uuid
from loyalty.commands.items_products import product
from loyalty.commands.items_thresholds import thresholds
from loyalty.commands.running import (
    REFUSED,
    Opened,
    actor,
    answer_json,
    json_option,
    programme_option,
    run_in_transaction,
)
from loyalty.items.checking import CHECK_LIMIT, Check, check_serials
from loyalty.items.codes import ItemCode
from loyalty.items.exceptions import change_item
from loyalty.items.gtin import normalise_gtin
from loyalty.items.importing import SerialFileError, import_serials
from loyalty.items.lookup import find_code
from loyalty.items.lots import Lot, list_lots, move_lot, save_lot, set_lot_state
from loyalty.items.packing.moving import move_unit
from loyalty.items.precedence import ExceptionState, NextState, RoadState
from loyalty.items.ranges import (
    CodeRange,
    RangePolicy,
    change_range_state,
    change_state,
    list_ranges,
    mint_range,
)
from loyalty.items.verdicts import Item
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import public_id

_STATES: Final = ("printed", "activated", "shipped", "sold", "recalled", "retired")
_MANY: Final = 1000


@click.group()
def items() -> None:
    """Products and their codes: mint, print, pack, move, recall."""


for _command in (product, thresholds, *items_press.COMMANDS, *items_keys.COMMANDS, *items_packing.COMMANDS):
    items.add_command(_command)


@items.command()
@click.argument("gtin")
@click.option("--count", type=int, required=True, help="How many codes.")
@click.option("--print-order", required=True, help="What the order is called.")
@click.option("--lot", help="The lot they go onto, if known.")
@click.option("--region", help="Where they are sold, ISO 3166 such as CN-31.")
@click.option("--expires-on", type=click.DateTime(["%Y-%m-%d"]), help="The last good day.")
@click.option("--pin/--no-pin", default=False, help="Claiming takes the code under the scratch-off.")
@click.option("--kid", type=int, help="The key; the newest unless one is named.")
@programme_option
@json_option
def mint(
    *,
    gtin: str,
    count: int,
    print_order: str,
    lot: str | None,
    region: str | None,
    expires_on: datetime | None,
    pin: bool,
    kid: int | None,
    programme: str | None,
    as_json: bool,
) -> None:
    """Take the next codes of a product for a print order. The database grows by one row, however many they are."""

    async def work(opened: Opened, connection: AsyncConnection) -> CodeRange:
        return await mint_range(
            connection,
            open_keys(opened),
            programme_id=(await opened.programme(connection, programme)).id,
            gtin=gtin,
            count=count,
            print_order=print_order,
            kid=kid,
            lot=lot,
            region=region,
            expires_on=_day(expires_on),
            policy=RangePolicy(pin_required=pin),
            actor=actor(),
        )

    minted = run_in_transaction(work)
    if as_json:
        answer_json(_shown(minted))
    else:
        click.echo(_line(minted))
        click.echo(f"Next: tallystar items export {minted.public_id}", err=True)


@items.command()
@click.option("--gtin", help="Of one product.")
@click.option("--lot", help="Of one lot.")
@programme_option
@json_option
def ranges(*, gtin: str | None, lot: str | None, programme: str | None, as_json: bool) -> None:
    """List ranges of codes, newest first."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[CodeRange]:
        return await list_ranges(
            connection,
            programme_id=(await opened.programme(connection, programme)).id,
            gtin=normalise_gtin(gtin) if gtin else None,
            lot=lot,
            limit=_MANY,
        )

    found = run_in_transaction(work)
    if as_json:
        answer_json({"ranges": [_shown(each) for each in found]})
        return
    for each in found:
        click.echo(_line(each))


@items.command()
@click.argument("state", type=click.Choice([*_STATES, "released"]))
@click.option("--range", "range_id", metavar="ID", help="A range, rng_…")
@click.option("--lo", type=int, help="With --range: from this index of its series")
@click.option("--hi", type=int, help="to this one.")
@click.option("--lot", nargs=2, metavar="GTIN LOT", help="A lot.")
@click.option("--item", nargs=2, metavar="GTIN SERIAL", help="One item.")
@click.option("--unit", metavar="SSCC", help="All that lies in a case or on a pallet.")
@click.option("--exempt", is_flag=True, help="Whatever was said of their lot or key by now: somebody looked at these.")
@programme_option
@json_option
def move(
    *,
    state: str,
    range_id: str | None,
    lo: int | None,
    hi: int | None,
    lot: tuple[str, str] | None,
    item: tuple[str, str] | None,
    unit: str | None,
    exempt: bool,
    programme: str | None,
    as_json: bool,
) -> None:
    """Move a range, a lot, a case, a pallet or one item along its way, recall or retire it.

    A recalled lot is released by naming `released`, a recalled range by the live state to return to.
    """
    if sum(given is not None for given in (range_id, lot, item, unit)) != 1:
        raise click.UsageError("say what to move: --range, --lot, --unit or --item")
    if state == "released" and lot is None:
        raise click.UsageError("`released` is for lots; name the state that these return to")
    mover = _Mover(state, exempt=exempt)

    async def work(opened: Opened, connection: AsyncConnection) -> list[dict[str, Any]]:
        programme_id = (await opened.programme(connection, programme)).id
        if lot is not None:
            return [await mover.lot(connection, programme_id, *lot)]
        if unit is not None:
            return [await mover.unit(connection, programme_id, unit)]
        if item is not None:
            return [await mover.item(connection, programme_id, opened, *item)]
        moved = await mover.range(connection, programme_id, range_id or "", lo, hi)
        return [_shown(each) for each in moved]

    moved = run_in_transaction(work)
    if as_json:
        answer_json({"moved": moved})
        return
    for each in moved:
        click.echo("\t".join(str(value) for value in each.values()))


class _Mover:
    """Moves one thing to a state."""

    def __init__(self, state: str, *, exempt: bool) -> None:
        self._state: Final = state
        self._exempt: Final = exempt

    async def lot(self, connection: AsyncConnection, programme_id: Any, gtin: str, code: str) -> dict[str, Any]:
        where: dict[str, Any] = {"programme_id": programme_id, "gtin": normalise_gtin(gtin), "code": code}
        state = self._state
        if state in ("recalled", "retired", "released"):
            word: ExceptionState | None = None if state == "released" else msgspec.convert(state, ExceptionState)
            said = await set_lot_state(connection, **where, state=word, actor=actor())
            return {"gtin": said.gtin, "lot": said.code, "state": said.state}
        road: RoadState = msgspec.convert(state, RoadState)
        moved = await move_lot(connection, **where, state=road, actor=actor())
        return {"gtin": where["gtin"], "lot": code, "codes": sum(each.count for each in moved), "state": state}

    async def item(
        self, connection: AsyncConnection, programme_id: Any, opened: Opened, gtin: str, serial: str
    ) -> dict[str, Any]:
        code = await find_code(connection, open_keys(opened), gtin=gtin, serial=serial)
        if not isinstance(code, ItemCode):
            raise NotFoundError("this is not a code of ours", field="item")
        changed: Item = await change_item(
            connection,
            programme_id=programme_id,
            code=code,
            state=self._next(),
            exempt=self._exempt,
            actor=actor(),
        )
        return {"gtin": code.gtin, "serial": serial, "state": changed.state}

    async def unit(self, connection: AsyncConnection, programme_id: Any, sscc: str) -> dict[str, Any]:
        moved = await move_unit(
            connection,
            programme_id=programme_id,
            sscc=sscc,
            state=self._next(),
            exempt=self._exempt,
            actor=actor(),
        )
        return {"sscc": moved.sscc, "codes": moved.count, "state": moved.state}

    async def range(
        self, connection: AsyncConnection, programme_id: Any, range_id: str, lo: int | None, hi: int | None
    ) -> list[CodeRange]:
        how: dict[str, Any] = {
            "programme_id": programme_id,
            "state": self._next(),
            "exempt": self._exempt,
            "actor": actor(),
        }
        identifier = range_uuid(range_id)
        if lo is None and hi is None:
            return [await change_range_state(connection, range_id=identifier, **how)]
        if lo is None or hi is None:
            raise InvalidInputError("give both --lo and --hi, or neither", field="hi")
        (found,) = await items_press.ranges_of(connection, programme_id, [identifier])
        return await change_state(connection, gtin=found.gtin, kid=found.kid, lo=lo, hi=hi, **how)

    def _next(self) -> NextState:
        found: NextState = msgspec.convert(self._state, NextState)
        return found


@items.group()
def lot() -> None:
    """Goods made together."""


@lot.command("save")
@click.argument("gtin")
@click.argument("code")
@click.option("--made-on", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--expires-on", type=click.DateTime(["%Y-%m-%d"]), help="The last good day.")
@click.option("--region", help="Where it is sold, ISO 3166.")
@click.option("--note", default="")
@programme_option
@json_option
def save_a_lot(
    *,
    gtin: str,
    code: str,
    made_on: datetime | None,
    expires_on: datetime | None,
    region: str | None,
    note: str,
    programme: str | None,
    as_json: bool,
) -> None:
    """Say when a lot was made, how long it is good and where it is sold."""

    async def work(opened: Opened, connection: AsyncConnection) -> Lot:
        return await save_lot(
            connection,
            programme_id=(await opened.programme(connection, programme)).id,
            gtin=gtin,
            code=code,
            made_on=_day(made_on),
            expires_on=_day(expires_on),
            region=region,
            note=note,
        )

    _tell_lots([run_in_transaction(work)], as_json=as_json)


@lot.command("list")
@programme_option
@json_option
def show_lots(*, programme: str | None, as_json: bool) -> None:
    """List lots by GTIN and code."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[Lot]:
        return await list_lots(connection, programme_id=(await opened.programme(connection, programme)).id, limit=_MANY)

    _tell_lots(run_in_transaction(work), as_json=as_json)


@items.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8", lazy=False))
@click.option("--gtin", required=True)
@click.option("--print-order", required=True, help="What they are called here.")
@click.option("--lot", help="The lot they went onto.")
@click.option("--region", help="Where they are sold, ISO 3166.")
@click.option("--expires-on", type=click.DateTime(["%Y-%m-%d"]), help="The last good day.")
@click.option("--pin/--no-pin", default=False, help="Claiming takes the PIN that each line has to have.")
@click.option("--state", type=click.Choice(_STATES), help="Move them there at once, such as shipped.")
@programme_option
@json_option
def import_file(
    *,
    file: Any,
    gtin: str,
    print_order: str,
    lot: str | None,
    region: str | None,
    expires_on: datetime | None,
    pin: bool,
    state: NextState | None,
    programme: str | None,
    as_json: bool,
) -> None:
    """Read a brand's own serials: CSV with a column `serial` and, where there are PINs, `pin`.

    All lines are taken, or none; each one at fault is told. `-` reads standard input.
    """

    async def work(opened: Opened, connection: AsyncConnection) -> CodeRange:
        programme_id = (await opened.programme(connection, programme)).id
        imported = await import_serials(
            connection,
            open_keys(opened),
            programme_id=programme_id,
            gtin=gtin,
            lines=file,
            print_order=print_order,
            lot=lot,
            region=region,
            expires_on=_day(expires_on),
            policy=RangePolicy(pin_required=pin),
            actor=actor(),
        )
        if state is None:
            return imported
        return await change_range_state(
            connection, programme_id=programme_id, range_id=imported.id, state=state, actor=actor()
        )

    try:
        imported = run_in_transaction(work)
    except SerialFileError as error:
        for line in error.lines:
            click.echo(f"line {line.line}: {line.reason}", err=True)
        raise
    if as_json:
        answer_json(_shown(imported))
    else:
        click.echo(_line(imported))


@items.command()
@click.argument("gtin")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@programme_option
@json_option
def check(*, gtin: str, file: Any, programme: str | None, as_json: bool) -> None:
    """Say of each serial in a file, one a line, what it is. Exit code 1 where one is not a code that was handed out.

    `-` reads standard input. Nothing is counted as a scan.
    """
    serials = [line.strip() for line in file if line.strip()]

    async def work(opened: Opened, connection: AsyncConnection) -> list[Check]:
        programme_id = (await opened.programme(connection, programme)).id
        keys = open_keys(opened)
        found: list[Check] = []
        for start in range(0, len(serials), CHECK_LIMIT):
            batch = serials[start : start + CHECK_LIMIT]
            found += await check_serials(connection, keys, programme_id=programme_id, gtin=gtin, serials=batch)
        return found

    found = run_in_transaction(work)
    if as_json:
        answer_json({"serials": [{"serial": each.serial, "state": each.state, "lot": each.lot} for each in found]})
    else:
        for each in found:
            click.echo(f"{each.serial}\t{each.state or 'unknown'}\t{each.lot or ''}")
    if not all(each.genuine for each in found):
        raise click.exceptions.Exit(REFUSED)


def _tell_lots(lots: list[Lot], *, as_json: bool) -> None:
    if as_json:
        names = ("gtin", "code", "made_on", "expires_on", "region", "state")
        answer_json({"lots": [{name: getattr(each, name) for name in names} for each in lots]})
        return
    for each in lots:
        days = f"{each.made_on or ''}\t{each.expires_on or ''}"
        click.echo(f"{each.gtin}\t{each.code}\t{days}\t{each.region or ''}\t{each.state or ''}")


def _shown(found: CodeRange) -> dict[str, Any]:
    return {
        "id": found.public_id,
        "origin_id": public_id("rng", found.origin_id),
        "gtin": found.gtin,
        "kid": found.kid,
        "lo": found.lo,
        "hi": found.hi,
        "count": found.count,
        "state": found.state,
        "print_order": found.print_order,
        "lot": found.lot,
    }


def _line(found: CodeRange) -> str:
    where = f"{found.gtin}\tkey {found.kid}\t{found.lo}–{found.hi}"
    return f"{found.public_id}\t{where}\t{found.state}\t{found.print_order}\t{found.lot or ''}"


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
