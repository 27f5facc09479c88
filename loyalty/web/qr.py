"""QR symbols as small inline SVG: one path, black on white in every colour scheme, since scanners need that."""

from __future__ import annotations

from typing import Final

import qrcode
from markupsafe import Markup
from qrcode.constants import ERROR_CORRECT_M

_QUIET_MODULES: Final = 4
"""The margin that ISO/IEC 18004 asks for."""


def qr_svg(text: str, *, label: str, version: int | None = None) -> Markup:
    """Draw a symbol, error correction M. Naming the version (and so skipping the search) is several times faster.

    The mask is fixed for the same reason: any of the eight may be used, and scanners read them all.
    """
    symbol = qrcode.QRCode(version=version, error_correction=ERROR_CORRECT_M, border=0, mask_pattern=2)
    symbol.add_data(text)
    symbol.make(fit=version is None)
    rows = symbol.get_matrix()
    size = len(rows) + 2 * _QUIET_MODULES
    path = "".join(
        f"M{left + _QUIET_MODULES} {top + _QUIET_MODULES}h{length}v1h-{length}z"
        for top, row in enumerate(rows)
        for left, length in _runs(row)
    )
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {0}" shape-rendering="crispEdges" role="img"'
        ' aria-label="{1}"><path fill="#fff" d="M0 0h{0}v{0}H0z"/><path d="{2}"/></svg>'
    ).format(size, label, path)


def _runs(row: list[bool]) -> list[tuple[int, int]]:
    """The dark stretches of a row as (start, length)."""
    runs: list[tuple[int, int]] = []
    for column, dark in enumerate(row):
        if not dark:
            continue
        if runs and sum(runs[-1]) == column:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((column, 1))
    return runs
