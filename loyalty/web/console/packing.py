"""Cases and pallets: what lies where, packing from a line's file, moving and unpacking a unit."""

from __future__ import annotations

import io
from typing import Any, Final, get_args

from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.lookup import find_code
from loyalty.items.packing.files import PackingFileError, pack_file
from loyalty.items.packing.moving import move_unit
from loyalty.items.packing.packing import unpack
from loyalty.items.packing.reading import UnitContents, contents, packing_history, whereabouts
from loyalty.items.precedence import NextState
from loyalty.items.trace.searching import read_text
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

_REFUSED: Final = 422
_FILE_BYTES: Final = 20_000_000
_STATES: Final[tuple[NextState, ...]] = get_args(NextState)


@get("/packing")
async def show_packing(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The box to ask in, the answer to it, and the form for a file."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show(request, services, connection, desk, asked=request.query_params.get("q", "").strip()[:500])


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    *,
    asked: str = "",
    **told: Any,
) -> Response[Any]:
    t, _ = words(request, desk)
    unit, units, problem = None, None, None
    named = read_text(asked)
    if named.sscc:
        unit = await _unit(connection, desk, named.sscc)
        problem = None if unit else t("packing.no_unit", sscc=named.sscc)
    elif named.gtin and named.serial:
        code = await find_code(connection, services.item_keys, gtin=named.gtin, serial=named.serial)
        if isinstance(code, ItemCode):
            units = await whereabouts(connection, programme_id=desk.programme.id, code=code)
        else:
            problem = t("packing.not_ours")
    elif asked:
        problem = t("packing.unknown")
    history = await packing_history(connection, programme_id=desk.programme.id, sscc=unit.sscc) if unit else []
    return console_page(
        request,
        "console/packing.html",
        desk,
        section="packing",
        status_code=_REFUSED if told.get("faults") or told.get("bad") else 200,
        here="/console/packing",
        asked=asked,
        problem=problem,
        unit=unit,
        units=units,
        history=history,
        states=_STATES,
        may_change=desk.staff.may("admin"),
        **{"notice": None, "bad": False, "faults": (), **told},
    )


async def _unit(connection: AsyncConnection, desk: Desk, sscc: str) -> UnitContents | None:
    try:
        return await contents(connection, programme_id=desk.programme.id, sscc=sscc)
    except NotFoundError:
        return None


@post("/packing/file", status_code=200, request_max_body_size=_FILE_BYTES)
async def pack_scan_file(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Pack a line's file. The lines at fault are shown, and then nothing is packed."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection, role="admin")
    t, formats = words(request, desk)
    upload = (await request.form()).get("file")
    form = await read_form(request, "gtin", "repack")
    told: dict[str, Any] = {"notice": t("packing.file.missing"), "bad": True}
    if isinstance(upload, UploadFile) and upload.filename:
        try:
            async with services.transaction() as connection:
                packed = await pack_file(
                    connection,
                    services.item_keys,
                    programme_id=desk.programme.id,
                    lines=io.TextIOWrapper(upload.file, encoding="utf-8", newline=""),
                    gtin=form["gtin"] or None,
                    repack=form["repack"] == "yes",
                    actor=desk.staff.username,
                )
        except PackingFileError as error:
            told = {"faults": error.lines}
        except InvalidInputError as error:
            told = {"notice": str(error), "bad": True}
        else:
            counts = {name: formats.number(getattr(packed, name)) for name in ("items", "units", "lines")}
            told = {"notice": t("packing.file.done", **counts)}
    async with services.transaction() as connection:
        return await _show(request, services, connection, desk, **told)


@post("/packing/{sscc:str}/state", status_code=200)
async def move_all(
    request: Request[Any, Any, Any], services: NamedDependency[Services], sscc: FromPath[str]
) -> Response[Any]:
    """Move everything in a unit to a state."""
    wanted = (await read_form(request, "state"))["state"]
    state = next((each for each in _STATES if each == wanted), None)
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection, role="admin")
    t, _ = words(request, desk)
    told: dict[str, Any] = {"notice": t("packing.cannot_move"), "bad": True}
    if state is not None:
        try:
            async with services.transaction() as connection:
                moved = await move_unit(
                    connection, programme_id=desk.programme.id, sscc=sscc, state=state, actor=desk.staff.username
                )
        except (ConflictError, NotFoundError, InvalidInputError):
            pass
        else:
            told = {"notice": t("packing.moved", n=moved.count, state=t(f"console.range.{state}"))}
    async with services.transaction() as connection:
        return await _show(request, services, connection, desk, asked=sscc, **told)


@post("/packing/{sscc:str}/unpack", status_code=200)
async def unpack_all(
    request: Request[Any, Any, Any], services: NamedDependency[Services], sscc: FromPath[str]
) -> Response[Any]:
    """Take everything out of a unit."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection, role="admin")
    t, _ = words(request, desk)
    try:
        async with services.transaction() as connection:
            out = await unpack(connection, programme_id=desk.programme.id, sscc=sscc, actor=desk.staff.username)
    except (NotFoundError, InvalidInputError):
        told: dict[str, Any] = {}
    else:
        told = {"notice": t("packing.unpacked_done", n=out)}
    async with services.transaction() as connection:
        return await _show(request, services, connection, desk, asked=sscc, **told)


HANDLERS: Final = (show_packing, pack_scan_file, move_all, unpack_all)
