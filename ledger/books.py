"""A programme's books: the trial balance, what is owed to members, and what came in and went out by month."""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One account class and its balance, credits less debits. Over all classes the balances sum to zero."""

    account: str
    balance: int


class Liability(msgspec.Struct, frozen=True, kw_only=True):
    """What members hold, in points: spendable, pending and on hold; and what they owe."""

    unit: str
    members: int
    posted: int
    pending: int
    held: int
    debt: int

    @property
    def owed_to_members(self) -> int:
        """The points that a programme may still have to honour."""
        return self.posted + self.pending + self.held


class MonthlyFlow(msgspec.Struct, frozen=True, kw_only=True):
    """Points in and out in one local month, by what they were; the month is its first day."""

    month: date
    earned: int
    redeemed: int
    expired: int
    taken_back: int
    adjusted: int


_TRIAL: Final = text("""
    SELECT account, sum(amount)::bigint AS balance
    FROM (
        SELECT credit AS account, amount FROM ledger.entry WHERE programme_id = :programme AND unit = :unit
        UNION ALL
        SELECT debit, -amount FROM ledger.entry WHERE programme_id = :programme AND unit = :unit
    ) AS sides
    GROUP BY account ORDER BY account
""")

_LIABILITY: Final = text("""
    SELECT unit, count(*) AS members, coalesce(sum(posted), 0)::bigint AS posted,
           coalesce(sum(pending), 0)::bigint AS pending, coalesce(sum(held), 0)::bigint AS held,
           coalesce(sum(debt), 0)::bigint AS debt
    FROM ledger.account WHERE programme_id = :programme
    GROUP BY unit ORDER BY unit
""")

_FLOW: Final = text("""
    SELECT date_trunc('month', effective_at AT TIME ZONE :time_zone)::date AS month,
           coalesce(sum(amount) FILTER (WHERE debit = 'issued'), 0)::bigint AS earned,
           (coalesce(sum(amount) FILTER (WHERE credit = 'redeemed'), 0)
            - coalesce(sum(amount) FILTER (WHERE debit = 'redeemed'), 0))::bigint AS redeemed,
           (coalesce(sum(amount) FILTER (WHERE credit = 'expired'), 0)
            - coalesce(sum(amount) FILTER (WHERE debit = 'expired'), 0))::bigint AS expired,
           coalesce(sum(amount) FILTER (WHERE credit = 'issued'), 0)::bigint AS taken_back,
           (coalesce(sum(amount) FILTER (WHERE debit = 'adjusted'), 0)
            - coalesce(sum(amount) FILTER (WHERE credit = 'adjusted'), 0))::bigint AS adjusted
    FROM ledger.entry
    WHERE programme_id = :programme AND unit = :unit
        AND effective_at >= date_trunc('month', now() AT TIME ZONE :time_zone
                                       - make_interval(months => :months - 1)) AT TIME ZONE :time_zone
    GROUP BY month ORDER BY month
""")


async def trial_balance(connection: AsyncConnection, *, programme_id: UUID, unit: str = "points") -> list[Trial]:
    """Every account class of a unit with its balance; they sum to zero, because each entry is balanced."""
    rows = await connection.execute(_TRIAL, {"programme": programme_id, "unit": unit})
    return [Trial(account=row.account, balance=row.balance) for row in rows]


async def liabilities(connection: AsyncConnection, *, programme_id: UUID) -> list[Liability]:
    """What is owed to members, by unit."""
    rows = await connection.execute(_LIABILITY, {"programme": programme_id})
    return [
        Liability(
            unit=row.unit,
            members=row.members,
            posted=row.posted,
            pending=row.pending,
            held=row.held,
            debt=row.debt,
        )
        for row in rows
    ]


async def monthly_flow(
    connection: AsyncConnection, *, programme_id: UUID, unit: str = "points", time_zone: str, months: int = 12
) -> list[MonthlyFlow]:
    """Points in and out by local month, for the last `months` months, oldest first; months without any are absent."""
    rows = await connection.execute(
        _FLOW, {"programme": programme_id, "unit": unit, "time_zone": time_zone, "months": months}
    )
    return [
        MonthlyFlow(
            month=row.month,
            earned=row.earned,
            redeemed=row.redeemed,
            expired=row.expired,
            taken_back=row.taken_back,
            adjusted=row.adjusted,
        )
        for row in rows
    ]
