"""Tier policies: drafts, tried on the members there are, published at a date, and retired."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.tier_trials import try_version
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import NotFoundError
from loyalty.web.api import tiers_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Limit, Require, keyed_problems, problems
from loyalty.web.api.people import reading_member
from loyalty.web.api.tiers import LadderQuery
from loyalty.web.idempotency import once
from loyalty.web.requests import MOMENT_PATTERN, read_moment
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from tiers import versions
from tiers.policies import DEFAULT_LADDER, parse_policy
from tiers.simulation import find_simulation, preview
from tiers.warnings import list_warnings

VersionPath = Annotated[int, PathParameter(ge=1, le=1_000_000_000, description="The version's number.")]


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a request is about, by the words that `tiers.versions` has for it."""

    programme_id: UUID
    version: int
    ladder_code: str

    @property
    def key(self) -> dict[str, Any]:
        """The same as keywords."""
        return msgspec.structs.asdict(self)


async def provide_which(
    caller: NamedDependency[Caller], version: VersionPath, ladder: LadderQuery = DEFAULT_LADDER
) -> Which:
    """The version of the address, on the ladder of the query."""
    return Which(programme_id=caller.programme_id, version=version, ladder_code=ladder)


_READ: Final = [Require("tiers:read")]
_WRITE: Final = [Require("tiers:write")]


@get(
    "/tiers/policies",
    operation_id="listTierPolicies",
    summary="Versions of a tier policy",
    guards=_READ,
    responses=problems(),
)
async def list_policies(
    services: NamedDependency[Services], caller: NamedDependency[Caller], ladder: LadderQuery = DEFAULT_LADDER
) -> shapes.TierPolicies:
    """Every version of a ladder's policy, newest first: drafts, what is or was in force, and what was retired."""
    async with services.transaction() as connection:
        found = await versions.list_versions(connection, programme_id=caller.programme_id, ladder_code=ladder)
    return shapes.TierPolicies(data=[shapes.version_answer(each) for each in found])


@post(
    "/tiers/policies",
    operation_id="createTierPolicy",
    summary="Begin a draft of a tier policy",
    guards=_WRITE,
    responses=keyed_problems(),
)
async def create_policy(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.TierPolicyDraftRequest],
) -> Response[shapes.TierPolicyAnswer]:
    """A draft changes nothing for anybody. Its ladder is the policy's `code`."""

    async def work(connection: AsyncConnection) -> shapes.TierPolicyAnswer:
        made = await versions.create_draft(
            connection,
            programme_id=caller.programme_id,
            policy=parse_policy(data.policy),
            title=data.title,
            by=data.by,
        )
        return shapes.version_answer(made)

    return await once(
        services, caller, idempotency_key, operation="createTierPolicy", request=data, status=201, work=work
    )


@get(
    "/tiers/policies/{version:int}",
    operation_id="getTierPolicy",
    summary="One version of a tier policy",
    guards=_READ,
    responses=problems(404),
)
async def get_policy(services: NamedDependency[Services], which: NamedDependency[Which]) -> shapes.TierPolicyAnswer:
    """The version with its policy, its state and its newest revision."""
    async with services.transaction() as connection:
        found = await versions.get_version(connection, **which.key)
    return shapes.version_answer(found)


@put(
    "/tiers/policies/{version:int}",
    operation_id="editTierPolicy",
    summary="Change a draft",
    guards=_WRITE,
    responses=problems(404, 409),
)
async def edit_policy(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    version: VersionPath,
    data: JSONBody[shapes.TierPolicyEditRequest],
) -> shapes.TierPolicyAnswer:
    """Put another policy in the draft's place. Refused with 409 where the revision that was seen is not the newest."""
    async with services.transaction() as connection:
        found = await versions.edit_draft(
            connection,
            programme_id=caller.programme_id,
            version=version,
            revision=data.revision,
            policy=parse_policy(data.policy),
            title=data.title,
            by=data.by,
        )
    return shapes.version_answer(found)


_Work = Callable[[AsyncConnection], Awaitable[Any]]


class _Change(Protocol):
    """`publish_draft`, `withdraw` and `retire` of `tiers.versions`."""

    def __call__(
        self, connection: AsyncConnection, *, programme_id: UUID, version: int, ladder_code: str, by: str
    ) -> Awaitable[versions.StoredVersion]: ...


def _changing(change: _Change, which: Which, by: str, **how: Any) -> _Work:
    async def work(connection: AsyncConnection) -> shapes.TierPolicyAnswer:
        return shapes.version_answer(await change(connection, **which.key, by=by, **how))

    return work


async def _once(
    services: Services, caller: Caller, key: str, operation: str, which: Which, data: Any, work: _Work
) -> Response[Any]:
    request = {"version": which.version, "ladder": which.ladder_code, "data": data}
    return await once(services, caller, key, operation=operation, request=request, status=200, work=work)


@post(
    "/tiers/policies/{version:int}/simulate",
    operation_id="simulateTierPolicy",
    summary="Simulate a version",
    guards=_WRITE,
    status_code=200,
    responses=keyed_problems(404),
)
async def simulate_policy(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    which: NamedDependency[Which],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.TierPolicyActionRequest],
) -> Response[shapes.TierSimulationAnswer]:
    """Try the version on the members there are, by what they really did. Nothing is written to members; the result is
    kept with the version.
    """

    async def work(connection: AsyncConnection) -> shapes.TierSimulationAnswer:
        return shapes.simulation_answer(await try_version(connection, **which.key, by=data.by))

    return await _once(services, caller, idempotency_key, "simulateTierPolicy", which, data, work)


