"""Missions in the hands of a CRM manager: begun with one sentence, seen with how many collected, ended."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.draws.draw import list_draws
from loyalty.campaigns.missions.mission import (
    MISSION_PREFIX,
    BuyTimes,
    CompleteProfile,
    Mission,
    MissionTerms,
    ScanProducts,
    SignIn,
    Task,
    end_mission,
    list_missions,
    publish_mission,
)
from loyalty.campaigns.missions.progress import collected
from loyalty.kit.clock import end_of_local_day, utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, parse_public_id, public_id
from loyalty.web.console.campaign_forms import read_day, read_number
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.mission_words import reward_words
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits.templates import list_templates

_REFUSED: Final = 422
_KINDS: Final = ("sign_in", "scan", "buy", "profile")
_FIELDS: Final = ("name_zh", "name_en", "kind", "steps", "points", "benefit", "draw", "ends")
_EMPTY: Final = dict.fromkeys(_FIELDS, "") | {"kind": "sign_in", "steps": "7", "points": "50"}
_SAID: Final = {
    "name.zh": "name_zh",
    "name.en": "name_en",
    "task": "steps",
    "ends_at": "ends",
    "template": "benefit",
    "draw_id": "draw",
}


@get("/missions")
async def show_missions(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """All missions, and the form for another one."""
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
) -> Response[Any]:
    now = utc_now()
    t, _ = words(request, desk)
    draws = await list_draws(connection, programme_id=desk.programme.id)
    templates = await list_templates(connection, programme_id=desk.programme.id)
    names = {each.code: each.definition.name[t.language] for each in templates}
    published = [each.code for each in templates if each.state == "published"]
    missions = await list_missions(connection, programme_id=desk.programme.id)
    return console_page(
        request,
        "console/missions.html",
        desk,
        section="missions",
        status_code=_REFUSED if errors else 200,
        here="/console/missions",
        missions=missions,
        running={mission.id for mission in missions if _runs(mission)},
        now=now,
        collected=await collected(connection, programme_id=desk.programme.id),
        mission_id=_public_id,
        kinds=_KINDS,
        benefits={code: names[code] for code in published},
        draws=[(each.code, each.terms.name[t.language]) for each in draws if each.state(now) in ("open", "scheduled")],
        reward=lambda terms: reward_words(terms, t, benefits=names),
        form=form or _EMPTY,
        errors=errors or {},
        done=request.query_params.get("done") if request.query_params.get("done") in ("begun", "ended") else None,
    )


def _runs(mission: Mission) -> bool:
    now = utc_now()
    return mission.starts_at <= now and (mission.ends_at is None or now < mission.ends_at)


def _public_id(mission: Mission) -> str:
    return public_id(MISSION_PREFIX, mission.id)


@post("/missions", status_code=303)
async def begin_mission(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Begin a mission at once. What was typed wrong is said at its field."""
    form = await read_form(request, *_FIELDS)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            last = read_day(form["ends"], "ends")
            await publish_mission(
                connection,
                programme_id=desk.programme.id,
                code=f"m-{new_id().hex[-10:]}",
                terms=_terms(form),
                published_by=desk.staff.username,
                ends_at=end_of_local_day(last, desk.programme.time_zone) if last else None,
            )
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            t, _ = words(request, desk)
            return await _show(request, connection, desk, form=form, errors=_error(t, error))
    return see_other("/console/missions?done=begun")


def _terms(form: dict[str, str]) -> MissionTerms:
    steps = read_number(form["steps"], "steps") if form["kind"] != "profile" else 0
    tasks: dict[str, Task] = {
        "sign_in": SignIn(days=steps),
        "scan": ScanProducts(products=steps),
        "buy": BuyTimes(times=steps),
        "profile": CompleteProfile(),
    }
    task = tasks.get(form["kind"])
    if task is None:
        raise InvalidInputError("this form is not one of ours", field="kind")
    name = {"zh": form["name_zh"], "en": form["name_en"]}
    points = read_number(form["points"] or "0", "points")
    return MissionTerms(name=name, task=task, points=points, benefit=form["benefit"] or None, draw=form["draw"] or None)


def _error(t: Translator, error: InvalidInputError | ConflictError | NotFoundError) -> dict[str, str]:
    field = _SAID.get(error.field or "", error.field or "kind")
    return {field: t(f"missions.error.{field}") if field in _FIELDS and field != "kind" else error.detail}


@post("/missions/{mission_id:str}", status_code=303)
async def end_one(
    request: Request[Any, Any, Any], services: NamedDependency[Services], mission_id: FromPath[str]
) -> Response[Any]:
    """End a mission now."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        identifier = parse_public_id(MISSION_PREFIX, mission_id)
        await end_mission(
            connection, programme_id=desk.programme.id, mission_id=identifier, ended_by=desk.staff.username
        )
    return see_other("/console/missions?done=ended")


HANDLERS: Final = (show_missions, begin_mission, end_one)
