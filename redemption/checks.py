"""Checks that several parts of redemption share, and the ledger's clock, which all of them go by."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, DateTime, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError

MAX_AMOUNT_MINOR: Final = 10**12
MAX_POINTS: Final = 10**12
MAX_TEXT: Final = 200

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def clock() -> ColumnElement[datetime]:
    """The ledger's clock as SQL: a hold ends for the till at the moment at which it ends in the ledger."""
    return func.ledger.clock(type_=DateTime(timezone=True))


async def read_clock(connection: AsyncConnection) -> datetime:
    """The ledger's clock now."""
    return (await connection.execute(select(clock()))).scalar_one()


def check_code(code: str, field: str = "code") -> None:
    """Refuse what is not a code."""
    if not _CODE.fullmatch(code):
        raise InvalidInputError("a code is lower-case letters, digits and hyphens, at most 40", field=field)


def check_currency(currency: str, field: str = "currency") -> None:
    """Refuse what is not a currency."""
    if not _CURRENCY.fullmatch(currency):
        message = f"{currency[:20]!r} is not an ISO 4217 currency code, such as CNY"
        raise InvalidInputError(message, field=field)


def check_name(name: dict[str, str]) -> None:
    """Refuse a name that lacks one of the two languages."""
    for locale in ("zh", "en"):
        if not name.get(locale, "").strip():
            raise InvalidInputError("a name in Chinese and in English is needed", field=f"name.{locale}")


def check_range(value: int, field: str, *, least: int, most: int) -> None:
    """Refuse a number outside its range."""
    if not least <= value <= most:
        raise InvalidInputError(f"from {least} to {most}", field=field)


def check_text(value: str | None, field: str) -> None:
    """Refuse an empty, overlong or unprintable text; None is no text."""
    if value is not None and (not value.strip() or len(value) > MAX_TEXT or not value.isprintable()):
        raise InvalidInputError(f"from 1 to {MAX_TEXT} printable characters", field=field)
