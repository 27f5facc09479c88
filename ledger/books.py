"""A programme's books: the trial balance, what is owed to members, and what came in and went out.

Every report is a sum over the roll-up that closings make, and over the entries that no closing has taken yet; it is
therefore exact at any moment, and reads no more than what happened since. Each can be asked for a past `moment`, as it
was `known` `then` (what had been recorded by it) or `now` (what took effect by it); None is the present, with
everything that is recorded. Amounts are points; days and months are those of the unit's time zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

Known = Literal["then", "now"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One account class and its balance, credits less debits. Over all classes the balances sum to zero."""

    account: str
    balance: int


class Liability(msgspec.Struct, frozen=True, kw_only=True):
    """What members hold, in points: spendable, pending and on hold; and what they owe. `members` counts accounts."""

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


class Expiring(msgspec.Struct, frozen=True, kw_only=True):
    """What members hold that can be spent until the end of a month, its first day; None: points that never expire."""

    month: date | None
    amount: int


class CohortFlow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the points earned in month `cohort`, in the month `month`; both are first days.

    `granted` is less what was taken back. `used` is what was redeemed, less what was given back, with the debt that
    points repaid and without the debt that was made: points that were spent and had to be paid for later count with
    the points that paid. `moved` came from other cohorts by mergers of members with debts.
    """

    cohort: date
    month: date
    granted: int
    used: int
    expired: int
    moved: int

    @property
    def left(self) -> int:
        """What the month added to the points that are still open: spendable, pending or on hold."""
        return self.granted - self.used - self.expired + self.moved


class DailyMove(msgspec.Struct, frozen=True, kw_only=True):
    """What the entries that were recorded on one local day and are alike moved together."""

    day: date
    kind: str
    debit: str
    credit: str
    amount: int
    entries: int


_SINCE: Final = text("SELECT complete_until FROM ledger.closing ORDER BY number DESC LIMIT 1")
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

_CLOSED: Final = """
    LEFT JOIN LATERAL (
        SELECT h.seq FROM ledger.closed_head AS h WHERE h.member_id = p.member_id AND h.unit = p.unit
        ORDER BY h.closing DESC LIMIT 1
    ) AS closed ON true
"""
"""How far an entry's account is closed. Looked up for each entry: a join of accounts that moved with their entries is
planned for one row, which is what the planner expects of the last moments, and is quadratic in those there are."""

_UNCLOSED: Final = """
    unclosed AS MATERIALIZED (
        SELECT p.member_id, p.seq, p.recorded_at, p.effective_at, {columns} FROM ledger.{rows} AS p {closed}
        WHERE p.recorded_at >= :since AND p.seq > coalesce(closed.seq, 0)
            AND p.programme_id = :programme AND (CAST(:unit AS text) IS NULL OR p.unit = :unit)
    )
"""
"""What was recorded since the books were complete, and is not closed."""

_PRESENT: Final = """
    SELECT {columns} FROM ledger.flow AS p
    WHERE p.programme_id = :programme AND (CAST(:unit AS text) IS NULL OR p.unit = :unit)
    UNION ALL
    SELECT {columns} FROM unclosed AS p
"""

_PAST: Final = """
    SELECT {columns} FROM ledger.flow AS p
    JOIN ledger.zone AS z ON z.programme_id = p.programme_id AND z.unit = p.unit
    WHERE p.programme_id = :programme AND (CAST(:unit AS text) IS NULL OR p.unit = :unit)
        AND p.{axis}_day < (:moment AT TIME ZONE z.time_zone)::date
    UNION ALL
    SELECT {columns} FROM unclosed AS p
    WHERE p.{axis}_at <= :moment
    UNION ALL
    SELECT {columns} FROM ledger.{rows} AS p
    JOIN ledger.zone AS z ON z.programme_id = p.programme_id AND z.unit = p.unit
    {closed}
    WHERE p.programme_id = :programme AND (CAST(:unit AS text) IS NULL OR p.unit = :unit)
        AND p.{axis}_at > CAST(:moment AS timestamptz) - interval '2 days' AND p.{axis}_at <= :moment
        AND p.{axis}_day >= (:moment AT TIME ZONE z.time_zone)::date
        AND p.seq <= closed.seq
"""
"""Whole days from the roll-up, what is not closed yet, and of the moment's own day what is closed."""

_BY_ACCOUNT: Final = (
    "dated_entry",
    "p.unit, p.recorded_day, p.effective_day, p.kind, p.debit, p.credit, p.amount, p.entries, p.opened",
)
_BY_LOT: Final = ("part", "p.unit, p.effective_day, p.cohort_month, p.expiry_month, p.debit, p.credit, p.amount")
"""What entries are read through, and what is read of them; looking their lots up is spared where nobody asks."""

_TRIAL: Final = """
    SELECT account, sum(amount)::bigint AS balance
    FROM (
        SELECT debit, credit, sum(amount) AS total FROM flows GROUP BY debit, credit
    ) AS moved
    CROSS JOIN LATERAL (VALUES (credit, total), (debit, -total)) AS sides (account, amount)
    GROUP BY account ORDER BY account
"""

_LIABILITY: Final = """
    SELECT unit, sum(opened)::bigint AS members,
        {member} AS posted, {pending} AS pending, {held} AS held, -({debt}) AS debt
    FROM flows GROUP BY unit ORDER BY unit
"""

_EXPIRY: Final = """
    SELECT nullif(expiry_month, 'infinity') AS month, ({member}) + ({pending}) + ({held}) AS amount
    FROM flows WHERE expiry_month > '-infinity'
    GROUP BY expiry_month HAVING ({member}) + ({pending}) + ({held}) <> 0
    ORDER BY expiry_month
"""

