"""Differences between two groups with their 95 per cent intervals, from exact sums.

The mean: B. L. Welch, "The generalization of Student's problem when several different population variances are
involved", Biometrika 34 (1947) 28-35, with the degrees of freedom of F. E. Satterthwaite, Biometrics Bulletin 2 (1946)
110-114. The share: R. G. Newcombe, "Interval estimation for the difference between independent proportions",
Statistics in Medicine 17 (1998) 873-890, method 10, which joins the score intervals of E. B. Wilson, Journal of the
American Statistical Association 22 (1927) 209-212. Sums are integers of any size; only the last steps are floats.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import msgspec

CONFIDENCE: Final = 0.95
NORMAL_QUANTILE: Final = 1.959963984540054
"""Of 0.975 in the standard normal distribution."""
_SMALL: Final = 1e-300
_STEPS: Final = 500


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A group's members, sums of what each spent in minor units and of its squares; `buyers` bought at all."""

    members: int
    buyers: int
    total_minor: int
    squares: int

    @property
    def mean_minor(self) -> float:
        """What a member spent on average, buyers or not; 0 for nobody."""
        return self.total_minor / self.members if self.members else 0.0

    @property
    def share(self) -> float:
        """Which share of the members bought, 0 to 1."""
        return self.buyers / self.members if self.members else 0.0

    @property
    def variance(self) -> Fraction:
        """The sample variance, exactly. Needs two members."""
        return Fraction(self.members * self.squares - self.total_minor**2, self.members * (self.members - 1))


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How much more the first group has than the second, and the interval."""

    estimate: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval lies on one side of nothing."""
        return self.low > 0 or self.high < 0


def mean_difference(exposed: Sample, control: Sample) -> Difference | None:
    """Of mean spending, by Welch's interval, in minor units; None where a group has fewer than two members."""
    if min(exposed.members, control.members) < 2:  # noqa: PLR2004  (a variance needs two)
        return None
    parts = [sample.variance / sample.members for sample in (exposed, control)]
    error = sum(parts)
    estimate = Fraction(exposed.total_minor, exposed.members) - Fraction(control.total_minor, control.members)
    if not error:
        return Difference(estimate=float(estimate), low=float(estimate), high=float(estimate))
    freedom = error**2 / (parts[0] ** 2 / (exposed.members - 1) + parts[1] ** 2 / (control.members - 1))
    half = student_quantile(0.5 + CONFIDENCE / 2, float(freedom)) * math.sqrt(error)
    return Difference(estimate=float(estimate), low=float(estimate) - half, high=float(estimate) + half)


def share_difference(exposed: Sample, control: Sample) -> Difference | None:
    """Of the shares who bought, by Newcombe's interval, from -1 to 1; None where a group is empty."""
    if not (exposed.members and control.members):
        return None
    one, other = exposed.share, control.share
    low_one, high_one = wilson(exposed.buyers, exposed.members)
    low_other, high_other = wilson(control.buyers, control.members)
    return Difference(
        estimate=one - other,
        low=one - other - math.hypot(one - low_one, high_other - other),
        high=one - other + math.hypot(high_one - one, other - low_other),
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a share."""
    z = NORMAL_QUANTILE
    middle = (successes + z * z / 2) / (trials + z * z)
    half = z / (trials + z * z) * math.sqrt(successes * (trials - successes) / trials + z * z / 4)
    return middle - half, middle + half


def student_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t distribution for a probability above one half, by halving its distribution function.

    The function is the regularised incomplete beta function (Abramowitz and Stegun, 26.7.1 and 26.5.8).
    """
    low, high = 0.0, 2.0
    while _student(high, freedom) < probability:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if _student(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student(t: float, freedom: float) -> float:
    return 1 - _beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), _SMALL)
    result = d
    for m in range(1, _STEPS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + step * d or _SMALL)
            c = 1 + step / c or _SMALL
            result *= d * c
        if abs(d * c - 1) < 1e-15:  # noqa: PLR2004  (as exact as floats are)
            break
    return result
