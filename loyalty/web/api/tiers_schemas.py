"""Requests and answers about tiers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from loyalty.kit.ids import public_id
from loyalty.web.api.operations import MemberReference, Moment, Person, tell
from tiers.changes import ChangeKind, Reason
from tiers.grants import MAX_REASON, TierGrant
from tiers.policies import TierPolicy
from tiers.reading import Standing
from tiers.simulation import Movement, Preview, StoredSimulation, TierEffect
from tiers.versions import MAX_TITLE, Action, PolicyEvent, StoredVersion, VersionState
from tiers.warnings import TierWarning

TierCode = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$", examples=["gold"])]
Title = Annotated[str, Meta(max_length=MAX_TITLE, description="What the draft is about.", examples=["Spring 2027"])]
PolicyDocument = Annotated[
    dict[str, Any],
    Meta(
        description="A tier policy. `tiers` rise in rank; the first asks for nothing, each other has `qualify`: a "
        "tree of `rule`: `reach` (a `metric` of type points, growth, spend, orders, visits or scans, over a `window` "
        "of type lifetime, calendar_year, membership_year, rolling_months or since_tier_start, `at_least` so much), "
        "joined by `all` and `any`. `keep` has type months, year_end, next_year_end or forever. `upgrade`, "
        "`downgrade`, `grace_days`, `warning_days`, `soft_landing_bp`, `requalification`, `refunds` and `at_start` say "
        "the rest.",
    ),
]


class TierPolicyDraftRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new draft."""

    policy: PolicyDocument
    title: Title = ""
    by: Person = "api"


class TierPolicyEditRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft as it is to be. `revision` is the one that was seen: an older one than the newest is refused."""

    revision: Annotated[int, Meta(ge=1)]
    policy: PolicyDocument
    title: Title = ""
    by: Person = "api"


class TierPolicyActionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who does it."""

    by: Person = "api"


class TierPolicyPublishRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when the draft is to be in force: a moment to come, or now."""

    effective_at: Moment | None = None
    by: Person = "api"


class TierGrantRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tier to give by hand, until when and why."""

    tier: TierCode
    ends_at: Moment
    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]
    by: Person = "api"


class TierPolicyAnswer(Struct, frozen=True, kw_only=True):
    """A version of a ladder's policy. Each edit of a draft is a revision."""

    ladder_code: str
    version: int
    state: VersionState
    revision: int
    title: str
    policy: dict[str, Any]
    created_at: datetime
    created_by: str
    effective_at: datetime | None
    published_at: datetime | None
    published_by: str | None
    retired_at: datetime | None
    retired_by: str | None


class TierPolicies(Struct, frozen=True, kw_only=True):
    """All versions of a ladder's policy, newest first."""

    data: list[TierPolicyAnswer]


class TierPolicyEventAnswer(Struct, frozen=True, kw_only=True):
    """Something that was done to a version; `changes` are fields by path, each as it was and as it is."""

    version: int
    revision: int
    action: Action
    changes: dict[str, list[Any]]
    done_by: str
    at: datetime


class TierPolicyEvents(Struct, frozen=True, kw_only=True):
    """Who changed what, newest first."""

    data: list[TierPolicyEventAnswer]


class TierEdgeAnswer(Struct, frozen=True, kw_only=True):
    """A member who just made or just missed a tier, and by what."""

    member_id: MemberReference
    tier: str
    made: bool
    reached_bp: int
    reasons: list[Reason]


class TierSimulationAnswer(Struct, frozen=True, kw_only=True):
    """What a version would do to the members there are. Costs are minor units a month, points those of a year.

    `entry_cost_minor` is what those who move up are given once, as far as templates of benefits name their tier.
    """

    version: int
    revision: int
    simulated_at: datetime
    simulated_by: str
    as_of: datetime
    members: int
    up: int
    down: int
    movements: list[Movement]
    tiers: list[TierEffect]
    edges: list[TierEdgeAnswer]
    cost_now_minor: int
    cost_then_minor: int
    points_now: int
    points_then: int
    entry_cost_minor: int


class TierPreviewAnswer(Struct, frozen=True, kw_only=True):
    """Where a version would put one member, and what each of its tiers asks for and comes to."""

    member_id: MemberReference
    now: str | None
    then: str
    by_rule: str
    asked: dict[str, list[Reason]]


