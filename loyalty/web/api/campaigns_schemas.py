"""Requests and answers about earn campaigns."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from loyalty.campaigns.bonus.campaign import CAMPAIGN_PREFIX, Campaign, Change, State, Version, What
from loyalty.campaigns.bonus.results import Result
from loyalty.kit.clock import utc_now
from loyalty.kit.ids import public_id
from loyalty.kit.quotas import Level
from loyalty.web.api.operations import Moment, Person, tell

CampaignCode = Annotated[
    str,
    Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$", description="Your own name for it.", examples=["double-day-2026"]),
]
CampaignDocument = Annotated[
    dict[str, Any],
    Meta(
        description="An earn campaign. `name` in zh and en; `reward` of kind `times` (`factor_bp`: 20000 doubles), "
        "`fixed` (`points`) or `benefit` (`template`). Which purchases: `items`, `places`, `schedule`, `double_days`, "
        "`minimum_minor` in `currency`, `first_purchase`. Whose: `birthday` (day, week, month), `segment_id` with "
        "`segment_version`, `rule` (as of segments), `holdout_bp` held out as a control group. Together with others: "
        "`stacking`. Up to: `budget_points`, `day_points`, `member_points`, `member_day_points`, `member_times`, "
        "`order_points`.",
    ),
]
Seen = Annotated[
    int, Meta(ge=1, description="The campaign's `changes` when you read it; refused with 409 where it changed since.")
]


class CampaignRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new campaign, as a draft."""

    code: CampaignCode
    definition: CampaignDocument
    actor: Person


class CampaignDraftRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the campaign is to be once it is published."""

    definition: CampaignDocument
    seen: Seen
    actor: Person


class CampaignStepRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who does it, to which state of the campaign."""

    seen: Seen
    actor: Person


class PublishCampaignRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when it holds (now, where nothing is said) until before when (never, where nothing is said)."""

    starts_at: Moment | None = None
    ends_at: Moment | None = None
    seen: Seen
    actor: Person


class PointsBudgetAnswer(Struct, frozen=True, kw_only=True):
    """Points that there are in all, and how many of them were given."""

    total: int
    used: int
    left: int


class CampaignResultAnswer(Struct, frozen=True, kw_only=True):
    """What it gave so far: points (and how many of them refunds took back) and benefits, to how many, for how much."""

    points: int
    taken_back: int
    benefits: int
    members: int
    orders: int
    held_out: Annotated[int, Meta(description="Members of its control group so far.")]
    budget: PointsBudgetAnswer | None


class CampaignVersionAnswer(Struct, frozen=True, kw_only=True):
    """A version as it was published, which never changes."""

    version: int
    definition: dict[str, Any]
    starts_at: datetime
    ends_at: datetime | None
    published_by: str
    published_at: datetime
    withdrawn_at: datetime | None


class CampaignAnswer(Struct, frozen=True, kw_only=True):
    """A campaign: its draft, where one waits to be published, and its versions, newest first."""

    id: Annotated[str, Meta(pattern=f"^{CAMPAIGN_PREFIX}_[0-9A-Z]{{26}}$")]
    code: str
    state: State
    draft: dict[str, Any] | None
    versions: list[CampaignVersionAnswer]
    changes: int
    ended_at: datetime | None
    created_at: datetime
    result: CampaignResultAnswer


class Campaigns(Struct, frozen=True, kw_only=True):
    """Campaigns, newest first."""

    data: list[CampaignAnswer]


class CampaignChangeAnswer(Struct, frozen=True, kw_only=True):
    """One entry of a campaign's history."""

    number: int
    what: What
    version: int | None
    changed_by: str
    changed_at: datetime


class CampaignHistory(Struct, frozen=True, kw_only=True):
    """Who did what to a campaign, newest first."""

    data: list[CampaignChangeAnswer]


def budget_answer(level: Level | None) -> PointsBudgetAnswer | None:
    """A budget as it is told."""
    return PointsBudgetAnswer(total=level.total, used=level.taken, left=level.left) if level else None


def campaign_answer(campaign: Campaign, result: Result) -> CampaignAnswer:
    """A campaign as it is told."""
    return tell(
        CampaignAnswer,
        campaign,
        id=public_id(CAMPAIGN_PREFIX, campaign.id),
        state=campaign.state(utc_now()),
        draft=msgspec.to_builtins(campaign.draft),
        versions=[_version(version) for version in campaign.versions],
        result=tell(CampaignResultAnswer, result, budget=budget_answer(result.budget)),
    )


def _version(version: Version) -> CampaignVersionAnswer:
    return tell(CampaignVersionAnswer, version, definition=msgspec.to_builtins(version.terms))


def change_answer(change: Change) -> CampaignChangeAnswer:
    """A change as it is told."""
    return tell(CampaignChangeAnswer, change)
