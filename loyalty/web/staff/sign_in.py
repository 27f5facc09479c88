"""Signing in and out of the brand's own people: a user name, a password, and an end to guessing."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from loyalty.kit.errors import AuthenticationError, DomainError, TooManyAttemptsError
from loyalty.web.forms import network_address, read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.rendering import language_of, page
from loyalty.web.security.sessions import COOKIES, close_session, end_cookie, open_session, session_cookie
from loyalty.web.security.staff import authenticate_staff
from loyalty.web.staff.person import CONSOLE, SIGN_IN, TILL, find_desk, landing
from loyalty.web.state import Services

_REFUSED: Final = 422
_SECONDS_A_MINUTE: Final = 60


@get(SIGN_IN)
async def ask_password(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Ask who it is; whoever is signed in already goes to their work."""
    wanted = _own_page(request.query_params.get("next", ""))
    async with services.transaction() as connection:
        desk = await find_desk(request, services, connection)
    if desk is not None:
        return see_other(wanted or landing(desk))
    return await _show(request, services, username="", wanted=wanted, error=None, status_code=200)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    *,
    username: str,
    wanted: str,
    error: str | None,
    status_code: int,
) -> Response[Any]:
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    return page(
        request,
        "staff/sign_in.html",
        programme=programme,
        status_code=status_code,
        private=True,
        here=SIGN_IN,
        desk=None,
        username=username,
        wanted=wanted,
        error=error,
    )


@post(SIGN_IN, status_code=303)
async def check_password(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Check a password and begin a session. What is wrong, name or password, is not told."""
    form = await read_form(request, "username", "next")
    password = (await request.form()).get("password")
    wanted = _own_page(form["next"])
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    try:
        staff = await authenticate_staff(
            services.engine,
            secret=services.session_secret,
            programme_id=programme.id,
            username=form["username"],
            password=password if isinstance(password, str) else "",
            address=network_address(request),
        )
    except (AuthenticationError, TooManyAttemptsError) as error:
        t = Translator(language_of(request, default=programme.locale))
        status_code = error.status if isinstance(error, TooManyAttemptsError) else _REFUSED
        return await _show(
            request, services, username=form["username"], wanted=wanted, error=_say(t, error), status_code=status_code
        )
    async with services.transaction() as connection:
        token = await open_session(connection, kind="staff", programme_id=programme.id, subject_id=staff.id)
    response = see_other(wanted or (CONSOLE if staff.may("crm") else TILL))
    response.set_cookie(session_cookie(token, kind="staff", https=request.app.state["https"]))
    return response


def _say(t: Translator, error: DomainError) -> str:
    if isinstance(error, TooManyAttemptsError):
        seconds = int(error.members.get("retry_after_seconds", _SECONDS_A_MINUTE))
        return t("staff.sign_in.too_many", n=-(-seconds // _SECONDS_A_MINUTE))
    return t("staff.sign_in.wrong")


@post("/staff/logout", status_code=303)
async def sign_out(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Redirect:
    """End the session here."""
    async with services.transaction() as connection:
        await close_session(connection, request.cookies.get(COOKIES["staff"]))
    response = see_other(SIGN_IN)
    response.set_cookie(end_cookie("staff"))
    return response


@get("/staff")
async def begin_work(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Redirect:
    """The short address to type: to one's work, or to the sign-in page."""
    async with services.transaction() as connection:
        desk = await find_desk(request, services, connection)
    return see_other(landing(desk) if desk else SIGN_IN)


def _own_page(address: str) -> str:
    """An address of a staff page, else nothing: a link from elsewhere must not lead elsewhere after signing in."""
    path = address.partition("?")[0]
    known = any(path == start or path.startswith(f"{start}/") for start in (TILL, CONSOLE))
    return address if known and "\\" not in address and address.isprintable() else ""
