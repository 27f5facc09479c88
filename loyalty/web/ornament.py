"""Engraved ornament: a rosette drawn from a seed, as banknotes and certificates carry.

Every item and every member gets one of their own, the same each time: a page looks made for what it shows. It proves
nothing and says so nowhere; the serial's tag is the proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from math import cos, sin, tau

from markupsafe import Markup, escape

_CENTRE = 100
_POINTS = 240


def rosette(seed: str, *, label: str = "") -> Markup:
    """Draw a rosette as an inline SVG, 4 kB when compressed. Its lines take `currentColor`; decoration unless labelled.

    Each band is one wave around the circle, repeated with a turn: the eye sees a weave, the file holds one path.
    """
    return engrave(bands(seed), label=label)


def engrave(drawn: Iterable[str], *, label: str = "") -> Markup:
    """Put bands into a rosette; see `rosette`."""
    role = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    # Nothing in it is anybody's words but the label.
    return Markup(  # noqa: S704
        '<svg class="rosette" viewBox="0 0 200 200" fill="none" stroke="currentColor" stroke-width=".6" '
        f"{role}>{''.join(drawn)}</svg>"
    )


def bands(seed: str) -> tuple[str, str, str]:
    """The outer, the middle and the inner band of a seed's rosette: each is one of some hundred that there are."""
    numbers = hashlib.sha256(seed.encode()).digest()
    return (
        _band(18 + numbers[0] % 8, 4 + numbers[1] % 3, 84, 9 + numbers[2] % 5),
        _band(9 + numbers[3] % 6, 5 + numbers[4] % 3, 58, 12 + numbers[5] % 8),
        _band(5 + numbers[6] % 4, 4 + numbers[7] % 3, 30, 8 + numbers[8] % 6),
    )


@cache
def _band(petals: int, strands: int, radius: int, swing: int) -> str:
    name = f"r{radius}-{petals}-{swing}"
    turns = (360 / petals / strands * strand for strand in range(1, strands))
    uses = "".join([f'<use href="#{name}" transform="rotate({turn:.2f} 100 100)"/>' for turn in turns])
    return f'<path id="{name}" d="{_wave(petals, radius, swing)}"/>{uses}'


def wave_points(petals: int, radius: int, swing: int, *, turn: float = 0) -> list[tuple[float, float]]:
    """A wave of so many petals around the middle of a field of 200 by 200, turned by a part of the circle."""
    points = []
    for index in range(_POINTS):
        angle = index * tau / _POINTS
        distance = radius + swing * sin(petals * angle)
        angle += turn * tau
        points.append((_CENTRE + distance * cos(angle), _CENTRE + distance * sin(angle)))
    return points


def _wave(petals: int, radius: int, swing: int) -> str:
    """The path of a wave, which takes longer to draw than the rest of a page."""
    return f"M{'L'.join(f'{x:.1f} {y:.1f}' for x, y in wave_points(petals, radius, swing))}Z"
