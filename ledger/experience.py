"""How many of the points that are open will be used: what became of the points of earlier months, age by age.

A month's points are a cohort, and a cohort's age is the months since. At each age some of the points that were open are
used, some expire, and the others grow older. Adding this up over all cohorts that have passed an age gives, for that
age, the share of open points that is used and the share that expires; carried forward from a cohort's present age they
say how many of its open points will be used. Actuaries call it a life table with two decrements (the Aalen-Johansen
estimator). A chain ladder would do the same by factors of what was used so far, and has nothing to multiply where
nothing was used yet, as in a young cohort whose points may only be spent later.

Exact fractions throughout. Beyond the oldest age that was observed nothing is known: what is still open then is used to
a share that the caller gives, and 1 is the prudent one, because revenue from points that are never used is recognised
only where it is highly probable that it will not be reversed (IFRS 15.B46 and 56-58).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction

import msgspec

from ledger.books import CohortFlow
from loyalty.kit.clock import add_months


class Age(msgspec.Struct, frozen=True, kw_only=True):
    """What was observed at one age, in points over all cohorts that have passed it.

    `exposed` were open when it began or were earned in it; of these, `used` were used and `expired` expired in it.
    """

    age: int
    exposed: int
    used: int
    expired: int

    @property
    def used_share(self) -> Fraction:
        """The share of open points that is used at this age, from 0 to 1."""
        return _share(self.used, self.exposed)

    @property
    def expired_share(self) -> Fraction:
        """The share that expires, from 0 to what is not used."""
        return min(_share(self.expired, self.exposed), 1 - self.used_share)


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """One month's points, up to some moment. `earned` is less what was taken back; it is used, expired or still `left`.

    `earned` includes what other cohorts' points paid for them when members with debts were merged.
    """

    month: date
    earned: int
    used: int
    expired: int

    @property
    def left(self) -> int:
        """The points that are still open."""
        return self.earned - self.used - self.expired


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of a cohort. `later_share` of its open points will be used, from 0 to 1.

    `share_at_sale` is the share of all its points that was expected to be used when they were earned, by what was known
    by the end of that month: prices are allocated by it once, and not again when expectations change (IFRS 15.88).
    """

    cohort: Cohort
    age: int
    later_share: Fraction
    share_at_sale: Fraction

    @property
    def expected_used(self) -> Fraction:
        """The points that will have been used in the end."""
        return self.cohort.used + self.cohort.left * self.later_share

    @property
    def expected_breakage(self) -> Fraction:
        """The open points that will never be used."""
        return self.cohort.left * (1 - self.later_share)

    @property
    def used_share(self) -> Fraction:
        """The share of the cohort's points that will have been used in the end, from 0 to 1; 0 where none are left."""
        return (
            min(max(self.expected_used / self.cohort.earned, Fraction(0)), Fraction(1)) if self.cohort.earned else _NONE
        )


_NONE = Fraction(0)


def _share(part: int, whole: int) -> Fraction:
    return Fraction(min(max(part, 0), whole), whole) if whole > 0 else _NONE


def months_between(first: date, last: date) -> int:
    """How many months `last` is after `first`."""
    return (last.year - first.year) * 12 + last.month - first.month


def cohorts(flows: Iterable[CohortFlow]) -> list[Cohort]:
    """Each cohort with all that became of it, oldest first."""
    found: dict[date, Cohort] = {}
    for flow in flows:
        before = found.get(flow.cohort) or Cohort(month=flow.cohort, earned=0, used=0, expired=0)
        found[flow.cohort] = Cohort(
            month=flow.cohort,
            earned=before.earned + flow.granted + flow.moved,
            used=before.used + flow.used,
            expired=before.expired + flow.expired,
        )
    return [found[month] for month in sorted(found)]


def observe(flows: Iterable[CohortFlow], *, before: date) -> list[Age]:
    """What was observed at each age, from 0 on without gaps, in the months that were over before the month `before`."""
    by_cohort: dict[date, dict[date, CohortFlow]] = {}
    for flow in flows:
        if flow.month < before:
            by_cohort.setdefault(flow.cohort, {})[flow.month] = flow
    exposed: list[int] = []
    used: list[int] = []
    expired: list[int] = []
    for month, known in by_cohort.items():
        left = 0
        for age in range(months_between(month, before)):
            if age == len(exposed):
                for sums in (exposed, used, expired):
                    sums.append(0)
            flow = known.get(add_months(month, age)) or _still(month)
            exposed[age] += max(left + flow.granted + flow.moved, 0)
            used[age] += flow.used
            expired[age] += flow.expired
            left += flow.left
    return [Age(age=age, exposed=exposed[age], used=used[age], expired=expired[age]) for age in range(len(exposed))]


def _still(month: date) -> CohortFlow:
    return CohortFlow(cohort=month, month=month, granted=0, used=0, expired=0, moved=0)


def share_to_be_used(ages: Sequence[Age], *, age: int, beyond: Fraction = Fraction(1)) -> Fraction:
    """The share of points open at the beginning of an age that will be used, from 0 to 1.

    `beyond` is that share of the points that outlive all that was observed.
    """
    left, used = Fraction(1), Fraction(0)
    for each in ages[age:]:
        used += left * each.used_share
        left *= 1 - each.used_share - each.expired_share
    return used + left * beyond


def estimate(flows: Sequence[CohortFlow], *, month: date, beyond: Fraction = Fraction(1)) -> list[Estimate]:
    """What is expected of each cohort in the course of `month`, from the months that were over before it."""
    now = observe(flows, before=month)
    found = []
    for cohort in cohorts(flows):
        at_sale = observe(flows, before=min(add_months(cohort.month, 1), month))
        age = max(months_between(cohort.month, month), 0)
        found.append(
            Estimate(
                cohort=cohort,
                age=age,
                later_share=share_to_be_used(now, age=age, beyond=beyond),
                share_at_sale=share_to_be_used(at_sale, age=0, beyond=beyond),
            )
        )
    return found
