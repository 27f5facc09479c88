"""Points as the last tender: what they pay of the goods that coupons left to pay."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty.kit.apportion import apportion
from loyalty.kit.errors import DomainError
from redemption.basket.shapes import Candidate, Member, PointsPaid, PointsWish, Reason, ReasonCode
from redemption.errors import AboveShareError, BelowMinimumError, NotAMultipleError, NotEnoughPointsError
from redemption.money_off import RedemptionPolicy, price, quote

_BY_ERROR: dict[type[DomainError], ReasonCode] = {
    BelowMinimumError: "below_minimum",
    NotAMultipleError: "not_a_multiple",
    NotEnoughPointsError: "not_enough_points",
    AboveShareError: "above_share",
}


def pay_points(
    wish: PointsWish, *, currency: str, member: Member, left_minor: Sequence[int], applied: Sequence[Candidate]
) -> PointsPaid:
    """What points pay of lines on which so much is left, beside the coupons that applied."""
    tender = points_tender(wish, currency=currency, member=member, goods_minor=sum(left_minor), applied=applied)
    if isinstance(tender, Reason):
        return PointsPaid(points=0, amount_minor=0, line_minor=(0,) * len(left_minor), reason=tender)
    points, amount_minor = tender
    return PointsPaid(points=points, amount_minor=amount_minor, line_minor=tuple(apportion(amount_minor, left_minor)))


def points_tender(
    wish: PointsWish, *, currency: str, member: Member, goods_minor: int, applied: Sequence[Candidate]
) -> tuple[int, int] | Reason:
    """How many points pay how much of goods, or why none.

    A number that the policy does not allow is refused with the reason, not reduced: a member who agreed to 500 points
    did not agree to 400.
    """
    for candidate in applied:
        if not candidate.terms.stacking.with_points:
            return Reason(code="not_with_coupon", parameters={"reference": candidate.reference})
    if wish.policy.currency != currency:
        return Reason(code="wrong_currency", parameters={"currency": wish.policy.currency})
    if goods_minor <= 0:
        return Reason(code="basket_empty")
    if wish.points == "most":
        return _most(wish.policy, goods_minor, member.spendable_points)
    return _exactly(wish.policy, wish.points, goods_minor, member.spendable_points)


def _most(policy: RedemptionPolicy, goods_minor: int, balance: int) -> tuple[int, int] | Reason:
    offer = quote(policy, basket_minor=goods_minor, balance=balance)
    for reason in offer.reasons:
        code: ReasonCode = "too_little_left" if reason.code == "basket_too_small" else reason.code
        return Reason(code=code, parameters=dict(reason.parameters))
    return offer.max_points, offer.max_amount_minor


def _exactly(policy: RedemptionPolicy, points: int, goods_minor: int, balance: int) -> tuple[int, int] | Reason:
    try:
        return points, price(policy, points=points, basket_minor=goods_minor, balance=balance)
    except tuple(_BY_ERROR) as error:
        return Reason(code=_BY_ERROR[type(error)], parameters=error.members)
