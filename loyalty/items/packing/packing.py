"""Packing, unpacking and repacking.

A unit (a case, a pallet) holds items, as intervals, and other units. Who packs items of a product first locks its
series, as who mints or moves them does, so two lines never put one item into two cases. What lies in a unit is the
present; `packing_event` keeps what was done, and neither ever takes a row for an item.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.packing import intervals
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.reading import DEPTH_LIMIT, PackingKind, depth_of, get_unit_row, held_in, units_in
from loyalty.items.packing.sscc import normalise_sscc
from loyalty.items.packing.tables import (
    PIECE,
    logistic_unit_table,
    packed_interval_table,
    packing_event_piece_table,
    packing_event_table,
)
from loyalty.items.ranges import lock_series
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id

_unit: Final = logistic_unit_table.c
_packed: Final = packed_interval_table.c


class PackedElsewhereError(ConflictError):
    """Items or a unit lie in another unit. Members: `sscc`, and for items `gtin`, `index`."""

    type = "packed-elsewhere"
    title = "This lies in another unit already"


class Packing(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into one unit: items, or units that are packed already, or both."""

    sscc: str
    items: Sequence[Interval] = ()
    units: Sequence[str] = ()


async def pack(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    packings: Sequence[Packing],
    repack: bool = False,
    at: datetime | None = None,
    actor: str | None = None,
) -> int:
    """Put items and units into units, which are made where they are new; answers how many items were packed.

    What lies elsewhere is refused, or with `repack` taken out of there; what lies there already stays and is not
    recorded again. All or nothing. Raises PackedElsewhereError, NotFoundError for items that were never minted or a
    unit that nothing was ever packed into, InvalidInputError for what is no SSCC or interval.
    """
    moment = at or utc_now()
    asked = _merge(packings)
    items = intervals.join(interval for packing in asked.values() for interval in packing.items)
    if sum(each.count for each in items) != sum(each.count for packing in asked.values() for each in packing.items):
        raise InvalidInputError("an item is to go into two units at once", field="items")
    await lock_items(connection, programme_id, items)
    await _check_minted(connection, items)
    await _lock_units(connection, programme_id, asked)
    found = await overlaps(connection, items)
    await _take_out(connection, programme_id, asked, found, repack=repack, at=moment, actor=actor)
    await _put_in(connection, programme_id, asked, found, repack=repack, at=moment, actor=actor)
    return sum(each.count for each in items)


async def unpack(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    sscc: str,
    items: Sequence[Interval] | None = None,
    at: datetime | None = None,
    actor: str | None = None,
) -> int:
    """Take items out of a unit, or all that is in it, units too; answers how many items came out of it directly.

    Raises NotFoundError for a unit that is not there, or items that are not in it.
    """
    digits = normalise_sscc(sscc)
    await get_unit_row(connection, programme_id, digits)
    before = await held_in(connection, digits)
    units = [] if items is not None else await units_in(connection, digits)
    out = intervals.join(before if items is None else items)
    await lock_items(connection, programme_id, out)
    before = await held_in(connection, digits)
    if intervals.subtract(out, before):
        first = intervals.subtract(out, before)[0]
        message = f"item {first.lo} of {first.gtin} is not in this unit"
        raise NotFoundError(message, field="items")
    await _replace(connection, digits, before, intervals.subtract(before, out))
    if units:
        await connection.execute(update(logistic_unit_table).where(_unit.parent == digits).values(parent=None))
    event = _event(programme_id, "unpacked", digits, out, units, at=at or utc_now(), actor=actor)
    if out or units:
        await _record(connection, [event])
    return sum(each.count for each in out)


