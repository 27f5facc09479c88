"""Requests and answers about checkouts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.api.operations import AmountMinor, ChannelCode, Currency, MemberReference, Person, Points, Text, tell
from loyalty.web.api.redemptions_schemas import CouponCode, HoldSeconds, ReceiptNumber
from redemption.basket import Line, Reason
from redemption.basket.shapes import MAX_LINES
from redemption.benefits.definition import Kind
from redemption.benefits.wallet import PREFIX as BENEFIT_PREFIX
from redemption.checkout.quoting import MAX_COUPONS, Quote, Wish
from redemption.checkout.record import PREFIX, Checkout, CheckoutState
from redemption.checks import MAX_AMOUNT_MINOR
from redemption.terms.conditions import MAX_QUANTITY

Place = Annotated[int, Meta(ge=0, lt=MAX_LINES, description="A line's place in the basket, from 0.")]


class LineRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the basket; `amount_minor` is what all its pieces cost together."""

    sku: Text
    quantity: Annotated[int, Meta(ge=1, le=MAX_QUANTITY)] = 1
    amount_minor: Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR)]
    category: Text | None = None


class BasketRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A basket, a member, and what is to be used.

    `coupons` are codes of the member's benefits. With `best` the server chooses, of the whole wallet, what saves most.
    `points` is a number, or `most` for as many as can pay. `store` is the branch a till system names.
    """

    member_id: MemberReference
    channel: ChannelCode | None = None
    currency: Currency
    lines: Annotated[list[LineRequest], Meta(min_length=1, max_length=MAX_LINES)]
    shipping_minor: Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR)] = 0
    store: Text | None = None
    coupons: Annotated[list[CouponCode], Meta(max_length=MAX_COUPONS)] = []
    best: bool = False
    points: Points | Literal["most"] | None = None

    def wish(self) -> Wish:
        """As the domain takes it."""
        lines = tuple(
            Line(sku=each.sku, quantity=each.quantity, amount_minor=each.amount_minor, category=each.category)
            for each in self.lines
        )
        return Wish(
            currency=self.currency,
            lines=lines,
            shipping_minor=self.shipping_minor,
            store=self.store,
            coupons=tuple(self.coupons),
            best=self.best,
            points=self.points,
        )


class LockRequest(BasketRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A basket to be quoted and locked, until `expires_in_seconds` from now."""

    clerk: Person | None = None
    expires_in_seconds: HoldSeconds = 900


class UseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The purchase is paid, under the order's or receipt's number."""

    order_number: ReceiptNumber


class ReleaseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The purchase is not to be."""


class RefundCheckoutRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refund all that is left, or some lines by their places."""

    lines: Annotated[list[Place], Meta(min_length=1, max_length=MAX_LINES)] | None = None
    clerk: Person | None = None


class LineAnswer(Struct, frozen=True, kw_only=True):
    """A line: what coupons take off it, what points pay of it, and what is left to pay."""

    amount_minor: int
    discount_minor: int
    points_minor: int
    payable_minor: int


class GiftAnswer(Struct, frozen=True, kw_only=True):
    """A line at no price that goes with the basket."""

    sku: str
    quantity: int


class AppliedCouponAnswer(Struct, frozen=True, kw_only=True):
    """A benefit that applies, with what it takes off by line; nothing for what is handed over."""

    code: str
    benefit_id: str
    template: str
    kind: Kind
    name: dict[str, str]
    amount_minor: int
    line_minor: list[int]
    shipping_minor: int
    gifts: list[GiftAnswer]


class RefusedCouponAnswer(Struct, frozen=True, kw_only=True):
    """A benefit that does not apply, and why."""

    code: str
    name: dict[str, str]
    reason: str
    parameters: dict[str, int | str]


class PaidPointsAnswer(Struct, frozen=True, kw_only=True):
    """What points pay; nothing where there is a reason."""

    points: int
    amount_minor: int
    line_minor: list[int]
    reason: str | None
    parameters: dict[str, int | str]


class BasketQuoteAnswer(Struct, frozen=True, kw_only=True):
    """What the basket comes to. The lines are in the basket's order and all sums are exact."""

    currency: str
    lines: list[LineAnswer]
    coupons: list[AppliedCouponAnswer]
    refused: list[RefusedCouponAnswer]
    points: PaidPointsAnswer | None
    total_minor: AmountMinor
    discount_minor: AmountMinor
    shipping_discount_minor: AmountMinor
    payable_minor: AmountMinor


class CheckoutAnswer(Struct, frozen=True, kw_only=True):
    """A checkout, and how far it has come."""

    id: str
    member_id: str
    state: CheckoutState
    quote: BasketQuoteAnswer
    clerk: str | None
    locked_at: datetime
    expires_at: datetime
    order_number: str | None
    used_at: datetime | None
    refunded_lines: list[int]
    closed_at: datetime | None


class Checkouts(Struct, frozen=True, kw_only=True):
    """Checkouts, newest first."""

    data: list[CheckoutAnswer]


def quote_answer(quote: Quote) -> BasketQuoteAnswer:
    """A quote as it is told."""
    coupons: list[dict[str, Any]] = [
        msgspec.to_builtins(each) | {"benefit_id": public_id(BENEFIT_PREFIX, each.benefit_id)} for each in quote.coupons
    ]
    points = None
    if quote.points is not None:
        reason = quote.points.reason or Reason(code="basket_empty")
        points = PaidPointsAnswer(
            points=quote.points.points,
            amount_minor=quote.points.amount_minor,
            line_minor=list(quote.points.line_minor),
            reason=reason.code if quote.points.reason else None,
            parameters=dict(reason.parameters),
        )
    return tell(
        BasketQuoteAnswer,
        quote,
        lines=[tell(LineAnswer, line) for line in quote.lines],
        coupons=msgspec.convert(coupons, list[AppliedCouponAnswer]),
        refused=[tell(RefusedCouponAnswer, each) for each in quote.refused],
        points=points,
    )


def checkout_answer(checkout: Checkout) -> CheckoutAnswer:
    """A checkout as it is told."""
    return tell(
        CheckoutAnswer,
        checkout,
        id=public_id(PREFIX, checkout.id),
        member_id=public_id(MEMBER_PREFIX, checkout.member_id),
        quote=quote_answer(checkout.quote),
        refunded_lines=list(checkout.refunded_lines),
    )
