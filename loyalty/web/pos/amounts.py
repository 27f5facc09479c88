"""Amounts as people type them at a till, read into minor units."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from loyalty.kit.currency import minor_digits, minor_per_unit
from loyalty.kit.errors import InvalidInputError

LONGEST_AMOUNT: Final = 20
_DIGITS_LIMIT: Final = 12
_GROUP: Final = 3
_SIGNS: Final = re.compile(r"^(?:[A-Z]{2}\$|[A-Z]{1,3}|[¥£$€₩元])?\s*|\s*(?:元|[A-Z]{3})$")
_AMOUNT: Final = re.compile(r"\d{1,3}(?:[, ]\d{3})+(?:\.\d+)?|\d+(?:[.,]\d*)?|[.,]\d+")


def parse_amount(text: str, currency: str, *, field: str = "amount") -> int:
    """Read an amount of a currency into its minor units: `128.5`, `128,50`, `¥1,280.00` or `１２８` for CNY.

    A comma before exactly three digits groups thousands, as both our languages write it, unless the currency has three
    decimals. Raises InvalidInputError (`reason` is `empty`, `not_an_amount`, `too_precise` or `too_large`).
    """
    bare = unicodedata.normalize("NFKC", text).strip()
    if not bare:
        raise InvalidInputError("an amount is needed", field=field, reason="empty")
    bare = _SIGNS.sub("", bare)
    if len(bare) > LONGEST_AMOUNT or not _AMOUNT.fullmatch(bare) or not bare.isascii():
        raise InvalidInputError(f"{text[:LONGEST_AMOUNT]!r} is not an amount", field=field, reason="not_an_amount")
    digits = minor_digits(currency)
    whole, part = _split(bare, digits)
    if len(part.rstrip("0")) > digits:
        message = f"an amount in {currency} has {digits} decimals at most"
        raise InvalidInputError(message, field=field, reason="too_precise")
    minor = int(whole or "0") * minor_per_unit(currency) + int(part[:digits].ljust(digits, "0") or "0")
    if len(str(minor)) > _DIGITS_LIMIT:
        raise InvalidInputError("this amount is larger than a till takes", field=field, reason="too_large")
    return minor


def write_amount(amount_minor: int, currency: str) -> str:
    """Minor units as they are typed into a field: `128.50`, no sign and no grouping."""
    digits = minor_digits(currency)
    whole, part = divmod(amount_minor, minor_per_unit(currency))
    return f"{whole}.{part:0{digits}d}" if digits else str(whole)


def _split(text: str, digits: int) -> tuple[str, str]:
    """The whole part without grouping, and the decimals."""
    text = text.replace(" ", "")
    head, comma, tail = text.rpartition(",")
    grouped = "." in tail or "," in head or (len(tail) == _GROUP and digits != _GROUP and head)
    if comma and not grouped:
        return head, tail
    whole, _, part = text.replace(",", "").partition(".")
    return whole, part
