"""A member's benefits: the wallet, issuing one, claiming, revoking, giving away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.ids import parse_public_id
from loyalty.members.member import person_ids
from loyalty.web.api import benefits_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Require, keyed_problems, problems
from loyalty.web.api.people import MemberId, reading_member, writing_member
from loyalty.web.idempotency import ledger_key, once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from redemption.benefits import issuing, using
from redemption.benefits.errors import UnknownBenefitError
from redemption.benefits.events import Doer
from redemption.benefits.wallet import PREFIX, Benefit, get_benefit, mark_seen, wallet

_Work = Callable[[AsyncConnection], Awaitable[Benefit]]
BenefitId = Annotated[str, PathParameter(pattern=f"^{PREFIX}_[0-9A-Za-z]{{26}}$", description="The benefit's id.")]


async def _change(
    services: Services, caller: Caller, key: str, operation: str, request: dict[str, Any], work: _Work
) -> Response[Any]:
    """Change a wallet once for its key, and answer the benefit that is there then."""

    async def answer(connection: AsyncConnection) -> shapes.BenefitAnswer:
        return shapes.benefit_answer(await work(connection))

    return await once(services, caller, key, operation=operation, request=request, status=201, work=answer)


class NothingMore(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """There is nothing more to say."""


def _doer(caller: Caller, clerk: str | None = None) -> Doer:
    channel_id = caller.channel.id if caller.channel else None
    return Doer(channel_id=channel_id, clerk=clerk, actor=caller.key.name)


@get(
    "/members/{member_id:str}/benefits",
    operation_id="listBenefits",
    summary="A member's benefits",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def list_benefits(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    *,
    usable_only: Annotated[bool, QueryParameter(description="Leave out those that are over.")] = True,
) -> shapes.Benefits:
    """The member's wallet, soonest to expire first, under every id the person had."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        people = await person_ids(connection, member_id=member.id)
        found = await wallet(connection, member_id=member.id, person_ids=people, usable_only=usable_only)
    return shapes.Benefits(data=[shapes.benefit_answer(benefit) for benefit in found])


@post(
    "/members/{member_id:str}/benefits",
    operation_id="issueBenefit",
    summary="Issue a benefit",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def issue_benefit(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.IssueBenefitRequest],
) -> Response[shapes.BenefitAnswer]:
    """Put one of a published template into the member's wallet."""

    async def work(connection: AsyncConnection) -> Benefit:
        member = await writing_member(connection, caller, member_id)
        return await issuing.issue(
            connection,
            programme_id=caller.programme_id,
            member_id=member.id,
            template_code=data.template,
            key=ledger_key(caller, idempotency_key),
            source=data.source,
            campaign=data.campaign,
            by=_doer(caller, data.clerk),
        )

    request = {"member": member_id, "benefit": data}
    return await _change(services, caller, idempotency_key, "issueBenefit", request, work)


@post(
    "/members/{member_id:str}/benefits/claim",
    operation_id="claimBenefit",
    summary="Claim a benefit",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def claim_benefit(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ClaimBenefitRequest],
) -> Response[shapes.BenefitAnswer]:
    """The member takes one of a template that is there to be claimed."""

    async def work(connection: AsyncConnection) -> Benefit:
        member = await writing_member(connection, caller, member_id)
        return await issuing.claim(
            connection,
            programme_id=caller.programme_id,
            member_id=member.id,
            template_code=data.template,
            key=ledger_key(caller, idempotency_key),
            by=_doer(caller),
        )

    request = {"member": member_id, "claim": data}
    return await _change(services, caller, idempotency_key, "claimBenefit", request, work)


@put(
    "/members/{member_id:str}/benefits/seen",
    operation_id="markBenefitsSeen",
    summary="The member was shown their wallet",
    status_code=204,
    guards=[Require("redemptions:write")],
    responses=problems(404),
)
async def mark_benefits_seen(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> None:
    """Count what they saw as seen, each benefit once. Takes no key."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        by = _doer(caller)
        await mark_seen(connection, member_id=member.id, channel_id=by.channel_id, actor=by.actor)


async def _owned(connection: AsyncConnection, member_id: UUID, benefit_id: str) -> Benefit:
    """A benefit of a person, under whichever of their ids."""
    identifier = parse_public_id(PREFIX, benefit_id, field="benefit_id")
    for owner in await person_ids(connection, member_id=member_id):
        try:
            return await get_benefit(connection, member_id=owner, benefit_id=identifier)
        except UnknownBenefitError:
            continue
    raise UnknownBenefitError("there is no such benefit in this wallet", field="benefit_id")


@post(
    "/members/{member_id:str}/benefits/{benefit_id:str}/revoke",
    operation_id="revokeBenefit",
    summary="Revoke a benefit",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def revoke_benefit(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    benefit_id: BenefitId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[NothingMore],
) -> Response[shapes.BenefitAnswer]:
    """Take it back, unless it was used or is locked."""

    async def work(connection: AsyncConnection) -> Benefit:
        member = await reading_member(connection, caller, member_id)
        owned = await _owned(connection, member.id, benefit_id)
        by = _doer(caller)
        return await using.revoke(connection, member_id=owned.member_id, benefit_id=owned.id, by=by)

    request = {"member": member_id, "benefit": benefit_id, "revoke": data}
    return await _change(services, caller, idempotency_key, "revokeBenefit", request, work)


@post(
    "/members/{member_id:str}/benefits/{benefit_id:str}/transfer",
    operation_id="transferBenefit",
    summary="Give a benefit to another member",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def transfer_benefit(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    benefit_id: BenefitId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.TransferBenefitRequest],
) -> Response[shapes.BenefitAnswer]:
    """Put it into the other member's wallet, valid as long; answers theirs."""

    async def work(connection: AsyncConnection) -> Benefit:
        member = await reading_member(connection, caller, member_id)
        other = await writing_member(connection, caller, data.to_member_id, field="to_member_id")
        owned = await _owned(connection, member.id, benefit_id)
        return await using.transfer(
            connection,
            member_id=owned.member_id,
            benefit_id=owned.id,
            to_member_id=other.id,
            by=_doer(caller),
        )

    request = {"member": member_id, "benefit": benefit_id, "transfer": data}
    return await _change(services, caller, idempotency_key, "transferBenefit", request, work)


router: Final = Router(
    path="/",
    tags=["Benefits"],
    route_handlers=[
        list_benefits,
        issue_benefit,
        claim_benefit,
        mark_benefits_seen,
        revoke_benefit,
        transfer_benefit,
    ],
)