# Intervals do not overlap, so what overlaps one begins inside it, or is the last that begins before it.
_OVERLAPS: Final = text("""
    SELECT DISTINCT p.gtin, p.kid, p.lo, p.hi, p.sscc
    FROM unnest(CAST(:gtins AS text[]), CAST(:kids AS smallint[]), CAST(:los AS bigint[]), CAST(:his AS bigint[]))
        AS asked (gtin, kid, lo, hi)
    CROSS JOIN LATERAL (
        (SELECT * FROM packed_interval
         WHERE gtin = asked.gtin AND kid = asked.kid AND lo < asked.lo ORDER BY lo DESC LIMIT 1)
        UNION ALL
        SELECT * FROM packed_interval WHERE gtin = asked.gtin AND kid = asked.kid AND lo BETWEEN asked.lo AND asked.hi
    ) AS p
    WHERE p.hi >= asked.lo
""")
_MINTED: Final = text("""
    SELECT asked.gtin, asked.lo
    FROM unnest(CAST(:gtins AS text[]), CAST(:kids AS smallint[]), CAST(:los AS bigint[]), CAST(:his AS bigint[]))
        AS asked (gtin, kid, lo, hi)
    LEFT JOIN code_series AS s ON s.gtin = asked.gtin AND s.kid = asked.kid
    WHERE s.next_index IS NULL OR s.next_index <= asked.hi
    LIMIT 1
""")


def _merge(packings: Sequence[Packing]) -> dict[str, Packing]:
    """One packing for each unit, its SSCCs in one spelling. Raises InvalidInputError naming the place in the list."""
    merged: dict[str, Packing] = {}
    for place, packing in enumerate(packings):
        sscc = normalise_sscc(packing.sscc, field=f"packings[{place}].sscc")
        units = [normalise_sscc(each, field=f"packings[{place}].units") for each in packing.units]
        intervals.check(packing.items)
        if sscc in units:
            raise InvalidInputError("a unit cannot lie in itself", field=f"packings[{place}].units")
        known = merged.get(sscc, Packing(sscc=sscc))
        merged[sscc] = Packing(
            sscc=sscc, items=intervals.join([*known.items, *packing.items]), units=[*known.units, *units]
        )
    return merged


async def lock_items(connection: AsyncConnection, programme_id: UUID, items: Iterable[Interval]) -> None:
    """Hold back whoever else packs or moves items of these products, in one order. Raises NotFoundError."""
    for gtin, kid in sorted({(each.gtin, each.kid) for each in items}):
        await lock_series(connection, programme_id=programme_id, gtin=gtin, kid=kid)


def _arrays(items: Sequence[Interval]) -> dict[str, list[Any]]:
    return {
        "gtins": [each.gtin for each in items],
        "kids": [each.kid for each in items],
        "los": [each.lo for each in items],
        "his": [each.hi for each in items],
    }


async def _check_minted(connection: AsyncConnection, items: Sequence[Interval]) -> None:
    row = (await connection.execute(_MINTED, _arrays(items))).first()
    if row is not None:
        message = f"items of {row.gtin} from index {row.lo} on were never minted"
        raise NotFoundError(message, field="items")


async def _lock_units(connection: AsyncConnection, programme_id: UUID, asked: dict[str, Packing]) -> None:
    """Lock the units in the order of their numbers. Units that go into another one must be there."""
    inner = {unit for packing in asked.values() for unit in packing.units}
    wanted = sorted({*asked, *inner})
    rows = await connection.execute(
        select(_unit.sscc, _unit.programme_id).where(_unit.sscc.in_(wanted)).order_by(_unit.sscc).with_for_update()
    )
    found = {row.sscc: row.programme_id for row in rows}
    for sscc in wanted:
        if found.get(sscc, programme_id) != programme_id or (sscc in inner and sscc not in found and sscc not in asked):
            message = f"nothing was ever packed into unit {sscc}"
            raise NotFoundError(message, field="units")


async def overlaps(connection: AsyncConnection, items: Sequence[Interval]) -> dict[str, list[Interval]]:
    """The packed intervals that have something in common with these items, by the unit that they lie in."""
    found: dict[str, list[Interval]] = {}
    for row in await connection.execute(_OVERLAPS, _arrays(items)):
        found.setdefault(row.sscc, []).append(Interval(row.gtin, row.kid, row.lo, row.hi))
    return found


async def _take_out(
    connection: AsyncConnection,
    programme_id: UUID,
    asked: dict[str, Packing],
    found: dict[str, list[Interval]],
    *,
    repack: bool,
    at: datetime,
    actor: str | None,
) -> None:
    """Take what is to be packed out of the units that it lies in, where that is wanted; refuse where it is not."""
    events = []
    for sscc, held in found.items():
        leaving = [each for other, packing in asked.items() if other != sscc for each in packing.items]
        left = intervals.subtract(held, leaving)
        taken = intervals.subtract(held, left)
        if not taken:
            continue
        if not repack:
            first = taken[0]
            raise PackedElsewhereError(
                f"item {first.lo} of {first.gtin} lies in unit {sscc}",
                field="items",
                sscc=sscc,
                gtin=first.gtin,
                index=first.lo,
            )
        await _replace(connection, sscc, held, left)
        events.append(_event(programme_id, "unpacked", sscc, taken, [], at=at, actor=actor))
    if events:
        await _record(connection, events)


