"""Where is this item, what is in this case, and what was done to it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.packing.intervals import Interval, join
from loyalty.items.packing.sscc import normalise_sscc
from loyalty.items.packing.tables import logistic_unit_table, packed_interval_table, packing_event_table
from loyalty.kit.errors import NotFoundError

PackingKind = Literal["packed", "unpacked"]
DEPTH_LIMIT: Final = 5
"""Items in a case in a carton on a pallet in a container; deeper is a mistake, and might be a circle."""
_UNITS_LIMIT: Final = 10_000

_unit: Final = logistic_unit_table.c
_packed: Final = packed_interval_table.c


class UnitContents(msgspec.Struct, frozen=True, kw_only=True):
    """What lies directly in a unit, and how many items in all, those of the units in it included."""

    sscc: str
    parents: list[str]
    packed_at: datetime
    items: list[Interval]
    units: list[str]
    count: int


class PackingEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was put into a unit or taken out of it."""

    sscc: str
    id: UUID
    kind: PackingKind
    at: datetime
    items: list[Interval]
    units: list[str]
    actor: str | None


async def whereabouts(connection: AsyncConnection, *, programme_id: UUID, code: ItemCode) -> list[str]:
    """The units that an item lies in, the innermost first; empty where it is not packed."""
    query = (
        select(_packed.sscc, _packed.hi)
        .where(_packed.gtin == code.gtin, _packed.kid == code.kid, _packed.lo <= code.index)
        .order_by(_packed.lo.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    if row is None or row.hi < code.index:
        return []
    return [row.sscc, *await _parents(connection, programme_id, row.sscc)]


async def contents(connection: AsyncConnection, *, programme_id: UUID, sscc: str) -> UnitContents:
    """What lies in a unit. Raises NotFoundError, InvalidInputError."""
    digits = normalise_sscc(sscc)
    row = await get_unit_row(connection, programme_id, digits)
    rows = await connection.execute(_COUNT, {"sscc": digits, "depth": DEPTH_LIMIT})
    return UnitContents(
        sscc=digits,
        parents=await _parents(connection, programme_id, digits),
        packed_at=row.packed_at,
        items=await held_in(connection, digits),
        units=await units_in(connection, digits),
        count=rows.scalar_one(),
    )


async def all_items(connection: AsyncConnection, *, programme_id: UUID, sscc: str) -> list[Interval]:
    """Every item in a unit and in the units in it, as intervals. Raises NotFoundError, InvalidInputError."""
    digits = normalise_sscc(sscc)
    await get_unit_row(connection, programme_id, digits)
    rows = await connection.execute(_ALL, {"sscc": digits, "depth": DEPTH_LIMIT})
    return join(Interval(row.gtin, row.kid, row.lo, row.hi) for row in rows)


async def packing_history(connection: AsyncConnection, *, programme_id: UUID, sscc: str) -> list[PackingEvent]:
    """What was put into a unit and taken out of it, in its order. Raises InvalidInputError."""
    event = packing_event_table.c
    query = (
        select(packing_event_table)
        .where(event.sscc == normalise_sscc(sscc), event.programme_id == programme_id)
        .order_by(event.at, event.id)
    )
    return [
        PackingEvent(
            sscc=row.sscc,
            id=row.id,
            kind=row.kind,
            at=row.at,
            items=msgspec.convert(row.intervals, list[Interval]),
            units=row.units,
            actor=row.actor,
        )
        for row in await connection.execute(query)
    ]


async def depth_of(connection: AsyncConnection, *, sscc: str) -> int:
    """How deep units lie in this one: 1 for a unit without any in it, and DEPTH_LIMIT + 1 for a circle."""
    return int((await connection.execute(_DEPTH, {"sscc": sscc, "depth": DEPTH_LIMIT + 1})).scalar_one())


_WITHIN: Final = """
    WITH RECURSIVE inside AS (
        SELECT CAST(:sscc AS text) AS sscc, 1 AS depth
        UNION ALL
        SELECT u.sscc, depth + 1 FROM inside JOIN logistic_unit AS u ON u.parent = inside.sscc WHERE depth < :depth
    )
"""
_DEPTH: Final = text(_WITHIN + "SELECT max(depth) FROM inside")  # noqa: S608  (ours)
_COUNT: Final = text(
    _WITHIN + "SELECT coalesce(sum(hi - lo + 1), 0)::bigint FROM inside JOIN packed_interval USING (sscc)"  # noqa: S608  (ours)
)
_ALL: Final = text(_WITHIN + "SELECT gtin, kid, lo, hi FROM inside JOIN packed_interval USING (sscc)")  # noqa: S608  (ours)
_PARENTS: Final = text("""
    WITH RECURSIVE outside AS (
        SELECT parent, 1 AS depth FROM logistic_unit WHERE sscc = :sscc AND programme_id = :programme
        UNION ALL
        SELECT u.parent, depth + 1 FROM outside JOIN logistic_unit AS u ON u.sscc = outside.parent WHERE depth < :depth
    )
    SELECT parent FROM outside WHERE parent IS NOT NULL ORDER BY depth
""")


async def get_unit_row(connection: AsyncConnection, programme_id: UUID, sscc: str) -> Row[Any]:
    """The row of a unit. Raises NotFoundError where nothing was ever packed into it."""
    query = select(logistic_unit_table).where(_unit.sscc == sscc, _unit.programme_id == programme_id)
    row = (await connection.execute(query)).first()
    if row is None:
        message = f"nothing was ever packed into unit {sscc}"
        raise NotFoundError(message, field="sscc")
    return row


async def held_in(connection: AsyncConnection, sscc: str) -> list[Interval]:
    """The items that lie directly in a unit, in order."""
    rows = await connection.execute(select(packed_interval_table).where(_packed.sscc == sscc))
    return sorted(Interval(row.gtin, row.kid, row.lo, row.hi) for row in rows)


async def units_in(connection: AsyncConnection, sscc: str) -> list[str]:
    """The units that lie directly in a unit, in order."""
    query = select(_unit.sscc).where(_unit.parent == sscc).order_by(_unit.sscc).limit(_UNITS_LIMIT)
    return list((await connection.execute(query)).scalars())


async def _parents(connection: AsyncConnection, programme_id: UUID, sscc: str) -> list[str]:
    rows = await connection.execute(_PARENTS, {"sscc": sscc, "programme": programme_id, "depth": DEPTH_LIMIT})
    return list(rows.scalars())


async def parents_of(connection: AsyncConnection, programme_id: UUID, ssccs: Collection[str]) -> dict[str, str | None]:
    """What each of these units lies in, by their numbers; those that nothing was ever packed into are left out."""
    if not ssccs:
        return {}
    query = select(_unit.sscc, _unit.parent).where(_unit.sscc.in_(ssccs), _unit.programme_id == programme_id)
    return {row.sscc: row.parent for row in await connection.execute(query)}


async def count_units(connection: AsyncConnection, *, programme_id: UUID) -> int:
    """How many cases and pallets a programme has packed."""
    query = select(func.count()).select_from(logistic_unit_table).where(_unit.programme_id == programme_id)
    return (await connection.execute(query)).scalar_one()
