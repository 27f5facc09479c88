"""Charts drawn on the server as inline SVG: no script, sharp at any size, coloured by `css/charts.css`.

A chart is a picture of a table. Put the table beside it (or in a <details>): the chart's name and description tell a
screen reader what it shows, and the table holds the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from markupsafe import Markup

_WIDTH: Final = 720
_HEIGHT: Final = 280
_SMALLEST_LEFT: Final = 64
_CHARACTER: Final = 8
"""The widest that a digit of 12 pixels is drawn, in the fonts that browsers fall back to."""
_RIGHT: Final = 8
_TOP: Final = 12
_BOTTOM: Final = 28
_MOST_TICKS: Final = 6
_MOST_LABELS: Final = 14


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One column pair of a flow chart: what came in and what went out in a period, both zero or more."""

    label: str
    inward: int
    outward: int


def nice_step(extent: int, *, most_ticks: int = _MOST_TICKS) -> int:
    """The smallest of 1, 2 or 5 times a power of ten that divides `extent` into at most `most_ticks` steps."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * most_ticks >= extent:
                return step * factor
        step *= 10


def flow_chart(
    flows: Sequence[Flow],
    *,
    title: str,
    description: str,
    inward_name: str,
    outward_name: str,
    number: Callable[[int], str],
) -> Markup:
    """Columns above the line for what came in, below it for what went out; `number` writes a value.

    The names are those of the legend, which is part of the picture, so that direction and words tell the two apart and
    colour only helps.
    """
    high = max((flow.inward for flow in flows), default=0)
    low = max((flow.outward for flow in flows), default=0)
    step = nice_step(max(high + low, 1))
    top, bottom = -(-high // step) * step, -(-low // step) * step
    top = top if top or bottom else step
    scale = (_HEIGHT - _TOP - _BOTTOM) / (top + bottom)
    zero = _TOP + top * scale
    marks = [(value, number(value)) for value in range(-bottom, top + 1, step)]
    edge = max(_SMALLEST_LEFT, _CHARACTER * (max(len(label) for _, label in marks) + 1))
    parts = [_gridline(edge, zero - value * scale, label, zero=value == 0) for value, label in marks]
    slot = (_WIDTH - edge - _RIGHT) / max(len(flows), 1)
    every = -(-len(flows) // _MOST_LABELS) if flows else 1
    for index, flow in enumerate(flows):
        left = edge + slot * index + slot * 0.2
        width = slot * 0.6
        tip = f"{flow.label}: {inward_name} {number(flow.inward)}, {outward_name} {number(flow.outward)}"
        parts.append(
            Markup("<g><title>{}</title>{}{}</g>").format(
                tip,
                _column("chart__in", left, zero - flow.inward * scale, width, flow.inward * scale),
                _column("chart__out", left, zero, width, flow.outward * scale),
            )
        )
        if index % every == 0:
            parts.append(_text(left + width / 2, _HEIGHT - 8, flow.label, anchor="middle"))
    legend = Markup(
        '<p class="chart-legend" aria-hidden="true"><span class="chart-legend__in">{}</span>'
        '<span class="chart-legend__out">{}</span></p>'
    ).format(inward_name, outward_name)
    return legend + _picture(title, description, parts)


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a chart of a single row of values, zero or more."""

    label: str
    value: int


def column_chart(columns: Sequence[Column], *, title: str, description: str, number: Callable[[int], str]) -> Markup:
    """Columns side by side above one line; `number` writes a value."""
    high = max((column.value for column in columns), default=0)
    step = nice_step(max(high, 1))
    top = max(-(-high // step) * step, step)
    scale = (_HEIGHT - _TOP - _BOTTOM) / top
    zero = _TOP + top * scale
    marks = [(value, number(value)) for value in range(0, top + 1, step)]
    edge = max(_SMALLEST_LEFT, _CHARACTER * (max(len(label) for _, label in marks) + 1))
    parts = [_gridline(edge, zero - value * scale, label, zero=value == 0) for value, label in marks]
    slot = (_WIDTH - edge - _RIGHT) / max(len(columns), 1)
    every = -(-len(columns) // _MOST_LABELS) if columns else 1
    for index, column in enumerate(columns):
        left, width, height = edge + slot * index + slot * 0.2, slot * 0.6, max(column.value, 0) * scale
        parts.append(
            Markup("<g><title>{}</title>{}</g>").format(
                f"{column.label}: {number(column.value)}", _column("chart__in", left, zero - height, width, height)
            )
        )
        if index % every == 0:
            parts.append(_text(left + width / 2, _HEIGHT - 8, column.label, anchor="middle"))
    return _picture(title, description, parts)


def _picture(title: str, description: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">{}</svg>').format(
        _WIDTH, _HEIGHT, title, description, Markup("").join(parts)
    )


def _gridline(edge: int, y: float, label: str, *, zero: bool) -> Markup:
    line = Markup('<path class="{}" d="M{} {:.1f}H{}"/>').format(
        "chart__zero" if zero else "chart__grid", edge, y, _WIDTH - _RIGHT
    )
    return line + _text(edge - 8, y + 4, label, anchor="end")


def _column(css: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2"/>').format(
        css, x, y, width, height
    )


def _text(x: float, y: float, words: str, *, anchor: str) -> Markup:
    return Markup('<text class="chart__tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, words
    )
