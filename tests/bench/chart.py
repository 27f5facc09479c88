"""The chart of the benchmarks, in SVG of our own: a bar for each measure with a goal, and a line where the goal is."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import msgspec

WIDTH = 980
LABELS = 440
"""Where the bars begin."""
SCALE = 150
"""The length of the goal."""
LONGEST = 2.4
"""Bars that would be longer are cut, with a tooth at the end that says so."""
ROW = 26
BAR = 14
TOP = 48


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A measure in relation to its goal: 1 is the goal and longer is better."""

    label: str
    length: float
    met: bool
    words: str


STYLE = """
.paper { fill: #ffffff }
.text { fill: #24292f; font: 13px system-ui, sans-serif }
.small { fill: #57606a; font: 12px system-ui, sans-serif }
.met { fill: #1a7f5a }
.missed { fill: #b35900 }
.goal { stroke: #57606a; stroke-width: 1; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117 }
  .text { fill: #e6edf3 }
  .small { fill: #9198a1 }
  .met { fill: #3fb68b }
  .missed { fill: #e3963e }
  .goal { stroke: #9198a1 }
}
"""


def chart(bars: Sequence[Bar]) -> str:
    """The bars below each other, in their order."""
    height = TOP + ROW * len(bars) + 16
    goal = LABELS + SCALE
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        '<title id="title">Ratios against their goals</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
        '<text class="small" x="16" y="26">How each measure stands to its goal; longer is better.</text>',
        f'<text class="small" x="{goal}" y="26" text-anchor="middle">goal</text>',
        f'<line class="goal" x1="{goal}" y1="34" x2="{goal}" y2="{height - 12}"/>',
    ]
    for place, bar in enumerate(bars):
        parts.extend(_row(bar, TOP + ROW * place))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _row(bar: Bar, y: int) -> list[str]:
    kind = "met" if bar.met else "missed"
    length = round(SCALE * min(bar.length, LONGEST), 1)
    middle = y + BAR / 2
    end = LABELS + length
    drawn = f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{length}" height="{BAR}" rx="2"/>'
    if bar.length > LONGEST:
        tooth = f"{end},{y} {end + 7},{middle} {end},{y + BAR}"
        drawn += f'<polygon class="{kind}" points="{tooth}"/>'
        end += 7
    words = bar.words if bar.met else f"{bar.words}, missed"
    base = y + BAR - 2
    return [
        f'<text class="text" x="{LABELS - 10}" y="{base}" text-anchor="end">{escape(_short(bar.label))}</text>',
        drawn,
        f'<text class="small" x="{max(end, LABELS + SCALE) + 8:g}" y="{base}">{escape(words)}</text>',
    ]


def _short(label: str, most: int = 58) -> str:
    return label if len(label) <= most else label[: most - 1].rstrip(" ,") + "…"
