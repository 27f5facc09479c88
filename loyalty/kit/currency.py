"""Currencies: how many digits their minor unit has (ISO 4217)."""

from __future__ import annotations

from typing import Final

_USUAL_DIGITS: Final = 2
_OTHER_DIGITS: Final = dict.fromkeys(
    (
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF",
        "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
    ),
    0,
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)  # fmt: skip
"""ISO 4217, list one: the currencies in use whose minor unit is not a hundredth."""


def minor_digits(currency: str) -> int:
    """The decimal places of a currency's minor unit: 2 for GBP, 0 for JPY, 3 for KWD."""
    return _OTHER_DIGITS.get(currency, _USUAL_DIGITS)


def minor_per_unit(currency: str) -> int:
    """How many minor units one whole unit has: 100 for GBP, 1 for JPY."""
    return int(10 ** minor_digits(currency))
