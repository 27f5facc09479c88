"""The journal of a unit for a general ledger: balanced documents of a period, as CSV.

A document is one entry, or all alike entries of one day together. Its date is the local day on which the ledger
recorded it, so a period that was exported once never changes: what is reported late is in the journal of the day on
which it came in.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.books import daily_moves
from loyalty.kit.rounding import half_up

ACCOUNTS: Final = (
    *("issued", "member", "pending", "held", "debt", "redeemed", "expired", "adjusted", "forgiven", "transfer"),
)
"""The account classes that an entry can name."""

COLUMNS: Final = ("date", "document", "text", "account", "unit", "debit", "credit")
MONEY_COLUMNS: Final = ("currency", "debit_amount", "credit_amount")
CHUNK_DOCUMENTS: Final = 500


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """What a point is worth, in minor units of a currency with so many digits. Amounts are rounded half up."""

    currency: str
    digits: int
    value_per_point: Fraction

    def written(self, points: int) -> str:
        """The amount of so many points, as a decimal number: `12.50`."""
        minor = half_up(points * self.value_per_point)
        whole, part = divmod(minor, 10**self.digits)
        return f"{whole}.{part:0{self.digits}d}" if self.digits else str(whole)


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Points that went from one account class to another; its number is unique in the programme and unit."""

    day: date
    number: str
    text: str
    debit: str
    credit: str
    points: int


_ENTRIES: Final = text("""
    SELECT recorded_day AS day, member_id, seq, kind, debit, credit, amount
    FROM ledger.dated_entry
    WHERE programme_id = :programme AND unit = :unit
        AND recorded_at > CAST(:first AS date) - interval '2 days'
        AND recorded_at < CAST(:last AS date) + interval '3 days'
        AND recorded_day BETWEEN :first AND :last
    ORDER BY recorded_at, member_id, seq
""")


async def documents(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    unit: str = "points",
    first: date,
    last: date,
    by: Literal["day", "entry"] = "day",
    name: Callable[[UUID], str] = str,
) -> AsyncIterator[Document]:
    """The documents recorded from one local day to another, both included, in their order.

    By `day`, what is alike is one document; by `entry`, each entry is one, and `name` says what its member is called.
    """
    if by == "day":
        for move in await daily_moves(connection, programme_id=programme_id, unit=unit, first=first, last=last):
            yield Document(
                day=move.day,
                number=f"{move.day:%Y%m%d}-{move.kind}-{move.debit}-{move.credit}",
                text=f"{move.kind} ({move.entries})",
                debit=move.debit,
                credit=move.credit,
                points=move.amount,
            )
        return
    span = {"programme": programme_id, "unit": unit, "first": first, "last": last}
    async with connection.stream(_ENTRIES, span) as rows:
        async for row in rows:
            yield Document(
                day=row.day,
                number=f"{name(row.member_id)}-{row.seq}",
                text=row.kind,
                debit=row.debit,
                credit=row.credit,
                points=row.amount,
            )


async def journal_csv(
    found: AsyncIterator[Document], *, unit: str, accounts: Mapping[str, str], money: Money | None = None
) -> AsyncIterator[str]:
    """The journal as CSV (RFC 4180), in pieces: two lines a document, so that debits and credits are equal throughout.

    `accounts` are the general ledger's codes by account class; a class without one goes by its name.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([*COLUMNS, *(MONEY_COLUMNS if money else ())])
    count = 0
    async for document in found:
        for line in _lines(document, unit, accounts, money):
            writer.writerow(line)
        count += 1
        if count % CHUNK_DOCUMENTS == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _lines(document: Document, unit: str, accounts: Mapping[str, str], money: Money | None) -> list[list[str]]:
    points = str(document.points)
    amount = money.written(document.points) if money else ""
    both = [document.day.isoformat(), document.number, document.text]
    debit = [*both, accounts.get(document.debit, document.debit), unit, points, ""]
    credit = [*both, accounts.get(document.credit, document.credit), unit, "", points]
    if money:
        debit += [money.currency, amount, ""]
        credit += [money.currency, "", amount]
    return [debit, credit]


def month_of(day: date) -> tuple[date, date]:
    """The first and the last day of the month that a day is in."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
