"""Orders, refunds and cancellations of any channel, and what they do to the books.

The doors are `accept_order`, `accept_orders` (a batch), `accept_refund` and `accept_cancellation`; `reading` answers
for a member's history. Each is idempotent by nature: a channel's number for a document names it for ever, so the same
document again changes nothing and gives the same answer, and another one under its number is refused.
"""

from __future__ import annotations

from loyalty.channels.orders.accepting import accept_order, accept_orders
from loyalty.channels.orders.cancelling import accept_cancellation
from loyalty.channels.orders.refunding import RefundExceedsOrderError, RefusedOnArrivalError, accept_refund
from loyalty.channels.orders.shapes import (
    Cancellation,
    Order,
    OrderLine,
    OrderResult,
    Refund,
    RefundLine,
    RefundResult,
)

__all__ = [
    "Cancellation",
    "Order",
    "OrderLine",
    "OrderResult",
    "Refund",
    "RefundExceedsOrderError",
    "RefundLine",
    "RefundResult",
    "RefusedOnArrivalError",
    "accept_cancellation",
    "accept_order",
    "accept_orders",
    "accept_refund",
]
