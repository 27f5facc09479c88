"""Refund shares over all orders and all ways to refund them: pure arithmetic."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loyalty.channels.orders.shares import LineRefunds, OrderRefunds, earned_to_take_back, spent_to_give_back


class Bought(msgspec.Struct, frozen=True):
    """A line as it was bought, with the points it earned."""

    paid_minor: int
    quantity: int
    points: int


BOUGHT = st.lists(
    st.builds(Bought, st.integers(0, 10**6), st.integers(0, 5), st.integers(0, 10**5)), min_size=1, max_size=5
)


@st.composite
def refunded_orders(draw: st.DrawFn) -> tuple[list[Bought], list[tuple[int | None, int, int]]]:
    """An order, and refunds that fit it: (line or None for no line, amount, pieces)."""
    bought = draw(BOUGHT)
    left = [line.paid_minor for line in bought]
    pieces = [line.quantity for line in bought]
    refunds: list[tuple[int | None, int, int]] = []
    for _ in range(draw(st.integers(0, 6))):
        index = draw(st.none() | st.integers(0, len(bought) - 1))
        named = sum(amount for line, amount, _ in refunds if line is not None)
        unnamed = sum(amount for line, amount, _ in refunds if line is None)
        left_of_order = sum(line.paid_minor for line in bought) - named - unnamed
        if index is None:
            refunds.append((None, draw(st.integers(0, left_of_order)), 0))
        else:
            amount = draw(st.integers(0, min(left[index], left_of_order)))
            back = draw(st.integers(0, pieces[index]))
            left[index] -= amount
            pieces[index] -= back
            refunds.append((index, amount, back))
    return bought, refunds


def state(bought: list[Bought], refunds: list[tuple[int | None, int, int]]) -> OrderRefunds:
    return OrderRefunds(
        lines=[
            LineRefunds(
                paid_minor=line.paid_minor,
                quantity=line.quantity,
                refunded_minor=sum(amount for of, amount, _ in refunds if of == index),
                refunded_quantity=sum(back for of, _, back in refunds if of == index),
            )
            for index, line in enumerate(bought)
        ],
        unnamed_minor=sum(amount for of, amount, _ in refunds if of is None),
    )


@given(refunded_orders(), st.integers(0, 10**6))
def test_each_refund_takes_what_was_not_taken_and_never_gives_anything_up_again(
    order: tuple[list[Bought], list[tuple[int | None, int, int]]], spent: int
) -> None:
    bought, refunds = order
    points = [line.points for line in bought]
    states = [state(bought, refunds[:count]) for count in range(len(refunds) + 1)]
    earned = [earned_to_take_back(points, each) for each in states]
    given = [spent_to_give_back(spent, each) for each in states]

    assert earned == sorted(earned)
    assert given == sorted(given)
    assert (earned[0], given[0]) == (0, 0)
    assert earned[-1] <= sum(points)
    assert given[-1] <= spent


@given(refunded_orders(), st.integers(0, 10**6))
def test_when_all_money_is_back_everything_is(
    order: tuple[list[Bought], list[tuple[int | None, int, int]]], spent: int
) -> None:
    bought, refunds = order
    points = [line.points for line in bought]
    left = state(bought, refunds).left_minor
    whole = state(bought, [*refunds, (None, left, 0)])

    if whole.paid_minor:
        assert earned_to_take_back(points, whole) == sum(points)
        assert spent_to_give_back(spent, whole) == spent


@given(refunded_orders())
def test_amounts_that_name_no_line_take_the_floor_of_the_orders_share(
    order: tuple[list[Bought], list[tuple[int | None, int, int]]],
) -> None:
    bought, refunds = order
    unnamed = state(bought, [refund for refund in refunds if refund[0] is None])
    points = [line.points for line in bought]

    if unnamed.paid_minor:
        assert earned_to_take_back(points, unnamed) == sum(points) * unnamed.unnamed_minor // unnamed.paid_minor
