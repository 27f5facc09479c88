"""What is done to a benefit as a whole: published, undone, stopped, its stock, budgets, price and codes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any, Final

from litestar import Request, Response, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError
from loyalty.web.console.benefits.page import benefit_page
from loyalty.web.console.benefits.reading import read_amount, read_number
from loyalty.web.console.benefits.shown import REFUSALS
from loyalty.web.forms import read_form, see_other
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits import stock, templates
from redemption.catalogue import set_price

FILE_BYTES: Final = 50_000_000


@post("/benefits/{code:str}/do", status_code=303)
async def change_benefit(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """Publish, undo, stop giving, or set a figure: what the button says."""
    form = await read_form(request, "step", "total", "uses", "amount", "points")
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            done = await _do(connection, desk, code, form)
    except REFUSALS as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            return await benefit_page(request, connection, desk, code, error=error)
    return see_other(f"/console/benefits/{code}?done={done}")


async def _do(connection: AsyncConnection, desk: Desk, code: str, form: dict[str, str]) -> str:
    asked: dict[str, Any] = {"programme_id": desk.programme.id, "code": code, "actor": desk.staff.username}
    match form["step"]:
        case "publish":
            await templates.publish(connection, **asked)
            return "published"
        case "undo":
            await templates.undo_draft(connection, **asked)
            return "undone"
        case "retire":
            await templates.retire(connection, **asked)
            return "retired"
        case "stock":
            total = read_number(form, "total")
            kind: templates.StockKind = "unlimited" if total is None else "counted"
            await stock.set_stock(connection, kind=kind, total=total, **asked)
        case "budget":
            amount_minor = read_amount(form, "amount", desk.programme.currency)
            await stock.set_budget(connection, uses=read_number(form, "uses"), amount_minor=amount_minor, **asked)
        case "price":
            await set_price(connection, points=read_number(form, "points"), **asked)
        case _:
            raise InvalidInputError("nothing to do", field="step")
    return "figures"


@post("/benefits/{code:str}/codes", status_code=200, request_max_body_size=FILE_BYTES)
async def import_file(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """Import codes that a partner sent, one a line. What was refused is told line by line."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
    told: dict[str, Any] = {}
    try:
        upload = await uploaded(request)
        told["imported"] = await stock.import_codes(
            services.engine,
            programme_id=desk.programme.id,
            code=code,
            lines=_lines(upload),
            actor=desk.staff.username,
        )
    except REFUSALS as error:
        told["error"] = error
    async with services.transaction() as connection:
        return await benefit_page(request, connection, desk, code, **told)


async def uploaded(request: Request[Any, Any, Any]) -> io.TextIOWrapper:
    """The file of a form, as text. Raises InvalidInputError where none was chosen, or it is no text."""
    upload = (await request.form()).get("file")
    if not (isinstance(upload, UploadFile) and upload.filename):
        raise InvalidInputError("choose a file", field="file", reason="no_file")
    try:
        upload.file.read().decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError("the file is not UTF-8 text", field="file", reason="not_text") from None
    upload.file.seek(0)
    return io.TextIOWrapper(upload.file, encoding="utf-8-sig")


async def _lines(file: io.TextIOWrapper) -> AsyncIterator[str]:
    for line in file:
        yield line
