"""Tiers: where a member stands and why, and the ladders that say so."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from loyalty.kit.errors import NotFoundError
from loyalty.web.api import tiers_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Limit, Require, keyed_problems, problems, tell
from loyalty.web.api.people import MemberId, reading_member
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from tiers.ladders import DEFAULT_LADDER, list_ladder_versions, publish_ladder
from tiers.reading import history, standing

_CODE: Final = "^[a-z0-9][a-z0-9-]{0,39}$"
LadderQuery = Annotated[str, QueryParameter(pattern=_CODE, description="The ladder's code.")]
LadderPath = Annotated[str, PathParameter(pattern=_CODE, description="The ladder's code.")]


def _no_ladder(code: str) -> NotFoundError:
    return NotFoundError(f"there is no ladder {code!r} in this programme", field="ladder")


@get(
    "/members/{member_id:str}/tier",
    operation_id="getTier",
    summary="A member's tier",
    guards=[Require("tiers:read")],
    responses=problems(404),
)
async def get_tier(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    ladder: LadderQuery = DEFAULT_LADDER,
) -> shapes.StandingAnswer:
    """The member's tier, the next one, and what is missing for it."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await standing(
            connection,
            programme_id=caller.programme_id,
            member_id=member.id,
            moment=utc_now(),
            ladder_code=ladder,
        )
    if found is None:
        raise _no_ladder(ladder)
    return shapes.standing_answer(found)


@get(
    "/members/{member_id:str}/tier/history",
    operation_id="listTierChanges",
    summary="History of a member's tier",
    guards=[Require("tiers:read")],
    responses=problems(404),
)
async def list_tier_changes(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    ladder: LadderQuery = DEFAULT_LADDER,
    limit: Limit = 50,
) -> shapes.TierChanges:
    """What happened to the member's tier and why, newest first."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        changes = await history(connection, member_id=member.id, limit=limit, ladder_code=ladder)
    return shapes.TierChanges(data=[tell(shapes.TierChangeAnswer, change) for change in changes])


@get(
    "/ladders/{ladder:str}",
    operation_id="getLadder",
    summary="A ladder's versions",
    guards=[Require("tiers:read")],
    responses=problems(404),
)
async def get_ladder(
    services: NamedDependency[Services], caller: NamedDependency[Caller], ladder: LadderPath
) -> shapes.Ladders:
    """Every version of a ladder, newest first. A published version is never changed."""
    async with services.transaction() as connection:
        versions = await list_ladder_versions(connection, programme_id=caller.programme_id, ladder_code=ladder)
    if not versions:
        raise _no_ladder(ladder)
    return shapes.Ladders(data=[shapes.ladder_answer(version) for version in versions])


@post(
    "/ladders/{ladder:str}",
    operation_id="publishLadder",
    summary="Publish a ladder",
    guards=[Require("tiers:write")],
    responses=keyed_problems(),
)
async def publish_one_ladder(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    ladder: LadderPath,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.LadderRequest],
) -> Response[shapes.LadderAnswer]:
    """Publish the next version of a ladder. One equal to the newest version publishes nothing and is answered."""

    async def work(connection: AsyncConnection) -> shapes.LadderAnswer:
        published = await publish_ladder(
            connection,
            programme_id=caller.programme_id,
            ladder=shapes.read_ladder(ladder, data),
            effective_at=data.effective_at,
        )
        return shapes.ladder_answer(published)

    request = {"ladder": ladder, "definition": data}
    return await once(
        services, caller, idempotency_key, operation="publishLadder", request=request, status=201, work=work
    )


router: Final = Router(
    path="/", tags=["Tiers"], route_handlers=[get_tier, list_tier_changes, get_ladder, publish_one_ladder]
)
