"""Earn campaigns: drafted, published from a date on, ended; what they gave and what is left of their budgets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.bonus import campaign as lifecycle
from loyalty.campaigns.bonus.campaign import CAMPAIGN_PREFIX, Campaign, State
from loyalty.campaigns.bonus.results import results_of
from loyalty.kit.clock import utc_now
from loyalty.kit.ids import parse_public_id
from loyalty.web.api import campaigns_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Require, keyed_problems, problems
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

CampaignId = Annotated[
    str, PathParameter(pattern=f"^{CAMPAIGN_PREFIX}_[0-9A-Za-z]{{26}}$", description="The campaign's id.")
]
_READ: Final = [Require("campaigns:read")]
_WRITE: Final = [Require("campaigns:write")]


async def _tell(connection: AsyncConnection, campaign: Campaign) -> shapes.CampaignAnswer:
    results = await results_of(connection, campaign_ids=[campaign.id])
    return shapes.campaign_answer(campaign, results[campaign.id])


@get(
    "/campaigns",
    operation_id="listCampaigns",
    summary="Earn campaigns",
    guards=_READ,
    responses=problems(),
)
async def list_all_campaigns(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    wanted: Annotated[State | None, QueryParameter(name="state", description="Only those in this state.")] = None,
) -> shapes.Campaigns:
    """Every campaign, newest first, with what it gave so far and how far its budget is used up."""
    async with services.transaction() as connection:
        found = await lifecycle.list_campaigns(connection, programme_id=caller.programme_id)
        now = utc_now()
        asked = [each for each in found if wanted in (None, each.state(now))]
        results = await results_of(connection, campaign_ids=[each.id for each in asked])
    return shapes.Campaigns(data=[shapes.campaign_answer(each, results[each.id]) for each in asked])


@post(
    "/campaigns",
    operation_id="createCampaign",
    summary="Draft a campaign",
    guards=_WRITE,
    responses=keyed_problems(404),
)
async def create_one_campaign(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.CampaignRequest],
) -> Response[shapes.CampaignAnswer]:
    """Make a campaign as a draft, which gives nothing before it is published."""

    async def work(connection: AsyncConnection) -> shapes.CampaignAnswer:
        made = await lifecycle.create_campaign(
            connection,
            programme_id=caller.programme_id,
            code=data.code,
            draft=data.definition,
            created_by=data.actor,
        )
        return await _tell(connection, made)

    return await once(
        services, caller, idempotency_key, operation="createCampaign", request=data, status=201, work=work
    )


@get(
    "/campaigns/{campaign_id:str}",
    operation_id="getCampaign",
    summary="A campaign",
    guards=_READ,
    responses=problems(404),
)
async def get_one_campaign(
    services: NamedDependency[Services], caller: NamedDependency[Caller], campaign_id: CampaignId
) -> shapes.CampaignAnswer:
    """A campaign with its draft and versions, what it gave so far and how far its budget is used up."""
    identifier = parse_public_id(CAMPAIGN_PREFIX, campaign_id, field="campaign_id")
    async with services.transaction() as connection:
        found = await lifecycle.get_campaign(connection, programme_id=caller.programme_id, campaign_id=identifier)
        return await _tell(connection, found)


@get(
    "/campaigns/{campaign_id:str}/history",
    operation_id="listCampaignChanges",
    summary="Who changed a campaign",
    guards=_READ,
    responses=problems(404),
)
async def list_campaign_changes(
    services: NamedDependency[Services], caller: NamedDependency[Caller], campaign_id: CampaignId
) -> shapes.CampaignHistory:
    """Who did what to a campaign, newest first."""
    mine = {
        "programme_id": caller.programme_id,
        "campaign_id": parse_public_id(CAMPAIGN_PREFIX, campaign_id, field="campaign_id"),
    }
    async with services.transaction() as connection:
        await lifecycle.get_campaign(connection, **mine)
        found = await lifecycle.history(connection, **mine)
    return shapes.CampaignHistory(data=[shapes.change_answer(change) for change in found])


_Request = shapes.CampaignDraftRequest | shapes.CampaignStepRequest | shapes.PublishCampaignRequest


async def _change(
    services: Services,
    caller: Caller,
    key: str,
    operation: str,
    campaign_id: str,
    data: _Request,
    change: Callable[..., Awaitable[Campaign]],
    **fields: Any,
) -> Response[shapes.CampaignAnswer]:
    """Do something to a campaign as it was seen, once for its key, and answer how it stands then."""

    async def work(connection: AsyncConnection) -> shapes.CampaignAnswer:
        identifier = parse_public_id(CAMPAIGN_PREFIX, campaign_id, field="campaign_id")
        seen: dict[str, Any] = {"programme_id": caller.programme_id, "campaign_id": identifier, "seen": data.seen}
        return await _tell(connection, await change(connection, **seen, by=data.actor, **fields))

    request = {"campaign": campaign_id, "data": data}
    return await once(services, caller, key, operation=operation, request=request, status=201, work=work)


@post(
    "/campaigns/{campaign_id:str}/draft",
    operation_id="saveCampaignDraft",
    summary="Save a campaign's draft",
    guards=_WRITE,
    responses=keyed_problems(404),
)
async def save_campaign_draft(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    campaign_id: CampaignId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.CampaignDraftRequest],
) -> Response[shapes.CampaignAnswer]:
    """Put another draft in place of the one that was seen. What was published stays in force until this is."""
    return await _change(
        services,
        caller,
        idempotency_key,
        "saveCampaignDraft",
        campaign_id,
        data,
        lifecycle.save_draft,
        draft=data.definition,
    )


@post(
    "/campaigns/{campaign_id:str}/undo",
    operation_id="undoCampaignDraft",
    summary="Undo the last saving of a draft",
    guards=_WRITE,
    responses=keyed_problems(404),
)
async def undo_campaign_draft(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    campaign_id: CampaignId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.CampaignStepRequest],
) -> Response[shapes.CampaignAnswer]:
    """Go back to the draft before the last saving; again and again, to the first."""
    return await _change(services, caller, idempotency_key, "undoCampaignDraft", campaign_id, data, lifecycle.undo)


@post(
    "/campaigns/{campaign_id:str}/publish",
    operation_id="publishCampaign",
    summary="Publish a campaign",
    guards=_WRITE,
    responses=keyed_problems(404),
)
async def publish_campaign(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    campaign_id: CampaignId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.PublishCampaignRequest],
) -> Response[shapes.CampaignAnswer]:
    """Make the draft the next version, from a moment on. Of a running campaign it takes over at its start."""
    moments = {"starts_at": data.starts_at, "ends_at": data.ends_at}
    return await _change(
        services, caller, idempotency_key, "publishCampaign", campaign_id, data, lifecycle.publish, **moments
    )


@post(
    "/campaigns/{campaign_id:str}/withdraw",
    operation_id="withdrawCampaign",
    summary="Withdraw what has not started",
    guards=_WRITE,
    responses=keyed_problems(404),
)
async def withdraw_campaign(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    campaign_id: CampaignId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.CampaignStepRequest],
) -> Response[shapes.CampaignAnswer]:
    """Take back a version that waits for its start; it is a draft again."""
    return await _change(services, caller, idempotency_key, "withdrawCampaign", campaign_id, data, lifecycle.withdraw)


@post(
    "/campaigns/{campaign_id:str}/stop",
    operation_id="stopCampaign",
    summary="Stop a campaign",
    guards=_WRITE,
    responses=keyed_problems(404),
)
async def stop_campaign(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    campaign_id: CampaignId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.CampaignStepRequest],
) -> Response[shapes.CampaignAnswer]:
    """End a running campaign now, for good. What it gave stays."""
    return await _change(services, caller, idempotency_key, "stopCampaign", campaign_id, data, lifecycle.end)


router: Final = Router(
    path="/",
    tags=["Campaigns"],
    route_handlers=[
        list_all_campaigns,
        create_one_campaign,
        get_one_campaign,
        list_campaign_changes,
        save_campaign_draft,
        undo_campaign_draft,
        publish_campaign,
        withdraw_campaign,
        stop_campaign,
    ],
)
