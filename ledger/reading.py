"""Reading one member's account: balances, lots, history. Any past moment is in `past.py`.

What time has brought but no posting has written yet is settled before a balance is read: points past their moment are
never shown as spendable because a sweep is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import EntryNotFoundError, HoldNotFoundError
from ledger.posting import settle
from ledger.tables import entry_table, hold_table, lot_view

MOST_ENTRIES: Final = 200
_MOST_SEQUENCE: Final = 2**63

Place = tuple[datetime, int, UUID]
"""Where an entry stands in a history: when it was recorded, its number, and whose it is."""


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A member's points of one unit, in points.

    `spendable` can be spent now; `pending` waits; `held` is set aside at a till; `debt` is owed and repaid by the next
    points. `sequence` is the account's last entry, 0 where there is none.
    """

    unit: str
    spendable: int = 0
    pending: int = 0
    held: int = 0
    debt: int = 0
    sequence: int = 0


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """Points that arrived together and expire together. `sequence` is the entry that opened it."""

    sequence: int
    granted: int
    remaining: int
    expires_at: datetime | None
    available_at: datetime | None
    pending: bool
    source: str


class Expiring(msgspec.Struct, frozen=True, kw_only=True):
    """How many points expire at one moment; None is never."""

    expires_at: datetime | None
    amount: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One balanced transfer. `change` is what it did to the spendable points, 0 or signed."""

    member_id: UUID
    unit: str
    sequence: int
    posting: int
    kind: str
    amount: int
    debit: str
    credit: str
    posted: int
    pending: int
    held: int
    debt: int
    key: str | None
    reverses: int | None
    hold_id: UUID | None
    peer_id: UUID | None
    lot_expires_at: datetime | None
    lot_available_at: datetime | None
    source: str
    reason: str | None
    actor: str | None
    approved_by: str | None
    rule_version: str | None
    effective_at: datetime
    recorded_at: datetime
    hash: bytes

    @property
    def place(self) -> Place:
        """Where it stands in a history. Two members' entries can bear one moment and one number: a transfer's do."""
        return self.recorded_at, self.sequence, self.member_id

    @property
    def change(self) -> int:
        """What the entry did to the spendable points."""
        return self.amount * ((self.credit == "member") - (self.debit == "member"))


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Points on hold. `left` is what can still be captured or released; `state` counts time that has passed."""

    hold_id: UUID
    member_id: UUID
    unit: str
    amount: int
    captured: int
    released: int
    expires_at: datetime
    state: str

    @property
    def left(self) -> int:
        """What can still be captured or released."""
        return self.amount - self.captured - self.released if self.state == "open" else 0


_BALANCES: Final = text("""
    SELECT unit, posted, pending, held, debt, seq, coalesce(next_due <= ledger.clock(), false) AS due
    FROM ledger.account
    WHERE member_id = :member AND (CAST(:unit AS text) IS NULL OR unit = :unit)
    ORDER BY unit
""")


async def balances(connection: AsyncConnection, *, member_id: UUID, unit: str | None = None) -> list[Balance]:
    """A member's balances of every unit, or of one; empty where nothing was ever posted.

    What time has brought is written down first, so that reading and posting can never disagree about it.
    """
    asked = {"member": member_id, "unit": unit}
    rows = (await connection.execute(_BALANCES, asked)).all()
    due = [row.unit for row in rows if row.due]
    for name in due:
        await settle(connection, member_id=member_id, unit=name)
    if due:
        rows = (await connection.execute(_BALANCES, asked)).all()
    return [
        Balance(
            unit=row.unit, spendable=row.posted, pending=row.pending, held=row.held, debt=row.debt, sequence=row.seq
        )
        for row in rows
    ]


async def balance(connection: AsyncConnection, *, member_id: UUID, unit: str = "points") -> Balance:
    """A member's balance of one unit; zeros where nothing was ever posted."""
    found = await balances(connection, member_id=member_id, unit=unit)
    return found[0] if found else Balance(unit=unit)