class TierTold(Struct, frozen=True, kw_only=True):
    """A tier's code, its names, and its rank."""

    code: str
    name: dict[str, str]
    rank: int


class StandingAnswer(Struct, frozen=True, kw_only=True):
    """Where a member stands: the tier, what the next one asks for, and until when the tier is safe."""

    ladder_code: str
    ladder_version: int
    tier: TierTold
    next_tier: TierTold | None
    next_asks: list[Reason]
    next_any: bool
    progress_bp: int
    keep_asks: list[Reason]
    keep_any: bool
    kept_bp: int
    granted: bool
    since: datetime | None
    valid_until: datetime | None
    grace_until: datetime | None
    review_at: datetime | None


class TierChangeAnswer(Struct, frozen=True, kw_only=True):
    """One decision about the member's tier, and why."""

    sequence: int
    kind: ChangeKind
    cause: str
    from_tier: str
    to_tier: str
    reasons: list[Reason]
    ladder_version: int
    at: datetime
    valid_until: datetime | None
    grace_until: datetime | None


class TierChanges(Struct, frozen=True, kw_only=True):
    """What happened to the member's tier, newest first."""

    data: list[TierChangeAnswer]


class TierGrantAnswer(Struct, frozen=True, kw_only=True):
    """A tier given by hand."""

    ladder_code: str
    tier_code: str
    ends_at: datetime
    reason: str
    granted_by: str
    granted_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None


class TierGrants(Struct, frozen=True, kw_only=True):
    """A member's grants, newest first."""

    data: list[TierGrantAnswer]


class TierWarningAnswer(Struct, frozen=True, kw_only=True):
    """A member who loses the tier at `ends_at` unless what is missing is made up for."""

    member_id: MemberReference
    tier_code: str
    ends_at: datetime
    reasons: list[Reason]
    warned_at: datetime


class TierWarnings(Struct, frozen=True, kw_only=True):
    """Warnings in the order in which they were written."""

    data: list[TierWarningAnswer]


def version_answer(version: StoredVersion) -> TierPolicyAnswer:
    """A version as it is told."""
    return tell(TierPolicyAnswer, version, policy=policy_document(version.policy))


def policy_document(policy: TierPolicy) -> dict[str, Any]:
    """A policy as JSON has it."""
    document: dict[str, Any] = msgspec.to_builtins(policy)
    return document


def event_answer(event: PolicyEvent) -> TierPolicyEventAnswer:
    """An event as it is told."""
    return tell(TierPolicyEventAnswer, event, changes={path: list(each) for path, each in event.changes.items()})


def simulation_answer(stored: StoredSimulation) -> TierSimulationAnswer:
    """A simulation as it is told."""
    result = stored.result
    return tell(
        TierSimulationAnswer,
        result,
        version=stored.version,
        revision=stored.revision,
        simulated_at=stored.simulated_at,
        simulated_by=stored.simulated_by,
        movements=list(result.movements),
        tiers=list(result.tiers),
        edges=[
            tell(TierEdgeAnswer, edge, member_id=public_id("mem", edge.member_id), reasons=list(edge.reasons))
            for edge in result.edges
        ],
    )


def preview_answer(member_id: str, found: Preview) -> TierPreviewAnswer:
    """A preview as it is told."""
    return TierPreviewAnswer(
        member_id=member_id,
        now=found.now,
        then=found.then.code,
        by_rule=found.by_rule.code,
        asked={tier: list(reasons) for tier, reasons in found.asked.items()},
    )


def standing_answer(standing: Standing) -> StandingAnswer:
    """A standing as it is told."""
    above = standing.next_tier
    return tell(
        StandingAnswer,
        standing,
        tier=tell(TierTold, standing.tier),
        next_tier=tell(TierTold, above) if above else None,
        next_asks=list(standing.next_asks),
        keep_asks=list(standing.keep_asks),
    )


def grant_answer(grant: TierGrant) -> TierGrantAnswer:
    """A grant as it is told."""
    return tell(TierGrantAnswer, grant)


def warning_answer(warning: TierWarning) -> TierWarningAnswer:
    """A warning as it is told."""
    return tell(TierWarningAnswer, warning, member_id=public_id("mem", warning.member_id))
