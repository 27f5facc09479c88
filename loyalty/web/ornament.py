"""Engraved ornament: a rosette drawn from a seed, as banknotes and certificates carry.

Every item and every member gets one of their own, the same each time: a page looks made for what it shows. It proves
nothing and says so nowhere; the serial's tag is the proof.
"""

from __future__ import annotations

import hashlib
from math import cos, sin, tau

from markupsafe import Markup

_CENTRE = 100
_POINTS = 240


def rosette(seed: str, *, label: str = "") -> Markup:
    """Draw a rosette as an inline SVG of about 4 kB. Its lines take `currentColor`; decoration unless labelled.

    Each band is one wave around the circle, repeated with a turn: the eye sees a weave, the file holds one path.
    """
    numbers = hashlib.sha256(seed.encode()).digest()
    name = f"r{numbers.hex()[:8]}"
    bands = [
        _band(f"{name}a", petals=18 + numbers[0] % 8, strands=4 + numbers[1] % 3, radius=84, swing=9 + numbers[2] % 5),
        _band(f"{name}b", petals=9 + numbers[3] % 6, strands=5 + numbers[4] % 3, radius=58, swing=12 + numbers[5] % 8),
        _band(f"{name}c", petals=5 + numbers[6] % 4, strands=4 + numbers[7] % 3, radius=30, swing=8 + numbers[8] % 6),
    ]
    role = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup(
        '<svg class="rosette" viewBox="0 0 200 200" fill="none" stroke="currentColor" stroke-width=".6" {}>{}</svg>'
    ).format(role, Markup("").join(bands))


def _band(name: str, *, petals: int, strands: int, radius: int, swing: int) -> Markup:
    step = tau / _POINTS
    points = []
    for index in range(_POINTS):
        angle = index * step
        distance = radius + swing * sin(petals * angle)
        points.append(f"{_CENTRE + distance * cos(angle):.1f} {_CENTRE + distance * sin(angle):.1f}")
    turns = Markup("").join(
        Markup('<use href="#{}" transform="rotate({:.2f} 100 100)"/>').format(name, 360 / petals / strands * strand)
        for strand in range(1, strands)
    )
    return Markup('<path id="{}" d="M{}Z"/>{}').format(name, "L".join(points), turns)
