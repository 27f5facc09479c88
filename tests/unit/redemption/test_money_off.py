"""Points for money off, in examples."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from redemption.money_off import RedemptionPolicy, quote

POLICY = RedemptionPolicy(
    programme_id=UUID(int=1),
    currency="CNY",
    version=1,
    step_points=100,
    step_amount_minor=100,
    minimum_points=200,
    max_share_bp=5_000,
)


def test_a_quote_is_the_most_that_balance_and_basket_allow() -> None:
    found = quote(POLICY, basket_minor=2_199, balance=5_000)
    assert (found.max_points, found.max_amount_minor, found.limit_minor) == (1_000, 1_000, 1_099)
    assert (found.step_points, found.minimum_points, found.reasons) == (100, 200, [])

    found = quote(POLICY, basket_minor=100_000, balance=799)
    assert (found.max_points, found.max_amount_minor) == (700, 700)


@pytest.mark.parametrize(
    ("basket_minor", "balance", "reasons"),
    [
        (0, 5_000, {"basket_empty": {"basket_minor": 0}}),
        (
            399,
            5_000,
            {
                "basket_too_small": {
                    "basket_minor": 399,
                    "limit_minor": 199,
                    "minimum_amount_minor": 200,
                    "max_share_bp": 5_000,
                }
            },
        ),
        (400, 199, {"not_enough_points": {"available": 199, "minimum": 200}}),
        (400, -50, {"not_enough_points": {"available": 0, "minimum": 200}}),
        (
            0,
            0,
            {"basket_empty": {"basket_minor": 0}, "not_enough_points": {"available": 0, "minimum": 200}},
        ),
    ],
)
def test_a_quote_of_nothing_says_why(basket_minor: int, balance: int, reasons: dict[str, dict[str, int]]) -> None:
    found = quote(POLICY, basket_minor=basket_minor, balance=balance)
    assert (found.max_points, found.max_amount_minor) == (0, 0)
    assert {reason.code: reason.parameters for reason in found.reasons} == reasons


def test_exactly_the_minimum_is_enough() -> None:
    assert quote(POLICY, basket_minor=400, balance=200).max_points == 200


def test_the_whole_basket_may_be_paid_where_the_policy_says_so() -> None:
    whole = msgspec.structs.replace(POLICY, max_share_bp=10_000)
    assert quote(whole, basket_minor=399, balance=10_000).max_amount_minor == 300
