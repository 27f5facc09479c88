"""Coupons applied one after another: what they took, what is left, and which may still follow."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import msgspec

from redemption.basket.eligibility import matching_lines, refusal
from redemption.basket.reckoning import line_takes
from redemption.basket.shapes import Applied, Basket, Candidate, Gift, Member, Reason, ReasonCode
from redemption.terms import BuyGet, Effect, EveryOff, FreeShipping, GiftLine, SteppedOff


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon that may apply, with what is known of it before any other has applied.

    `matching` are the lines it looks at. `alone` is what it does by itself, which is the most that it can do after
    others; `value_minor` is what that is worth, gifts included.
    """

    candidate: Candidate
    matching: Sequence[int]
    alone: Applied
    value_minor: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A basket after some coupons: what is left of each line and of shipping, and which coupons applied, in order."""

    left_minor: Sequence[int]
    shipping_left_minor: int
    applied: tuple[tuple[Candidate, Applied], ...] = ()


def start(basket: Basket) -> Progress:
    """A basket to which nothing has applied."""
    amounts = [line.amount_minor for line in basket.lines]
    return Progress(left_minor=amounts, shipping_left_minor=basket.shipping_minor)


def prepare(
    basket: Basket, member: Member, candidates: Sequence[Candidate]
) -> tuple[list[Prepared], dict[str, Reason]]:
    """The coupons that may apply, in the order in which they do, and why others cannot, by reference."""
    untouched = start(basket)
    prepared: list[Prepared] = []
    refused: dict[str, Reason] = {}
    for candidate in candidates:
        matching = matching_lines(candidate.terms.items, basket.lines)
        reason = refusal(candidate, basket, member, matching)
        if reason is None:
            alone = _reckon(candidate, matching, basket, untouched)
            if isinstance(alone, Applied):
                value_minor = alone.amount_minor + worth_minor(candidate)
                entry = Prepared(candidate=candidate, matching=matching, alone=alone, value_minor=value_minor)
                prepared.append(entry)
                continue
            reason = alone
        refused[candidate.reference] = reason
    prepared.sort(key=lambda entry: (entry.candidate.terms.stacking.priority, entry.candidate.reference))
    return prepared, refused


def worth_minor(candidate: Candidate) -> int:
    """What a coupon's gift is worth, beside what it takes off."""
    return candidate.terms.effect.worth_minor if isinstance(candidate.terms.effect, GiftLine) else 0


def conflict(prepared: Prepared, progress: Progress) -> Reason | None:
    """Why a coupon may not follow those that applied, because of what they or it say of going together."""
    stacking = prepared.candidate.terms.stacking
    for other, _ in progress.applied:
        parameters: dict[str, int | str] = {"reference": other.reference}
        if other.terms.stacking.exclusive:
            return Reason(code="alone_applies", parameters=parameters)
        if stacking.exclusive:
            return Reason(code="not_with_others", parameters=parameters)
        if stacking.group is not None and other.terms.stacking.group == stacking.group:
            return Reason(code="group_taken", parameters=parameters)
    return None


def apply(prepared: Prepared, basket: Basket, progress: Progress) -> Progress | Reason:
    """The basket after one more coupon, or why it takes nothing off what is left."""
    candidate = prepared.candidate
    if not progress.applied:
        applied: Applied | Reason = prepared.alone
    elif candidate.terms.stacking.base == "list":
        applied = _cut(prepared.alone, progress)
    else:
        applied = _reckon(candidate, prepared.matching, basket, progress)
    if isinstance(applied, Reason):
        return applied
    return Progress(
        left_minor=list(map(operator.sub, progress.left_minor, applied.line_minor)),
        shipping_left_minor=progress.shipping_left_minor - applied.shipping_minor,
        applied=(*progress.applied, (candidate, applied)),
    )


def _cut(alone: Applied, progress: Progress) -> Applied | Reason:
    """What a coupon does by itself, as far as others left something to do it to."""
    line_minor = tuple(map(min, alone.line_minor, progress.left_minor))
    shipping_minor = min(alone.shipping_minor, progress.shipping_left_minor)
    amount_minor = sum(line_minor) + shipping_minor
    if alone.amount_minor and not amount_minor:
        return Reason(code="nothing_left")
    return msgspec.structs.replace(
        alone, amount_minor=amount_minor, line_minor=line_minor, shipping_minor=shipping_minor
    )


def _reckon(candidate: Candidate, matching: Sequence[int], basket: Basket, progress: Progress) -> Applied | Reason:
    """What a coupon does to what is left, or why nothing."""
    terms, left_minor = candidate.terms, progress.left_minor
    matching_minor = sum(left_minor[index] for index in matching)
    minimum = terms.minimum
    if minimum.amount_minor:
        counted_minor = sum(left_minor) if minimum.of == "basket" else matching_minor
        if counted_minor < minimum.amount_minor:
            code: ReasonCode = "basket_too_small" if minimum.of == "basket" else "items_too_small"
            return _too_small(code, minimum.amount_minor, counted_minor)
    effect = terms.effect
    gifts = (Gift(sku=effect.sku, quantity=effect.quantity),) if isinstance(effect, GiftLine) else ()
    shipping_minor = 0
    if isinstance(effect, FreeShipping):
        shipping_minor = progress.shipping_left_minor
        if effect.max_amount_minor is not None:
            shipping_minor = min(shipping_minor, effect.max_amount_minor)
    line_minor = line_takes(effect, basket.lines, matching, left_minor)
    amount_minor = sum(line_minor) + shipping_minor
    if not amount_minor and not gifts:
        return _why_nothing(effect, matching_minor, sum(basket.lines[index].quantity for index in matching))
    return Applied(
        reference=candidate.reference,
        amount_minor=amount_minor,
        line_minor=tuple(line_minor),
        shipping_minor=shipping_minor,
        gifts=gifts,
    )


def _why_nothing(effect: Effect, matching_minor: int, quantity: int) -> Reason:
    """Why an effect takes nothing off: what it asks for by its own terms, else that nothing is left to take."""
    if isinstance(effect, EveryOff) and matching_minor < effect.every_minor:
        return _too_small("items_too_small", effect.every_minor, matching_minor)
    if isinstance(effect, SteppedOff) and matching_minor < effect.steps[0].from_minor:
        return _too_small("items_too_small", effect.steps[0].from_minor, matching_minor)
    if isinstance(effect, BuyGet):
        minimum = effect.buy if effect.reward is not None else effect.buy + effect.get
        if quantity < minimum:
            parameters: dict[str, int | str] = {"minimum": minimum, "quantity": quantity}
            return Reason(code="too_few_items", parameters=parameters | {"missing": minimum - quantity})
    return Reason(code="nothing_left")


def _too_small(code: ReasonCode, minimum_minor: int, amount_minor: int) -> Reason:
    parameters: dict[str, int | str] = {"minimum_minor": minimum_minor, "amount_minor": amount_minor}
    return Reason(code=code, parameters=parameters | {"missing_minor": minimum_minor - amount_minor})
