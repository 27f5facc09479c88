"""Requests and answers about tiers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from loyalty.web.api.operations import Currency, Moment, tell
from tiers.ladders import (
    DEFAULT_LADDER,
    MAX_GRACE_DAYS,
    MAX_OTHER_CURRENCIES,
    MAX_RATE_BP,
    MAX_THRESHOLD,
    MAX_TIERS,
    MAX_WINDOW_MONTHS,
    DowngradePolicy,
    Ladder,
    LadderVersion,
    TierStep,
)
from tiers.reading import Standing

LadderCode = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$", examples=[DEFAULT_LADDER])]
RateBp = Annotated[int, Meta(ge=1, le=MAX_RATE_BP)]
TierName = Annotated[str, Meta(min_length=1, max_length=100)]


class PointsMetricRequest(Struct, frozen=True, forbid_unknown_fields=True, tag="points"):
    """Points earned count."""


class GrowthMetricRequest(Struct, frozen=True, forbid_unknown_fields=True, tag="growth"):
    """Growth, a unit that is never spent, counts."""


class SpendMetricRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="spend"):
    """Money spent counts, in minor units. `other_rates_bp`: what 10,000 minor units of a currency are worth."""

    currency: Currency
    other_rates_bp: Annotated[dict[Currency, RateBp], Meta(max_length=MAX_OTHER_CURRENCIES)] = {}


class LifetimeRequest(Struct, frozen=True, forbid_unknown_fields=True, tag="lifetime"):
    """Everything since the first day counts."""


class CalendarYearRequest(Struct, frozen=True, forbid_unknown_fields=True, tag="calendar_year"):
    """What happened since 1 January counts."""


class RollingMonthsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rolling_months"):
    """The last `months` calendar months count."""

    months: Annotated[int, Meta(ge=1, le=MAX_WINDOW_MONTHS, examples=[12])]


class TierNames(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tier's name in Chinese and in English."""

    zh: TierName
    en: TierName


class TierRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tier. Ranks and thresholds rise from tier to tier; the first threshold is 0."""

    code: LadderCode
    name: TierNames
    rank: Annotated[int, Meta(ge=0, le=1000, examples=[1])]
    threshold: Annotated[int, Meta(ge=0, le=MAX_THRESHOLD, examples=[1000])]


class LadderRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ladder, whole. It takes force at `effective_at`, or now."""

    metric: PointsMetricRequest | GrowthMetricRequest | SpendMetricRequest
    window: LifetimeRequest | CalendarYearRequest | RollingMonthsRequest
    tiers: Annotated[list[TierRequest], Meta(min_length=1, max_length=MAX_TIERS)]
    grace_days: Annotated[int, Meta(ge=0, le=MAX_GRACE_DAYS)] = 0
    downgrade: DowngradePolicy = "one_step"
    effective_at: Moment | None = None


class LadderAnswer(Struct, frozen=True, kw_only=True):
    """A published version of a ladder."""

    version: int
    effective_at: datetime
    published_at: datetime
    ladder: Ladder


class Ladders(Struct, frozen=True, kw_only=True):
    """All versions of a ladder, newest first."""

    data: list[LadderAnswer]


class StandingAnswer(Struct, frozen=True, kw_only=True):
    """Where a member stands: the tier, what counts towards the next one, and until when the tier is safe."""

    ladder_code: str
    ladder_version: int
    tier: TierStep
    next_tier: TierStep | None
    metric: str
    window_kind: str
    window_first_day: date | None
    value: int
    needed: int
    progress_bp: int
    needed_to_keep: int
    since: datetime | None
    valid_until: datetime | None
    grace_until: datetime | None
    review_at: datetime | None


class TierChangeAnswer(Struct, frozen=True, kw_only=True):
    """One decision about the member's tier, and why."""

    sequence: int
    kind: Literal["upgrade", "downgrade", "kept", "grace", "merge", "unmerge"]
    cause: str
    from_tier: str
    to_tier: str
    metric: str
    value: int
    threshold: int
    ladder_version: int
    at: datetime
    valid_until: datetime | None
    grace_until: datetime | None


class TierChanges(Struct, frozen=True, kw_only=True):
    """What happened to the member's tier, newest first."""

    data: list[TierChangeAnswer]


def read_ladder(code: str, request: LadderRequest) -> Ladder:
    """The ladder of a request."""
    fields = msgspec.to_builtins(request)
    del fields["effective_at"]
    return msgspec.convert({**fields, "code": code}, Ladder)


def ladder_answer(version: LadderVersion) -> LadderAnswer:
    """A version as it is told."""
    return tell(LadderAnswer, version)


def standing_answer(standing: Standing) -> StandingAnswer:
    """A standing as it is told."""
    return tell(StandingAnswer, standing)
