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
    tell,
)
from redemption.benefits.wallet import PREFIX as BENEFIT_PREFIX
from redemption.catalogue import CatalogueItem
from redemption.checkout.record import PREFIX as CHECKOUT_PREFIX
from redemption.till import Redemption, RedemptionKind, RedemptionState

REDEMPTION_PREFIX = "rdm"

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
    """Redeem exactly one of `points` (money off), `catalogue_item` or `coupon` (the code of any benefit).

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
    benefit_id: str | None
    checkout_id: str | None
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
        benefit_id=public_id(BENEFIT_PREFIX, redemption.benefit_id) if redemption.benefit_id else None,
        checkout_id=public_id(CHECKOUT_PREFIX, redemption.checkout_id) if redemption.checkout_id else None,
    )


def catalogue_item_answer(item: CatalogueItem) -> CatalogueItemAnswer:
    """A catalogue item as it is told."""
    return tell(CatalogueItemAnswer, item)
