"""Undoing a redemption: void it whole, or refund it, whole or in part."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.web.forms import read_form, see_other
from loyalty.web.pos.customer import read_points
from loyalty.web.pos.desk import own_redemption
from loyalty.web.pos.redeeming import REFUSALS, redemption_page, refuse
from loyalty.web.staff.person import read_clerk
from loyalty.web.state import Services
from redemption.till import refund, void

_VOID: Final = "pos/void.html"
_REFUND: Final = "pos/refund.html"


@get("/redemptions/{redemption_id:str}/void")
async def confirm_void(
    request: Request[Any, Any, Any], services: NamedDependency[Services], redemption_id: FromPath[str]
) -> Response[Any]:
    """Ask once whether it is meant."""
    return await _ask(request, services, redemption_id, _VOID)


@get("/redemptions/{redemption_id:str}/refund")
async def ask_refund(
    request: Request[Any, Any, Any], services: NamedDependency[Services], redemption_id: FromPath[str]
) -> Response[Any]:
    """Ask how much is given back."""
    return await _ask(request, services, redemption_id, _REFUND)


async def _ask(request: Request[Any, Any, Any], services: Services, redemption_id: str, template: str) -> Response[Any]:
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        try:
            redemption = await own_redemption(connection, desk, redemption_id)
        except NotFoundError:
            return see_other("/till")
        return await redemption_page(request, services, connection, desk, redemption, template=template)


@post("/redemptions/{redemption_id:str}/void", status_code=303)
async def void_redemption(
    request: Request[Any, Any, Any], services: NamedDependency[Services], redemption_id: FromPath[str]
) -> Response[Any]:
    """Undo it whole: a hold is released, what was taken comes back with its old expiry."""
    form = await read_form(request, "key")
    try:
        async with services.transaction() as connection:
            desk = await read_clerk(request, services, connection)
            redemption = await own_redemption(connection, desk, redemption_id)
            await void(connection, programme_id=desk.programme.id, redemption_id=redemption.id, key=form["key"])
    except NotFoundError:
        return see_other("/till")
    except REFUSALS as error:
        return await refuse(request, services, redemption_id, error)
    return see_other(f"/till/redemptions/{redemption_id}")


@post("/redemptions/{redemption_id:str}/refund", status_code=303)
async def refund_redemption(
    request: Request[Any, Any, Any], services: NamedDependency[Services], redemption_id: FromPath[str]
) -> Response[Any]:
    """Give points back: so many, or, where the form names none, all that are left."""
    form = await read_form(request, "key", "points")
    try:
        async with services.transaction() as connection:
            desk = await read_clerk(request, services, connection)
            redemption = await own_redemption(connection, desk, redemption_id)
            points = read_points(form["points"])
            if form["points"] and not points:
                raise InvalidInputError("a whole number of points is needed", field="points")
            await refund(
                connection,
                programme_id=desk.programme.id,
                redemption_id=redemption.id,
                key=form["key"],
                points=points,
                clerk=desk.staff.username,
            )
    except NotFoundError:
        return see_other("/till")
    except REFUSALS as error:
        return await refuse(request, services, redemption_id, error, template=_REFUND)
    return see_other(f"/till/redemptions/{redemption_id}")
