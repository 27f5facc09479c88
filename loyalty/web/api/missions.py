"""Missions: begun and ended; how far members are, their rewards, and their visits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.missions.mission import (
    MISSION_PREFIX,
    Mission,
    MissionTerms,
    end_mission,
    get_mission,
    list_missions,
    publish_mission,
)
from loyalty.campaigns.missions.progress import Progress, collect, collected, note_visit, progress_of
from loyalty.kit.clock import utc_now
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.web.api.operations import IdempotencyKey, Moment, Person, Require, keyed_problems, problems, tell
from loyalty.web.api.people import MemberId, reading_member, writing_member
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

MissionId = Annotated[
    str, PathParameter(pattern=f"^{MISSION_PREFIX}_[0-9A-Za-z]{{26}}$", description="The mission's id.")
]


class MissionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mission, which begins at once or later and never changes: only its end may be moved."""

    code: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$", examples=["seven-days"])]
    definition: Annotated[
        MissionTerms,
        Meta(description="`points`, a `benefit` (a template's code), an entry in a `draw` (its code), or several."),
    ]
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    actor: Person


class StopMissionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who ends it."""

    actor: Person


class MissionAnswer(Struct, frozen=True, kw_only=True):
    """A mission, and how many members have collected its reward. `ended_by` is who moved its end to `ends_at`."""

    id: Annotated[str, Meta(pattern=f"^{MISSION_PREFIX}_[0-9A-Z]{{26}}$")]
    code: str
    definition: MissionTerms
    starts_at: datetime
    ends_at: datetime | None
    ended_by: str | None
    published_by: str
    collected: int


class Missions(Struct, frozen=True, kw_only=True):
    """Missions, newest first."""

    data: list[MissionAnswer]


class ProgressAnswer(Struct, frozen=True, kw_only=True):
    """How far a member is: `done` of `steps`."""

    mission_id: str
    code: str
    name: dict[str, str]
    done: int
    steps: int
    complete: bool
    collected_at: datetime | None


class MemberMissions(Struct, frozen=True, kw_only=True):
    """The missions that run, and how far the member is with each."""

    data: list[ProgressAnswer]


class VisitAnswer(Struct, frozen=True, kw_only=True):
    """`first` says that the member had not checked in on this day of the programme before."""

    first: bool


def _answer(mission: Mission, number: int) -> MissionAnswer:
    return tell(
        MissionAnswer,
        mission,
        id=public_id(MISSION_PREFIX, mission.id),
        definition=mission.terms,
        collected=number,
    )


def _progress(progress: Progress) -> ProgressAnswer:
    mission = progress.mission
    return tell(
        ProgressAnswer,
        progress,
        mission_id=public_id(MISSION_PREFIX, mission.id),
        code=mission.code,
        name=mission.terms.name,
        steps=mission.terms.steps,
    )


async def _tell(connection: AsyncConnection, mission: Mission) -> MissionAnswer:
    numbers = await collected(connection, programme_id=mission.programme_id)
    return _answer(mission, numbers.get(mission.id, 0))


@get(
    "/missions",
    operation_id="listMissions",
    summary="Missions",
    guards=[Require("campaigns:read")],
    responses=problems(),
)
async def list_all_missions(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> Missions:
    """Every mission, newest first, with how many members have collected its reward."""
    async with services.transaction() as connection:
        found = await list_missions(connection, programme_id=caller.programme_id)
        numbers = await collected(connection, programme_id=caller.programme_id)
    return Missions(data=[_answer(mission, numbers.get(mission.id, 0)) for mission in found])


@post(
    "/missions",
    operation_id="createMission",
    summary="Begin a mission",
    guards=[Require("campaigns:write")],
    responses=keyed_problems(404),
)
async def create_mission(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[MissionRequest],
) -> Response[MissionAnswer]:
    """Begin a mission now or later; members see it on their card while it runs."""

    async def work(connection: AsyncConnection) -> MissionAnswer:
        made = await publish_mission(
            connection,
            programme_id=caller.programme_id,
            code=data.code,
            terms=data.definition,
            published_by=data.actor,
            starts_at=data.starts_at,
            ends_at=data.ends_at,
        )
        return _answer(made, 0)

    return await once(services, caller, idempotency_key, operation="createMission", request=data, status=201, work=work)


@get(
    "/missions/{mission_id:str}",
    operation_id="getMission",
    summary="A mission",
    guards=[Require("campaigns:read")],
    responses=problems(404),
)
async def get_one_mission(
    services: NamedDependency[Services], caller: NamedDependency[Caller], mission_id: MissionId
) -> MissionAnswer:
    """A mission, and how many members have collected its reward."""
    identifier = parse_public_id(MISSION_PREFIX, mission_id, field="mission_id")
    async with services.transaction() as connection:
        found = await get_mission(connection, programme_id=caller.programme_id, mission_id=identifier)
        return await _tell(connection, found)


@post(
    "/missions/{mission_id:str}/stop",
    operation_id="stopMission",
    summary="End a mission",
    guards=[Require("campaigns:write")],
    responses=keyed_problems(404),
)
async def stop_mission(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    mission_id: MissionId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[StopMissionRequest],
) -> Response[MissionAnswer]:
    """End a running mission now; what was collected stays."""

    async def work(connection: AsyncConnection) -> MissionAnswer:
        identifier = parse_public_id(MISSION_PREFIX, mission_id, field="mission_id")
        mine: dict[str, Any] = {"programme_id": caller.programme_id, "mission_id": identifier}
        await end_mission(connection, **mine, ended_by=data.actor)
        return await _tell(connection, await get_mission(connection, **mine))

    request = {"mission": mission_id, "data": data}
    return await once(
        services, caller, idempotency_key, operation="stopMission", request=request, status=201, work=work
    )


@get(
    "/members/{member_id:str}/missions",
    operation_id="listMemberMissions",
    summary="A member's missions",
    guards=[Require("campaigns:read")],
    responses=problems(404),
)
async def list_member_missions(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> MemberMissions:
    """The missions that run now, and how far the member is with each, under all ids of the person."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await progress_of(connection, programme=caller.programme, member_id=member.id, at=utc_now())
    return MemberMissions(data=[_progress(each) for each in found])


