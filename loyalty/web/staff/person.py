"""Who of the brand's people is at work: the staff member behind a session, and what their page may be.

A page asks for `read_clerk` (the till: somebody who works in a channel) or `read_manager` (the console). Nobody signed
in is answered with the sign-in page, which leads back.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response
from litestar.types import ExceptionHandlersMap
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import AuthenticationError, NotFoundError, PermissionDeniedError
from loyalty.kit.programme import Channel, Programme, get_channel_by_id
from loyalty.web.forms import see_other
from loyalty.web.rendering import page
from loyalty.web.security.sessions import COOKIES, read_session
from loyalty.web.security.staff import Role, Staff, get_staff
from loyalty.web.state import Services

SIGN_IN: Final = "/staff/login"
TILL: Final = "/till"
CONSOLE: Final = "/console"


class SignInNeededError(AuthenticationError):
    """Nobody is signed in; the page is shown after signing in."""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the brand at work. `channel` is the one they work in, if it is a single one."""

    programme: Programme
    staff: Staff
    channel: Channel | None


class TillDesk(Desk, frozen=True, kw_only=True):
    """Somebody at the till of a channel."""

    channel: Channel


class NotTheirPageError(PermissionDeniedError):
    """Somebody is signed in whose work does not include the page."""

    def __init__(self, detail: str, *, desk: Desk) -> None:
        super().__init__(detail)
        self.desk = desk


async def find_desk(request: Request[Any, Any, Any], services: Services, connection: AsyncConnection) -> Desk | None:
    """Whoever is signed in to the programme that this server shows; None for nobody."""
    programme = await services.programme(connection)
    session = await read_session(connection, request.cookies.get(COOKIES["staff"]), kind="staff")
    if session is None or session.programme_id != programme.id:
        return None
    try:
        staff = await get_staff(connection, session.subject_id)
    except NotFoundError:
        return None
    if not staff.active:
        return None
    channel = await get_channel_by_id(connection, staff.channel_id) if staff.channel_id else None
    return Desk(programme=programme, staff=staff, channel=channel)


async def read_desk(request: Request[Any, Any, Any], services: Services, connection: AsyncConnection) -> Desk:
    """Whoever is signed in. Raises SignInNeededError."""
    desk = await find_desk(request, services, connection)
    if desk is None:
        raise SignInNeededError("sign in first")
    return desk


async def read_clerk(request: Request[Any, Any, Any], services: Services, connection: AsyncConnection) -> TillDesk:
    """Whoever stands at a till. Raises SignInNeededError, NotTheirPageError for somebody who has no channel."""
    desk = await read_desk(request, services, connection)
    if desk.channel is None:
        raise NotTheirPageError("a till belongs to a channel, and this person works in none", desk=desk)
    return TillDesk(programme=desk.programme, staff=desk.staff, channel=desk.channel)


async def read_manager(
    request: Request[Any, Any, Any], services: Services, connection: AsyncConnection, *, role: Role = "crm"
) -> Desk:
    """Whoever may use the console, in a role or a higher one. Raises SignInNeededError and NotTheirPageError."""
    desk = await read_desk(request, services, connection)
    if not desk.staff.may(role):
        message = f"this page is for {role}"
        raise NotTheirPageError(message, desk=desk)
    return desk


def landing(desk: Desk) -> str:
    """Where somebody begins their work: clerks at the till, the others in the console."""
    return CONSOLE if desk.staff.may("crm") else TILL


def ask_to_sign_in(request: Request[Any, Any, Any], _error: SignInNeededError) -> Response[Any]:
    """Answer SignInNeededError: the sign-in page, which leads back to a page that can be looked at again."""
    query = request.scope["query_string"].decode("ascii", "replace")
    here = request.url.path + (f"?{query}" if query else "") if request.method == "GET" else ""
    return see_other(f"{SIGN_IN}?{urlencode({'next': here})}" if here else SIGN_IN)


def show_the_way(request: Request[Any, Any, Any], error: NotTheirPageError) -> Response[Any]:
    """Answer NotTheirPageError: whose page it is not, and where theirs is."""
    desk = error.desk
    return page(
        request,
        "staff/not_theirs.html",
        programme=desk.programme,
        status_code=error.status,
        private=True,
        here="/staff",
        desk=desk,
        landing=landing(desk),
    )


PAGE_ERRORS: Final[ExceptionHandlersMap] = {
    SignInNeededError: ask_to_sign_in,
    NotTheirPageError: show_the_way,
}
"""How pages for staff answer somebody who may not see them."""
