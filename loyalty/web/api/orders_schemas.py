"""Requests and answers about orders, refunds and cancellations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from loyalty.channels.orders import Cancellation, Order, OrderLine, OrderResult, Refund, RefundLine, RefundResult
from loyalty.channels.orders.reading import (
    ORDER_PREFIX,
    REFUND_PREFIX,
    EarningDetail,
    LineDetail,
    OrderDetail,
    Purchase,
    RefundDetail,
    RefundedLine,
)
from loyalty.kit.ids import public_id
from loyalty.members.identifiers import Identity
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.api.members_schemas import IdentityRequest, read_identity
from loyalty.web.api.operations import ChannelCode, Currency, MemberReference, Moment, tell
from loyalty.web.api.people import member_uuid
from loyalty.web.api.redemptions_schemas import REDEMPTION_PREFIX

Number = Annotated[
    str, Meta(min_length=1, max_length=100, description="Your own number for it, for ever.", examples=["536381"])
]
LineName = Annotated[str, Meta(min_length=1, max_length=100, examples=["1"])]
LineAmountMinor = Annotated[int, Meta(ge=0, le=10**12, description="Minor units, such as fen.", examples=[12900])]
Quantity = Annotated[int, Meta(ge=0, le=10**9, examples=[1])]
People = Annotated[list[IdentityRequest], Meta(max_length=10)]


class OrderLineRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line: what was paid for the whole line, before the order's discount."""

    line_id: LineName
    sku: Annotated[str, Meta(min_length=1, max_length=100, examples=["85123A"])]
    quantity: Quantity
    amount_minor: LineAmountMinor
    category: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    description: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class OrderRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A purchase. Who bought is told by `member_id` or `identities`; with neither it is a guest's, and is not kept."""

    external_id: Number
    placed_at: Moment
    currency: Currency
    lines: Annotated[list[OrderLineRequest], Meta(min_length=1, max_length=1000)]
    channel: ChannelCode | None = None
    member_id: MemberReference | None = None
    identities: People = []
    discount_minor: LineAmountMinor = 0
    total_minor: LineAmountMinor | None = None
    receipt_number: Number | None = None


class RefundLineRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was paid back on one line of the order."""

    line_id: LineName
    amount_minor: LineAmountMinor
    quantity: Quantity = 0


class RefundRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part or all of an order that was paid back: by `lines`, or by an amount of the whole. Not both."""

    external_id: Number
    order_external_id: Number
    refunded_at: Moment
    currency: Currency
    channel: ChannelCode | None = None
    lines: Annotated[list[RefundLineRequest], Meta(max_length=1000)] = []
    amount_minor: Annotated[int, Meta(ge=1, le=10**12)] | None = None


class CancellationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order taken back whole; or, without its number, goods taken back, with who brought them."""

    external_id: Number
    cancelled_at: Moment
    currency: Currency
    channel: ChannelCode | None = None
    order_external_id: Number | None = None
    lines: Annotated[list[OrderLineRequest], Meta(max_length=1000)] = []
    member_id: MemberReference | None = None
    identities: People = []


class RefundAnswer(Struct, frozen=True, kw_only=True):
    """What came of a refund or cancellation: points taken back by unit, points given back by redemption.

    `waiting`: its order has not arrived. `guest`: it names nobody, and is not kept.
    """

    state: Literal["booked", "waiting", "guest"]
    kind: Literal["refund", "cancellation"]
    external_id: str
    id: str | None
    order_id: str | None
    member_id: str | None
    taken_back: dict[str, int]
    given_back: dict[str, int]


class OrderAnswer(Struct, frozen=True, kw_only=True):
    """What came of an order: the points it earned by unit, and refunds that had waited for it."""

    state: Literal["booked", "guest"]
    external_id: str
    id: str | None
    member_id: str | None
    earned: dict[str, int]
    refunds: list[RefundAnswer]


class BookedRefundAnswer(Struct, frozen=True, kw_only=True):
    """A refund or cancellation that was booked against the order."""

    id: str
    kind: Literal["refund", "cancellation"]
    external_id: str
    refunded_at: datetime
    amount_minor: int
    lines: list[RefundedLine]
    taken_back: dict[str, int]
    given_back: dict[str, int]


class BookedOrderAnswer(Struct, frozen=True, kw_only=True):
    """An order with all about it. `policy_version` is the earn policy that it is pinned to."""

    id: str
    member_id: str
    channel: str
    external_id: str
    receipt_number: str
    placed_at: datetime
    currency: str
    total_minor: int
    discount_minor: int
    refunded_minor: int
    tier_code: str | None
    policy_version: int
    lines: list[LineDetail]
    earnings: list[EarningDetail]
    refunds: list[BookedRefundAnswer]


class PurchaseAnswer(Struct, frozen=True, kw_only=True):
    """A line of a member's history: an order, or a cancellation whose order the channel did not name."""

    kind: Literal["order", "cancellation"]
    id: str
    member_id: str
    channel: str
    external_id: str
    at: datetime
    currency: str
    amount_minor: int
    refunded_minor: int
    earned: dict[str, int]
    taken_back: dict[str, int]


