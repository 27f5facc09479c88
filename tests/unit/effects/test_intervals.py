"""The intervals against published examples and tables."""

from __future__ import annotations

import pytest

from loyalty.effects.intervals import Sample, mean_difference, share_difference, student_quantile, wilson


def sample(values: list[int]) -> Sample:
    return Sample(
        members=len(values),
        buyers=sum(value != 0 for value in values),
        total_minor=sum(values),
        squares=sum(value * value for value in values),
    )


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (2, 4.3027), (5, 2.5706), (10, 2.2281), (30, 2.0423), (120, 1.9799)]
)
def test_students_quantiles_are_those_of_the_tables(freedom: float, quantile: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, abs=5e-5)
    assert student_quantile(0.975, 1e7) == pytest.approx(1.95996, abs=1e-5)


def test_welchs_interval_is_worked_out_by_hand() -> None:
    """Means 3 and 8, variances 2.5 and 10 of five each: the error is sqrt(2.5), with 5.88 degrees of freedom."""
    found = mean_difference(sample([1, 2, 3, 4, 5]), sample([4, 6, 8, 10, 12]))
    assert found is not None
    half = student_quantile(0.975, 2.5**2 / (0.5**2 / 4 + 2**2 / 4)) * 2.5**0.5
    assert found.estimate == -5
    assert found.low == pytest.approx(-5 - half)
    assert found.high == pytest.approx(-5 + half)
    assert half == pytest.approx(3.8876, abs=1e-3)
    assert found.certain


@pytest.mark.parametrize(
    ("a", "m", "b", "n", "low", "high"),
    [  # Newcombe (1998), table II, method 10
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 10, 0.6075, 1.0000),
    ],
)
def test_newcombes_interval_is_that_of_his_paper(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    one, other = [Sample(members=size, buyers=bought, total_minor=0, squares=0) for bought, size in ((a, m), (b, n))]
    found = share_difference(one, other)
    assert found is not None
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_too_few_to_tell_have_no_interval() -> None:
    assert mean_difference(sample([5]), sample([1, 2])) is None
    assert share_difference(sample([]), sample([1])) is None
    same = mean_difference(sample([5, 5]), sample([5, 5]))
    assert same is not None
    assert (same.low, same.high) == (0, 0)
    assert wilson(0, 10)[0] == pytest.approx(0, abs=1e-12)
