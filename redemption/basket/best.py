"""The best combination of coupons for a basket: of all that may go together, the one that leaves least to pay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from redemption.basket.applying import Prepared, Progress, apply, conflict, prepare, start, worth_minor
from redemption.basket.pricing import finish
from redemption.basket.shapes import Basket, Candidate, Member, PointsWish, Priced, Reason, check_basket
from redemption.basket.tender import points_tender

MAX_TRIES: Final = 20_000
"""How many coupons are applied in one search at most; eight coupons need at most 255."""


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The best combination, priced. `refused` says of the other coupons why they do not apply, or `better_without`.

    `value_minor` is what it saves: discount, what points pay, and what gifts are worth. `proven` says that no other
    combination saves more; it is false where the search was given up because of its size.
    """

    priced: Priced
    value_minor: int
    proven: bool


def best_combination(
    basket: Basket, member: Member, candidates: Sequence[Candidate], points: PointsWish | None = None
) -> Best:
    """Choose, of these coupons, those that save most together with the points that are wished for.

    No coupon is spent for nothing: taking any one out of the answer would save less. Raises InvalidInputError as
    `price_basket` does.
    """
    check_basket(basket, candidates, points)
    prepared, refused = prepare(basket, member, candidates)
    search = _Search(basket, member, prepared, points)
    search.descend(0, start(basket))
    search.drop_idle()
    applied = {candidate.reference for candidate, _ in search.best.applied}
    reasons = []
    for candidate in candidates:
        if candidate.reference not in applied:
            reason = refused.get(candidate.reference) or Reason(code="better_without")
            reasons.append((candidate.reference, reason))
    priced = finish(basket, member, search.best, points, reasons)
    return Best(priced=priced, value_minor=search.best_minor, proven=search.tries <= MAX_TRIES)


class _Search:
    """Branch and bound over coupons in the order in which they apply: each is taken or left.

    What a coupon takes by itself is the most it can take after others, so a branch cannot save more than it has so far
    and that of all coupons to come, one of each group; where that is no more than the best known, it is cut.
    """

    def __init__(self, basket: Basket, member: Member, prepared: Sequence[Prepared], points: PointsWish | None) -> None:
        self.basket, self.member, self.prepared, self.points = basket, member, prepared, points
        self.best = start(basket)
        self.points_bound_minor = self.best_minor = self._points_minor(self.best)
        self.bounds_minor = _bounds(prepared)
        self.tries = 0

    def _points_minor(self, progress: Progress) -> int:
        if self.points is None:
            return 0
        tender = points_tender(
            self.points,
            currency=self.basket.currency,
            member=self.member,
            goods_minor=sum(progress.left_minor),
            applied=[candidate for candidate, _ in progress.applied],
        )
        return 0 if isinstance(tender, Reason) else tender[1]

    def descend(self, place: int, progress: Progress) -> None:
        """Look at all that may follow what has applied, taking a coupon before leaving it."""
        coupons_minor = _saved_minor(progress)
        if coupons_minor + self.points_bound_minor > self.best_minor:
            value_minor = coupons_minor + self._points_minor(progress)
            if value_minor > self.best_minor:
                self.best, self.best_minor = progress, value_minor
        for index in range(place, len(self.prepared)):
            bound_minor = coupons_minor + self.points_bound_minor + self.bounds_minor[index]
            if bound_minor <= self.best_minor or self.tries > MAX_TRIES:
                return
            entry = self.prepared[index]
            if conflict(entry, progress) is not None:
                continue
            self.tries += 1
            after = apply(entry, self.basket, progress)
            if isinstance(after, Progress):
                self.descend(index + 1, after)

    def drop_idle(self) -> None:
        """Take out coupons without which as much is saved: what others took off already need not be paid for twice."""
        by_reference = {entry.candidate.reference: entry for entry in self.prepared}
        for candidate, _ in self.best.applied:
            progress = start(self.basket)
            for other, _ in self.best.applied:
                if other is not candidate:
                    after = apply(by_reference[other.reference], self.basket, progress)
                    progress = after if isinstance(after, Progress) else progress
            value_minor = _saved_minor(progress) + self._points_minor(progress)
            if value_minor >= self.best_minor:
                self.best, self.best_minor = progress, value_minor


def _saved_minor(progress: Progress) -> int:
    """What coupons save: what they took off, and what their gifts are worth."""
    return sum(applied.amount_minor + worth_minor(candidate) for candidate, applied in progress.applied)


def _bounds(prepared: Sequence[Prepared]) -> list[int]:
    """For each place, the most that the coupons from there on can save together: of each group only the best."""
    bounds: list[int] = []
    whole_minor = 0
    by_group: dict[str, int] = {}
    for entry in reversed(prepared):
        group = entry.candidate.terms.stacking.group
        before_minor = by_group.get(group, 0) if group is not None else 0
        after_minor = max(before_minor, entry.value_minor)
        if group is not None:
            by_group[group] = after_minor
        whole_minor += after_minor - before_minor
        bounds.append(whole_minor)
    return bounds[::-1]
