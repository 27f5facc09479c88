"""Rounding, by name: each place that rounds says how."""

from __future__ import annotations

from fractions import Fraction


def half_up(amount: Fraction) -> int:
    """The nearest whole number; of two equally near ones the greater."""
    return int((amount + Fraction(1, 2)) // 1)
