"""What happened to an interval of items: the story that a shopper's timeline and the trace desk are told from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import INDEX_LIMIT
from loyalty.items.products import LocalText
from loyalty.items.tables import range_event_table
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import new_id

EventKind = Literal[
    "minted",
    "printed",
    "made",
    "packed",
    "activated",
    "shipped",
    "received",
    "sold",
    "recalled",
    "released",
    "retired",
]
"""`released`: a recall was lifted, or found not to hold for these."""

PUBLIC_KINDS: Final[frozenset[EventKind]] = frozenset(
    {"made", "packed", "shipped", "received", "sold", "recalled", "released"}
)
"""What a shopper is shown unless the brand says otherwise; the rest is the brand's own business."""

_EVENTS_OF_AN_ITEM_LIMIT: Final = 500


class RangeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to the items from index `lo` to `hi`, ends included."""

    id: UUID
    programme_id: UUID
    gtin: str
    kid: int
    lo: int
    hi: int
    kind: EventKind
    at: datetime
    places: LocalText | None
    public: bool
    actor: str | None


async def record_event(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    kid: int,
    lo: int,
    hi: int,
    kind: EventKind,
    at: datetime | None = None,
    places: LocalText | None = None,
    public: bool | None = None,
    actor: str | None = None,
) -> RangeEvent:
    """Record that something happened to an interval, without changing its state: made, packed, received, or shipped on.

    Shown to shoppers where `public` says so, by default for the kinds in PUBLIC_KINDS. Raises InvalidInputError on an
    interval that cannot be.
    """
    if not 0 <= lo <= hi < INDEX_LIMIT:
        raise InvalidInputError(f"indexes {lo} to {hi} are not an interval", field="lo")
    event = RangeEvent(
        id=new_id(),
        programme_id=programme_id,
        gtin=gtin,
        kid=kid,
        lo=lo,
        hi=hi,
        kind=kind,
        at=at or utc_now(),
        places=places,
        public=kind in PUBLIC_KINDS if public is None else public,
        actor=actor,
    )
    await connection.execute(insert(range_event_table).values(msgspec.structs.asdict(event)))
    return event


async def events_of(connection: AsyncConnection, *, gtin: str, kid: int, index: int) -> list[RangeEvent]:
    """Everything that happened to the intervals an item lies in, in the order in which it happened."""
    table = range_event_table.c
    query = (
        select(range_event_table)
        .where(table.gtin == gtin, table.kid == kid, table.lo <= index, table.hi >= index)
        .order_by(table.at, table.id)
        .limit(_EVENTS_OF_AN_ITEM_LIMIT)
    )
    return [_event(row) for row in await connection.execute(query)]


def _event(row: Row[Any]) -> RangeEvent:
    return RangeEvent(
        id=row.id,
        programme_id=row.programme_id,
        gtin=row.gtin,
        kid=row.kid,
        lo=row.lo,
        hi=row.hi,
        kind=row.kind,
        at=row.at,
        places=msgspec.convert(row.places, LocalText | None),
        public=row.public,
        actor=row.actor,
    )
