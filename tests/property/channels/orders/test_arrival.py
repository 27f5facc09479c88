"""Any refunds of an order, in any order of arrival, also before the order, end in the same books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.earning import EarnRule, PerAmount, PerItem
from loyalty.channels.orders import OrderLine, RefundLine
from loyalty.channels.orders.reading import find_order
from loyalty.channels.orders.shares import LineRefunds, OrderRefunds, earned_to_take_back, spent_to_give_back
from loyalty.kit.crypto import Keyring
from loyalty.kit.rules import Compare
from tests.db.channels.orders.conftest import GROWTH, Shop, open_shop

TEA = EarnRule(code="tea", rate=PerAmount(7, 1_000, "CNY"), items=Compare("category", "eq", "tea"), rounding="half_up")
PIECE = EarnRule(code="piece", rate=PerItem(3), cap=20)
BASE = EarnRule(code="base", rate=PerAmount(1, 100, "CNY"))


class Part(msgspec.Struct, frozen=True):
    """A refund to be sent: of one line, or of an amount."""

    number: int
    line: int | None
    amount_minor: int
    quantity: int


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[OrderLine], list[Part], int]:
    """An order, refunds that fit it together, and the points that pay for a part of it."""
    lines = [
        OrderLine(
            line_id=str(index),
            sku=f"sku-{index}",
            category=draw(st.sampled_from(["tea", "cup", None])),
            quantity=draw(st.integers(0, 3)),
            amount_minor=draw(st.integers(0, 9_999)),
        )
        for index in range(draw(st.integers(1, 4)))
    ]
    total = sum(line.amount_minor for line in lines)
    left = {index: line.amount_minor for index, line in enumerate(lines)}
    pieces = {index: line.quantity for index, line in enumerate(lines)}
    parts: list[Part] = []
    for number in range(draw(st.integers(1, 4))):
        line = draw(st.none() | st.sampled_from(sorted(left)))
        most = total - sum(part.amount_minor for part in parts)
        if line is None:
            if most:
                parts.append(Part(number, None, draw(st.integers(1, most) | st.just(most)), 0))
        else:
            amount = draw(st.integers(0, min(left[line], most)) | st.just(min(left[line], most)))
            quantity = draw(st.integers(0, pieces[line]))
            left[line] -= amount
            pieces[line] -= quantity
            parts.append(Part(number, line, amount, quantity))
    return lines, parts, draw(st.integers(0, 300))


def expected(lines: Sequence[OrderLine], parts: Sequence[Part]) -> OrderRefunds:
    return OrderRefunds(
        lines=[
            LineRefunds(
                paid_minor=line.amount_minor,
                quantity=line.quantity,
                refunded_minor=sum(part.amount_minor for part in parts if part.line == index),
                refunded_quantity=sum(part.quantity for part in parts if part.line == index),
            )
            for index, line in enumerate(lines)
        ],
        unnamed_minor=sum(part.amount_minor for part in parts if part.line is None),
    )


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
async def shop(connection: AsyncConnection, keyring: Keyring) -> Shop:
    """A shop whose rules give lines very different shares, in two units."""
    shop = await open_shop(connection, keyring)
    await shop.publish(BASE, TEA, PIECE, GROWTH)
    return shop


async def arrive(shop: Shop, lines: Sequence[OrderLine], spent: int, events: Sequence[Part | None]) -> dict[str, Any]:
    """A member of their own pays an order partly with points; order (None) and refunds arrive as told."""
    number = str(uuid4())
    shop.member_id = await shop.join(number)
    if spent:
        await shop.give(spent + 5)
        await shop.redeem(spent, number)
    for event in events:
        if event is None:
            await shop.order(number, *lines)
        elif event.line is None:
            await shop.refund(f"{number}/{event.number}", number, event.amount_minor)
        else:
            part = RefundLine(line_id=str(event.line), amount_minor=event.amount_minor, quantity=event.quantity)
            await shop.refund(f"{number}/{event.number}", number, lines=[part])
    order = await find_order(shop.connection, channel=shop.channel, external_id=number)
    assert len(order.refunds) == len(events) - 1
    return {
        "balances": [await shop.balance(unit=unit) for unit in ("points", "growth")],
        "lots": await shop.lots(),
        "earned": {earning.unit: (earning.points, earning.taken_back) for earning in order.earnings},
        "taken_back": {
            earning.unit: sum(refund.taken_back.get(earning.unit, 0) for refund in order.refunds)
            for earning in order.earnings
        },
        "given_back": sum(sum(refund.given_back.values()) for refund in order.refunds),
        "line_points": {
            earning.unit: [line.points[earning.unit] for line in order.lines] for earning in order.earnings
        },
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(), data=st.data())
async def test_all_arrivals_end_in_the_same_books(
    shop: Shop, case: tuple[list[OrderLine], list[Part], int], data: st.DataObject
) -> None:
    lines, parts, spent = case
    in_time = await arrive(shop, lines, spent, [None, *parts])
    anyhow = await arrive(shop, lines, spent, data.draw(st.permutations([None, *parts])))

    refunds = expected(lines, parts)
    assert anyhow == in_time
    assert in_time["given_back"] == spent_to_give_back(spent, refunds)
    for unit, (points, taken_back) in in_time["earned"].items():
        assert taken_back == in_time["taken_back"][unit]
        assert taken_back == earned_to_take_back(in_time["line_points"][unit], refunds)
        assert not refunds.whole or taken_back == points
    points, taken_back = in_time["earned"].get("points", (0, 0))
    kept = 5 if spent else 0
    assert in_time["balances"][0] == (kept + in_time["given_back"] + points - taken_back, 0)
