"""GTINs: the numbers of products (GS1 General Specifications, sections 2.1 and 7.9)."""

from __future__ import annotations

from typing import Final

from loyalty.kit.errors import InvalidInputError

_LENGTHS: Final = (8, 12, 13, 14)


def check_digit(digits: str) -> int:
    """The GS1 check digit of the digits before it: weights 3 and 1 in turn, from the right."""
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits)))
    return -total % 10


def normalise_gtin(text: str, *, field: str = "gtin") -> str:
    """Read a GTIN-8, -12, -13 or -14 as the 14 digits used everywhere here.

    Raises InvalidInputError naming `field` where the length, a character or the check digit is wrong.
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidInputError(f"{text[:40]!r} is not a GTIN: digits only", field=field)
    if len(digits) not in _LENGTHS:
        raise InvalidInputError(f"a GTIN has 8, 12, 13 or 14 digits, not {len(digits)}", field=field)
    expected = check_digit(digits[:-1])
    if int(digits[-1]) != expected:
        raise InvalidInputError(f"the check digit of {digits} should be {expected}, not {digits[-1]}", field=field)
    return digits.zfill(14)
