"""Prize draws on the member's card: the odds before one enters, one's tickets, and the proof for everybody."""

from __future__ import annotations

import asyncio
import gzip
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.status_codes import HTTP_304_NOT_MODIFIED
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import InsufficientBalanceError
from loyalty.campaigns.draws.draw import Draw, DrawState, draw_uuid, get_draw, list_draws
from loyalty.campaigns.draws.entering import (
    DrawNotOpenError,
    Entry,
    EntryLimitError,
    EntryNotForSaleError,
    buy_entry,
    entries_of,
)
from loyalty.kit.ids import new_id
from loyalty.members.member import person_ids
from loyalty.web.files import FOR_EVER
from loyalty.web.forms import read_form, see_other
from loyalty.web.member.visitor import hold_visitor
from loyalty.web.rendering import weak
from loyalty.web.state import Services

SHOWN_DAYS: Final = 30
"""So long after it closed a draw stays on the card."""
REFUSALS: Final = ("points", "limit", "closed", "full", "missions")
_CARD: Final = "/me"
_KEY_LENGTH: Final = 64


class DrawView(msgspec.Struct, frozen=True, kw_only=True):
    """A draw, and what the member has in it."""

    draw: Draw
    state: DrawState
    entries: list[Entry]

    @property
    def may_enter(self) -> bool:
        """Whether the member can buy another entry."""
        terms = self.draw.terms
        return (
            self.state == "open"
            and terms.price_points is not None
            and self.draw.entries < terms.places
            and len(self.entries) < terms.per_member
        )

    @property
    def won(self) -> list[str]:
        """The codes of the prizes that the member's entries won."""
        return [entry.prize for entry in self.entries if entry.prize is not None]


def form_key() -> str:
    """A key for one form, so that sending it twice enters once."""
    return f"card:{new_id()}"


async def read_draws(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, at: datetime
) -> list[DrawView]:
    """The draws that are open, and those that closed lately and the member takes part in."""
    found = await list_draws(connection, programme_id=programme_id, closing_after=at - timedelta(days=SHOWN_DAYS))
    if not found:
        return []
    people = await person_ids(connection, member_id=member_id)
    entries = await entries_of(connection, member_ids=people, draw_ids=[draw.id for draw in found])
    views = [
        DrawView(draw=draw, state=draw.state(at), entries=[each for each in entries if each.draw_id == draw.id])
        for draw in found
    ]
    return [view for view in views if view.entries or view.state in ("open", "scheduled")]


@post("/me/draws/{draw_id:str}", include_in_schema=False, status_code=303)
async def enter_draw(
    request: Request[Any, Any, Any], services: NamedDependency[Services], draw_id: FromPath[str]
) -> Response[Any]:
    """Buy an entry with points. Where that is refused the card says why."""
    form = await read_form(request, "key", limit=_KEY_LENGTH)
    try:
        async with services.transaction() as connection:
            visitor = await hold_visitor(request, services, connection)
            if visitor.member is None:
                return see_other("/join")
            await buy_entry(
                connection,
                programme_id=visitor.programme.id,
                member_id=visitor.member.id,
                draw_id=draw_uuid(draw_id),
                key=form["key"] or form_key(),
            )
    except (InsufficientBalanceError, EntryLimitError, DrawNotOpenError, EntryNotForSaleError) as error:
        return see_other(f"{_CARD}?draw={_reason(error)}#draws")
    return see_other(f"{_CARD}#draws")


def _reason(error: Exception) -> str:
    match error:
        case InsufficientBalanceError():
            return "points"
        case EntryLimitError():
            return "limit"
        case DrawNotOpenError(members={"state": "full"}):
            return "full"
        case EntryNotForSaleError():
            return "missions"
        case _:
            return "closed"


@get("/draws/{draw_id:str}/proof.json", include_in_schema=False)
async def show_proof(
    request: Request[Any, Any, Any], services: NamedDependency[Services], draw_id: FromPath[str]
) -> Response[Any]:
    """The proof of a draw, for everybody: it names tickets and no member. Once there is one it is the same for ever."""
    programme = await services.shown_programme()
    async with services.transaction() as connection:
        draw = await get_draw(connection, programme_id=programme.id, draw_id=draw_uuid(draw_id))
    headers = {"Cache-Control": FOR_EVER, "ETag": weak(draw.public_id), "Vary": "Accept-Encoding"}
    if draw.drawn_at is not None and headers["ETag"] in _listed(request.headers.get("if-none-match", "")):
        return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    body = await services.proofs.find(services.engine, draw)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        body = await asyncio.to_thread(gzip.decompress, body)
    headers["Content-Disposition"] = f'attachment; filename="draw-{draw.code}.json"'
    return Response(body, media_type="application/json", headers=headers)


def _listed(tags: str) -> list[str]:
    return [tag.strip() for tag in tags.split(",")]
