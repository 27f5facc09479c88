"""Reconciliation: what the entries add up to, against everything that claims to say the same.

Balances of accounts, what is left in lots, what is on hold, how far accounts are closed, and the roll-up that reports
read: each is compared with sums over the entries, by account, and each difference is named. It adds up and does not
replay, which is quicker than `ledger verify`; that the entries themselves are right is what verify shows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.books import liabilities

BATCH_ACCOUNTS: Final = 20_000

CLASSES: Final = ("spendable", "pending", "held", "debt")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One unit's points of a class by each way of adding them up; they are all the same, or a difference says why not.

    `lots` is what is left in lots, for points on hold what is left of the holds; no lot is about debt. `books` is the
    roll-up with what is not closed yet.
    """

    programme_id: UUID
    unit: str
    what: str
    entries: int
    accounts: int
    lots: int | None
    books: int

    @property
    def agrees(self) -> bool:
        """Whether all are the same."""
        return len({self.entries, self.accounts, self.books, self.entries if self.lots is None else self.lots}) == 1


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not what the entries add up to; `member_id` is None for the roll-up, which is of no account."""

    programme_id: UUID
    unit: str
    member_id: UUID | None
    problem: str


class Reconciliation(msgspec.Struct, kw_only=True):
    """What was added up, and every difference that was found."""

    accounts: int = 0
    entries: int = 0
    lines: list[Line] = []
    differences: list[Difference] = []

    @property
    def agrees(self) -> bool:
        """Whether everything agrees."""
        return not self.differences and all(line.agrees for line in self.lines)


_RANGES: Final = text("""
    SELECT member_id FROM ledger.account WHERE member_id > :after ORDER BY member_id OFFSET :size LIMIT 1
""")

_ACCOUNTS: Final = """
    WITH e AS (
        SELECT member_id, unit, min(programme_id::text)::uuid AS programme_id, count(*) AS entries, max(seq) AS seq,
            sum(amount * ((credit = 'member')::integer - (debit = 'member')::integer))::bigint AS spendable,
            sum(amount * ((credit = 'pending')::integer - (debit = 'pending')::integer))::bigint AS pending,
            sum(amount * ((credit = 'held')::integer - (debit = 'held')::integer))::bigint AS held,
            sum(amount * ((debit = 'debt')::integer - (credit = 'debt')::integer))::bigint AS debt,
            max(recorded_at) AS recorded_at
        FROM ledger.entry WHERE member_id > :first AND member_id <= :last GROUP BY member_id, unit
    ), l AS (
        SELECT member_id, unit, sum(remaining) FILTER (WHERE NOT pending)::bigint AS spendable,
            sum(remaining) FILTER (WHERE pending)::bigint AS pending
        FROM ledger.open_lot WHERE member_id > :first AND member_id <= :last GROUP BY member_id, unit
    ), h AS (
        SELECT member_id, unit, sum(amount - captured - released)::bigint AS held
        FROM ledger.hold WHERE state = 'open' AND member_id > :first AND member_id <= :last GROUP BY member_id, unit
    ), c AS (
        SELECT member_id, unit, max(h.seq) AS seq, count(*) - count(DISTINCT h.seq) AS repeated,
            count(*) FILTER (WHERE x.hash IS DISTINCT FROM h.head) AS wrong
        FROM ledger.closed_head AS h LEFT JOIN ledger.entry AS x USING (member_id, unit, seq)
        WHERE member_id > :first AND member_id <= :last GROUP BY member_id, unit
    ), whole AS MATERIALIZED (
        SELECT member_id, unit, coalesce(e.programme_id, a.programme_id) AS programme_id, e.recorded_at,
            a.member_id IS NOT NULL AS account_is_there,
            coalesce(e.entries, 0) AS entries, coalesce(e.seq, 0) AS entry_seq, coalesce(a.seq, 0) AS account_seq,
            coalesce(c.seq, 0) AS closed_seq, coalesce(c.repeated, 0) AS repeated, coalesce(c.wrong, 0) AS wrong,
            coalesce(e.spendable, 0) AS entries_spendable, coalesce(a.posted, 0) AS accounts_spendable,
            coalesce(l.spendable, 0) AS lots_spendable,
            coalesce(e.pending, 0) AS entries_pending, coalesce(a.pending, 0) AS accounts_pending,
            coalesce(l.pending, 0) AS lots_pending,
            coalesce(e.held, 0) AS entries_held, coalesce(a.held, 0) AS accounts_held, coalesce(h.held, 0) AS lots_held,
            coalesce(e.debt, 0) AS entries_debt, coalesce(a.debt, 0) AS accounts_debt
        FROM e
        FULL JOIN (SELECT * FROM ledger.account WHERE member_id > :first AND member_id <= :last) AS a
            USING (member_id, unit)
        FULL JOIN l USING (member_id, unit)
        FULL JOIN h USING (member_id, unit)
        FULL JOIN c USING (member_id, unit)
    )
    SELECT NULL AS member_id, unit, programme_id, NULL AS recorded_at, true AS account_is_there,
        sum(entries)::bigint AS entries, count(account_seq) AS entry_seq, 0 AS account_seq, 0 AS closed_seq,
        0 AS repeated, 0 AS wrong, {sums}
    FROM whole GROUP BY unit, programme_id
    UNION ALL
    SELECT member_id, unit, programme_id, recorded_at, account_is_there, entries, entry_seq, account_seq, closed_seq,
        repeated, wrong, {columns}
    FROM whole
    WHERE NOT account_is_there OR entries <> entry_seq OR entry_seq <> account_seq OR closed_seq > entry_seq
        OR repeated > 0 OR wrong > 0 OR (closed_seq < entry_seq AND recorded_at < :complete_until)
        OR NOT (entries_spendable = accounts_spendable AND entries_spendable = lots_spendable)
        OR NOT (entries_pending = accounts_pending AND entries_pending = lots_pending)
        OR NOT (entries_held = accounts_held AND entries_held = lots_held) OR entries_debt <> accounts_debt
    ORDER BY member_id NULLS FIRST, unit
