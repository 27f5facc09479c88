"""What the engine is asked, and what it answers. Amounts are in minor units of the basket's currency."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from loyalty.kit.errors import InvalidInputError
from redemption.checks import MAX_AMOUNT_MINOR, MAX_POINTS, check_currency, check_range, check_text
from redemption.money_off import RedemptionPolicy
from redemption.terms import Terms
from redemption.terms.conditions import MAX_QUANTITY

MAX_LINES: Final = 1_000
MAX_CANDIDATES: Final = 200

ReasonCode = Literal[
    "wrong_currency",
    "not_yet_valid",
    "expired",
    "wrong_day",
    "wrong_weekday",
    "wrong_hour",
    "wrong_channel_kind",
    "wrong_channel",
    "wrong_store",
    "wrong_tier",
    "wrong_member",
    "no_matching_items",
    "too_few_items",
    "basket_too_small",
    "items_too_small",
    "no_shipping",
    "nothing_left",
    "not_with_others",
    "alone_applies",
    "group_taken",
    "better_in_group",
    "better_without",
    "not_with_coupon",
    "basket_empty",
    "too_little_left",
    "not_enough_points",
    "below_minimum",
    "not_a_multiple",
    "above_share",
]
"""Why a coupon, or points, do not apply. Stable; the web layer has a sentence for each in `basket.toml`.

Of points: `not_with_coupon` and all from `basket_empty` on, and `wrong_currency`; all others of coupons.
"""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the basket: `amount_minor` is what all its `quantity` pieces cost together, before any coupon.

    Goods sold by weight have quantity 0: no rule that counts pieces looks at them.
    """

    sku: str
    quantity: int
    amount_minor: int
    category: str | None = None


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be bought, where and when. `time_zone` is the programme's, `store` the branch a till names."""

    currency: str
    channel: str
    channel_kind: Literal["online", "store"]
    moment: datetime
    time_zone: str
    lines: tuple[Line, ...]
    shipping_minor: int = 0
    store: str | None = None


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a member that terms and points look at. `spendable_points` is what can be spent now."""

    tier: str | None = None
    tags: frozenset[str] = frozenset()
    spendable_points: int = 0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon that is to be used: its terms, and the time in which this one is valid (the end is no part of it).

    `reference` names it in the answer, and decides between equal priorities; no two of one question share it.
    """

    reference: str
    terms: Terms
    valid_from: datetime | None = None
    expires_at: datetime | None = None


class PointsWish(msgspec.Struct, frozen=True, kw_only=True):
    """Points that shall pay under a policy: a number of them, or as many as can."""

    policy: RedemptionPolicy
    points: int | Literal["most"] = "most"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why not: a stable code, and the figures and names that a sentence needs.

    What the parameters are, by code: `basket_too_small` and `items_too_small` have `minimum_minor`, `amount_minor` and
    `missing_minor`; `too_few_items` has `minimum`, `quantity` and `missing`; `not_yet_valid`, `expired` and `wrong_day`
    have ISO 8601 texts; `not_with_others`, `alone_applies`, `group_taken`, `better_in_group` and `not_with_coupon` name
    the other coupon as `reference`; those of points are those of `redemption.money_off`.
    """

    code: ReasonCode
    parameters: dict[str, int | str] = {}


class Gift(msgspec.Struct, frozen=True, kw_only=True):
    """A line at no price that the channel adds to the basket."""

    sku: str
    quantity: int


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon that applies.

    `line_minor`, in the basket's order of lines, and `shipping_minor` sum to `amount_minor`.
    """

    reference: str
    amount_minor: int
    line_minor: tuple[int, ...]
    shipping_minor: int = 0
    gifts: tuple[Gift, ...] = ()


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon that does not apply."""

    reference: str
    reason: Reason


class PointsPaid(msgspec.Struct, frozen=True, kw_only=True):
    """What points pay: nothing where there is a reason. `line_minor` sums to `amount_minor`."""

    points: int
    amount_minor: int
    line_minor: tuple[int, ...]
    reason: Reason | None = None


class PricedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line with what coupons take off it and points pay of it; `payable_minor` is the rest, never below zero."""

    amount_minor: int
    discount_minor: int
    points_minor: int
    payable_minor: int


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A basket's price. `applied` is in the order in which the coupons applied, `refused` as they were given.

    Exactly: the lines' `discount_minor` sum to `goods_discount_minor`, which with `shipping_discount_minor` is
    `discount_minor`, which is the sum of what is applied; the lines' `points_minor` sum to `points.amount_minor`; and
    `payable_minor` is lines and shipping less discount and points. Points pay goods alone, not shipping.
    """

    lines: tuple[PricedLine, ...]
    applied: tuple[Applied, ...]
    refused: tuple[Refused, ...]
    points: PointsPaid | None
    goods_discount_minor: int
    shipping_discount_minor: int
    discount_minor: int
    payable_minor: int


def check_basket(basket: Basket, candidates: Sequence[Candidate] = (), points: PointsWish | None = None) -> None:
    """Refuse a question that cannot be answered. Raises InvalidInputError naming the field, such as `lines[2].sku`."""
    check_currency(basket.currency)
    if basket.moment.tzinfo is None:
        raise InvalidInputError("a time with its offset", field="moment")
    check_range(basket.shipping_minor, "shipping_minor", least=0, most=MAX_AMOUNT_MINOR)
    if len(basket.lines) > MAX_LINES:
        raise InvalidInputError(f"at most {MAX_LINES:,} lines", field="lines")
    for index, line in enumerate(basket.lines):
        check_text(line.sku, f"lines[{index}].sku")
        check_range(line.quantity, f"lines[{index}].quantity", least=0, most=MAX_QUANTITY)
        check_range(line.amount_minor, f"lines[{index}].amount_minor", least=0, most=MAX_AMOUNT_MINOR)
    if len(candidates) > MAX_CANDIDATES:
        raise InvalidInputError(f"at most {MAX_CANDIDATES} coupons", field="coupons")
    references = [candidate.reference for candidate in candidates]
    if len(set(references)) < len(references):
        raise InvalidInputError("a coupon is named twice", field="coupons")
    if points is not None and points.points != "most":
        check_range(points.points, "points", least=1, most=MAX_POINTS)
