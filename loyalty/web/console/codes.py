"""Products and their item codes: mint a range, hand it to the press, put it on sale."""

from __future__ import annotations

from datetime import date
from typing import Any, Final, get_args
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.products import list_products
from loyalty.items.ranges import (
    NextState,
    RangePolicy,
    RangeStateError,
    change_range_state,
    list_ranges,
    mint_range,
)
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError, NotFoundError
from loyalty.kit.ids import parse_public_id
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

_REFUSED: Final = 422
PAGE: Final = 15
_MOST_PRODUCTS: Final = 500
_FIELDS: Final = ("gtin", "count", "print_order", "lot", "region", "expires_on", "pin")
_PAGE: Final = "/console/codes"
_NEXT: Final[dict[str, NextState]] = {
    "issued": "printed",
    "printed": "activated",
    "activated": "shipped",
    "shipped": "sold",
}
"""The step that comes next on the road of a range; a form may name any other that the range can take."""


@get("/codes")
async def show_codes(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Products, ranges and the form to mint."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show(request, connection, desk)


async def _show(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    *,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    notice: str | None = None,
) -> Response[Any]:
    programme_id = desk.programme.id
    products = await list_products(connection, programme_id=programme_id, limit=_MOST_PRODUCTS)
    before = _read_place(request.query_params.get("before"))
    ranges = await list_ranges(connection, programme_id=programme_id, before=before, limit=PAGE + 1)
    return console_page(
        request,
        "console/codes.html",
        desk,
        section="codes",
        status_code=_REFUSED if errors or notice else 200,
        here=_PAGE,
        products=products,
        ranges=ranges[:PAGE],
        older=ranges[PAGE - 1].public_id if len(ranges) > PAGE else None,
        first_page=before is None,
        names={product.gtin: product.names for product in products},
        next_state=_NEXT,
        may_mint=desk.staff.may("admin"),
        form=form or dict.fromkeys(_FIELDS, ""),
        errors=errors or {},
        notice=notice,
    )


def _read_place(text: str | None) -> UUID | None:
    """Where a page of ranges begins. Anything that we did not write begins at the newest."""
    try:
        return _range_uuid(text or "")
    except NotFoundError:
        return None


@post("/codes/mint", status_code=303)
async def mint_codes(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Mint a range. What was typed wrong is shown at its field, and nothing is minted."""
    form = await read_form(request, *_FIELDS)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            minted = await mint_range(
                connection,
                services.item_keys,
                programme_id=desk.programme.id,
                gtin=form["gtin"],
                count=_count(form["count"]),
                print_order=form["print_order"],
                lot=form["lot"] or None,
                region=form["region"] or None,
                expires_on=_day(form["expires_on"]),
                policy=RangePolicy(pin_required=form["pin"] == "yes"),
                actor=desk.staff.username,
            )
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        async with services.transaction() as connection:
            t, _ = words(request, desk)
            errors = {_field(error): _say(t, error)}
            return await _show(request, connection, desk, form=form, errors=errors)
    return see_other(f"{_PAGE}#{minted.public_id}")


def _count(text: str) -> int:
    digits = text.replace(",", "").replace(" ", "")
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidInputError("a whole number is needed", field="count")
    return int(digits[:_COUNT_DIGITS])


_COUNT_DIGITS: Final = 12


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError("a day is written like 2027-09-30", field="expires_on") from error


def _field(error: DomainError) -> str:
    return error.field if error.field in _FIELDS else "count"


def _say(t: Translator, error: DomainError) -> str:
    if isinstance(error, ConflictError):
        return t("console.mint.exhausted")
    return t(f"console.mint.{_field(error)}_invalid")


@post("/codes/{range_id:str}/state", status_code=303)
async def move_range(
    request: Request[Any, Any, Any], services: NamedDependency[Services], range_id: FromPath[str]
) -> Response[Any]:
    """Move a range to a state of its road."""
    wanted = (await read_form(request, "state"))["state"]
    state = next((each for each in get_args(NextState) if each == wanted), None)
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection, role="admin")
    try:
        if state is not None:
            async with services.transaction() as connection:
                await change_range_state(
                    connection,
                    programme_id=desk.programme.id,
                    range_id=_range_uuid(range_id),
                    state=state,
                    actor=desk.staff.username,
                )
    except RangeStateError:
        async with services.transaction() as connection:
            t, _ = words(request, desk)
            return await _show(request, connection, desk, notice=t("console.codes.wrong_state"))
    return see_other(f"{_PAGE}#{range_id}")


def _range_uuid(text: str) -> UUID:
    return parse_public_id("rng", text, field="range")