"""

_COLUMNS: Final = [
    f"{source}_{what}"
    for what in CLASSES
    for source in ("entries", "accounts", "lots")
    if (source, what) != ("lots", "debt")
]
_SUMS: Final = [f"sum({name})::bigint AS {name}" for name in _COLUMNS]

_ROLL_UP: Final = text("""
    SELECT p.programme_id, p.unit, p.recorded_day::text, p.effective_day::text, p.cohort_month::text,
        p.expiry_month::text, p.kind, p.debit, p.credit, sum(p.amount)::bigint AS amount,
        sum(p.entries)::bigint AS entries, sum(p.opened)::bigint AS opened
    FROM (
        SELECT member_id, unit, max(seq) AS seq FROM ledger.closed_head
        WHERE member_id > :first AND member_id <= :last GROUP BY member_id, unit
    ) AS closed
    JOIN ledger.part AS p ON p.member_id = closed.member_id AND p.unit = closed.unit AND p.seq <= closed.seq
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
""")

_FLOW: Final = text("""
    SELECT programme_id, unit, recorded_day::text, effective_day::text, cohort_month::text, expiry_month::text, kind,
        debit, credit, amount, entries, opened
    FROM ledger.flow
""")
_COMPLETE: Final = text("SELECT complete_until FROM ledger.closing ORDER BY number DESC LIMIT 1")

_FIRST: Final = UUID(int=0)
_LAST: Final = UUID(int=2**128 - 1)

_Key = tuple[Any, ...]
"""Programme, unit, both days, both months, kind, debit and credit, as the two queries answer them."""
_Sums = tuple[int, int, int]


async def reconcile(
    connection: AsyncConnection, *, progress: Callable[[Reconciliation], None] | None = None
) -> Reconciliation:
    """Add everything up and compare. Call it in a REPEATABLE READ transaction: it reads in several statements."""
    result = Reconciliation()
    complete_until = await connection.scalar(_COMPLETE)
    sums: dict[tuple[UUID, str], dict[str, int]] = {}
    roll_up: dict[_Key, _Sums] = {}
    async for first, last in _ranges(connection):
        span = {"first": first, "last": last}
        accounts = _ACCOUNTS.format(columns=", ".join(_COLUMNS), sums=", ".join(_SUMS))
        for row in await connection.execute(text(accounts), {**span, "complete_until": complete_until}):
            if row.member_id is None:
                result.accounts += row.entry_seq
                result.entries += row.entries
                unit = sums.setdefault((row.programme_id, row.unit), dict.fromkeys(_COLUMNS, 0))
                for name in _COLUMNS:
                    unit[name] += getattr(row, name)
            else:
                result.differences += _differences(row, complete_until)
        for row in await connection.execute(_ROLL_UP, span):
            key, add = _flow(row)
            before = roll_up.get(key, (0, 0, 0))
            roll_up[key] = (before[0] + add[0], before[1] + add[1], before[2] + add[2])
        if progress is not None:
            progress(result)
    kept = dict(_flow(row) for row in await connection.execute(_FLOW))
    result.differences += _flow_differences(expected=roll_up, kept=kept)
    result.lines += await _lines(connection, sums)
    return result


async def _ranges(connection: AsyncConnection) -> AsyncIterator[tuple[UUID, UUID]]:
    """Every member, in ranges (above the first, up to the last): accounts that lost their row are in one of them."""
    after = _FIRST
    while True:
        last = await connection.scalar(_RANGES, {"after": after, "size": BATCH_ACCOUNTS})
        yield after, last or _LAST
        if last is None:
            return
        after = last


def _differences(row: Row[Any], complete_until: datetime | None) -> list[Difference]:
    problems = [*_entry_problems(row), *_sum_problems(row), *_closing_problems(row, complete_until)]
    return [
        Difference(programme_id=row.programme_id, unit=row.unit, member_id=row.member_id, problem=problem)
        for problem in problems
    ]


def _entry_problems(row: Row[Any]) -> Iterator[str]:
    if not row.account_is_there:
        yield "there are entries and no account"
    elif row.account_seq != row.entry_seq:
        yield f"the account's last entry is {row.account_seq}, and that of the entries is {row.entry_seq}"
    if row.entries != row.entry_seq:
        yield f"the last entry has the number {row.entry_seq}, and there are {row.entries}"


def _sum_problems(row: Row[Any]) -> Iterator[str]:
    for what in CLASSES:
        expected = getattr(row, f"entries_{what}")
        if row.account_is_there and getattr(row, f"accounts_{what}") != expected:
            yield f"{what}: the account says {getattr(row, f'accounts_{what}')}, its entries {expected}"
        if what != "debt" and getattr(row, f"lots_{what}") != expected:
            source = "holds" if what == "held" else "lots"
            yield f"{what}: its {source} say {getattr(row, f'lots_{what}')}, its entries {expected}"


def _closing_problems(row: Row[Any], complete_until: datetime | None) -> Iterator[str]:
    if row.closed_seq > row.entry_seq:
        yield f"it was closed at entry {row.closed_seq}, and its last entry is {row.entry_seq}"
    if row.repeated:
        yield "it was closed more than once at one entry"
    if row.wrong:
        yield "a closed head is not the hash of its entry"
    if row.closed_seq < row.entry_seq and complete_until is not None and row.recorded_at < complete_until:
        yield f"entries after {row.closed_seq} were missed by the closings; a thorough one takes them"


def _flow(row: Row[Any]) -> tuple[_Key, _Sums]:
    values: tuple[Any, ...] = tuple(row)
    return values[:-3], (values[-3], values[-2], values[-1])


def _flow_differences(*, expected: Mapping[_Key, _Sums], kept: Mapping[_Key, _Sums]) -> list[Difference]:
    found = []
    for key in sorted(expected.keys() | kept.keys(), key=str):
        right, told = expected.get(key, (0, 0, 0)), kept.get(key, (0, 0, 0))
        if right != told:
            programme_id, unit, recorded, effective, cohort, expiry, kind, debit, credit = key
            problem = (
                f"the roll-up of {recorded} (in effect {effective}, points of {cohort}, expiring {expiry}), {kind} "
                f"from {debit} to {credit}, has {told[0]} points in {told[1]} entries of {told[2]} new accounts; "
                f"closed entries add up to {right[0]} in {right[1]} of {right[2]}"
            )
            found.append(Difference(programme_id=programme_id, unit=unit, member_id=None, problem=problem))
    return found


async def _lines(connection: AsyncConnection, sums: Mapping[tuple[UUID, str], Mapping[str, int]]) -> list[Line]:
    lines = []
    for programme_id in sorted({programme for programme, _ in sums}):
        books = {each.unit: each for each in await liabilities(connection, programme_id=programme_id)}
        for (programme, unit), found in sorted(sums.items()):
            if programme != programme_id:
                continue
            for what in CLASSES:
                name = "posted" if what == "spendable" else what
                lines.append(
                    Line(
                        programme_id=programme_id,
                        unit=unit,
                        what=what,
                        entries=found[f"entries_{what}"],
                        accounts=found[f"accounts_{what}"],
                        lots=None if what == "debt" else found[f"lots_{what}"],
                        books=getattr(books[unit], name) if unit in books else 0,
                    )
                )
    return lines
