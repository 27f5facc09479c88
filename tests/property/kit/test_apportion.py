"""Splitting integers by weights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.kit.apportion import apportion


def test_largest_remainders_are_served_first_and_ties_from_the_front() -> None:
    assert apportion(7, [150, 150, 150, 150, 150]) == [2, 2, 1, 1, 1]
    assert apportion(10, [1, 1, 8]) == [1, 1, 8]
    assert apportion(5, [1, 2]) == [2, 3]


def test_zero_weights_get_nothing_unless_all_are_zero() -> None:
    assert apportion(3, [0, 5, 0]) == [0, 3, 0]
    assert apportion(3, [0, 0]) == [2, 1]


def test_only_zero_can_be_split_among_nobody() -> None:
    assert apportion(0, []) == []
    with pytest.raises(ValueError, match="at least one weight"):
        apportion(1, [])


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_parts_sum_to_the_total_and_are_the_exact_share_rounded(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights)

    assert sum(parts) == total
    if whole := sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert total * weight // whole <= part <= -(-total * weight // whole)
