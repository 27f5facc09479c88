"""A basket priced with the coupons and points that were chosen."""

from __future__ import annotations

from collections.abc import Sequence

from redemption.basket.applying import Prepared, Progress, apply, conflict, prepare, start
from redemption.basket.shapes import (
    Basket,
    Candidate,
    Member,
    PointsWish,
    Priced,
    PricedLine,
    Reason,
    Refused,
    check_basket,
)
from redemption.basket.tender import pay_points


def price_basket(
    basket: Basket, member: Member, candidates: Sequence[Candidate] = (), points: PointsWish | None = None
) -> Priced:
    """What the chosen coupons and points take off a basket, line by line, and why the others do not.

    Coupons apply by priority, each on what its terms say, as far as something is left; points pay last. The order in
    which coupons are given changes nothing but the order of `refused`. The coupons that apply, asked for alone, apply
    the same way again. Raises InvalidInputError where the question has a fault (`check_basket`).
    """
    check_basket(basket, candidates, points)
    prepared, refused = prepare(basket, member, candidates)
    progress = apply_all(prepared, basket, refused)
    in_order = [candidate.reference for candidate in candidates]
    return finish(basket, member, progress, points, [(name, refused[name]) for name in in_order if name in refused])


def apply_all(prepared: Sequence[Prepared], basket: Basket, refused: dict[str, Reason]) -> Progress:
    """Apply coupons in their order; those that do not apply get their reason in `refused`."""
    beaten = _beaten_in_group(prepared)
    progress = start(basket)
    for entry in prepared:
        reference = entry.candidate.reference
        reason = beaten.get(reference) or conflict(entry, progress)
        if reason is None:
            after = apply(entry, basket, progress)
            if isinstance(after, Progress):
                progress = after
                continue
            reason = after
        refused[reference] = reason
    return progress


def _beaten_in_group(prepared: Sequence[Prepared]) -> dict[str, Reason]:
    """The coupons of groups that choose their best, all but the best, of equal ones the first."""
    groups: dict[str, list[Prepared]] = {}
    for entry in prepared:
        if entry.candidate.terms.stacking.group is not None:
            groups.setdefault(entry.candidate.terms.stacking.group, []).append(entry)
    beaten: dict[str, Reason] = {}
    for group in groups.values():
        if len(group) > 1 and group[0].candidate.terms.stacking.choice == "best":
            best = max(group, key=lambda entry: entry.value_minor)
            reason = Reason(code="better_in_group", parameters={"reference": best.candidate.reference})
            beaten.update({entry.candidate.reference: reason for entry in group if entry is not best})
    return beaten


def finish(
    basket: Basket,
    member: Member,
    progress: Progress,
    points: PointsWish | None,
    refused: Sequence[tuple[str, Reason]],
) -> Priced:
    """The answer, once all coupons have applied that do."""
    left_minor = progress.left_minor
    paid = None
    if points is not None:
        beside = [candidate for candidate, _ in progress.applied]
        paid = pay_points(points, currency=basket.currency, member=member, left_minor=left_minor, applied=beside)
    points_minor = paid.line_minor if paid is not None else (0,) * len(left_minor)
    lines = tuple(
        PricedLine(
            amount_minor=line.amount_minor,
            discount_minor=line.amount_minor - left,
            points_minor=points_share,
            payable_minor=left - points_share,
        )
        for line, left, points_share in zip(basket.lines, left_minor, points_minor, strict=True)
    )
    goods_discount_minor = sum(line.amount_minor for line in basket.lines) - sum(left_minor)
    shipping_discount_minor = basket.shipping_minor - progress.shipping_left_minor
    return Priced(
        lines=lines,
        applied=tuple(applied for _, applied in progress.applied),
        refused=tuple(Refused(reference=reference, reason=reason) for reference, reason in refused),
        points=paid,
        goods_discount_minor=goods_discount_minor,
        shipping_discount_minor=shipping_discount_minor,
        discount_minor=goods_discount_minor + shipping_discount_minor,
        payable_minor=sum(line.payable_minor for line in lines) + progress.shipping_left_minor,
    )
