"""Intervals as a picture: a line from the lowest to the highest that may be, a mark for the likeliest, and nought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from markupsafe import Markup

_WIDTH: Final = 720
_ROW: Final = 34
_TOP: Final = 10
_BOTTOM: Final = 30
_LEFT: Final = 150
_RIGHT: Final = 16
_LETTERS: Final = 18
"""What of a name fits beside its line; the whole is in its tip and in the table."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the picture. `sure` is whether it lies on one side of nought."""

    label: str
    estimate: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether it lies on one side of nought."""
        return self.low > 0 or self.high < 0


def interval_chart(
    intervals: Sequence[Interval], *, title: str, description: str, number: Callable[[float], str]
) -> Markup:
    """One line below the other on one scale that holds nought; `number` writes a value."""
    low = min(0.0, *(each.low for each in intervals))
    high = max(0.0, *(each.high for each in intervals))
    span = (high - low) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / span
    bottom = _TOP + _ROW * len(intervals)

    def x(value: float) -> float:
        return _LEFT + (value - low) * scale

    parts = [Markup('<path class="chart__zero" d="M{:.1f} {}V{}"/>').format(x(0), _TOP, bottom)]
    for value in sorted({low, 0.0, high}):
        if value and abs(x(value) - x(0)) < _LEFT / 3:
            continue  # its number would lie on nought's
        anchor = "end" if value == high != 0 else "start" if value == low != 0 else "middle"
        parts.append(_text(x(value), bottom + 20, number(value), anchor))
    for index, each in enumerate(intervals):
        y = _TOP + _ROW * index + _ROW / 2
        tip = f"{each.label}: {number(each.estimate)} ({number(each.low)} … {number(each.high)})"
        line = Markup('<path class="interval__line" d="M{:.1f} {:.1f}H{:.1f}"/>').format(x(each.low), y, x(each.high))
        mark = Markup('<circle class="interval__mark" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(x(each.estimate), y)
        label = each.label if len(each.label) <= _LETTERS else each.label[: _LETTERS - 1] + "…"
        parts.append(
            Markup('<g class="interval{}"><title>{}</title>{}{}{}</g>').format(
                " interval--sure" if each.sure else "", tip, _text(_LEFT - 12, y + 4, label, "end"), line, mark
            )
        )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">{}</svg>').format(
        _WIDTH, bottom + _BOTTOM, title, description, Markup("").join(parts)
    )


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text class="chart__tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, words
    )
