"""Numbers and times as exports write them, read exactly: no float touches money."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from loyalty.channels.files.mapping import Rounding
from loyalty.kit.apportion import apportion

EXACT: Final = Context(prec=300, traps=[Inexact, InvalidOperation, Overflow])
"""Decimal arithmetic that would rather fail than round; numbers are bounded below so that it never does."""

_MOST: Final = Decimal(10) ** 15
_SMALLEST_EXPONENT: Final = -60
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_REMEMBERED: Final = 20_000


class UnreadableError(Exception):
    """A text that is not what its column holds; the message is the reason."""


@lru_cache(maxsize=_REMEMBERED)
def read_number(text: str, decimal_mark: str = ".") -> Decimal:
    """A decimal number, also in scientific notation (`4.440892e-16`), exactly. Raises UnreadableError."""
    plain = text if decimal_mark == "." else text.replace(".", "?").replace(decimal_mark, ".")
    if not _NUMBER.fullmatch(plain):
        raise UnreadableError(f"is not a number such as 1234{decimal_mark}50")
    number = Decimal(plain)
    exponent = number.as_tuple().exponent
    if number.copy_abs() >= _MOST or not isinstance(exponent, int) or exponent < _SMALLEST_EXPONENT:
        raise UnreadableError("is too large, or has too many decimal places, to be money")
    return number


def to_minor(amounts: Sequence[Decimal], *, digits: int, rounding: Rounding) -> list[int]:
    """A document's non-negative line amounts in minor units, which sum to its exact sum, rounded once.

    `digits` are those of the currency's minor unit. Where lines have fractions of it, each is its exact share of the
    rounded sum, rounded down or up.
    """
    scaled = [amount.scaleb(digits, EXACT) for amount in amounts]
    whole = [int(amount) for amount in scaled]
    if all(amount == integer for amount, integer in zip(scaled, whole, strict=True)):
        return whole
    places = max(0, *(-int(amount.as_tuple().exponent) for amount in scaled))
    weights = [int(amount.scaleb(places, EXACT)) for amount in scaled]
    return apportion(_divide(sum(weights), int(10**places), rounding), weights)


def _divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    if rounding == "floor":
        return numerator // denominator
    if rounding == "ceil":
        return -(-numerator // denominator)
    return (2 * numerator + denominator) // (2 * denominator)


class TimeReader:
    """Reads times of one format; those without an offset were taken in `time_zone` (IANA). `form` None: ISO 8601."""

    def __init__(self, form: str | None, time_zone: str) -> None:
        self._form = form
        self._zone = ZoneInfo(time_zone)
        self.read = lru_cache(maxsize=_REMEMBERED)(self._read)
        """A text's moment in UTC. Raises UnreadableError."""

    def _read(self, text: str) -> datetime:
        try:
            moment = _parse(text, self._form)
            aware = moment.replace(tzinfo=self._zone) if moment.tzinfo is None else moment
            return aware.astimezone(UTC)
        except (ValueError, OverflowError):
            wanted = f"a time of the form {self._form}" if self._form else "an ISO 8601 time; see time_format"
            raise UnreadableError(f"is not {wanted}") from None


def _parse(text: str, form: str | None) -> datetime:
    """A time as written: without an offset it stays naive, because its zone is the caller's to know."""
    return datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007
