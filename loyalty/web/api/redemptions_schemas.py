"""Requests and answers about redeeming."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.api.operations import (
    AmountMinor,
    ChannelCode,
    Currency,
    MemberReference,
    Person,
    Points,
    Reference,
    tell,
)
from redemption.catalogue import CatalogueItem
from redemption.coupon_templates import Discount
from redemption.coupons import Coupon, CouponState
from redemption.till import Redemption, RedemptionKind, RedemptionState

REDEMPTION_PREFIX = "rdm"
COUPON_PREFIX = "cpn"

ReceiptNumber = Annotated[
    str, Meta(min_length=1, max_length=100, description="The till's number for the receipt.", examples=["R-1001"])
]
ItemCode = Annotated[str, Meta(min_length=1, max_length=40, examples=["gift-box"])]
CouponCode = Annotated[str, Meta(min_length=1, max_length=64, description="What the till scanned.")]
HoldSeconds = Annotated[int, Meta(ge=60, le=86_400, description="How long the till has to finish.", examples=[900])]


class QuoteRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What could the member's points take off this basket?"""

    member_id: MemberReference
    basket_minor: AmountMinor
    currency: Currency


class BeginRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Redeem exactly one of `points` (money off), `catalogue_item` or `coupon`.

    Money off and coupons need the basket and its currency. The server computes what it costs and what it is worth.
    """

    member_id: MemberReference
    channel: ChannelCode | None = None
    points: Points | None = None
    catalogue_item: ItemCode | None = None
    coupon: CouponCode | None = None
    basket_minor: AmountMinor | None = None
    currency: Currency | None = None
    clerk: Person | None = None
    expires_in_seconds: HoldSeconds = 900


class CaptureRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The purchase is paid: take what was held. A receipt number is needed at a till."""

    receipt_number: ReceiptNumber | None = None


class VoidRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Undo the whole redemption."""


class RefundRedemptionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give back a captured redemption: all that is left, so many points, or the points of an amount."""

    points: Points | None = None
    amount_minor: Annotated[int, Meta(ge=1, le=2**53 - 1, examples=[500])] | None = None
    clerk: Person | None = None


class IssueCouponRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put a coupon of a template into the member's wallet."""

    template: ItemCode
    source: Reference


class ReasonAnswer(Struct, frozen=True, kw_only=True):
    """Why nothing can be redeemed: a code, and the figures for a sentence."""

    code: Literal["basket_empty", "basket_too_small", "not_enough_points"]
    parameters: dict[str, int]


class QuoteAnswer(Struct, frozen=True, kw_only=True):
    """0, or any multiple of `step_points` from `minimum_points` to `max_points` can be redeemed."""

    currency: str
    policy_version: int
    max_points: int
    max_amount_minor: int
    step_points: int
    step_amount_minor: int
    minimum_points: int
    limit_minor: int
    reasons: list[ReasonAnswer]


class RedemptionAnswer(Struct, frozen=True, kw_only=True):
    """One redemption, and how far it has come."""

    id: str
    member_id: str
    kind: RedemptionKind
    state: RedemptionState
    points: int
    amount_minor: int
    currency: str | None
    basket_minor: int | None
    clerk: str | None
    coupon_id: str | None
    name: dict[str, str] | None
    begun_at: datetime
    hold_expires_at: datetime
    receipt_number: str | None
    captured_at: datetime | None
    refunded_points: int
    refunded_minor: int
    closed_at: datetime | None


class Redemptions(Struct, frozen=True, kw_only=True):
    """Redemptions, newest first, a page of them where there is a cursor."""

    data: list[RedemptionAnswer]
    next_cursor: str | None


class CouponAnswer(Struct, frozen=True, kw_only=True):
    """A coupon in a wallet, with its terms."""

    id: str
    member_id: str
    code: str
    state: CouponState
    template: str
    name: dict[str, str]
    discount: Discount
    currency: str
    minimum_basket_minor: int
    channels: list[str] | None
    source: str
    issued_at: datetime
    expires_at: datetime


class Coupons(Struct, frozen=True, kw_only=True):
    """A member's coupons, soonest to expire first."""

    data: list[CouponAnswer]


class CatalogueItemAnswer(Struct, frozen=True, kw_only=True):
    """Something that points buy. `stock` null is unlimited."""

    code: str
    name: dict[str, str]
    kind: Literal["item", "coupon"]
    points_cost: int
    stock: int | None
    active: bool


class Catalogue(Struct, frozen=True, kw_only=True):
    """What points buy, cheapest first."""

    data: list[CatalogueItemAnswer]


def redemption_answer(redemption: Redemption) -> RedemptionAnswer:
    """A redemption as it is told."""
    return tell(
        RedemptionAnswer,
        redemption,
        id=public_id(REDEMPTION_PREFIX, redemption.id),
        member_id=public_id(MEMBER_PREFIX, redemption.member_id),
        coupon_id=public_id(COUPON_PREFIX, redemption.coupon_id) if redemption.coupon_id else None,
    )


def coupon_answer(coupon: Coupon) -> CouponAnswer:
    """A coupon as it is told."""
    terms = coupon.template
    return tell(
        CouponAnswer,
        coupon,
        id=public_id(COUPON_PREFIX, coupon.id),
        member_id=public_id(MEMBER_PREFIX, coupon.member_id),
        template=terms.code,
        name=terms.name,
        discount=terms.discount,
        currency=terms.currency,
        minimum_basket_minor=terms.minimum_basket_minor,
        channels=terms.channel_codes,
    )


def catalogue_item_answer(item: CatalogueItem) -> CatalogueItemAnswer:
    """A catalogue item as it is told."""
    return tell(CatalogueItemAnswer, item)