@get(
    "/tiers/policies/{version:int}/simulation",
    operation_id="getTierSimulation",
    summary="A version's simulation",
    guards=_READ,
    responses=problems(404),
)
async def get_simulation(
    services: NamedDependency[Services], which: NamedDependency[Which]
) -> shapes.TierSimulationAnswer:
    """The simulation that is kept with the version; `revision` says of which revision it is."""
    async with services.transaction() as connection:
        stored = await find_simulation(connection, **which.key)
    if stored is None:
        raise NotFoundError(f"version {which.version} was not simulated", field="version")
    return shapes.simulation_answer(stored)


@get(
    "/tiers/policies/{version:int}/preview",
    operation_id="previewTierPolicy",
    summary="Where a version would put a member",
    guards=_READ,
    responses=problems(404),
)
async def preview_policy(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    which: NamedDependency[Which],
    member_id: Annotated[str, QueryParameter(description="A member's id.")],
) -> shapes.TierPreviewAnswer:
    """Where one member would be by the version, and what each of its tiers asks for and comes to."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        stored = await versions.get_version(connection, **which.key)
        found = await preview(
            connection,
            programme_id=caller.programme_id,
            policy=stored.policy,
            member_id=member.id,
            moment=utc_now(),
        )
    return shapes.preview_answer(member.public_id, found)


@post(
    "/tiers/policies/{version:int}/publish",
    operation_id="publishTierPolicy",
    summary="Publish a draft",
    guards=_WRITE,
    status_code=200,
    responses=keyed_problems(404, 409),
)
async def publish_policy(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    which: NamedDependency[Which],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.TierPolicyPublishRequest],
) -> Response[shapes.TierPolicyAnswer]:
    """Let a draft take force at a moment to come, or now. Until that moment it can be withdrawn."""
    work = _changing(versions.publish_draft, which, data.by, effective_at=data.effective_at)
    return await _once(services, caller, idempotency_key, "publishTierPolicy", which, data, work)


@post(
    "/tiers/policies/{version:int}/withdraw",
    operation_id="withdrawTierPolicy",
    summary="Take a publication back",
    guards=_WRITE,
    status_code=200,
    responses=keyed_problems(404, 409),
)
async def withdraw_policy(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    which: NamedDependency[Which],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.TierPolicyActionRequest],
) -> Response[shapes.TierPolicyAnswer]:
    """Make a version that is published and not yet in force a draft again."""
    work = _changing(versions.withdraw, which, data.by)
    return await _once(services, caller, idempotency_key, "withdrawTierPolicy", which, data, work)


@post(
    "/tiers/policies/{version:int}/retire",
    operation_id="retireTierPolicy",
    summary="Give a version up",
    guards=_WRITE,
    status_code=200,
    responses=keyed_problems(404, 409),
)
async def retire_policy(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    which: NamedDependency[Which],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.TierPolicyActionRequest],
) -> Response[shapes.TierPolicyAnswer]:
    """Give a draft or a version up; of the one in force, the one before it takes the place again."""
    work = _changing(versions.retire, which, data.by)
    return await _once(services, caller, idempotency_key, "retireTierPolicy", which, data, work)


@get(
    "/tiers/policies/{version:int}/history",
    operation_id="listTierPolicyEvents",
    summary="Who changed what in a version",
    guards=_READ,
    responses=problems(404),
)
async def list_policy_events(
    services: NamedDependency[Services], which: NamedDependency[Which]
) -> shapes.TierPolicyEvents:
    """Everything that was done to the version, newest first."""
    async with services.transaction() as connection:
        found = await versions.list_events(connection, **which.key)
    return shapes.TierPolicyEvents(data=[shapes.event_answer(event) for event in found])


@get(
    "/tiers/warnings",
    operation_id="listTierWarnings",
    summary="Members about to lose their tier",
    guards=_READ,
    responses=problems(),
)
async def list_tier_warnings(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    after: Annotated[
        str | None,
        QueryParameter(
            format="date-time", pattern=MOMENT_PATTERN, description="Only those written after this moment, RFC 3339."
        ),
    ] = None,
    limit: Limit = 50,
    ladder: LadderQuery = DEFAULT_LADDER,
) -> shapes.TierWarnings:
    """Who would miss a review that comes soon, and by how much, so that a message can be sent; oldest first."""
    since = read_moment(after, field="after")
    async with services.transaction() as connection:
        found = await list_warnings(
            connection, programme_id=caller.programme_id, after=since, limit=limit, ladder_code=ladder
        )
    return shapes.TierWarnings(data=[shapes.warning_answer(each) for each in found])


router: Final = Router(
    path="/",
    dependencies={"which": Provide(provide_which)},
    tags=["Tiers"],
    route_handlers=[
        list_policies,
        create_policy,
        get_policy,
        edit_policy,
        simulate_policy,
        get_simulation,
        preview_policy,
        publish_policy,
        withdraw_policy,
        retire_policy,
        list_policy_events,
        list_tier_warnings,
    ],
)
