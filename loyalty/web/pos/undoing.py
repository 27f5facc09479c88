"""Undoing a redemption: void it whole, or refund it, whole or in part."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError
from loyalty.web.forms import read_form
from loyalty.web.pos.customer import read_points
from loyalty.web.pos.redeeming import redemption_of, redemption_shown
from loyalty.web.pos.steps import Act, show_found, take_step
from loyalty.web.staff.person import TillDesk
from loyalty.web.state import Services
from redemption.till import Redemption, refund, void

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
    show = redemption_shown(request, services, template=template)
    return await show_found(request, services, find=redemption_of(redemption_id), show=show)


async def _undo(
    request: Request[Any, Any, Any],
    services: Services,
    redemption_id: str,
    act: Act[Redemption],
    *,
    template: str = "pos/redemption.html",
) -> Response[Any]:
    return await take_step(
        request,
        services,
        find=redemption_of(redemption_id),
        act=act,
        show=redemption_shown(request, services, template=template),
        address=f"/till/redemptions/{redemption_id}",
    )


@post("/redemptions/{redemption_id:str}/void", status_code=303)
async def void_redemption(
    request: Request[Any, Any, Any], services: NamedDependency[Services], redemption_id: FromPath[str]
) -> Response[Any]:
    """Undo it whole: a hold is released, what was taken comes back with its old expiry."""
    form = await read_form(request, "key")

    async def act(connection: AsyncConnection, desk: TillDesk, redemption: Redemption) -> None:
        await void(connection, programme_id=desk.programme.id, redemption_id=redemption.id, key=form["key"])

    return await _undo(request, services, redemption_id, act)


@post("/redemptions/{redemption_id:str}/refund", status_code=303)
async def refund_redemption(
    request: Request[Any, Any, Any], services: NamedDependency[Services], redemption_id: FromPath[str]
) -> Response[Any]:
    """Give points back: so many, or, where the form names none, all that are left."""
    form = await read_form(request, "key", "points")

    async def act(connection: AsyncConnection, desk: TillDesk, redemption: Redemption) -> None:
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

    return await _undo(request, services, redemption_id, act, template=_REFUND)