_OPEN_LOTS: Final = text("""
    SELECT lot.*, e.amount AS granted, e.lot_available_at AS available_at, e.source
    FROM (
        (SELECT seq, remaining, expires_at, pending, priority FROM ledger.filed_lot
         WHERE member_id = :member AND unit = :unit AND open ORDER BY priority, expires_at, seq LIMIT :limit)
        UNION ALL
        SELECT inline.seq, inline.remaining, inline.expires_at, false, 0
        FROM ledger.account AS a
        CROSS JOIN LATERAL unnest(a.inline_lots, a.inline_left, a.inline_expires) AS inline (seq, remaining, expires_at)
        WHERE a.member_id = :member AND a.unit = :unit
    ) AS lot
    JOIN ledger.entry AS e ON e.member_id = :member AND e.unit = :unit AND e.seq = lot.seq
    ORDER BY lot.priority, lot.expires_at, lot.seq LIMIT :limit
""")
"""Those first that are spent first, by the index that spending takes: it costs what it shows."""

_LOTS: Final = text("""
    SELECT lot.*, e.source
    FROM ledger.lot AS lot
    JOIN ledger.entry AS e ON e.member_id = lot.member_id AND e.unit = lot.unit AND e.seq = lot.seq
    WHERE lot.member_id = :member AND lot.unit = :unit
    ORDER BY lot.priority, lot.expires_at, lot.seq LIMIT :limit
""")


async def lots(
    connection: AsyncConnection, *, member_id: UUID, unit: str = "points", only_open: bool = True, limit: int = 1000
) -> list[Lot]:
    """A member's lots in the order in which they will be spent."""
    query = _OPEN_LOTS if only_open else _LOTS
    rows = await connection.execute(query, {"member": member_id, "unit": unit, "limit": limit})
    return [
        Lot(
            sequence=row.seq,
            granted=row.granted,
            remaining=row.remaining,
            expires_at=row.expires_at,
            available_at=row.available_at,
            pending=row.pending,
            source=row.source,
        )
        for row in rows
    ]


async def expiring(
    connection: AsyncConnection, *, member_id: UUID, unit: str = "points", limit: int = 24
) -> list[Expiring]:
    """What of the spendable points expires when, soonest first; points that never expire come last."""
    query = (
        select(lot_view.c.expires_at, func.sum(lot_view.c.remaining).label("amount"))
        .where(
            lot_view.c.member_id == member_id,
            lot_view.c.unit == unit,
            lot_view.c.open,
            ~lot_view.c.pending,
            or_(lot_view.c.expires_at.is_(None), lot_view.c.expires_at > func.clock_timestamp()),
        )
        .group_by(lot_view.c.expires_at)
        .order_by(lot_view.c.expires_at)
        .limit(limit)
    )
    rows = await connection.execute(query)
    return [Expiring(expires_at=row.expires_at, amount=int(row.amount)) for row in rows]


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        member_id=row.member_id,
        unit=row.unit,
        sequence=row.seq,
        posting=row.posting,
        kind=row.kind,
        amount=row.amount,
        debit=row.debit,
        credit=row.credit,
        posted=row.posted,
        pending=row.pending,
        held=row.held,
        debt=row.debt,
        key=row.idem_key,
        reverses=row.reverses,
        hold_id=row.hold_id,
        peer_id=row.peer_id,
        lot_expires_at=row.lot_expires_at,
        lot_available_at=row.lot_available_at,
        source=row.source,
        reason=row.reason,
        actor=row.actor,
        approved_by=row.approved_by,
        rule_version=row.rule_version,
        effective_at=row.effective_at,
        recorded_at=row.recorded_at,
        hash=row.hash,
    )


_HISTORY: Final = """
    SELECT e.*
    FROM (SELECT DISTINCT unnest(CAST(:members AS uuid[]))) AS m (id)
    CROSS JOIN LATERAL (
        SELECT * FROM ledger.entry
        WHERE member_id = m.id AND unit = :unit {older}
        ORDER BY seq DESC LIMIT :limit
    ) AS e
    ORDER BY e.recorded_at DESC, e.seq DESC, e.member_id DESC LIMIT :limit
"""
_OLDER: Final = """
    AND seq <= ledger.seq_at(m.id, :unit, :moment)
    AND (recorded_at, seq, member_id) < (CAST(:moment AS timestamptz), CAST(:seq AS bigint), CAST(:member AS uuid))
"""
_NEWEST_PAGE: Final = text(_HISTORY.format(older=""))
_OLDER_PAGE: Final = text(_HISTORY.format(older=_OLDER))


