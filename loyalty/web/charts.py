"""Charts drawn on the server as inline SVG: no script, sharp at any size, coloured by `css/charts.css`.

A chart is a picture of a table. Put the table beside it (or in a <details>): the chart's name and description tell a
screen reader what it shows, and the table holds the numbers.
"""

from __future__ import annotations

import math
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
_NARROW: Final = 440
"""The width of pictures that have to be read on a phone as they are: their letters are not made much smaller there."""
_BAR_SLOT: Final = 56
_BAR_NUMBER: Final = 80
_MAP_EDGE: Final = 44
_MAP_HEIGHT: Final = 300


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


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One lying bar, zero or more; `part` is how much of it is marked."""

    label: str
    value: int
    part: int = 0


def bar_chart(bars: Sequence[Bar], *, title: str, description: str, number: Callable[[int], str]) -> Markup:
    """Bars below each other, each with its name above it; `number` writes a value."""
    most = max([1, *(bar.value for bar in bars)])
    parts = []
    for index, bar in enumerate(bars):
        top, width = index * _BAR_SLOT, bar.value / most * (_NARROW - _BAR_NUMBER)
        parts.append(
            Markup("<g><title>{}</title>{}{}{}{}</g>").format(
                f"{bar.label}: {number(bar.value)}",
                _text(0, top + 16, bar.label, anchor="start"),
                _column("chart__in", 0, top + 24, max(width, 2), 20),
                _column("chart__out", 0, top + 24, bar.part / most * (_NARROW - _BAR_NUMBER), 20) if bar.part else "",
                _text(max(width, 2) + 8, top + 39, number(bar.value), anchor="start"),
            )
        )
    return _picture(title, description, parts, width=_NARROW, height=max(len(bars), 1) * _BAR_SLOT)


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """A place on a map, in degrees of WGS 84. `marked` ones are drawn in the other colour."""

    label: str
    tip: str
    latitude: float
    longitude: float
    marked: bool = False


def place_map(spots: Sequence[Spot], *, title: str, description: str, way: bool) -> Markup:
    """Places as dots on a net of degrees, with the way from each to the next where it is one thing's.

    The net alone: no coast and no border, which are old where they are right and disputed where they are not. Dots of
    one place are one, which grows with their number. An equirectangular projection, true at the middle latitude.
    """
    west, east, south, north = _bounds(spots)
    stretch = math.cos(math.radians((south + north) / 2))
    scale = min((_NARROW - 2 * _MAP_EDGE) / ((east - west) * stretch), _MAP_HEIGHT / (north - south))
    width, height = (east - west) * stretch * scale, (north - south) * scale
    left, top = (_NARROW - width) / 2, 8.0

    def at(latitude: float, longitude: float) -> tuple[float, float]:
        inside = min(max(latitude, south), north)  # the poles are not drawn
        return left + (longitude - west) * stretch * scale, top + (north - inside) * scale

    step = nice_step(max(1, math.ceil(max(east - west, north - south))))
    parts = []
    for degree in range(math.ceil(west / step) * step, math.floor(east) + 1, step):
        x, _ = at(north, degree)
        parts.append(Markup('<path class="chart__grid" d="M{:.1f} {:.1f}v{:.1f}"/>').format(x, top, height))
        parts.append(_text(x, top + height + 18, _degrees(degree, "E", "W"), anchor="middle"))
    for degree in range(math.ceil(south / step) * step, math.floor(north) + 1, step):
        _, y = at(degree, west)
        parts.append(Markup('<path class="chart__grid" d="M{:.1f} {:.1f}h{:.1f}"/>').format(left, y, width))
        parts.append(_text(left - 8, y + 4, _degrees(degree, "N", "S"), anchor="end"))
    if way:
        line = " ".join("{:.1f},{:.1f}".format(*at(spot.latitude, spot.longitude)) for spot in spots)
        parts.append(Markup('<polyline class="chart__way" points="{}"/>').format(line))
    parts += [_dot(*at(*place), there) for place, there in _gather(spots).items()]
    return _picture(title, description, parts, width=_NARROW, height=round(height + top + 28))


def _bounds(spots: Sequence[Spot]) -> tuple[float, float, float, float]:
    """West, east, south and north of a map that shows these with some room around them."""
    latitudes, longitudes = [spot.latitude for spot in spots], [spot.longitude for spot in spots]
    room = max(1.5, 0.15 * max(max(latitudes) - min(latitudes), max(longitudes) - min(longitudes)))
    return (
        min(longitudes) - 1.5 * room,
        max(longitudes) + 1.5 * room,
        max(-85.0, min(latitudes) - room),
        min(85.0, max(latitudes) + room),
    )


def _gather(spots: Sequence[Spot]) -> dict[tuple[float, float], list[Spot]]:
    """Spots by their place, to about ten kilometres."""
    there: dict[tuple[float, float], list[Spot]] = {}
    for spot in spots:
        there.setdefault((round(spot.latitude, 1), round(spot.longitude, 1)), []).append(spot)
    return there


def _dot(x: float, y: float, spots: Sequence[Spot]) -> Markup:
    radius = 6 + min(14, 2 * math.isqrt(len(spots) - 1))
    tips = "\n".join(spot.tip for spot in spots[-_MOST_TICKS:])
    label = f"{spots[-1].label} \N{MULTIPLICATION SIGN}{len(spots)}" if len(spots) > 1 else spots[-1].label
    return Markup('<g><title>{}</title><circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"/>{}</g>').format(
        tips,
        "chart__spot chart__spot--marked" if any(spot.marked for spot in spots) else "chart__spot",
        x,
        y,
        radius,
        _text(x, y - radius - 6, label, anchor="middle"),
    )


def _degrees(degree: int, ahead: str, behind: str) -> str:
    return f"{abs(degree)}°{ahead if degree > 0 else behind if degree < 0 else ''}"


def _picture(
    title: str, description: str, parts: Sequence[Markup], *, width: int = _WIDTH, height: int = _HEIGHT
) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">{}</svg>').format(
        width, height, title, description, Markup("").join(parts)
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
