"""The ranges that some items lie in, each with the state that holds for those of its items of which nothing is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.packing.intervals import Interval
from loyalty.items.precedence import ItemState, Word, effective_state

MOST_PARTS: Final = 500


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Items from `lo` to `hi` that share a range. `state` is theirs but for those that have one of their own."""

    gtin: str
    kid: int
    lo: int
    hi: int
    state: ItemState
    range_id: UUID
    print_order: str
    lot: str | None
    dealer: str | None
    region: str | None

    @property
    def count(self) -> int:
        """How many items it has."""
        return self.hi - self.lo + 1


_PARTS: Final = text("""
    SELECT r.gtin, r.kid, greatest(r.lo, a.lo) AS lo, least(r.hi, a.hi) AS hi, r.id, r.print_order, r.lot, r.dealer,
           coalesce(r.region, l.region) AS region, r.state, r.state_at, r.exempt_at,
           l.state AS lot_state, l.state_at AS lot_state_at, k.state AS key_state, k.state_at AS key_state_at
    FROM unnest(CAST(:gtins AS text[]), CAST(:kids AS smallint[]), CAST(:los AS bigint[]), CAST(:his AS bigint[]))
         AS a (gtin, kid, lo, hi)
    CROSS JOIN LATERAL (
        (SELECT * FROM code_range AS c WHERE c.gtin = a.gtin AND c.kid = a.kid AND c.lo < a.lo
         ORDER BY c.lo DESC LIMIT 1)
        UNION ALL
        SELECT * FROM code_range AS c WHERE c.gtin = a.gtin AND c.kid = a.kid AND c.lo BETWEEN a.lo AND a.hi
    ) AS r
    LEFT JOIN lot AS l ON l.gtin = r.gtin AND l.code = r.lot
    LEFT JOIN code_key AS k ON k.programme_id = r.programme_id AND k.kid = r.kid
    WHERE r.hi >= a.lo AND r.programme_id = :programme AND r.honey_export_id IS NULL
    ORDER BY r.gtin, r.kid, r.lo LIMIT :most
""")


async def parts_of(
    connection: AsyncConnection, *, programme_id: UUID, intervals: Sequence[Interval], limit: int = MOST_PARTS
) -> list[Part]:
    """The parts that intervals fall into by the ranges that they lie in, in order."""
    rows = await connection.execute(_PARTS, {"programme": programme_id, "most": limit, **interval_columns(intervals)})
    return [
        Part(
            gtin=row.gtin,
            kid=row.kid,
            lo=row.lo,
            hi=row.hi,
            state=effective_state(
                item=None,
                code_range=Word(row.state, row.state_at),
                lot=None if row.lot_state is None else Word(row.lot_state, row.lot_state_at),
                key=None if row.key_state is None else Word(row.key_state, row.key_state_at),
                range_exempt_at=row.exempt_at,
            ),
            range_id=row.id,
            print_order=row.print_order,
            lot=row.lot,
            dealer=row.dealer,
            region=row.region,
        )
        for row in rows
    ]


def interval_columns(intervals: Sequence[Interval]) -> dict[str, list[Any]]:
    """Intervals as the arrays that `unnest` takes."""
    return {
        "gtins": [each.gtin for each in intervals],
        "kids": [each.kid for each in intervals],
        "los": [each.lo for each in intervals],
        "his": [each.hi for each in intervals],
    }
