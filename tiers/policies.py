"""Tier policies: which tiers there are, what each asks for, how long it is kept, and how it is lost again.

A policy is a value; `tiers.versions` keeps a programme's policies as drafts and published versions. A programme may
have several ladders of tiers, each with policies of its own, named by `code`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from loyalty.kit.clock import add_months
from loyalty.kit.errors import InvalidInputError
from tiers.rules import FULL_BP, TierRule, check_rule

DEFAULT_LADDER: Final = "main"
"""The ladder that a programme has unless it names another."""

MAX_TIERS: Final = 50
MAX_GRACE_DAYS: Final = 366
MAX_WARNING_DAYS: Final = 180
MAX_KEEP_MONTHS: Final = 120
MAX_COST_MINOR: Final = 10**12
MAX_EARN_RATE_BP: Final = 1_000_000

CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_LAST_OF_YEAR: Final = (12, 31)

UpgradePolicy = Literal["at_once", "at_month_start", "at_year_start"]
"""When a tier that is reached is given: `at_once`, or by the review on the first day of the next month or year, if it
is still reached then."""

DowngradePolicy = Literal["one_step", "to_matching", "never"]
"""What a review does to who no longer reaches the tier: down one step at most, to the tier that is reached, or nothing.
"""

RefundPolicy = Literal["keep_until_review", "recheck_at_once"]
"""What a refund does that undoes a qualification.

`keep_until_review`: nothing, until the review that comes anyhow. `recheck_at_once`: the rule is asked again as of the
day on which the tier was reached or confirmed, and as of today; where neither reaches it any more, the member is at
once in the better of the two tiers that they do reach. A tier kept by grace, soft landing or grant is not asked again,
nor one that another version of the policy gave.
"""

RequalificationPolicy = Literal["keeps_window", "resets_window"]
"""Whether what counted for a tier counts again.

`keeps_window`: windows know nothing of tiers. `resets_window`: with each tier that is reached or confirmed all windows
begin anew on the day after it, so the next tier, and keeping this one, ask for new activity.
"""

StartPolicy = Literal["raise_only", "place_all"]
"""What happens to the members on the day a version takes force.

`raise_only`: who reaches a higher tier by it moves up; nobody moves down before the time that their tier was promised
for is over. `place_all`: each member is reviewed by it on that day, with its grace and soft landing.
"""


class KeepMonths(msgspec.Struct, frozen=True, kw_only=True, tag="months", forbid_unknown_fields=True):
    """A tier holds for `months` from the day it was reached, through the same date, clamped to the month's end."""

    months: int


class KeepUntilYearEnd(msgspec.Struct, frozen=True, kw_only=True, tag="year_end", forbid_unknown_fields=True):
    """A tier holds to the end of the calendar year it was reached in; confirmed, to the end of the next one."""


class KeepUntilNextYearEnd(msgspec.Struct, frozen=True, kw_only=True, tag="next_year_end", forbid_unknown_fields=True):
    """A tier holds to the end of the year after the one it was reached in; confirmed, a year more."""


class KeepForever(msgspec.Struct, frozen=True, kw_only=True, tag="forever", forbid_unknown_fields=True):
    """A tier has no end; only a refund takes it away, where the refund policy says so."""


Keep = KeepMonths | KeepUntilYearEnd | KeepUntilNextYearEnd | KeepForever


