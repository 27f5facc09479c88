"""Laws of points for money off."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redemption.errors import AboveShareError, BelowMinimumError, NotAMultipleError, NotEnoughPointsError
from redemption.money_off import (
    RedemptionPolicy,
    RefundedSoFar,
    price,
    quote,
    refund_amount,
    refund_points,
    share_limit_minor,
    worth_minor,
)


@st.composite
def policies(draw: st.DrawFn) -> RedemptionPolicy:
    step = draw(st.integers(1, 1_000))
    return RedemptionPolicy(
        programme_id=UUID(int=1),
        currency="CNY",
        version=1,
        step_points=step,
        step_amount_minor=draw(st.integers(1, 1_000)),
        minimum_points=step * draw(st.integers(1, 10)),
        max_share_bp=draw(st.integers(1, 10_000)),
    )


BASKETS = st.integers(0, 10**9)
BALANCES = st.integers(-(10**6), 10**9)


@given(policies(), BASKETS, BALANCES)
def test_a_quote_never_exceeds_share_balance_or_basket(
    policy: RedemptionPolicy, basket_minor: int, balance: int
) -> None:
    found = quote(policy, basket_minor=basket_minor, balance=balance)
    assert 0 <= found.max_amount_minor <= basket_minor
    assert found.max_amount_minor * 10_000 <= basket_minor * policy.max_share_bp
    assert 0 <= found.max_points <= max(balance, 0)


@given(policies(), BASKETS, BALANCES)
def test_a_quote_is_nothing_with_reasons_or_whole_steps_from_the_minimum(
    policy: RedemptionPolicy, basket_minor: int, balance: int
) -> None:
    found = quote(policy, basket_minor=basket_minor, balance=balance)
    assert found.max_points % policy.step_points == 0
    assert found.max_amount_minor == found.max_points // policy.step_points * policy.step_amount_minor
    assert (found.max_points == 0) == bool(found.reasons)
    assert found.max_points == 0 or found.max_points >= policy.minimum_points


@given(policies(), BASKETS, BALANCES)
def test_what_is_quoted_can_be_had_and_one_step_more_cannot(
    policy: RedemptionPolicy, basket_minor: int, balance: int
) -> None:
    found = quote(policy, basket_minor=basket_minor, balance=balance)
    if found.max_points:
        amount_minor = price(policy, points=found.max_points, basket_minor=basket_minor, balance=balance)
        assert amount_minor == found.max_amount_minor
    more = max(found.max_points + policy.step_points, policy.minimum_points)
    with pytest.raises((NotEnoughPointsError, AboveShareError)):
        price(policy, points=more, basket_minor=basket_minor, balance=balance)


@given(policies(), st.integers(-10, 10**6), BASKETS, BALANCES)
def test_whatever_is_asked_is_priced_exactly_or_refused(
    policy: RedemptionPolicy, points: int, basket_minor: int, balance: int
) -> None:
    try:
        amount_minor = price(policy, points=points, basket_minor=basket_minor, balance=balance)
    except (BelowMinimumError, NotAMultipleError, NotEnoughPointsError, AboveShareError):
        return
    assert points <= balance
    assert amount_minor * policy.step_points == points * policy.step_amount_minor
    assert amount_minor <= share_limit_minor(policy, basket_minor) <= basket_minor


@given(policies(), st.integers(1, 1_000), st.data())
def test_refunds_in_parts_of_money_or_points_add_up_exactly(
    policy: RedemptionPolicy, steps: int, data: st.DataObject
) -> None:
    points = policy.step_points * steps
    whole = RefundedSoFar(points=points, amount_minor=worth_minor(policy, points))
    so_far = RefundedSoFar(points=0, amount_minor=0)
    for _ in range(20):
        left_points, left_minor = whole.points - so_far.points, whole.amount_minor - so_far.amount_minor
        by_points = data.draw(st.booleans())
        before = so_far
        if by_points and left_points:
            so_far = refund_points(whole, before, data.draw(st.integers(1, left_points)))
        elif left_minor:
            so_far = refund_amount(whole, before, data.draw(st.integers(1, left_minor)))
        assert before.points <= so_far.points <= whole.points
        assert before.amount_minor <= so_far.amount_minor <= whole.amount_minor
    if so_far.amount_minor < whole.amount_minor:
        so_far = refund_amount(whole, so_far, whole.amount_minor - so_far.amount_minor)
    assert so_far == whole


@given(policies(), st.integers(1, 1_000), st.lists(st.integers(1, 10**6), max_size=20))
def test_money_refunded_in_parts_gives_back_the_points_of_its_sum(
    policy: RedemptionPolicy, steps: int, parts: list[int]
) -> None:
    points = policy.step_points * steps
    whole = RefundedSoFar(points=points, amount_minor=worth_minor(policy, points))
    so_far = RefundedSoFar(points=0, amount_minor=0)
    for part in parts:
        so_far = refund_amount(whole, so_far, min(part, whole.amount_minor - so_far.amount_minor))
    assert so_far.points == whole.points * so_far.amount_minor // whole.amount_minor
