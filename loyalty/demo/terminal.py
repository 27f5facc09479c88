"""A QR symbol in a terminal: two modules a character, dark on light whatever the terminal's colours."""

from __future__ import annotations

from typing import Final

import qrcode
from qrcode.constants import ERROR_CORRECT_L

_QUIET_MODULES: Final = 2
"""Less than the four of ISO/IEC 18004, to fit; cameras read it."""
_BLACK_ON_WHITE: Final = "\x1b[38;5;16;48;5;231m"
_PLAIN: Final = "\x1b[0m"
_DARK_IS_DARK: Final = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_DARK_IS_BLANK: Final = {(False, False): "█", (True, False): "▄", (False, True): "▀", (True, True): " "}


def terminal_qr(text: str, *, colours: bool) -> str:
    """The lines of a symbol. Without colours it is drawn in light blocks, for terminals with a dark background."""
    symbol = qrcode.QRCode(error_correction=ERROR_CORRECT_L, border=_QUIET_MODULES)
    symbol.add_data(text)
    symbol.make()
    rows = symbol.get_matrix()
    if len(rows) % 2:
        rows = [*rows, [False] * len(rows[0])]
    blocks = _DARK_IS_DARK if colours else _DARK_IS_BLANK
    lines = [
        "".join(blocks[upper, lower] for upper, lower in zip(above, below, strict=True))
        for above, below in zip(rows[::2], rows[1::2], strict=True)
    ]
    return "\n".join(f"{_BLACK_ON_WHITE}{line}{_PLAIN}" if colours else line for line in lines)
