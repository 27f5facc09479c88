"""Purchases, refunds and cancellations as every channel states them, and what comes of them.

A channel's own words (a shop platform's webhook, a till's receipt, a row of an export) are turned into these structs;
nothing behind them knows which channel it was. Money is in integer minor units of `currency` (ISO 4217), and no amount
here is negative: what a document is, not a sign, says which way it goes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from loyalty.kit.errors import DomainError
from loyalty.members.identifiers import Identity

DocumentKind: TypeAlias = Literal["order", "refund", "cancellation"]
RefundKind: TypeAlias = Literal["refund", "cancellation"]


class OrderLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a purchase.

    `line_id` is the channel's own name for it, unique in the order. `amount_minor` is what was paid for the whole line
    (not for one piece), before the order's `discount_minor`. Quantity 0 is allowed: goods sold by weight have it.
    """

    line_id: str
    sku: str
    quantity: int
    amount_minor: int
    category: str | None = None
    description: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A purchase. `external_id` is the channel's own number for it, and names it for ever.

    Who bought is told by `member_id`, or by what the channel knows of the person; an order with neither is a guest's.
    Where both are given, `member_id` is the caller's own look-up of the identities, and is believed.
    `discount_minor` was taken off the whole order and is spread over its lines; `total_minor`, where given, must be
    the sum of the lines less the discount. `receipt_number` is what a till captured a redemption with, where that is
    not `external_id`.
    """

    external_id: str
    placed_at: datetime
    currency: str
    lines: tuple[OrderLine, ...]
    identities: tuple[Identity, ...] = ()
    member_id: UUID | None = None
    discount_minor: int = 0
    total_minor: int | None = None
    receipt_number: str | None = None


class RefundLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was paid back on one line of the order, and how many pieces came back."""

    line_id: str
    amount_minor: int
    quantity: int = 0


class Refund(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part or all of an order that was paid back: lines where the channel names them, else an amount of the whole.

    `external_id` is the channel's own number for this refund. Exactly one of `lines` and `amount_minor` is given.
    """

    external_id: str
    order_external_id: str
    refunded_at: datetime
    currency: str
    lines: tuple[RefundLine, ...] = ()
    amount_minor: int | None = None


class Cancellation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order, or goods of orders that the channel does not name, taken back.

    With `order_external_id`: all that is left of that order; `lines` must be empty. Without it: `lines` are the goods,
    with what was paid back for each as a positive amount, and `member_id` or `identities` says whose they were, as in
    `Order`.
    """

    external_id: str
    cancelled_at: datetime
    currency: str
    order_external_id: str | None = None
    lines: tuple[OrderLine, ...] = ()
    identities: tuple[Identity, ...] = ()
    member_id: UUID | None = None


class RefundResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a refund or a cancellation.

    - `booked`: `taken_back` is the earned points it took back by unit (what the member no longer had became debt),
      `given_back` the spent points it gave back by redemption.
    - `waiting`: its order has not arrived; it is booked with the order.
    - `guest`: a cancellation that names neither an order nor a person; nothing is kept of it.
    - `refused`: only where it had waited: it did not fit its order when that came, for the reason in `error`.

    `replayed` says that the same document had come before: nothing was written now.
    """

    state: Literal["booked", "waiting", "guest", "refused"]
    external_id: str
    kind: RefundKind
    refund_id: UUID | None = None
    member_id: UUID | None = None
    order_id: UUID | None = None
    taken_back: dict[str, int] = {}
    given_back: dict[UUID, int] = {}
    replayed: bool = False
    error: DomainError | None = None


class OrderResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an order.

    - `booked`: it is in the member's history; `earned` is points by unit, without units that earned nothing.
    - `guest`: it names nobody; nothing is kept of it.
    - `refused`: only in a batch, with the error that the single call would raise; nothing is kept of it.

    `replayed` says that the same order had come before: nothing was written now, and `earned` is what it earned then.
    `refunds` are those that had waited for it and are booked with it.
    """

    state: Literal["booked", "guest", "refused"]
    external_id: str
    order_id: UUID | None = None
    member_id: UUID | None = None
    earned: dict[str, int] = {}
    replayed: bool = False
    refunds: tuple[RefundResult, ...] = ()
    error: DomainError | None = None
