"""How much belongs to what was refunded: exact fractions of sums, floored once."""

from __future__ import annotations

from fractions import Fraction

from loyalty.channels.orders.shares import (
    LineRefunds,
    OrderRefunds,
    earned_to_take_back,
    line_shares,
    order_share,
    spent_to_give_back,
)


def line(paid_minor: int, refunded_minor: int = 0, *, quantity: int = 1, back: int = 0) -> LineRefunds:
    return LineRefunds(paid_minor=paid_minor, quantity=quantity, refunded_minor=refunded_minor, refunded_quantity=back)


def test_nothing_refunded_is_nothing_taken() -> None:
    refunds = OrderRefunds(lines=[line(300), line(100)])
    assert order_share(refunds) == 0
    assert (earned_to_take_back([3, 1], refunds), spent_to_give_back(100, refunds)) == (0, 0)


def test_a_line_takes_its_own_share_and_no_other() -> None:
    refunds = OrderRefunds(lines=[line(300), line(100, 100)])
    assert earned_to_take_back([0, 9], refunds) == 9
    assert earned_to_take_back([9, 0], refunds) == 0
    assert spent_to_give_back(100, refunds) == 25


def test_half_a_line_takes_half_its_share_floored() -> None:
    assert earned_to_take_back([7], OrderRefunds(lines=[line(100, 50)])) == 3


def test_an_amount_without_lines_counts_on_all_in_proportion() -> None:
    refunds = OrderRefunds(lines=[line(300), line(100)], unnamed_minor=100)
    assert line_shares(refunds) == [Fraction(1, 4), Fraction(1, 4)]
    assert earned_to_take_back([30, 10], refunds) == 10


def test_an_amount_without_lines_counts_on_what_named_lines_leave() -> None:
    refunds = OrderRefunds(lines=[line(300), line(100, 100)], unnamed_minor=150)
    assert line_shares(refunds) == [Fraction(1, 2), Fraction(1)]
    assert order_share(refunds) == Fraction(250, 400)


def test_when_all_money_is_back_everything_is_back_gifts_included() -> None:
    refunds = OrderRefunds(lines=[line(300, 200), line(0)], unnamed_minor=100)
    assert refunds.whole
    assert earned_to_take_back([3, 5], refunds) == 8
    assert spent_to_give_back(99, refunds) == 99


def test_a_free_line_is_counted_by_its_pieces() -> None:
    refunds = OrderRefunds(lines=[line(300), line(0, quantity=4, back=1)])
    assert line_shares(refunds) == [0, Fraction(1, 4)]
    assert order_share(refunds) == 0


def test_an_order_that_cost_nothing_is_counted_by_its_pieces() -> None:
    half = OrderRefunds(lines=[line(0, quantity=1, back=1), line(0, quantity=1)])
    whole = OrderRefunds(lines=[line(0, quantity=1, back=1), line(0, quantity=0)])
    assert (order_share(half), half.whole) == (Fraction(1, 2), False)
    assert (order_share(whole), whole.whole) == (Fraction(1), True)


def test_a_cancellation_takes_all_that_is_left() -> None:
    refunds = OrderRefunds(lines=[line(0, quantity=0), line(300, 100)], cancelled=True)
    assert refunds.left_minor == 0
    assert earned_to_take_back([2, 3], refunds) == 5
    assert spent_to_give_back(7, refunds) == 7