_MONTHLY: Final = """
    SELECT date_trunc('month', effective_day)::date AS month,
        coalesce(sum(amount) FILTER (WHERE debit = 'issued'), 0)::bigint AS earned,
        {redeemed} AS redeemed, {expired} AS expired,
        coalesce(sum(amount) FILTER (WHERE credit = 'issued'), 0)::bigint AS taken_back, -({adjusted}) AS adjusted
    FROM flows
    WHERE effective_day >= (
        SELECT date_trunc('month', coalesce(CAST(:moment AS timestamptz), now()) AT TIME ZONE z.time_zone)
            - make_interval(months => :months - 1)
        FROM ledger.zone AS z WHERE z.programme_id = :programme AND z.unit = :unit)
    GROUP BY month ORDER BY month
"""

_COHORTS: Final = """
    SELECT cohort_month AS cohort, greatest(date_trunc('month', effective_day)::date, cohort_month) AS month,
        -({issued}) - ({adjusted}) AS granted, ({redeemed}) + ({debt}) + ({forgiven}) AS used,
        {expired} AS expired, -({transfer}) AS moved
    FROM flows GROUP BY 1, 2 ORDER BY 1, 2
"""

_DAILY: Final = """
    SELECT recorded_day AS day, kind, debit, credit, sum(amount)::bigint AS amount, sum(entries)::bigint AS entries
    FROM flows WHERE recorded_day BETWEEN :first AND :last
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""

_CLASSES: Final = (
    *("member", "pending", "held", "debt", "redeemed", "expired", "adjusted", "issued", "forgiven", "transfer"),
)
_NET: Final = {
    name: (
        f"(coalesce(sum(amount) FILTER (WHERE credit = '{name}'), 0)"
        f" - coalesce(sum(amount) FILTER (WHERE debit = '{name}'), 0))::bigint"
    )
    for name in _CLASSES
}


async def _sum(
    connection: AsyncConnection,
    query: str,
    *,
    by: tuple[str, str] = _BY_ACCOUNT,
    programme_id: UUID,
    unit: str | None,
    moment: datetime | None,
    known: Known,
    **arguments: Any,
) -> Sequence[Row[Any]]:
    # Read first and given as a value, so that the planner knows how little was recorded since. Where a closing comes
    # between the two statements, the second only looks at more than it has to.
    since = await connection.scalar(_SINCE) or _EVER
    rows, columns = by
    axis = "recorded" if known == "then" else "effective"
    parts = f"WITH {_UNCLOSED}, flows AS ({_PRESENT if moment is None else _PAST})"
    statement = parts.format(rows=rows, columns=columns, axis=axis, closed=_CLOSED) + query.format(**_NET)
    asked = {"programme": programme_id, "unit": unit, "moment": moment, "since": since, **arguments}
    return (await connection.execute(text(statement), asked)).all()


async def trial_balance(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    unit: str = "points",
    moment: datetime | None = None,
    known: Known = "now",
) -> list[Trial]:
    """Every account class of a unit with its balance; they sum to zero, because each entry is balanced."""
    rows = await _sum(connection, _TRIAL, programme_id=programme_id, unit=unit, moment=moment, known=known)
    return [Trial(account=row.account, balance=row.balance) for row in rows]


async def liabilities(
    connection: AsyncConnection, *, programme_id: UUID, moment: datetime | None = None, known: Known = "now"
) -> list[Liability]:
    """What is owed to members, by unit; units in which nothing was posted are left out."""
    rows = await _sum(connection, _LIABILITY, programme_id=programme_id, unit=None, moment=moment, known=known)
    return [Liability(**row._mapping) for row in rows]  # noqa: SLF001  (SQLAlchemy's API)


async def liability_by_expiry(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    unit: str = "points",
    moment: datetime | None = None,
    known: Known = "now",
) -> list[Expiring]:
    """What members hold by the month until whose end it can be spent, the soonest first, what never expires last.

    Points whose expiry moves with the member's activity are among those that never expire.
    """
    rows = await _sum(connection, _EXPIRY, by=_BY_LOT, programme_id=programme_id, unit=unit, moment=moment, known=known)
    return [Expiring(month=row.month, amount=row.amount) for row in rows]


async def monthly_flow(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    unit: str = "points",
    months: int = 12,
    moment: datetime | None = None,
    known: Known = "now",
) -> list[MonthlyFlow]:
    """Points in and out by the month they took effect in, for `months` months up to the moment's, oldest first.

    Months without any are absent.
    """
    rows = await _sum(
        connection, _MONTHLY, programme_id=programme_id, unit=unit, moment=moment, known=known, months=months
    )
    return [MonthlyFlow(**row._mapping) for row in rows]  # noqa: SLF001  (SQLAlchemy's API)


async def cohort_flows(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    unit: str = "points",
    moment: datetime | None = None,
    known: Known = "now",
) -> list[CohortFlow]:
    """What became of the points of each month, month by month; by cohort, then by month.

    What took effect before its cohort's month (a purchase reported late, spent on an earlier day) counts in that month.
    """
    rows = await _sum(
        connection, _COHORTS, by=_BY_LOT, programme_id=programme_id, unit=unit, moment=moment, known=known
    )
    return [CohortFlow(**row._mapping) for row in rows]  # noqa: SLF001  (SQLAlchemy's API)


async def daily_moves(
    connection: AsyncConnection, *, programme_id: UUID, unit: str = "points", first: date, last: date
) -> list[DailyMove]:
    """What was recorded from one local day to another, both included, by day and by what it was."""
    rows = await _sum(
        connection, _DAILY, programme_id=programme_id, unit=unit, moment=None, known="then", first=first, last=last
    )
    return [DailyMove(**row._mapping) for row in rows]  # noqa: SLF001  (SQLAlchemy's API)
