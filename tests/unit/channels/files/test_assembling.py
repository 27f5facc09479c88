from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from loyalty.channels.files.assembling import WINDOW_ORDERS, Assembler
from loyalty.channels.files.documents import MOST_LINES, Document, DocumentReader
from loyalty.channels.files.lines import BadLine, Row
from loyalty.channels.files.mapping import FileFormat, OrderMapping
from loyalty.channels.files.refusals import Refusal
from loyalty.channels.orders.shapes import Cancellation, Order, Refund
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Channel

SHOP = Channel(
    id=uuid4(), programme_id=uuid4(), code="shop", name="Shop", kind="online", currency="GBP", time_zone="Europe/London"
)
HEADER = ["order", "time", "customer", "sku", "quantity", "unit_price"]
A_DAY = "2011-01-01 12:00"


class Reading:
    """What comes of some lines."""

    def __init__(self, *lines: str, header: list[str] = HEADER, channel: Channel = SHOP, **mapping: Any) -> None:
        self.refusals: list[Refusal] = []
        of = OrderMapping(**mapping)
        assembler = Assembler(of, DocumentReader(of, FileFormat(), channel), self.refusals.append)
        assembler.begin("f", header)
        self.documents: list[Document] = []
        for number, line in enumerate(lines, start=2):
            fields = line.split(",")
            whole = len(fields) == len(header)
            record = Row("f", number, fields) if whole else BadLine("f", number, line, "is bad", fields)
            self.documents.extend(assembler.add(record))
        self.documents.extend(assembler.finish())
        self.guests = assembler.guests
        self.orders_refused = assembler.orders_refused

    @property
    def order(self) -> Order:
        (document,) = self.documents
        assert isinstance(document.content, Order)
        return document.content

    @property
    def cancellation(self) -> Cancellation:
        (document,) = self.documents
        assert isinstance(document.content, Cancellation)
        return document.content

    @property
    def reasons(self) -> list[tuple[int, str, str]]:
        return [(refusal.line, refusal.column, refusal.reason) for refusal in self.refusals]


def totals(reading: Reading) -> dict[str, int]:
    return {
        document.number: sum(line.amount_minor for line in document.content.lines) - document.content.discount_minor
        for document in reading.documents
        if isinstance(document.content, Order)
    }


def test_lines_of_one_order_become_one_order() -> None:
    reading = Reading(f"1,{A_DAY},9,tea,2,1.50", f"1,{A_DAY},9,cup,1,4")
    assert [(line.sku, line.quantity, line.amount_minor) for line in reading.order.lines] == [
        ("tea", 2, 300),
        ("cup", 1, 400),
    ]
    assert reading.order.placed_at == datetime(2011, 1, 1, 12, tzinfo=UTC)
    assert [identity.value for identity in reading.order.identities] == ["9"]


def test_lines_may_lie_apart_within_the_window() -> None:
    reading = Reading(f"1,{A_DAY},9,tea,1,1", f"2,{A_DAY},8,tea,1,2", f"1,{A_DAY},9,cup,1,4")
    assert totals(reading) == {"1": 500, "2": 200}


def test_lines_further_apart_come_as_a_second_order_of_the_same_number() -> None:
    others = [f"x{n},{A_DAY},8,tea,1,1" for n in range(WINDOW_ORDERS)]
    reading = Reading(f"1,{A_DAY},9,tea,1,1", *others, f"1,{A_DAY},9,cup,1,4")
    assert [document.number for document in reading.documents].count("1") == 2


def test_the_first_lines_time_counts() -> None:
    reading = Reading("1,2011-01-01 12:00,9,tea,1,1", "1,2011-01-01 12:01,9,cup,1,1", "1,,,jug,1,1")
    assert reading.order.placed_at == datetime(2011, 1, 1, 12, tzinfo=UTC)
    assert len(reading.order.lines) == 3


