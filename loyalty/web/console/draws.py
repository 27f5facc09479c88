"""Prize draws in the hands of a CRM manager: published with their odds, watched, drawn, and proved."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.draws.draw import draw_uuid, get_draw, list_draws, publish_draw, withdraw_draw
from loyalty.campaigns.draws.settling import DrawNotClosedError, draw_winners, winners_of
from loyalty.kit.clock import end_of_local_day, start_of_local_day, utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.members.profile import read_profiles
from loyalty.web.console.campaign_forms import read_day, read_number
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits.templates import list_templates

_REFUSED: Final = 422
_ROWS: Final = (1, 2, 3, 4)
"""Kinds of prizes that the form takes; the API takes more."""
_PARTS: Final = ("zh", "en", "count", "points", "benefit")
_FIELDS: Final = (
    *("name_zh", "name_en", "places", "price", "per_member", "opens", "closes", "beacon_zh", "beacon_en"),
    *(f"prize{row}_{part}" for row in _ROWS for part in _PARTS),
)
_EMPTY: Final = dict.fromkeys(_FIELDS, "") | {"places": "1000", "price": "50", "per_member": "5"}
_SAID: Final = {
    "name.zh": "name_zh",
    "name.en": "name_en",
    "price_points": "price",
    "opens_at": "opens",
    "closes_at": "closes",
    "beacon.zh": "beacon_zh",
    "beacon.en": "beacon_en",
}
_TOLD: Final = ("name_zh", "name_en", "places", "price", "per_member", "opens", "closes", "prizes", "beacon")
_MOST_WINNERS: Final = 200
_DONE: Final = ("published", "withdrawn", "drawn")


@get("/draws")
async def show_draws(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """All draws, and the form for another one."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show_all(request, connection, desk)


async def _show_all(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    *,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Response[Any]:
    t, _ = words(request, desk)
    templates = await list_templates(connection, programme_id=desk.programme.id, states=["published"])
    return console_page(
        request,
        "console/draws.html",
        desk,
        section="draws",
        status_code=_REFUSED if errors else 200,
        here="/console/draws",
        draws=await list_draws(connection, programme_id=desk.programme.id),
        now=utc_now(),
        rows=_ROWS,
        benefits=[(each.code, each.definition.name[t.language]) for each in templates],
        form=form or _EMPTY,
        errors=errors or {},
    )


@post("/draws", status_code=303)
async def publish_one(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Publish a draw. What was typed wrong is said at its field."""
    form = await read_form(request, *_FIELDS)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            opens_at, closes_at = _span(form, desk)
            made = await publish_draw(
                connection,
                services.keyring,
                programme_id=desk.programme.id,
                code=f"d-{new_id().hex[-10:]}",
                definition=_definition(form),
                opens_at=opens_at,
                closes_at=closes_at,
                published_by=desk.staff.username,
            )
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            t, _ = words(request, desk)
            return await _show_all(request, connection, desk, form=form, errors=_error(t, error))
    return see_other(f"/console/draws/{made.public_id}?done=published")


def _span(form: dict[str, str], desk: Desk) -> tuple[datetime | None, datetime]:
    """From the start of the first day (None: at once) to the end of the last."""
    opens, closes = read_day(form["opens"], "opens"), read_day(form["closes"], "closes")
    if closes is None:
        raise InvalidInputError("a last day is needed", field="closes")
    zone, today = desk.programme.time_zone, utc_now().astimezone(desk.programme.zone).date()
    later = opens is not None and opens != today
    return start_of_local_day(opens, zone) if opens is not None and later else None, end_of_local_day(closes, zone)


def _definition(form: dict[str, str]) -> dict[str, Any]:
    prizes = []
    for row in _ROWS:
        mine = {part: form[f"prize{row}_{part}"] for part in _PARTS}
        if not any(mine.values()):
            continue
        prizes.append(
            {
                "code": f"prize-{row}",
                "name": {"zh": mine["zh"], "en": mine["en"]},
                "count": read_number(mine["count"] or "1", "prizes"),
                "points": read_number(mine["points"] or "0", "prizes"),
                "benefit": mine["benefit"] or None,
            }
        )
    beacon = {"zh": form["beacon_zh"], "en": form["beacon_en"]}
    return {
        "name": {"zh": form["name_zh"], "en": form["name_en"]},
        "prizes": prizes,
        "places": read_number(form["places"], "places"),
        "price_points": read_number(form["price"], "price") if form["price"] else None,
        "per_member": read_number(form["per_member"], "per_member"),
        "beacon": beacon if any(beacon.values()) else None,
    }


def _error(t: Translator, error: InvalidInputError | ConflictError | NotFoundError) -> dict[str, str]:
    path = error.field or ""
    field = "prizes" if path.startswith("prizes") or path == "template" else _SAID.get(path, path)
    told = "beacon" if field.startswith("beacon") else field
    return {field: t(f"draws.error.{told if told in _TOLD else 'other'}")}


@get("/draws/{draw_id:str}")
async def show_draw(
    request: Request[Any, Any, Any], services: NamedDependency[Services], draw_id: FromPath[str]
) -> Response[Any]:
    """One draw: its odds, what it commits to, who won."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show(request, services, connection, desk, draw_id)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    draw_id: str,
    *,
    errors: dict[str, str] | None = None,
) -> Response[Any]:
    draw = await get_draw(connection, programme_id=desk.programme.id, draw_id=draw_uuid(draw_id))
    winners = (await winners_of(connection, draw_id=draw.id)) if draw.drawn_at else []
    shown = winners[:_MOST_WINNERS]
    profiles = await read_profiles(connection, services.keyring, {each.member_id for each in shown})
    done = request.query_params.get("done")
    return console_page(
        request,
        "console/draw.html",
        desk,
        section="draws",
        status_code=_REFUSED if errors else 200,
        draw=draw,
        state=draw.state(utc_now()),
        winners=shown,
        won=len(winners),
        waiting=sum(each.given_at is None for each in winners),
        people={
            member: (public_id(MEMBER_PREFIX, member), profile.display_name) for member, profile in profiles.items()
        },
        errors=errors or {},
        done=done if done in _DONE else None,
    )


@post("/draws/{draw_id:str}", status_code=303)
async def change_draw(
    request: Request[Any, Any, Any], services: NamedDependency[Services], draw_id: FromPath[str]
) -> Response[Any]:
    """Draw the winners of a closed draw, or withdraw one that nobody entered."""
    form = await read_form(request, "action", "beacon")
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            mine: dict[str, Any] = {"programme_id": desk.programme.id, "draw_id": draw_uuid(draw_id)}
            if form["action"] == "withdraw":
                await withdraw_draw(connection, **mine, withdrawn_by=desk.staff.username)
            else:
                await draw_winners(
                    connection, services.keyring, **mine, beacon=form["beacon"], drawn_by=desk.staff.username
                )
    except (InvalidInputError, ConflictError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            t, _ = words(request, desk)
            return await _show(request, services, connection, desk, draw_id, errors=_refusal(t, error))
    what = "withdrawn" if form["action"] == "withdraw" else "drawn"
    return see_other(f"/console/draws/{draw_id}?done={what}")


def _refusal(t: Translator, error: InvalidInputError | ConflictError) -> dict[str, str]:
    if error.field == "beacon":
        return {"beacon": t("draws.error.beacon_value")}
    return {"draw": t("draws.error.not_closed" if isinstance(error, DrawNotClosedError) else "draws.error.entered")}


HANDLERS: Final = (show_draws, publish_one, show_draw, change_draw)