async def history(
    connection: AsyncConnection,
    *,
    member_ids: Sequence[UUID],
    unit: str = "points",
    before: Place | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Entries, newest first: of one member, or of all who were merged into one.

    `before` is the place of the last entry of the page before. At most MOST_ENTRIES a page. An account's entries are
    recorded in the order of their numbers, so each page is read from the primary key, however long the history is.
    """
    asked: dict[str, Any] = {"members": list(member_ids), "unit": unit, "limit": min(limit, MOST_ENTRIES)}
    if before is None:
        return [_entry(row) for row in await connection.execute(_NEWEST_PAGE, asked)]
    asked |= dict(zip(("moment", "seq", "member"), before, strict=True))
    return [_entry(row) for row in await connection.execute(_OLDER_PAGE, asked)]


def write_place(place: Place) -> str:
    """A place as a word that stands in an address."""
    moment, sequence, member_id = place
    return f"{moment.isoformat()}~{sequence}~{member_id.hex}"


def read_place(word: str | None) -> Place | None:
    """The place that `write_place` wrote; None for anything else, which is where the newest page begins."""
    moment, _, rest = (word or "").partition("~")
    sequence, _, member_id = rest.partition("~")
    try:
        place = datetime.fromisoformat(moment), int(sequence), UUID(hex=member_id)
    except ValueError:
        return None
    return place if place[0].tzinfo and 0 < place[1] < _MOST_SEQUENCE else None


async def recent(connection: AsyncConnection, *, programme_id: UUID, limit: int = 20) -> list[Entry]:
    """A programme's newest entries, for a look at what is going on."""
    query = (
        select(entry_table)
        .where(entry_table.c.programme_id == programme_id)
        .order_by(entry_table.c.recorded_at.desc())
        .limit(min(limit, MOST_ENTRIES))
    )
    return [_entry(row) for row in await connection.execute(query)]


_POSTING: Final = text("""
    SELECT * FROM ledger.entry
    WHERE member_id = :member AND unit = :unit AND posting = :seq AND seq >= :seq AND seq < coalesce((
        SELECT seq FROM ledger.entry
        WHERE member_id = :member AND unit = :unit AND seq > :seq AND posting <> :seq ORDER BY seq LIMIT 1
    ), 9223372036854775807)
    ORDER BY seq
""")
"""A posting's entries follow each other: what comes after the next posting's first entry is not looked at."""


async def posting_entries(
    connection: AsyncConnection, *, member_id: UUID, unit: str = "points", sequence: int
) -> list[Entry]:
    """The entries of one posting. Raises EntryNotFoundError."""
    rows = await connection.execute(_POSTING, {"member": member_id, "unit": unit, "seq": sequence})
    found = [_entry(row) for row in rows]
    if not found:
        message = f"there is no posting {sequence}"
        raise EntryNotFoundError(message, field="sequence")
    return found


async def find_posting(connection: AsyncConnection, *, member_id: UUID, key: str) -> list[Entry]:
    """The entries of the posting that was made with a key; empty where there is none."""
    query = select(entry_table.c.unit, entry_table.c.seq).where(
        entry_table.c.member_id == member_id, entry_table.c.idem_key == key
    )
    row = (await connection.execute(query)).first()
    if row is None:
        return []
    return await posting_entries(connection, member_id=member_id, unit=row.unit, sequence=row.seq)


async def get_hold(connection: AsyncConnection, *, member_id: UUID, hold_id: UUID) -> Hold:
    """One hold. Raises HoldNotFoundError."""
    past = (hold_table.c.expires_at <= func.clock_timestamp()).label("past")
    query = select(hold_table, past).where(hold_table.c.member_id == member_id, hold_table.c.hold_id == hold_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise HoldNotFoundError("the member has no such hold", field="hold")
    return Hold(
        hold_id=row.hold_id,
        member_id=row.member_id,
        unit=row.unit,
        amount=row.amount,
        captured=row.captured,
        released=row.released,
        expires_at=row.expires_at,
        state="expired" if row.state == "open" and row.past else row.state,
    )