async def _put_in(
    connection: AsyncConnection,
    programme_id: UUID,
    asked: dict[str, Packing],
    found: dict[str, list[Interval]],
    *,
    repack: bool,
    at: datetime,
    actor: str | None,
) -> None:
    """Make the units that are new, write what is new in each, and record it."""
    known = await connection.execute(select(_unit.sscc).where(_unit.sscc.in_(list(asked))))
    fresh = asked.keys() - set(known.scalars())
    if fresh:
        units = [{"sscc": sscc, "programme_id": programme_id, "packed_at": at} for sscc in sorted(fresh)]
        await connection.execute(insert(logistic_unit_table), units)
    rows, events = [], []
    for sscc, packing in asked.items():
        new = intervals.subtract(packing.items, found.get(sscc, []))
        moved = await _move_units(connection, sscc, packing.units, repack=repack)
        rows += [{**msgspec.structs.asdict(each), "sscc": sscc} for each in new]
        if new or moved:
            events.append(_event(programme_id, "packed", sscc, new, moved, at=at, actor=actor))
    if rows:
        await connection.execute(insert(packed_interval_table), rows)
    if events:
        await _record(connection, events)


async def _move_units(connection: AsyncConnection, parent: str, units: Sequence[str], *, repack: bool) -> list[str]:
    """Put units into another one; answers those that were not in it before."""
    if not units:
        return []
    rows = await connection.execute(select(_unit.sscc, _unit.parent).where(_unit.sscc.in_(units)))
    moved = []
    for row in rows:
        if row.parent == parent:
            continue
        if row.parent is not None and not repack:
            message = f"unit {row.sscc} lies in unit {row.parent}"
            raise PackedElsewhereError(message, field="units", sscc=row.parent)
        moved.append(row.sscc)
    if moved:
        await connection.execute(update(logistic_unit_table).where(_unit.sscc.in_(moved)).values(parent=parent))
        await _refuse_circle(connection, parent)
    return sorted(moved)


async def _refuse_circle(connection: AsyncConnection, sscc: str) -> None:
    if await depth_of(connection, sscc=sscc) > DEPTH_LIMIT:
        message = f"units lie in each other more than {DEPTH_LIMIT} deep, or in a circle"
        raise InvalidInputError(message, field="units")


async def _replace(
    connection: AsyncConnection, sscc: str, before: Sequence[Interval], after: Sequence[Interval]
) -> None:
    """Write a unit's intervals anew where they differ."""
    gone = [each for each in before if each not in after]
    for each in gone:
        key = (_packed.gtin == each.gtin, _packed.kid == each.kid, _packed.lo == each.lo)
        await connection.execute(delete(packed_interval_table).where(*key))
    new = [{**msgspec.structs.asdict(each), "sscc": sscc} for each in after if each not in before]
    if new:
        await connection.execute(insert(packed_interval_table), new)


async def _record(connection: AsyncConnection, events: Sequence[dict[str, Any]]) -> None:
    """Write down what was done, and by which items it is found."""
    await connection.execute(insert(packing_event_table), events)
    pieces = [
        {**msgspec.structs.asdict(piece), "event_id": event["id"], "sscc": event["sscc"]}
        for event in events
        for piece in intervals.pieces(event["intervals"], PIECE)
    ]
    if pieces:
        await connection.execute(insert(packing_event_piece_table), pieces)


def _event(
    programme_id: UUID,
    kind: PackingKind,
    sscc: str,
    items: Sequence[Interval],
    units: Sequence[str],
    *,
    at: datetime,
    actor: str | None,
) -> dict[str, Any]:
    return {
        "sscc": sscc,
        "id": new_id(),
        "programme_id": programme_id,
        "kind": kind,
        "at": at,
        "intervals": list(items),
        "units": list(units),
        "actor": actor,
    }
