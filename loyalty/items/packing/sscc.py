"""SSCCs: the numbers of logistic units (GS1 General Specifications, sections 2.2.1 and 7.9; AI 00)."""

from __future__ import annotations

import re
from typing import Final

from loyalty.items.gtin import check_digit
from loyalty.kit.errors import InvalidInputError

_DIGITS: Final = 18
_ELEMENT_STRING: Final = re.compile(r"\(?00\)?([0-9]{18})")


def normalise_sscc(text: str, *, field: str = "sscc") -> str:
    """Read an SSCC, alone or as a scanner gives it with its AI (`00…` or `(00)…`), as 18 digits.

    Raises InvalidInputError naming `field` where the length, a character or the check digit is wrong.
    """
    digits = text.strip()
    if found := _ELEMENT_STRING.fullmatch(digits):
        digits = found[1]
    if not (digits.isascii() and digits.isdecimal() and len(digits) == _DIGITS):
        raise InvalidInputError(f"{text[:40]!r} is not an SSCC: {_DIGITS} digits", field=field)
    expected = check_digit(digits[:-1])
    if int(digits[-1]) != expected:
        raise InvalidInputError(f"the check digit of {digits} should be {expected}, not {digits[-1]}", field=field)
    return digits


def make_sscc(company_prefix: str, serial: int, *, extension: int = 0) -> str:
    """The SSCC of a company prefix (4 to 12 digits) and a serial reference. Raises InvalidInputError."""
    if not re.fullmatch(r"[0-9]{4,12}", company_prefix):
        raise InvalidInputError("a GS1 company prefix has 4 to 12 digits", field="company_prefix")
    room = _DIGITS - 2 - len(company_prefix)
    if not 0 <= serial < 10**room or not 0 <= extension <= 9:  # noqa: PLR2004  (a digit)
        raise InvalidInputError(f"{serial} does not fit into the {room} digits that are left", field="serial")
    body = f"{extension}{company_prefix}{serial:0{room}d}"
    return f"{body}{check_digit(body)}"
