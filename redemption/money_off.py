"""Points for money off: how many points a basket takes and what they are worth. Pure arithmetic; the server's alone."""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

import msgspec

from redemption.errors import AboveShareError, BelowMinimumError, NotAMultipleError, NotEnoughPointsError

WHOLE_BP: Final = 10_000
"""Basis points of a whole basket."""

ReasonCode = Literal["basket_empty", "basket_too_small", "not_enough_points"]


class RedemptionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What points are worth in one currency, by version.

    Each `step_points` take `step_amount_minor` off; only whole steps are redeemed, at least `minimum_points` (a
    multiple of the step) and at most `max_share_bp` of the basket.
    """

    programme_id: UUID
    currency: str
    version: int
    step_points: int
    step_amount_minor: int
    minimum_points: int
    max_share_bp: int


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing can be redeemed: a stable code, and the figures that a page puts into its sentence."""

    code: ReasonCode
    parameters: dict[str, int]


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What can be taken off a basket: 0, or any multiple of `step_points` from `minimum_points` to `max_points`.

    `max_amount_minor` is what `max_points` are worth, `limit_minor` what the policy lets points pay of this basket.
    `reasons` is empty unless `max_points` is 0.
    """

    currency: str
    policy_version: int
    max_points: int
    max_amount_minor: int
    step_points: int
    step_amount_minor: int
    minimum_points: int
    limit_minor: int
    reasons: list[Reason]


def worth_minor(policy: RedemptionPolicy, points: int) -> int:
    """What a whole number of steps takes off, exactly."""
    return points // policy.step_points * policy.step_amount_minor


def share_limit_minor(policy: RedemptionPolicy, basket_minor: int) -> int:
    """The most that points may pay of a basket, floored."""
    return max(basket_minor, 0) * policy.max_share_bp // WHOLE_BP


class RefundedSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a redemption was given back in all, in points and in the money they took off."""

    points: int
    amount_minor: int


def refund_points(whole: RefundedSoFar, before: RefundedSoFar, points: int) -> RefundedSoFar:
    """The cumulative refund after `points` more were given back: the money follows in proportion, floored."""
    total = before.points + points
    return RefundedSoFar(
        points=total, amount_minor=max(before.amount_minor, whole.amount_minor * total // whole.points)
    )


def refund_amount(whole: RefundedSoFar, before: RefundedSoFar, amount_minor: int) -> RefundedSoFar:
    """The cumulative refund after `amount_minor` more: the points follow in proportion, floored.

    Sums are floored, not parts, and a whole amount is all the points; so parts add up exactly, whatever they were.
    """
    total = before.amount_minor + amount_minor
    return RefundedSoFar(points=max(before.points, whole.points * total // whole.amount_minor), amount_minor=total)


def quote(policy: RedemptionPolicy, *, basket_minor: int, balance: int) -> Quote:
    """The most points that a balance and a basket allow under a policy; never more than share, balance or basket."""
    limit_minor = share_limit_minor(policy, basket_minor)
    by_basket = limit_minor // policy.step_amount_minor * policy.step_points
    by_balance = max(balance, 0) // policy.step_points * policy.step_points
    most = min(by_basket, by_balance)
    reasons = _reasons(policy, basket_minor=basket_minor, balance=balance, by_basket=by_basket, by_balance=by_balance)
    max_points = 0 if reasons else most
    return Quote(
        currency=policy.currency,
        policy_version=policy.version,
        max_points=max_points,
        max_amount_minor=worth_minor(policy, max_points),
        step_points=policy.step_points,
        step_amount_minor=policy.step_amount_minor,
        minimum_points=policy.minimum_points,
        limit_minor=limit_minor,
        reasons=reasons,
    )


def _reasons(
    policy: RedemptionPolicy, *, basket_minor: int, balance: int, by_basket: int, by_balance: int
) -> list[Reason]:
    reasons: list[Reason] = []
    if basket_minor <= 0:
        reasons.append(Reason(code="basket_empty", parameters={"basket_minor": basket_minor}))
    elif by_basket < policy.minimum_points:
        parameters = {
            "basket_minor": basket_minor,
            "limit_minor": share_limit_minor(policy, basket_minor),
            "minimum_amount_minor": worth_minor(policy, policy.minimum_points),
            "max_share_bp": policy.max_share_bp,
        }
        reasons.append(Reason(code="basket_too_small", parameters=parameters))
    if by_balance < policy.minimum_points:
        parameters = {"available": max(balance, 0), "minimum": policy.minimum_points}
        reasons.append(Reason(code="not_enough_points", parameters=parameters))
    return reasons


def price(policy: RedemptionPolicy, *, points: int, basket_minor: int, balance: int) -> int:
    """What exactly `points` take off this basket, in minor units of the policy's currency.

    Raises BelowMinimumError, NotAMultipleError, NotEnoughPointsError or AboveShareError; the first that applies.
    """
    if points < policy.minimum_points:
        message = f"at least {policy.minimum_points} points are redeemed at once, not {points}"
        raise BelowMinimumError(message, field="points", minimum=policy.minimum_points, requested=points)
    if points % policy.step_points:
        message = f"points are redeemed in steps of {policy.step_points}; {points} is not a multiple"
        raise NotAMultipleError(message, field="points", step=policy.step_points, requested=points)
    if points > balance:
        message = f"{max(balance, 0)} points are available, {points} were asked for"
        raise NotEnoughPointsError(message, field="points", available=max(balance, 0), requested=points)
    limit_minor = share_limit_minor(policy, basket_minor)
    amount_minor = worth_minor(policy, points)
    if amount_minor > limit_minor:
        max_points = limit_minor // policy.step_amount_minor * policy.step_points
        message = (
            f"points may pay {limit_minor} of this basket ({max_points} points); {points} are worth {amount_minor}"
        )
        raise AboveShareError(message, field="points", max_points=max_points, limit_minor=limit_minor, requested=points)
    return amount_minor
