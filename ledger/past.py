"""One account at any past moment, as it was known then or as it is known now.

The cost does not grow with the account's history: the last entry recorded by the moment is found by its number, its
lots from the checkpoint before it (`migrations/sql/0011_books_checkpoints.sql`) and the few entries since. What was
recorded later and took effect before is found block by block, where a checkpoint says that a block has such an entry.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.books import Known
from ledger.reading import Expiring


class PastLot(msgspec.Struct, frozen=True, kw_only=True):
    """What a lot held at a moment, in points; `sequence` is the entry that opened it."""

    sequence: int
    spendable: int
    pending: int
    held: int
    expires_at: datetime | None


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """An account at a moment. `sequence` is its last entry that was recorded by then, 0 where there was none."""

    unit: str
    moment: datetime
    sequence: int
    posted: int
    pending: int
    held: int
    debt: int
    lots: list[PastLot]

    @property
    def expiring(self) -> list[Expiring]:
        """What of the spendable and pending points would expire when, soonest first; never comes last."""
        sums: dict[datetime | None, int] = {}
        for lot in self.lots:
            sums[lot.expires_at] = sums.get(lot.expires_at, 0) + lot.spendable + lot.pending
        found = [Expiring(expires_at=moment, amount=amount) for moment, amount in sums.items() if amount > 0]
        return sorted(found, key=lambda each: (each.expires_at is None, each.expires_at or self.moment))


_POSITION: Final = """
    WITH place AS MATERIALIZED (
        SELECT ledger.seq_at(:member, :unit, :moment) AS seq,
            ledger.seq_at(:member, :unit, CAST(:moment AS timestamptz) - interval '10 minutes') AS earlier_seq,
            (SELECT coalesce(max(c.seq), 0) FROM ledger.checkpoint AS c
             WHERE c.member_id = :member AND c.unit = :unit) AS last_checkpoint
    ), base AS MATERIALIZED (
        SELECT c.* FROM ledger.checkpoint AS c
        WHERE c.member_id = :member AND c.unit = :unit AND c.seq <= (SELECT seq FROM place)
        ORDER BY c.seq DESC LIMIT 1
    ), late AS MATERIALIZED ({late}),
    changes AS (
        SELECT held.lot, held.spendable, held.pending, held.held
        FROM base CROSS JOIN LATERAL unnest(base.lots, base.spendable, base.pending, base.held)
            AS held (lot, spendable, pending, held)
        UNION ALL
        SELECT c.lot, c.spendable, c.pending, c.held FROM ledger.lot_change AS c
        WHERE c.member_id = :member AND c.unit = :unit
            AND c.seq > coalesce((SELECT seq FROM base), 0) AND c.seq <= (SELECT seq FROM place)
        UNION ALL
        SELECT c.lot, late.sign * c.spendable, late.sign * c.pending, late.sign * c.held
        FROM late JOIN ledger.lot_change AS c ON c.member_id = :member AND c.unit = :unit AND c.seq = late.seq
    ), moved AS (
        SELECT sides.class, sum(sides.amount)::bigint AS amount
        FROM late JOIN ledger.entry AS e ON e.member_id = :member AND e.unit = :unit AND e.seq = late.seq
        CROSS JOIN LATERAL (VALUES (e.credit, late.sign * e.amount), (e.debit, -late.sign * e.amount))
            AS sides (class, amount)
        GROUP BY sides.class
    )
    SELECT NULL AS lot, place.seq AS seq, NULL AS expires_at,
        coalesce(e.posted, 0) + coalesce((SELECT amount FROM moved WHERE class = 'member'), 0) AS spendable,
        coalesce(e.pending, 0) + coalesce((SELECT amount FROM moved WHERE class = 'pending'), 0) AS pending,
        coalesce(e.held, 0) + coalesce((SELECT amount FROM moved WHERE class = 'held'), 0) AS held,
        coalesce(e.debt, 0) - coalesce((SELECT amount FROM moved WHERE class = 'debt'), 0) AS debt
    FROM place
    LEFT JOIN ledger.entry AS e ON e.member_id = :member AND e.unit = :unit AND e.seq = place.seq
    UNION ALL
    SELECT holding.lot, NULL, opened.lot_expires_at, holding.spendable, holding.pending, holding.held, NULL
    FROM (
        SELECT lot, sum(spendable)::bigint AS spendable, sum(pending)::bigint AS pending, sum(held)::bigint AS held
        FROM changes GROUP BY lot HAVING sum(spendable) <> 0 OR sum(pending) <> 0 OR sum(held) <> 0
    ) AS holding
    JOIN ledger.entry AS opened ON opened.member_id = :member AND opened.unit = :unit AND opened.seq = holding.lot
    ORDER BY lot NULLS FIRST
"""

_NONE_LATE: Final = "SELECT 0::bigint AS seq, 1 AS sign WHERE false"

_LATE: Final = """
        SELECT e.seq, 1 AS sign FROM ledger.entry AS e
        WHERE e.member_id = :member AND e.unit = :unit AND e.effective_at <= :moment
            AND e.seq > (SELECT greatest(seq, last_checkpoint) FROM place)
        UNION ALL
        SELECT e.seq, 1 FROM ledger.checkpoint AS c
        JOIN ledger.entry AS e ON e.member_id = :member AND e.unit = :unit AND e.seq > c.after_seq AND e.seq <= c.seq
        WHERE c.member_id = :member AND c.unit = :unit AND c.seq > (SELECT seq FROM place)
            AND c.least_effective_at <= :moment AND e.seq > (SELECT seq FROM place) AND e.effective_at <= :moment
        UNION ALL
        SELECT e.seq, -1 FROM ledger.entry AS e
        WHERE e.member_id = :member AND e.unit = :unit AND e.effective_at > :moment
            AND e.seq > (SELECT earlier_seq FROM place) AND e.seq <= (SELECT seq FROM place)
"""
"""What was recorded later and was in effect by the moment, and what was recorded by it and took effect after it: a
channel's clock may be ahead of ours by up to five minutes (`ledger.check_effective`)."""


async def as_of(
    connection: AsyncConnection,
    *,
    member_id: UUID,
    unit: str = "points",
    moment: datetime,
    known: Known = "now",
) -> Position:
    """An account at a moment: as it was `known` `then` (what was recorded by it) or `now` (what took effect by it)."""
    statement = text(_POSITION.format(late=_LATE if known == "now" else _NONE_LATE))
    rows = (await connection.execute(statement, {"member": member_id, "unit": unit, "moment": moment})).all()
    account = rows[0]
    return Position(
        unit=unit,
        moment=moment,
        sequence=account.seq,
        posted=account.spendable,
        pending=account.pending,
        held=account.held,
        debt=account.debt,
        lots=[_lot(row) for row in rows[1:]],
    )


def _lot(row: Row[Any]) -> PastLot:
    return PastLot(
        sequence=row.lot, spendable=row.spendable, pending=row.pending, held=row.held, expires_at=row.expires_at
    )