def test_an_order_without_a_customer_is_a_guests() -> None:
    reading = Reading(f"1,{A_DAY},,tea,1,1", f"2,{A_DAY},,tea,-1,1")
    assert (reading.guests, reading.documents, reading.refusals) == (2, [], [])


@pytest.mark.parametrize(
    ("line", "column", "said"),
    [
        (f"1,{A_DAY},9,cup,one,1", "quantity", "is not a number"),
        (f"1,{A_DAY},9,cup,1,free", "unit_price", "is not a number"),
        (f"1,{A_DAY},9,cup,1,", "unit_price", "is not a number"),
        ("1,noon,9,cup,1,1", "time", "is not an ISO 8601 time"),
        (f"1,{A_DAY},8,cup,1,1", "customer", "is not '9'"),
    ],
)
def test_one_line_that_cannot_be_read_refuses_its_whole_order(line: str, column: str, said: str) -> None:
    reading = Reading(f"1,{A_DAY},9,tea,1,1", line, f"1,{A_DAY},9,jug,1,1", f"2,{A_DAY},9,tea,1,1")
    assert totals(reading) == {"2": 100}
    assert reading.orders_refused == 1
    along = "belongs to a refused order; see line 3"
    assert [(number, name) for number, name, _ in reading.reasons] == [(2, "order"), (3, column), (4, "order")]
    assert said in reading.reasons[1][2]
    assert reading.reasons[0][2] == reading.reasons[2][2] == along


def test_the_first_lines_unreadable_time_refuses_the_order_once() -> None:
    reading = Reading("1,noon,9,tea,1,1", f"1,{A_DAY},9,cup,1,1")
    assert [(line, column) for line, column, _ in reading.reasons] == [(2, "time"), (3, "order")]


def test_a_line_that_is_no_record_refuses_the_order_it_seems_to_be_of() -> None:
    reading = Reading(f"1,{A_DAY},9,tea,1,1", "1,broken", f"2,{A_DAY},9,tea,1,2")
    assert totals(reading) == {"2": 200}
    assert [line for line, _, _ in reading.reasons] == [3, 2]


def test_also_where_it_comes_before_the_others() -> None:
    reading = Reading("1,broken", f"1,{A_DAY},9,tea,1,1", f"2,{A_DAY},9,tea,1,2")
    assert totals(reading) == {"2": 200}
    assert reading.reasons[1] == (3, "order", "belongs to a refused order; see line 2")


def test_a_line_of_nobody_knows_what_costs_itself_alone() -> None:
    reading = Reading(f"1,{A_DAY},9,tea,1,1", "%%%", f"1,{A_DAY},9,cup,1,1")
    assert totals(reading) == {"1": 200}
    assert reading.reasons == [(3, "", "is bad")]


def test_a_line_without_an_order_number_is_refused() -> None:
    reading = Reading(f",{A_DAY},9,tea,1,1")
    assert reading.reasons == [(2, "order", "is empty; a line names its order by it")]


def test_a_cancellation_by_prefix_gives_positive_amounts_back() -> None:
    reading = Reading(f"C1,{A_DAY},9,tea,-2,1.50", cancellations="prefix", cancellation_prefix="C")
    (line,) = reading.cancellation.lines
    assert (line.quantity, line.amount_minor) == (2, 300)
    assert reading.cancellation.order_external_id is None


def test_a_cancellation_by_prefix_may_be_written_without_a_sign() -> None:
    reading = Reading(f"C1,{A_DAY},9,tea,2,1.50", cancellations="prefix")
    assert reading.cancellation.lines[0].amount_minor == 300


def test_a_cancellation_by_sign() -> None:
    reading = Reading(f"7,{A_DAY},9,tea,-2,1.50", f"7,{A_DAY},9,cup,-1,0", cancellations="sign")
    assert [line.amount_minor for line in reading.cancellation.lines] == [300, 0]


def test_a_cancellation_with_lines_of_both_signs_is_refused() -> None:
    reading = Reading(f"C1,{A_DAY},9,tea,-2,1.50", f"C1,{A_DAY},9,cup,1,1", cancellations="prefix")
    assert reading.orders_refused == 1


