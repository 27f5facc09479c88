"""IFRS 15 for points, held to worked examples: the arithmetic is written out, and nothing is rounded on the way."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from ledger.deferral import Deferral, Movement, allocate, defer, movement, recognised
from ledger.experience import Cohort, Estimate

YEAR_1 = date(2026, 1, 1)


def rounded(amount: Fraction) -> int:
    return int(amount + Fraction(1, 2))


def estimate_of(*, earned: int, used: int, expected: int, at_sale: Fraction) -> Estimate:
    left = earned - used
    later = Fraction(expected - used, left)
    return Estimate(
        cohort=Cohort(month=YEAR_1, earned=earned, used=used, expired=0),
        age=1,
        later_share=later,
        share_at_sale=at_sale,
    )


def deferral(*, used: int, expected: int, at_sale: str) -> Deferral:
    """100,000 of sales earned 10,000 points, each worth 1.00."""
    estimate = estimate_of(earned=10_000, used=used, expected=expected, at_sale=Fraction(at_sale))
    return defer(estimate, price=Fraction(100_000), points=Fraction(10_000), value_per_point=Fraction(1))


def test_100_000_of_sales_with_10_000_points_expected_to_be_used_at_97_percent() -> None:
    """KPMG, Revenue - IFRS 15 handbook, Example 10A, unrounded (there the ratio is rounded to 9 % first).

    Stand-alone: goods 100,000 and points 10,000 x 1.00 x 97 % = 9,700, together 109,700.
    """
    split = allocate(
        Fraction(100_000),
        goods_alone=Fraction(100_000),
        points=Fraction(10_000),
        value_per_point=Fraction(1),
        used_share=Fraction(97, 100),
    )
    assert split.goods == Fraction(100_000) * 100_000 / 109_700 == Fraction(100_000_000, 1_097)  # 91,157.70...
    assert split.points == Fraction(100_000) * 9_700 / 109_700 == Fraction(9_700_000, 1_097)  # 8,842.29...
    assert split.goods + split.points == 100_000

    at_sale = deferral(used=0, expected=9_700, at_sale="0.97")
    assert at_sale.allocated == at_sale.deferred == Fraction(9_700_000, 1_097)

    # Year 2: 4,500 points are used, 9,700 are still expected: 8,842.29... x 4,500 / 9,700.
    year_2 = deferral(used=4_500, expected=9_700, at_sale="0.97")
    assert year_2.recognised == Fraction(9_700_000, 1_097) * 4_500 / 9_700 == Fraction(4_500_000, 1_097)  # 4,102.09...
    assert year_2.deferred == Fraction(5_200_000, 1_097)  # 4,740.20...

    # Year 3: 4,000 more, and now 9,900 are expected: 8,842.29... x 8,500 / 9,900 less year 2's. The allocation stays.
    year_3 = deferral(used=8_500, expected=9_900, at_sale="0.97")
    assert year_3.allocated == at_sale.allocated
    assert year_3.recognised == Fraction(9_700_000, 1_097) * 8_500 / 9_900  # 7,591.87...
    moved = movement(year_2, year_3)
    assert moved.revenue == Fraction(9_700_000, 1_097) * 8_500 / 9_900 - Fraction(4_500_000, 1_097)  # 3,489.77...
    assert moved.redeemed == Fraction(4_000_000, 1_097)  # by the old expectation: 8,842.29... x 4,000 / 9,700
    assert moved.true_up == moved.revenue - Fraction(4_000_000, 1_097)  # -156.53...: more points are still to come
    assert [rounded(amount) for amount in (moved.opening, moved.revenue, moved.closing)] == [4740, 3490, 1250]


def test_the_same_with_the_ratio_that_the_handbook_rounded() -> None:
    """Example 10A and 10B: 9,000 allocated; 4,175 in year 2; then 3,552 with 9,900 expected, or 4,140 with 9,200."""
    nine = Fraction(9_000)
    year_2 = recognised(nine, used=Fraction(4_500), expected=Fraction(9_700))
    assert rounded(year_2) == 4_175
    assert rounded(recognised(nine, used=Fraction(8_500), expected=Fraction(9_900)) - year_2) == 3_552
    assert rounded(recognised(nine, used=Fraction(8_500), expected=Fraction(9_200)) - year_2) == 4_140


def test_the_standards_own_example_52() -> None:
    """IFRS 15 IE267-IE270: 91,324 and 8,676; 4,110 in the first period, 4,566 left; 3,493 in the second."""
    first = deferral(used=4_500, expected=9_500, at_sale="0.95")
    assert rounded(first.price - first.allocated) == 91_324
    assert rounded(first.allocated) == 8_676
    assert rounded(first.recognised) == 4_110
    assert rounded(first.deferred) == 4_566
    second = deferral(used=8_500, expected=9_700, at_sale="0.95")
    assert rounded(movement(first, second).revenue) == 3_493
    assert second.deferred == Fraction(100_000) * 9_500 / 109_500 * 1_200 / 9_700  # 1,073.29...


def test_points_that_will_never_be_used_are_recognised_with_those_that_are() -> None:
    half = deferral(used=4_850, expected=9_700, at_sale="0.97")
    assert half.recognised == half.allocated / 2
    assert half.breakage == half.allocated / 2 - half.allocated * 4_850 / 10_000
    all_used = deferral(used=9_700, expected=9_700, at_sale="0.97")
    assert all_used.deferred == 0
    assert all_used.breakage == all_used.allocated * 300 / 10_000


def test_nothing_stays_deferred_once_all_points_have_expired() -> None:
    estimate = Estimate(
        cohort=Cohort(month=YEAR_1, earned=100, used=0, expired=100),
        age=14,
        later_share=Fraction(1),
        share_at_sale=Fraction(1, 2),
    )
    found = defer(estimate, price=Fraction(1_000), points=Fraction(100), value_per_point=Fraction(1))
    assert found.allocated == Fraction(1_000) * 50 / 1_050
    assert found.recognised == found.breakage == found.allocated
    assert found.deferred == 0


def test_a_price_for_part_of_a_cohorts_points_defers_in_proportion() -> None:
    """Two currencies, or points that no purchase earned, share a cohort's expectations."""
    estimate = estimate_of(earned=400, used=100, expected=300, at_sale=Fraction(3, 4))
    found = defer(estimate, price=Fraction(1_000), points=Fraction(100), value_per_point=Fraction(2))
    assert found.allocated == Fraction(1_000) * 150 / 1_150
    assert found.used == 25
    assert found.expected == 75
    assert found.recognised == found.allocated / 3


