"""What can be said of a document without looking anything up: each fault with the path of its field and the reason."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from loyalty.channels.orders.shapes import Cancellation, Order, OrderLine, Refund, RefundLine
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Channel

MAXIMUM_LINES: Final = 1_000
MAXIMUM_TEXT_LENGTH: Final = 100
MAXIMUM_DESCRIPTION_LENGTH: Final = 500
MAXIMUM_AMOUNT_MINOR: Final = 10**12
MAXIMUM_QUANTITY: Final = 10**9
MAXIMUM_IDENTITIES: Final = 10
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far a channel's clock may be ahead of ours; the ledger has the same."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


def check_order(order: Order, channel: Channel) -> None:
    """Hold an order against its own rules and its channel's currency. Raises InvalidInputError with path and reason."""
    _check_text("external_id", order.external_id)
    if order.receipt_number is not None:
        _check_text("receipt_number", order.receipt_number)
    _check_moment("placed_at", order.placed_at)
    _check_currency(order.currency, channel)
    _check_identities(order)
    _check_lines(order.lines)
    gross_minor = sum(line.amount_minor for line in order.lines)
    _check_range("discount_minor", order.discount_minor, MAXIMUM_AMOUNT_MINOR)
    if order.discount_minor > gross_minor:
        message = f"{order.discount_minor} is more than the lines' sum, {gross_minor}"
        raise InvalidInputError(message, field="discount_minor")
    total_minor = gross_minor - order.discount_minor
    if total_minor > MAXIMUM_AMOUNT_MINOR:
        raise InvalidInputError(f"the lines sum to more than {MAXIMUM_AMOUNT_MINOR:,}", field="lines")
    if order.total_minor is not None and order.total_minor != total_minor:
        message = f"is {order.total_minor}, but the lines less the discount sum to {total_minor}"
        raise InvalidInputError(message, field="total_minor")


def check_refund(refund: Refund, channel: Channel) -> None:
    """Hold a refund against its own rules and its channel's currency. Raises InvalidInputError with path and reason."""
    _check_text("external_id", refund.external_id)
    _check_text("order_external_id", refund.order_external_id)
    _check_moment("refunded_at", refund.refunded_at)
    _check_currency(refund.currency, channel)
    if bool(refund.lines) == (refund.amount_minor is not None):
        raise InvalidInputError("either lines or an amount, and not both", field="lines")
    if refund.amount_minor is not None:
        _check_range("amount_minor", refund.amount_minor, MAXIMUM_AMOUNT_MINOR, least=1)
    _check_refund_lines(refund.lines)


def check_cancellation(cancellation: Cancellation, channel: Channel) -> None:
    """Hold a cancellation against its own rules and its channel's currency. Raises InvalidInputError, as the others."""
    _check_text("external_id", cancellation.external_id)
    _check_moment("cancelled_at", cancellation.cancelled_at)
    _check_currency(cancellation.currency, channel)
    if cancellation.order_external_id is not None:
        _check_text("order_external_id", cancellation.order_external_id)
        if cancellation.lines:
            raise InvalidInputError("an order is cancelled whole; a part of it is a refund", field="lines")
        return
    _check_identities(cancellation)
    _check_lines(cancellation.lines)


def content_hash(document: Order | Refund | Cancellation) -> bytes:
    """What makes two documents under one number the same: all they say but who the person is.

    A person is left out because the same export, read again after two members were merged, names another id, and
    because a digest of a phone number can be guessed. Whose a document is was settled when it first came.
    """
    content = {
        name: value
        for name, value in msgspec.structs.asdict(document).items()
        if name not in ("identities", "member_id")
    }
    # Written as UTC, so that the same moment with another offset is the same content.
    moments = {name: value.astimezone(UTC) for name, value in content.items() if isinstance(value, datetime)}
    encoded = msgspec.json.encode(content | moments, order="deterministic")
    return hashlib.sha256(type(document).__name__.encode() + b"\0" + encoded).digest()


def _check_lines(lines: Sequence[OrderLine]) -> None:
    if not 0 < len(lines) <= MAXIMUM_LINES:
        raise InvalidInputError(f"from 1 to {MAXIMUM_LINES:,} lines", field="lines")
    seen: set[str] = set()
    for index, line in enumerate(lines):
        path = f"lines[{index}]"
        _check_line_id(line.line_id, seen, path)
        _check_text(f"{path}.sku", line.sku)
        if line.category is not None:
            _check_text(f"{path}.category", line.category)
        if line.description is not None:
            _check_text(f"{path}.description", line.description, MAXIMUM_DESCRIPTION_LENGTH)
        _check_range(f"{path}.quantity", line.quantity, MAXIMUM_QUANTITY)
        _check_range(f"{path}.amount_minor", line.amount_minor, MAXIMUM_AMOUNT_MINOR)


def _check_refund_lines(lines: Sequence[RefundLine]) -> None:
    if len(lines) > MAXIMUM_LINES:
        raise InvalidInputError(f"at most {MAXIMUM_LINES:,} lines", field="lines")
    seen: set[str] = set()
    for index, line in enumerate(lines):
        path = f"lines[{index}]"
        _check_line_id(line.line_id, seen, path)
        _check_range(f"{path}.quantity", line.quantity, MAXIMUM_QUANTITY)
        _check_range(f"{path}.amount_minor", line.amount_minor, MAXIMUM_AMOUNT_MINOR)


def _check_line_id(line_id: str, seen: set[str], path: str) -> None:
    _check_text(f"{path}.line_id", line_id)
    if line_id in seen:
        raise InvalidInputError(f"{line_id!r} names another line as well", field=f"{path}.line_id")
    seen.add(line_id)


def _check_text(field: str, value: str, longest: int = MAXIMUM_TEXT_LENGTH) -> None:
    if not value or len(value) > longest or not value.isprintable():
        raise InvalidInputError(f"from 1 to {longest} printable characters", field=field)


def _check_moment(field: str, moment: datetime) -> None:
    if moment.tzinfo is None:
        raise InvalidInputError("needs a time zone", field=field)
    if moment < EARLIEST:
        raise InvalidInputError("is before 1970", field=field)
    if moment > utc_now() + CLOCK_TOLERANCE:
        raise InvalidInputError("is in the future", field=field)


def _check_currency(currency: str, channel: Channel) -> None:
    if currency != channel.currency:
        message = f"channel {channel.code} sells in {channel.currency}, not in {currency[:40]!r}"
        raise InvalidInputError(message, field="currency")


def _check_identities(document: Order | Cancellation) -> None:
    if len(document.identities) > MAXIMUM_IDENTITIES:
        raise InvalidInputError(f"at most {MAXIMUM_IDENTITIES} ways to know the person", field="identities")


def _check_range(field: str, value: int, most: int, *, least: int = 0) -> None:
    if value < least:
        raise InvalidInputError("must be positive" if least else "must not be negative", field=field)
    if value > most:
        raise InvalidInputError(f"is more than {most:,}", field=field)
