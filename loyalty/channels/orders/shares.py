"""How much of what an order earned, and of what was spent on it, belongs to what was refunded of it. Pure and exact.

The rule is in `docs/decisions/refund-shares.md`. In short: the state of an order's refunds is a set of sums, so it does
not depend on the order in which they came; what has to be taken back by now is the floor of an exact fraction of that
state, and each refund takes back the difference to what was taken back before it. Parts therefore sum exactly, and when
everything is refunded, everything has been taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import msgspec


class LineRefunds(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order with the sums of what named this line in its refunds."""

    paid_minor: int
    quantity: int
    refunded_minor: int = 0
    refunded_quantity: int = 0


class OrderRefunds(msgspec.Struct, frozen=True, kw_only=True):
    """All that was refunded of an order: by line, by amounts that name no line, and whether it was cancelled whole."""

    lines: Sequence[LineRefunds]
    unnamed_minor: int = 0
    cancelled: bool = False

    @property
    def paid_minor(self) -> int:
        """What was paid for the order."""
        return sum(line.paid_minor for line in self.lines)

    @property
    def left_minor(self) -> int:
        """What has not been refunded yet."""
        if self.cancelled:
            return 0
        return self.paid_minor - self.unnamed_minor - sum(line.refunded_minor for line in self.lines)

    @property
    def whole(self) -> bool:
        """Whether nothing is left: all money, or, for an order that cost nothing, all pieces came back."""
        if self.cancelled:
            return True
        if self.paid_minor:
            return self.left_minor == 0
        pieces = sum(line.quantity for line in self.lines)
        return 0 < pieces == sum(line.refunded_quantity for line in self.lines)


def order_share(refunds: OrderRefunds) -> Fraction:
    """The refunded part of the order, from 0 to 1: by money, or by pieces for an order that cost nothing."""
    if refunds.whole:
        return Fraction(1)
    if refunds.paid_minor:
        return Fraction(refunds.paid_minor - refunds.left_minor, refunds.paid_minor)
    pieces = sum(line.quantity for line in refunds.lines)
    return Fraction(sum(line.refunded_quantity for line in refunds.lines), pieces) if pieces else Fraction(0)


def line_shares(refunds: OrderRefunds) -> list[Fraction]:
    """The refunded part of each line, from 0 to 1.

    What names a line counts on that line. An amount that names none counts on all lines in proportion to what is left
    of them once everything that names a line is taken off, whichever came first.
    """
    if refunds.whole:
        return [Fraction(1)] * len(refunds.lines)
    unnamed_base_minor = refunds.paid_minor - sum(line.refunded_minor for line in refunds.lines)
    unnamed = Fraction(refunds.unnamed_minor, unnamed_base_minor) if unnamed_base_minor else Fraction(0)
    return [1 - (1 - _named_share(line)) * (1 - unnamed) for line in refunds.lines]


def _named_share(line: LineRefunds) -> Fraction:
    if line.paid_minor:
        return Fraction(line.refunded_minor, line.paid_minor)
    return Fraction(line.refunded_quantity, line.quantity) if line.quantity else Fraction(0)


def earned_to_take_back(line_points: Sequence[int], refunds: OrderRefunds) -> int:
    """Of the points that the lines earned, how many have to be taken back by now in all."""
    shares = zip(line_points, line_shares(refunds), strict=True)
    return int(sum((points * share for points, share in shares), start=Fraction(0)))


def spent_to_give_back(spent_points: int, refunds: OrderRefunds) -> int:
    """Of the points that were spent on the order, how many have to be given back by now in all."""
    return int(spent_points * order_share(refunds))
