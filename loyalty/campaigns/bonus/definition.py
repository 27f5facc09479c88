"""What an earn campaign says: which purchases, whose, when, what they earn beside the policy, and up to how much.

A definition is a struct that is the same thing as its JSON, filled in by a form. When it is published it becomes a
version that never changes, and what it gave is pinned to that version.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

import msgspec

from loyalty.campaigns.segments.fields import check_rule
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.rules import Rule
from redemption.checks import MAX_AMOUNT_MINOR, check_code, check_currency, check_name, check_range
from redemption.terms import Items, Places, Schedule
from redemption.terms.conditions import check_items, check_places, check_schedule
from redemption.terms.stacking import Stacking, check_stacking

ONE_BP: Final = 10_000
MAX_FACTOR_BP: Final = 1_000_000
MAX_POINTS: Final = 10**9
MAX_BUDGET: Final = 10**12
MAX_HOLDOUT_BP: Final = 5_000
CAPS: Final = ("budget_points", "day_points", "member_points", "member_day_points", "order_points")


class Multiplier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="times"):
    """Matching lines earn `factor_bp` of what the policy gives them: 20,000 is double, so as much again is given.

    Rounded down once for the order.
    """

    factor_bp: int


class FixedBonus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="fixed"):
    """The order earns `points` once, shared by its matching lines by what was paid for them."""

    points: int


class BenefitReward(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="benefit"
):
    """The order earns a benefit of the template of this code, once; its stock and limits per member are the template's.

    Where none is left, or the member has had as many as one may, nothing is given for the order.
    """

    template: str


Reward: TypeAlias = Multiplier | FixedBonus | BenefitReward


class CampaignTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An earn campaign. What is left out restricts nothing; all that is given must hold.

    **Reward.** Points by a factor or a fixed number of them, or a benefit.

    **Purchases.** Lines that `items` selects, at `places`, by the programme's calendar in `schedule`, on `double_days`
    (11.11: the day has the month's number), if the matching lines were paid `minimum_minor` (in `currency`, which is
    needed for it). Of `first_purchase` only a member's first counts, once.

    **Members.** On their `birthday`, in the calendar week (from Monday) or in the month of it; 29 February is the 28th
    in other years. Of the saved version of a segment, and whom `rule` matches (the fields of segments, read when the
    purchase comes in). `holdout_bp` of them are a control group and get nothing.

    **Together with others.** By `stacking`, as coupons: by rising priority, one of a group, exclusive; `with_points`
    and `base` mean nothing here.

    **Up to.** `budget_points` in all and `day_points` a day of the programme; a member gets at most `member_points`,
    `member_day_points` a day and `member_times` bonuses; an order at most `order_points`. What a cap leaves is given.
    Of these a campaign that gives a benefit has `member_times` alone.
    """

    name: dict[str, str]
    reward: Reward
    unit: str = "points"
    first_purchase: bool = False
    birthday: Literal["day", "week", "month"] | None = None
    double_days: bool = False
    schedule: Schedule = Schedule()
    items: Items = Items()
    places: Places = Places()
    minimum_minor: int = 0
    currency: str | None = None
    segment_id: UUID | None = None
    segment_version: int | None = None
    rule: Rule | None = None
    holdout_bp: int = 0
    stacking: Stacking = Stacking()
    budget_points: int | None = None
    day_points: int | None = None
    member_points: int | None = None
    member_day_points: int | None = None
    member_times: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    order_points: int | None = None


def check_campaign(terms: CampaignTerms) -> None:
    """Hold a definition against its limits. Raises InvalidInputError whose field is the path of the first fault."""
    check_name(terms.name)
    if isinstance(terms.reward, Multiplier):
        check_range(terms.reward.factor_bp, "reward.factor_bp", least=ONE_BP + 1, most=MAX_FACTOR_BP)
    elif isinstance(terms.reward, FixedBonus):
        check_range(terms.reward.points, "reward.points", least=1, most=MAX_POINTS)
    else:
        check_code(terms.reward.template, "reward.template")
    check_schedule(terms.schedule, "schedule")
    check_items(terms.items, "items")
    check_places(terms.places, "places")
    check_range(terms.minimum_minor, "minimum_minor", least=0, most=MAX_AMOUNT_MINOR)
    if terms.currency is not None:
        check_currency(terms.currency)
    elif terms.minimum_minor:
        raise InvalidInputError("an amount needs its currency", field="currency")
    if (terms.segment_id is None) != (terms.segment_version is None):
        raise InvalidInputError("a segment is given with its version", field="segment_version")
    if terms.rule is not None:
        check_rule(terms.rule)
    check_range(terms.holdout_bp, "holdout_bp", least=0, most=MAX_HOLDOUT_BP)
    check_stacking(terms.stacking, "stacking")
    for cap in CAPS:
        value = getattr(terms, cap)
        if value is not None:
            if isinstance(terms.reward, BenefitReward):
                raise InvalidInputError("a benefit has the stock and limits of its template", field=cap)
            check_range(value, cap, least=1, most=MAX_BUDGET)


def parse_campaign(document: Any) -> CampaignTerms:
    """Read a definition from decoded JSON and check it. Raises InvalidInputError as check_campaign does."""
    try:
        terms = msgspec.convert(document, CampaignTerms)
    except RecursionError:
        raise InvalidInputError("a rule is nested too deeply", field="rule") from None
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise InvalidInputError(reason, field=place.rstrip("`") or "reward") from None
    check_campaign(terms)
    return terms
