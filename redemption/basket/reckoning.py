"""What an effect takes off each line, given what the lines cost. Pure arithmetic on integers.

Whatever the effect, a smaller cost of any line never makes what is taken off greater; the search for the best
combination leans on that.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loyalty.kit.apportion import apportion
from redemption.basket.eligibility import matching_lines
from redemption.basket.shapes import Line
from redemption.terms import BuyGet, Effect, EveryOff, FixedOff, ItemPrice, PercentOff, SteppedOff
from redemption.terms.effects import WHOLE_BP


class _Pieces(msgspec.Struct, frozen=True):
    """Pieces of one line that cost the same."""

    piece_minor: int
    index: int
    count: int


def line_takes(effect: Effect, lines: Sequence[Line], matching: Sequence[int], cost_minor: Sequence[int]) -> list[int]:
    """What an effect takes off each line, never more than the line costs. Gifts and shipping take nothing off lines."""
    match effect:
        case ItemPrice():
            return _item_price(effect, lines, matching, cost_minor)
        case BuyGet():
            return _buy_get(effect, lines, matching, cost_minor)
        case FixedOff() | PercentOff() | EveryOff() | SteppedOff():
            costs = [cost_minor[index] for index in matching]
            takes = [0] * len(lines)
            if not (total_minor := _total(effect, sum(costs))):
                return takes
            shares = apportion(total_minor, costs)
            for index, share in zip(matching, shares, strict=True):
                takes[index] = share
            return takes
        case _:
            return [0] * len(lines)


def _total(effect: FixedOff | PercentOff | EveryOff | SteppedOff, cost_minor: int) -> int:
    """What an effect takes off lines that cost so much together."""
    match effect:
        case FixedOff():
            return min(effect.amount_minor, cost_minor)
        case PercentOff():
            share = cost_minor * effect.percent_bp // WHOLE_BP
            return share if effect.max_amount_minor is None else min(share, effect.max_amount_minor)
        case EveryOff():
            times = cost_minor // effect.every_minor
            return effect.off_minor * (times if effect.max_times is None else min(times, effect.max_times))
        case SteppedOff():
            return max((step.off_minor for step in effect.steps if step.from_minor <= cost_minor), default=0)


def _item_price(
    effect: ItemPrice, lines: Sequence[Line], matching: Sequence[int], cost_minor: Sequence[int]
) -> list[int]:
    takes = [0] * len(lines)
    left = effect.max_quantity
    for pieces in sorted(_pieces(lines, matching, cost_minor), key=lambda run: (-run.piece_minor, run.index)):
        if pieces.piece_minor <= effect.price_minor or left == 0:
            break
        count = pieces.count if left is None else min(pieces.count, left)
        takes[pieces.index] += (pieces.piece_minor - effect.price_minor) * count
        left = None if left is None else left - count
    return takes


def _buy_get(effect: BuyGet, lines: Sequence[Line], matching: Sequence[int], cost_minor: Sequence[int]) -> list[int]:
    if effect.reward is None:
        rewards = matching
        times = _quantity(lines, matching) // (effect.buy + effect.get)
    else:
        rewards = matching_lines(effect.reward, lines)
        taken = set(rewards)
        times = _quantity(lines, [index for index in matching if index not in taken]) // effect.buy
    free = (times if effect.max_times is None else min(times, effect.max_times)) * effect.get
    free_minor = [0] * len(lines)
    for pieces in sorted(_pieces(lines, rewards, cost_minor), key=lambda run: (run.piece_minor, run.index)):
        count = min(pieces.count, free)
        free_minor[pieces.index] += pieces.piece_minor * count
        free -= count
        if not free:
            break
    return apportion(sum(free_minor) * effect.off_bp // WHOLE_BP, free_minor)


def _quantity(lines: Sequence[Line], indexes: Sequence[int]) -> int:
    """Pieces that cost something in the basket: a gift is not bought."""
    return sum(lines[index].quantity for index in indexes if lines[index].amount_minor)


def _pieces(lines: Sequence[Line], indexes: Sequence[int], cost_minor: Sequence[int]) -> list[_Pieces]:
    """Lines cut into pieces that sum to their cost: where it does not divide, some cost one minor unit more."""
    runs = []
    for index in indexes:
        quantity = lines[index].quantity
        if not (quantity and lines[index].amount_minor):
            continue
        piece_minor, dearer = divmod(cost_minor[index], quantity)
        if dearer:
            runs.append(_Pieces(piece_minor + 1, index, dearer))
        runs.append(_Pieces(piece_minor, index, quantity - dearer))
    return runs
