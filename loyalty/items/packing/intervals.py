"""Intervals of items: what a case holds, said in as few numbers as possible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from loyalty.items.codes import INDEX_LIMIT, ItemCode
from loyalty.kit.errors import InvalidInputError


class Interval(msgspec.Struct, frozen=True, order=True):
    """The items of a product and key from index `lo` to `hi`, ends included."""

    gtin: str
    kid: int
    lo: int
    hi: int

    @property
    def count(self) -> int:
        """How many items it has."""
        return self.hi - self.lo + 1


def intervals_of(codes: Iterable[ItemCode]) -> list[Interval]:
    """The fewest intervals that hold these items and no others, in order; an item named twice counts once."""
    return join(Interval(code.gtin, code.kid, code.index, code.index) for code in codes)


def join(intervals: Iterable[Interval]) -> list[Interval]:
    """Neighbours and overlaps made one, in order."""
    joined: list[Interval] = []
    for each in sorted(intervals):
        last = joined[-1] if joined else None
        if last is not None and (last.gtin, last.kid) == (each.gtin, each.kid) and each.lo <= last.hi + 1:
            joined[-1] = Interval(last.gtin, last.kid, last.lo, max(last.hi, each.hi))
        else:
            joined.append(each)
    return joined


def subtract(intervals: Iterable[Interval], taken: Iterable[Interval]) -> list[Interval]:
    """What is left of intervals without others."""
    left = list(intervals)
    for out in taken:
        remaining: list[Interval] = []
        for each in left:
            if (each.gtin, each.kid) != (out.gtin, out.kid) or each.hi < out.lo or out.hi < each.lo:
                remaining.append(each)
                continue
            if each.lo < out.lo:
                remaining.append(Interval(each.gtin, each.kid, each.lo, out.lo - 1))
            if out.hi < each.hi:
                remaining.append(Interval(each.gtin, each.kid, out.hi + 1, each.hi))
        left = remaining
    return left


def pieces(intervals: Iterable[Interval], size: int) -> list[Interval]:
    """The same items in intervals of at most `size`."""
    return [
        Interval(each.gtin, each.kid, lo, min(lo + size - 1, each.hi))
        for each in intervals
        for lo in range(each.lo, each.hi + 1, size)
    ]


def check(intervals: Sequence[Interval]) -> None:
    """Refuse what cannot be an interval. Raises InvalidInputError naming its place in the list."""
    for place, each in enumerate(intervals):
        if not 0 <= each.lo <= each.hi < INDEX_LIMIT:
            message = f"indexes {each.lo} to {each.hi} are not an interval"
            raise InvalidInputError(message, field=f"items[{place}].lo")