@pytest.mark.parametrize(("price", "points"), [(0, 100), (-5, 100), (1_000, 0), (1_000, -3)])
def test_what_was_paid_back_or_taken_back_defers_nothing(price: int, points: int) -> None:
    estimate = estimate_of(earned=400, used=100, expected=300, at_sale=Fraction(3, 4))
    found = defer(estimate, price=Fraction(price), points=Fraction(points), value_per_point=Fraction(2))
    assert found.allocated == found.recognised == found.deferred == 0


def test_a_new_cohort_comes_in_by_its_sales() -> None:
    after = deferral(used=970, expected=9_700, at_sale="0.97")
    assert movement(None, after) == Movement(
        opening=Fraction(0),
        added=after.allocated,
        redeemed=after.allocated / 10,
        true_up=Fraction(0),
        closing=after.allocated * 9 / 10,
    )


def test_opening_and_movements_add_up_to_closing() -> None:
    before = deferral(used=1_000, expected=9_500, at_sale="0.95")
    after = defer(
        estimate_of(earned=9_000, used=3_000, expected=8_000, at_sale=Fraction("0.95")),
        price=Fraction(90_000),
        points=Fraction(9_000),
        value_per_point=Fraction(1),
    )
    moved = movement(before, after)
    assert moved.opening + moved.added - moved.revenue == moved.closing == after.deferred