class Tier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tier: code, name by locale (`zh` and `en`), rank (higher is better) and what it asks for.

    The first tier asks for nothing: everybody has it. `benefit_cost_minor` is what the tier's benefits cost the brand
    for each member and month, and `earn_rate_bp` how fast its members earn points (10,000: as everybody), both as the
    brand states them for the simulation.
    """

    code: str
    name: dict[str, str]
    rank: int
    qualify: TierRule | None = None
    benefit_cost_minor: int = 0
    earn_rate_bp: int = FULL_BP


class TierPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole policy. `tiers` rise in rank; a member is in the highest tier whose rule holds.

    `grace_days`: who fails a review keeps the tier so long to make up for what is missing. `warning_days`: how long
    before the review a member is warned who would fail it (0: not). `soft_landing_bp`: who reached at least this share
    of what keeping the tier asks for keeps it for another period (0: no soft landing).
    """

    code: str = DEFAULT_LADDER
    tiers: tuple[Tier, ...]
    upgrade: UpgradePolicy = "at_once"
    keep: Keep = KeepMonths(months=12)
    downgrade: DowngradePolicy = "one_step"
    grace_days: int = 0
    warning_days: int = 0
    soft_landing_bp: int = 0
    requalification: RequalificationPolicy = "keeps_window"
    refunds: RefundPolicy = "keep_until_review"
    at_start: StartPolicy = "raise_only"

    @property
    def base(self) -> Tier:
        """The tier every member starts in."""
        return self.tiers[0]

    @property
    def resets(self) -> bool:
        """Whether windows begin anew with each tier."""
        return self.requalification == "resets_window"

    @property
    def has_end(self) -> bool:
        """Whether a tier that is not the first one holds for a time only."""
        return self.downgrade != "never" and not isinstance(self.keep, KeepForever)

    def position(self, code: str, rank: int) -> int:
        """The place of a member's tier, also of one that another version gave: by code, else by rank.

        A tier that this policy does not have is the highest one that does not exceed its rank.
        """
        for place, tier in enumerate(self.tiers):
            if tier.code == code:
                return place
        return max((place for place, tier in enumerate(self.tiers) if tier.rank <= rank), default=0)

    def tier(self, code: str, rank: int) -> Tier:
        """The tier at `position`."""
        return self.tiers[self.position(code, rank)]

    def above(self, tier: Tier) -> Tier | None:
        """The next tier up, or None at the top."""
        return next((other for other in self.tiers if other.rank > tier.rank), None)


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A published policy: its number, and the moment from which it is in force."""

    programme_id: UUID
    version: int
    policy: TierPolicy
    effective_at: datetime
    published_at: datetime


def holds_through(keep: Keep, day: date, *, confirmed: bool) -> date | None:
    """The last day on which a tier reached on `day`, or `confirmed` for a period that closed on `day`, holds."""
    match keep:
        case KeepMonths(months=months):
            return add_months(day, months)
        case KeepUntilYearEnd():
            return date((day + timedelta(days=1 if confirmed else 0)).year, *_LAST_OF_YEAR)
        case KeepUntilNextYearEnd():
            return date(day.year + 1, *_LAST_OF_YEAR)
        case KeepForever():
            return None


def parse_policy(document: object, *, path: str = "policy") -> TierPolicy:
    """Read a policy from decoded JSON and check it. Raises InvalidInputError naming the field below `path`."""
    try:
        policy = msgspec.convert(document, TierPolicy)
    except RecursionError:
        raise InvalidInputError("is nested too deeply", field=path) from None
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        raise InvalidInputError(reason, field=path + place.rstrip("`")) from None
    check_policy(policy, path=path)
    return policy


def check_policy(policy: TierPolicy, *, path: str = "") -> None:
    """Refuse a policy that makes no sense. Raises InvalidInputError naming the field, below `path`."""
    try:
        _check(policy)
    except InvalidInputError as error:
        raise InvalidInputError(error.detail, field=f"{path}.{error.field}" if path else error.field) from None


def _check(policy: TierPolicy) -> None:
    if not CODE.fullmatch(policy.code):
        raise InvalidInputError("a code is lower-case letters, digits and hyphens, at most 40", field="code")
    _within(policy.grace_days, 0, MAX_GRACE_DAYS, "days", field="grace_days")
    _within(policy.warning_days, 0, MAX_WARNING_DAYS, "days", field="warning_days")
    _within(policy.soft_landing_bp, 0, FULL_BP - 1, "basis points", field="soft_landing_bp")
    if isinstance(policy.keep, KeepMonths):
        _within(policy.keep.months, 1, MAX_KEEP_MONTHS, "months", field="keep.months")
    _check_tiers(policy.tiers)


def _within(value: int, least: int, most: int, of_what: str, *, field: str) -> None:
    if not least <= value <= most:
        raise InvalidInputError(f"is {least} to {most} {of_what}", field=field)


def _check_tiers(tiers: Sequence[Tier]) -> None:
    if not 1 <= len(tiers) <= MAX_TIERS:
        raise InvalidInputError(f"a policy has 1 to {MAX_TIERS} tiers", field="tiers")
    if tiers[0].qualify is not None:
        raise InvalidInputError("the first tier is everybody's: it asks for nothing", field="tiers[0].qualify")
    if len({tier.code for tier in tiers}) != len(tiers):
        raise InvalidInputError("two tiers have the same code", field="tiers")
    for index, tier in enumerate(tiers):
        _check_tier(tier, field=f"tiers[{index}]")
        if index and tier.rank <= tiers[index - 1].rank:
            raise InvalidInputError("ranks rise from tier to tier", field=f"tiers[{index}].rank")
        if index and tier.qualify is None:
            message = "only the first tier asks for nothing: say what this one asks for"
            raise InvalidInputError(message, field=f"tiers[{index}].qualify")


def _check_tier(tier: Tier, *, field: str) -> None:
    if not CODE.fullmatch(tier.code):
        raise InvalidInputError("a code is lower-case letters, digits and hyphens, at most 40", field=f"{field}.code")
    for locale in ("zh", "en"):
        if not tier.name.get(locale, "").strip():
            raise InvalidInputError("a name in Chinese and in English is needed", field=f"{field}.name.{locale}")
    _within(tier.benefit_cost_minor, 0, MAX_COST_MINOR, "minor units", field=f"{field}.benefit_cost_minor")
    _within(tier.earn_rate_bp, 0, MAX_EARN_RATE_BP, "basis points", field=f"{field}.earn_rate_bp")
    if tier.qualify is not None:
        check_rule(tier.qualify, path=f"{field}.qualify")
