"""From what became of earlier months' points to what will become of the open ones."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from ledger.books import CohortFlow
from ledger.experience import Age, Cohort, cohorts, estimate, observe, share_to_be_used

JANUARY, FEBRUARY, MARCH, APRIL = (date(2026, month, 1) for month in (1, 2, 3, 4))


def flow(cohort: date, month: date, *, granted: int = 0, used: int = 0, expired: int = 0, moved: int = 0) -> CohortFlow:
    return CohortFlow(cohort=cohort, month=month, granted=granted, used=used, expired=expired, moved=moved)


STORY = [
    flow(JANUARY, JANUARY, granted=1_000, used=100),
    flow(JANUARY, FEBRUARY, used=450),
    flow(JANUARY, MARCH, used=90, expired=360),
    flow(FEBRUARY, FEBRUARY, granted=1_000, used=300),
    flow(FEBRUARY, MARCH, used=150, granted=-100),
    flow(MARCH, MARCH, granted=2_000),
]
"""Points live for three months. Of February's a hundred were taken back in March."""


def test_each_age_adds_up_the_cohorts_that_have_passed_it() -> None:
    assert observe(STORY, before=APRIL) == [
        Age(age=0, exposed=4_000, used=400, expired=0),
        Age(age=1, exposed=900 + 600, used=600, expired=0),
        Age(age=2, exposed=450, used=90, expired=360),
    ]


def test_a_month_that_is_not_over_says_nothing_yet() -> None:
    assert observe(STORY, before=MARCH) == [
        Age(age=0, exposed=2_000, used=400, expired=0),
        Age(age=1, exposed=900, used=450, expired=0),
    ]


def test_months_in_which_nothing_happened_count_too() -> None:
    assert observe([flow(JANUARY, JANUARY, granted=10)], before=MARCH) == [
        Age(age=0, exposed=10, used=0, expired=0),
        Age(age=1, exposed=10, used=0, expired=0),
    ]


def test_the_share_to_be_used_is_carried_from_age_to_age() -> None:
    ages = observe(STORY, before=APRIL)
    # At age 2 one in five is used and the others expire; at age 1, 4 in 10 are used and 6 grow older.
    assert share_to_be_used(ages, age=2) == Fraction(1, 5)
    assert share_to_be_used(ages, age=1) == Fraction(4, 10) + Fraction(6, 10) * Fraction(1, 5)
    assert share_to_be_used(ages, age=0) == Fraction(1, 10) + Fraction(9, 10) * Fraction(52, 100)


def test_beyond_what_was_observed_the_caller_decides() -> None:
    young = observe(STORY, before=MARCH)
    assert share_to_be_used(young, age=1) == Fraction(1, 2) + Fraction(1, 2)
    assert share_to_be_used(young, age=1, beyond=Fraction(0)) == Fraction(1, 2)
    assert share_to_be_used([], age=0, beyond=Fraction(97, 100)) == Fraction(97, 100)


def test_an_estimate_counts_what_was_used_and_what_will_be() -> None:
    january, february, march = estimate(STORY, month=APRIL)
    assert january.cohort == Cohort(month=JANUARY, earned=1_000, used=640, expired=360)
    assert january.cohort.left == 0
    assert january.expected_used == 640
    assert january.used_share == Fraction(64, 100)
    assert february.cohort.left == 450
    assert february.later_share == Fraction(1, 5)
    assert february.expected_used == 450 + 90
    assert february.expected_breakage == 360
    assert march.expected_used == 2_000 * Fraction(52, 100)


def test_prices_are_allocated_by_what_was_known_when_the_points_were_earned() -> None:
    january, february, march = estimate(STORY, month=APRIL)
    assert january.share_at_sale == Fraction(1)  # 100 of 1,000 used, and nothing known of later ages
    assert february.share_at_sale == Fraction(1)
    assert march.share_at_sale == Fraction(1, 10) + Fraction(9, 10) * Fraction(52, 100)


def test_the_month_under_way_has_points_and_no_experience_of_its_own() -> None:
    story = [*STORY, flow(APRIL, APRIL, granted=500, used=50)]
    april = estimate(story, month=APRIL)[-1]
    assert april.cohort.left == 450
    assert april.later_share == april.share_at_sale == Fraction(1, 10) + Fraction(9, 10) * Fraction(52, 100)


def test_points_given_back_in_a_month_never_make_a_share_negative() -> None:
    ages = observe([flow(JANUARY, JANUARY, granted=10, used=-5)], before=FEBRUARY)
    assert ages[0].used_share == ages[0].expired_share == 0


def test_cohorts_add_up_their_months() -> None:
    assert [(each.month, each.earned, each.left) for each in cohorts(STORY)] == [
        (JANUARY, 1_000, 0),
        (FEBRUARY, 900, 450),
        (MARCH, 2_000, 2_000),
    ]
