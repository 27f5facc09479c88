"""Tiers: where a member stands and why."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from loyalty.kit.errors import NotFoundError
from loyalty.web.api import tiers_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Limit, Require, keyed_problems, problems, tell
from loyalty.web.api.people import MemberId, reading_member, writing_member
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from tiers.grants import grant_tier, list_grants, withdraw_grant
from tiers.policies import DEFAULT_LADDER
from tiers.reading import history, standing

LADDER_PATTERN: Final = "^[a-z0-9][a-z0-9-]{0,39}$"
LadderQuery = Annotated[str, QueryParameter(pattern=LADDER_PATTERN, description="The ladder's code.")]


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
        raise NotFoundError(f"there is no ladder {ladder!r} in this programme", field="ladder")
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
    return shapes.TierChanges(
        data=[tell(shapes.TierChangeAnswer, change, reasons=list(change.reasons)) for change in changes]
    )


@get(
    "/members/{member_id:str}/tier/grants",
    operation_id="listTierGrants",
    summary="Tiers given to a member by hand",
    guards=[Require("tiers:read")],
    responses=problems(404),
)
async def list_tier_grants(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> shapes.TierGrants:
    """Which tiers were given by hand, until when, why and by whom, newest first."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        grants = await list_grants(connection, member_id=member.id)
    return shapes.TierGrants(data=[shapes.grant_answer(grant) for grant in grants])


@post(
    "/members/{member_id:str}/tier/grants",
    operation_id="grantTier",
    summary="Give a member a tier",
    guards=[Require("tiers:write")],
    responses=keyed_problems(404, 409),
)
async def grant_one_tier(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.TierGrantRequest],
    ladder: LadderQuery = DEFAULT_LADDER,
) -> Response[shapes.TierGrantAnswer]:
    """Give a tier until a moment. No review lowers the member before it; then the rules decide again."""

    async def work(connection: AsyncConnection) -> shapes.TierGrantAnswer:
        member = await writing_member(connection, caller, member_id)
        await grant_tier(
            connection,
            programme_id=caller.programme_id,
            member_id=member.id,
            tier_code=data.tier,
            ends_at=data.ends_at,
            reason=data.reason,
            by=data.by,
            moment=utc_now(),
            ladder_code=ladder,
        )
        return shapes.grant_answer((await list_grants(connection, member_id=member.id))[0])

    request = {"member": member_id, "ladder": ladder, "grant": data}
    return await once(services, caller, idempotency_key, operation="grantTier", request=request, status=201, work=work)


@delete(
    "/members/{member_id:str}/tier/grants",
    operation_id="withdrawTierGrant",
    summary="End a member's granted tier",
    guards=[Require("tiers:write")],
    status_code=200,
    responses=problems(404),
)
async def withdraw_tier_grant(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    ladder: LadderQuery = DEFAULT_LADDER,
) -> shapes.TierGrants:
    """End the grant now, as its end would. Where there is none (any more), that is said, and nothing changes."""
    async with services.transaction() as connection:
        member = await writing_member(connection, caller, member_id)
        await withdraw_grant(
            connection,
            programme_id=caller.programme_id,
            member_id=member.id,
            by=f"api:{caller.key.name}",
            moment=utc_now(),
            ladder_code=ladder,
        )
        grants = await list_grants(connection, member_id=member.id)
    return shapes.TierGrants(data=[shapes.grant_answer(grant) for grant in grants])


router: Final = Router(
    path="/",
    tags=["Tiers"],
    route_handlers=[
        get_tier,
        list_tier_changes,
        list_tier_grants,
        grant_one_tier,
        withdraw_tier_grant,
    ],
)