@post(
    "/members/{member_id:str}/missions/{mission_id:str}/collect",
    operation_id="collectMissionReward",
    summary="Collect a mission's reward",
    guards=[Require("points:write")],
    responses=keyed_problems(404),
)
async def collect_mission_reward(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    mission_id: MissionId,
    idempotency_key: IdempotencyKey,
) -> Response[ProgressAnswer]:
    """Give the reward of a mission that the member has completed, once; refused with 409 while steps are missing."""

    async def work(connection: AsyncConnection) -> ProgressAnswer:
        member = await writing_member(connection, caller, member_id)
        identifier = parse_public_id(MISSION_PREFIX, mission_id, field="mission_id")
        done = await collect(
            connection, programme=caller.programme, member_id=member.id, mission_id=identifier, at=utc_now()
        )
        return _progress(done)

    request = {"member": member_id, "mission": mission_id}
    return await once(
        services, caller, idempotency_key, operation="collectMissionReward", request=request, status=201, work=work
    )


@put(
    "/members/{member_id:str}/visits/today",
    operation_id="checkIn",
    summary="Check a member in",
    guards=[Require("members:write")],
    responses=problems(404, 409),
)
async def check_in(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> VisitAnswer:
    """Note that the member opened the app, or showed the card in a store: a visit for missions and tiers, once a day of
    the programme. Takes no key: repeat as you like.
    """
    async with services.transaction() as connection:
        member = await writing_member(connection, caller, member_id)
        cause = caller.channel.code if caller.channel is not None else "api"
        first = await note_visit(connection, programme=caller.programme, member_id=member.id, at=utc_now(), cause=cause)
    return VisitAnswer(first=first)


router: Final = Router(
    path="/",
    tags=["Missions"],
    route_handlers=[
        list_all_missions,
        create_mission,
        get_one_mission,
        stop_mission,
        list_member_missions,
        collect_mission_reward,
        check_in,
    ],
)
