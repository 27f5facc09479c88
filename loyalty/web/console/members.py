"""The list of members, and finding one by what is known of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, get_args
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from loyalty.kit.errors import NotFoundError
from loyalty.kit.ids import parse_public_id
from loyalty.members.identity import find
from loyalty.members.member import MEMBER_PREFIX, Member
from loyalty.members.profile import read_profiles
from loyalty.members.reading import Place, list_members
from loyalty.web.console.desk import console_page, read_places, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.member.join import CHANNEL_CODE as OWN_PAGES
from loyalty.web.staff.person import read_manager
from loyalty.web.state import Services

PAGE: Final = 50
_LONGEST_SEARCH: Final = 320
_State = Literal["active", "merged", "erased"]


def member_address(member: Member) -> str:
    """The console's page of a member."""
    return f"/console/members/{member.public_id}"


@get("/members")
async def show_members(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Members, who joined last first, in pages; of one `channel` or in one `state` if asked."""
    asked = request.query_params
    state = _state(asked.get("state"))
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, _ = words(request, desk)
        places = await read_places(connection, desk, t)
        channel = asked.get("channel")
        if channel not in {OWN_PAGES, *places.by_code}:
            channel = None
        found = await list_members(
            connection,
            programme_id=desk.programme.id,
            state=state,
            channel=channel,
            after=_place(asked.get("after")),
            limit=PAGE + 1,
        )
        shown = found[:PAGE]
        profiles = await read_profiles(connection, services.keyring, [member.id for member in shown])
    kept = {"state": state} | ({"channel": channel} if channel else {})
    older = urlencode({**kept, "after": _write_place(shown[-1])}) if len(found) > PAGE else None
    return console_page(
        request,
        "console/members.html",
        desk,
        section="members",
        people=[(member, profiles[member.id], member_address(member)) for member in shown],
        places=places,
        channels=[*places.by_code, OWN_PAGES],
        channel=channel,
        state=state,
        states=get_args(_State),
        older=older,
        first_page=asked.get("after") is None,
        newest=urlencode(kept),
        search=None,
    )


@post("/members/find", status_code=303)
async def find_members(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Whoever a text names. It comes in a form, so that no phone number ends in an address, a history or a log."""
    text = (await read_form(request, "text", limit=_LONGEST_SEARCH))["text"]
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        found = await find(connection, services.keyring, programme_id=desk.programme.id, text=text)
        t, _ = words(request, desk)
        places = await read_places(connection, desk, t)
        profiles = await read_profiles(connection, services.keyring, [member.id for member in found])
    if len(found) == 1:
        return see_other(member_address(found[0]))
    return console_page(
        request,
        "console/members.html",
        desk,
        section="members",
        here="/console/members",
        people=[(member, profiles[member.id], member_address(member)) for member in found],
        places=places,
        channels=[*places.by_code, OWN_PAGES],
        channel=None,
        state="active",
        states=get_args(_State),
        older=None,
        first_page=True,
        newest="",
        search=text,
    )


def _state(text: str | None) -> _State:
    return next((state for state in get_args(_State) if state == text), "active")


def _place(text: str | None) -> Place | None:
    """Where a page begins. Anything that we did not write begins at the newest member."""
    moment, _, reference = (text or "").partition("~")
    try:
        at, member_id = datetime.fromisoformat(moment), parse_public_id(MEMBER_PREFIX, reference)
    except (ValueError, NotFoundError):
        return None
    return Place(at, member_id) if at.tzinfo else None


def _write_place(member: Member) -> str:
    return f"{member.joined_at.isoformat()}~{member.public_id}"
