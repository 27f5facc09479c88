"""Splitting an integer by weights so that the parts sum to it exactly."""

from __future__ import annotations

from collections.abc import Sequence


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Split a non-negative total by non-negative weights, by largest remainder (Hamilton's method).

    The parts are integers, sum to `total`, and each is the exact share rounded down or up. Equal remainders are served
    from the front, so that the same input always gives the same parts. Where all weights are zero the parts are equal
    but for one. No weights can only split a total of zero.
    """
    if not weights:
        if total:
            raise ValueError("a total needs at least one weight to go to")
        return []
    whole = sum(weights)
    if whole == 0:
        return apportion(total, [1] * len(weights))
    parts = [total * weight // whole for weight in weights]
    if left := total - sum(parts):
        remainders = [total * weight % whole for weight in weights]
        # A reversed sort is stable too, so equal remainders stay in their order.
        for index in sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)[:left]:
            parts[index] += 1
    return parts