def test_a_negative_order_is_refused_unless_the_export_cancels_by_sign() -> None:
    reading = Reading(f"7,{A_DAY},9,tea,-2,1.50")
    assert reading.reasons == [(2, "order", "is negative; does the export tell cancellations by prefix or by sign?")]


def test_a_cancellation_that_names_its_order_is_a_refund_of_it() -> None:
    header = ["order", "time", "customer", "amount", "original"]
    reading = Reading(f"r1,{A_DAY},,-12.50,1", header=header, cancellations="sign")
    (document,) = reading.documents
    assert document.content == Refund(
        external_id="r1",
        order_external_id="1",
        refunded_at=datetime(2011, 1, 1, 12, tzinfo=UTC),
        currency="GBP",
        amount_minor=1250,
    )


def test_a_negative_line_of_an_order_is_taken_off_the_whole() -> None:
    reading = Reading(f"1,{A_DAY},9,tea,2,5", f"1,{A_DAY},9,voucher,-1,2.50")
    assert [line.sku for line in reading.order.lines] == ["tea"]
    assert reading.order.discount_minor == 250


def test_a_lines_discount_is_taken_off_it() -> None:
    header = ["order", "time", "customer", "amount", "discount"]
    reading = Reading(f"1,{A_DAY},9,10,-2.50", f"1,{A_DAY},9,10,2.50", f"1,{A_DAY},9,10,", header=header)
    assert [line.amount_minor for line in reading.order.lines] == [750, 750, 1000]
    refused = Reading(f"1,{A_DAY},9,10,10.01", header=header)
    assert refused.reasons == [(2, "discount", "is more than the line's amount, 10")]


def test_the_orders_sum_is_exact_and_rounded_once() -> None:
    header = ["order", "time", "customer", "amount"]
    lines = [f"1,{A_DAY},9,0.005", f"1,{A_DAY},9,0.005", f"1,{A_DAY},9,4.440892e-16"]
    assert totals(Reading(*lines, header=header)) == {"1": 1}
    assert totals(Reading(*lines, header=header, rounding="ceil")) == {"1": 2}


def test_goods_by_weight_have_quantity_zero_and_what_they_cost() -> None:
    reading = Reading(f"1,{A_DAY},9,cheese,0.345,20")
    assert [(line.quantity, line.amount_minor) for line in reading.order.lines] == [(0, 690)]


def test_another_currency_than_the_channels_is_refused() -> None:
    header = ["order", "time", "customer", "amount", "currency"]
    reading = Reading(f"1,{A_DAY},9,10,GBP", f"2,{A_DAY},9,10,USD", f"3,{A_DAY},9,10,", header=header)
    assert totals(reading) == {"1": 1000, "3": 1000}
    assert reading.reasons == [(3, "currency", "channel shop sells in GBP")]
    with pytest.raises(InvalidInputError, match="the mapping says USD"):
        Reading(currency="USD")


def test_an_order_of_more_lines_than_any_channel_may_send_is_refused() -> None:
    reading = Reading(*[f"1,{A_DAY},9,tea,1,1"] * (MOST_LINES + 1))
    assert (reading.orders_refused, reading.documents) == (1, [])


def test_a_customer_may_be_known_by_phone_alone() -> None:
    header = ["order", "time", "phone", "amount"]
    reading = Reading(f"1,{A_DAY},199 0000 9452,10", f"2,{A_DAY},n/a,10", header=header)
    assert [identity.value for identity in reading.order.identities] == ["+8619900009452"]
    assert [(line, column) for line, column, _ in reading.reasons] == [(3, "phone")]


def test_a_description_is_kept_on_one_line_and_cut() -> None:
    header = ["order", "time", "customer", "amount", "description"]
    reading = Reading(f"1,{A_DAY},9,10, a\tb  " + "x" * 600, header=header)
    description = reading.order.lines[0].description
    assert description is not None
    assert description.startswith("a b x")
    assert len(description) == 500
