"""Who looks at a shopper's page: a member, or somebody who may become one; and on which device."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import NotFoundError
from loyalty.kit.programme import Programme
from loyalty.members.member import Member, get_member, keep_unmerged
from loyalty.web.security.sessions import COOKIES, read_session
from loyalty.web.state import Services

DEVICE_COOKIE: Final = "device"
_DEVICE_SECONDS: Final = 400 * 24 * 3600
"""The longest that browsers keep a cookie (RFC 6265bis, section 5.5)."""
_DEVICE_LENGTH: Final = 24
_DEVICE_BYTES: Final = 18


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at a shopper's page. `device` is a random name for the browser that says nothing about its owner."""

    programme: Programme
    member: Member | None
    device: str
    device_is_new: bool


async def meet_visitor(request: Request[Any, Any, Any], services: Services) -> Visitor:
    """As `read_visitor`, without a connection of the caller's; whoever is not signed in costs no statement."""
    if request.cookies.get(COOKIES["member"]):
        async with services.transaction() as connection:
            return await read_visitor(request, services, connection)
    return _visitor(request, await services.shown_programme(), None)


async def read_visitor(request: Request[Any, Any, Any], services: Services, connection: AsyncConnection) -> Visitor:
    """Who asks. A session of a member who was merged is the survivor's; of one who was erased, nobody's.

    Raises NotFoundError where the server shows no programme.
    """
    programme = await services.programme(connection)
    return _visitor(request, programme, await _member(request, connection, programme))


async def hold_visitor(request: Request[Any, Any, Any], services: Services, connection: AsyncConnection) -> Visitor:
    """As `read_visitor`, and the member is held: nobody merges or erases it before this transaction ends.

    For what a member is given or buys, which must not land on one who is being merged at the same moment. Raises
    NotFoundError, UnavailableError.
    """
    visitor = await read_visitor(request, services, connection)
    if visitor.member is None:
        return visitor
    held = await keep_unmerged(connection, programme_id=visitor.programme.id, member_id=visitor.member.id)
    return msgspec.structs.replace(visitor, member=held if held.state == "active" else None)


def _visitor(request: Request[Any, Any, Any], programme: Programme, member: Member | None) -> Visitor:
    device, is_new = name_device(request.cookies.get(DEVICE_COOKIE, ""))
    return Visitor(programme=programme, member=member, device=device, device_is_new=is_new)


def name_device(told: str) -> tuple[str, bool]:
    """The name of the browser whose cookie told this, and whether it is a new one."""
    if len(told) == _DEVICE_LENGTH and told.isascii():
        return told, False
    return secrets.token_urlsafe(_DEVICE_BYTES), True


async def _member(request: Request[Any, Any, Any], connection: AsyncConnection, programme: Programme) -> Member | None:
    session = await read_session(connection, request.cookies.get(COOKIES["member"]), kind="member")
    if session is None or session.programme_id != programme.id:
        return None
    try:
        member = await get_member(connection, programme_id=programme.id, member_id=session.subject_id)
    except NotFoundError:
        return None
    return member if member.state == "active" else None


def remember_device(response: Response[Any], visitor: Visitor, *, https: bool) -> None:
    """Give a browser its name, once."""
    if visitor.device_is_new:
        response.headers["set-cookie"] = device_cookie(visitor.device, https=https)


def device_cookie(device: str, *, https: bool) -> str:
    """The cookie that gives a browser its name. Written by hand: the library's way costs more than the whole answer."""
    secure = "; Secure" if https else ""
    return f"{DEVICE_COOKIE}={device}; Max-Age={_DEVICE_SECONDS}; Path=/; HttpOnly; SameSite=lax{secure}"