class Purchases(Struct, frozen=True, kw_only=True):
    """A page of purchases, newest first."""

    data: list[PurchaseAnswer]
    next_cursor: str | None


def read_order(request: OrderRequest, channel_code: str) -> Order:
    """The order of a request. Raises InvalidInputError naming the field."""
    return tell(
        Order,
        request,
        lines=tuple(tell(OrderLine, line) for line in request.lines),
        identities=_people(request, channel_code),
        member_id=member_uuid(request.member_id) if request.member_id else None,
    )


def read_refund(request: RefundRequest) -> Refund:
    """The refund of a request."""
    return tell(Refund, request, lines=tuple(tell(RefundLine, line) for line in request.lines))


def read_cancellation(request: CancellationRequest, channel_code: str) -> Cancellation:
    """The cancellation of a request. Raises InvalidInputError naming the field."""
    return tell(
        Cancellation,
        request,
        lines=tuple(tell(OrderLine, line) for line in request.lines),
        identities=_people(request, channel_code),
        member_id=member_uuid(request.member_id) if request.member_id else None,
    )


def _people(request: OrderRequest | CancellationRequest, channel_code: str) -> tuple[Identity, ...]:
    return tuple(read_identity(identity, channel_code) for identity in request.identities)


def refund_answer(result: RefundResult) -> RefundAnswer:
    """What came of a refund, as it is told."""
    return tell(
        RefundAnswer,
        result,
        id=public_id(REFUND_PREFIX, result.refund_id) if result.refund_id else None,
        order_id=public_id(ORDER_PREFIX, result.order_id) if result.order_id else None,
        member_id=public_id(MEMBER_PREFIX, result.member_id) if result.member_id else None,
        given_back={public_id(REDEMPTION_PREFIX, each): points for each, points in result.given_back.items()},
    )


def order_answer(result: OrderResult) -> OrderAnswer:
    """What came of an order, as it is told."""
    return tell(
        OrderAnswer,
        result,
        id=public_id(ORDER_PREFIX, result.order_id) if result.order_id else None,
        member_id=public_id(MEMBER_PREFIX, result.member_id) if result.member_id else None,
        refunds=[refund_answer(refund) for refund in result.refunds],
    )


def purchase_answer(purchase: Purchase) -> PurchaseAnswer:
    """A line of a history as it is told."""
    return tell(PurchaseAnswer, purchase, id=purchase.public_id, member_id=public_id(MEMBER_PREFIX, purchase.member_id))


def booked_order_answer(order: OrderDetail) -> BookedOrderAnswer:
    """An order with all about it, as it is told."""
    return tell(
        BookedOrderAnswer,
        order,
        id=public_id(ORDER_PREFIX, order.id),
        member_id=public_id(MEMBER_PREFIX, order.member_id),
        refunds=[_booked_refund(refund) for refund in order.refunds],
    )


def _booked_refund(refund: RefundDetail) -> BookedRefundAnswer:
    return tell(
        BookedRefundAnswer,
        refund,
        id=public_id(REFUND_PREFIX, refund.id),
        given_back={public_id(REDEMPTION_PREFIX, each): points for each, points in refund.given_back.items()},
    )
