"""Documents that are refused as they stand, each with the path of its field and the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from loyalty.channels.orders import Cancellation, Order, OrderLine, Refund, RefundLine
from loyalty.channels.orders.checking import check_cancellation, check_order, check_refund, content_hash
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Channel
from loyalty.members.identity import channel_identity

SHOP = Channel(
    id=uuid4(),
    programme_id=uuid4(),
    code="online",
    name="Online shop",
    kind="online",
    currency="CNY",
    time_zone="Asia/Shanghai",
)
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEA = OrderLine(line_id="1", sku="tea", quantity=2, amount_minor=3_000)
CUP = OrderLine(line_id="2", sku="cup", quantity=1, amount_minor=1_000)
ORDER = Order(external_id="1001", placed_at=MOMENT, currency="CNY", lines=(TEA, CUP))
REFUND = Refund(external_id="R1", order_external_id="1001", refunded_at=MOMENT, currency="CNY", amount_minor=100)
CANCELLATION = Cancellation(external_id="C1", cancelled_at=MOMENT, currency="CNY", lines=(TEA,))


def changed(document: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(document, **fields)


def with_line(**fields: Any) -> Order:
    return msgspec.structs.replace(ORDER, lines=(TEA, changed(CUP, **fields)))


def test_good_documents_pass() -> None:
    check_order(ORDER, SHOP)
    check_order(changed(ORDER, discount_minor=500, total_minor=3_500), SHOP)
    check_order(with_line(quantity=0, amount_minor=0), SHOP)
    check_refund(REFUND, SHOP)
    check_refund(changed(REFUND, amount_minor=None, lines=(RefundLine(line_id="1", amount_minor=1),)), SHOP)
    check_cancellation(CANCELLATION, SHOP)
    check_cancellation(changed(CANCELLATION, lines=(), order_external_id="1001"), SHOP)


@pytest.mark.parametrize(
    ("order", "field", "reason"),
    [
        (changed(ORDER, external_id=""), "external_id", "from 1 to 100"),
        (changed(ORDER, external_id="a\0"), "external_id", "printable"),
        (changed(ORDER, external_id="x" * 101), "external_id", "from 1 to 100"),
        (changed(ORDER, receipt_number="\n"), "receipt_number", "printable"),
        (changed(ORDER, placed_at=MOMENT.replace(tzinfo=None)), "placed_at", "time zone"),
        (changed(ORDER, placed_at=utc_now() + timedelta(hours=1)), "placed_at", "in the future"),
        (changed(ORDER, placed_at=MOMENT.replace(year=1900)), "placed_at", "before 1970"),
        (changed(ORDER, currency="EUR"), "currency", "channel online sells in CNY, not in 'EUR'"),
        (changed(ORDER, lines=()), "lines", "from 1 to 1,000 lines"),
        (changed(ORDER, discount_minor=-1), "discount_minor", "must not be negative"),
        (changed(ORDER, discount_minor=4_001), "discount_minor", "more than the lines' sum, 4000"),
        (changed(ORDER, total_minor=3_999), "total_minor", "sum to 4000"),
        (changed(ORDER, discount_minor=10, total_minor=4_000), "total_minor", "sum to 3990"),
        (with_line(line_id="1"), "lines[1].line_id", "names another line"),
        (with_line(line_id=""), "lines[1].line_id", "printable"),
        (with_line(sku=""), "lines[1].sku", "printable"),
        (with_line(category=""), "lines[1].category", "printable"),
        (with_line(description="\t"), "lines[1].description", "printable"),
        (with_line(quantity=-1), "lines[1].quantity", "must not be negative"),
        (with_line(amount_minor=-1), "lines[1].amount_minor", "must not be negative"),
        (with_line(amount_minor=10**12 + 1), "lines[1].amount_minor", "more than 1,000,000,000,000"),
        (with_line(amount_minor=10**12), "lines", "sum to more than"),
        (
            changed(ORDER, identities=(channel_identity("customer", "1"),) * 11),
            "identities",
            "at most 10",
        ),
    ],
)
def test_a_faulty_order_is_refused(order: Order, field: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as refused:
        check_order(order, SHOP)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("refund", "field", "reason"),
    [
        (changed(REFUND, amount_minor=None), "lines", "either lines or an amount"),
        (changed(REFUND, lines=(RefundLine(line_id="1", amount_minor=1),)), "lines", "and not both"),
        (changed(REFUND, amount_minor=0), "amount_minor", "must be positive"),
        (changed(REFUND, amount_minor=-5), "amount_minor", "must be positive"),
        (changed(REFUND, currency="USD"), "currency", "sells in CNY"),
        (changed(REFUND, order_external_id=""), "order_external_id", "printable"),
        (
            changed(REFUND, amount_minor=None, lines=(RefundLine(line_id="1", amount_minor=-1),)),
            "lines[0].amount_minor",
            "negative",
        ),
        (
            changed(REFUND, amount_minor=None, lines=(RefundLine(line_id="1", amount_minor=1),) * 2),
            "lines[1].line_id",
            "names another line",
        ),
    ],
)
def test_a_faulty_refund_is_refused(refund: Refund, field: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as refused:
        check_refund(refund, SHOP)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("cancellation", "field", "reason"),
    [
        (changed(CANCELLATION, lines=()), "lines", "from 1 to"),
        (changed(CANCELLATION, order_external_id="1001"), "lines", "a part of it is a refund"),
        (changed(CANCELLATION, cancelled_at=MOMENT.replace(tzinfo=None)), "cancelled_at", "time zone"),
    ],
)
def test_a_faulty_cancellation_is_refused(cancellation: Cancellation, field: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as refused:
        check_cancellation(cancellation, SHOP)
    assert refused.value.field == field


def test_the_same_content_is_the_same_whoever_it_is_and_however_its_time_is_written() -> None:
    shanghai = MOMENT.astimezone(timezone(timedelta(hours=8)))
    again = changed(ORDER, member_id=uuid4(), placed_at=shanghai)
    assert content_hash(again) == content_hash(ORDER)


def test_other_content_is_another() -> None:
    assert content_hash(with_line(amount_minor=1_001)) != content_hash(ORDER)
    assert content_hash(changed(ORDER, placed_at=MOMENT + timedelta(seconds=1))) != content_hash(ORDER)
