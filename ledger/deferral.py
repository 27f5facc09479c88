"""Deferred revenue of points under IFRS 15: pure arithmetic on exact fractions, in whatever unit prices come in.

Points that a purchase earns are an option for additional goods, and a material right where the customer would not
have it without the purchase (B39-B40): the customer has paid for them in advance. The price is therefore allocated
between goods and points by their relative stand-alone selling prices (74-80); that of points is what they are worth
when they are used, times the likelihood that they are (B42). What is allocated to points becomes revenue as they are
used, in proportion to all that are expected to be used, so that the revenue of points that will never be used is
spread over those that are (B46; Example 52). Expectations that change are caught up with in the period in which they
change; the allocation stays (88-89).
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import msgspec

from ledger.experience import Estimate


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """A price, split between the goods and the points that were sold for it."""

    goods: Fraction
    points: Fraction


def allocate(
    price: Fraction, *, goods_alone: Fraction, points: Fraction, value_per_point: Fraction, used_share: Fraction
) -> Allocation:
    """Split a price by relative stand-alone selling prices; the parts add up to it exactly.

    `goods_alone` is what the goods cost without points, and `points` are those earned; `used_share` of them (0 to 1)
    are expected to be used, each worth `value_per_point` then.
    """
    points_alone = points * value_per_point * used_share
    whole = goods_alone + points_alone
    part = price * points_alone / whole if whole else Fraction(0)
    return Allocation(goods=price - part, points=part)


def recognised(allocated: Fraction, *, used: Fraction, expected: Fraction) -> Fraction:
    """What of an allocated price is revenue once `used` of the points `expected` to be used were used.

    All of it where nothing more is expected to be used: the rest will never be asked for.
    """
    if expected <= 0:
        return allocated
    return allocated * min(max(used / expected, Fraction(0)), Fraction(1))


class Deferral(msgspec.Struct, frozen=True, kw_only=True):
    """A cohort's deferred revenue at a moment.

    `price` is what goods and points were sold for, `points` are the cohort's points that belong to it. `used` of them
    were used by then, of the `expected` that will have been used in the end.
    """

    month: date
    price: Fraction
    points: Fraction
    allocated: Fraction
    used: Fraction
    expected: Fraction

    @property
    def recognised(self) -> Fraction:
        """What has become revenue."""
        return recognised(self.allocated, used=self.used, expected=self.expected)

    @property
    def deferred(self) -> Fraction:
        """What is still owed in goods: the contract liability."""
        return self.allocated - self.recognised

    @property
    def breakage(self) -> Fraction:
        """The part of the revenue that comes from points that are not expected to be used."""
        return self.recognised - (self.allocated * self.used / self.points if self.points else Fraction(0))


def defer(
    estimate: Estimate,
    *,
    price: Fraction,
    points: Fraction,
    value_per_point: Fraction,
    goods_alone: Fraction | None = None,
) -> Deferral:
    """The deferred revenue of a price that was paid for goods and `points` of a cohort's points.

    The goods' stand-alone selling price is the price itself where the same is asked of customers who earn no points. A
    price that was paid back, or points that were taken back, defer nothing.
    """
    earned = Fraction(estimate.cohort.earned)
    part = points / earned if earned > 0 else Fraction(0)
    alone = price if goods_alone is None else goods_alone
    defers = price > 0 and points > 0 and part > 0
    split = allocate(
        price, goods_alone=alone, points=points, value_per_point=value_per_point, used_share=estimate.share_at_sale
    )
    return Deferral(
        month=estimate.cohort.month,
        price=price,
        points=points,
        allocated=split.points if defers else Fraction(0),
        used=estimate.cohort.used * part,
        expected=estimate.expected_used * part,
    )


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """How deferred revenue came from the beginning of a period to its end.

    `added` came by sales, less what was paid back; `redeemed` is revenue for the points used, by what was expected
    before the period; `true_up` is what the period's new expectations caught up with, above or below zero.
    """

    opening: Fraction
    added: Fraction
    redeemed: Fraction
    true_up: Fraction
    closing: Fraction

    @property
    def revenue(self) -> Fraction:
        """The period's revenue from points."""
        return self.redeemed + self.true_up


def movement(before: Deferral | None, after: Deferral) -> Movement:
    """The movement of one cohort between two moments; None before its first sale."""
    opening = before.deferred if before else Fraction(0)
    added = after.allocated - (before.allocated if before else Fraction(0))
    revenue = after.recognised - (before.recognised if before else Fraction(0))
    expected = before.expected if before and before.allocated and before.expected > 0 else after.expected
    used = after.used - (before.used if before else Fraction(0))
    redeemed = after.allocated * used / expected if expected > 0 else Fraction(0)
    return Movement(opening=opening, added=added, redeemed=redeemed, true_up=revenue - redeemed, closing=after.deferred)
