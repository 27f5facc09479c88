"""What scanning writes and reads: the count of an item's scans, their log, and who scanned an item before.

Each statement serves many scans, which go in as one JSON text; see `loyalty.kit.driver`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.verdicts import Item, ItemRecord, Sighting, Verdict
from loyalty.kit.driver import fetch

HISTORY_LIMIT: Final = 200
"""Earlier scans that are looked at. A code that is all over the internet must not make its own scans slow."""


class Counted(NamedTuple):
    """A scan to be counted."""

    code: ItemCode
    programme_id: UUID
    sighting: Sighting


class LogEntry(NamedTuple):
    """A scan to be written down: who, when and where, and what it was told."""

    id: UUID
    code: ItemCode
    programme_id: UUID
    sighting: Sighting
    address_prefix: str | None
    verdict: Verdict


_COUNT: Final = """
    INSERT INTO item AS i (
        gtin, kid, index, programme_id, scan_count, first_scanned_at, first_device, first_member_id, first_city,
        last_scanned_at)
    SELECT a.gtin, a.kid, a.index, a.programme, 1, a.at, decode(a.device, 'hex'), a.member, a.city, a.at
    FROM json_to_recordset(%s::json) AS a (
        gtin text, kid smallint, index bigint, programme uuid, at timestamptz, device text, member uuid, city text)
    ORDER BY a.gtin, a.kid, a.index  -- everybody locks items in this order
    ON CONFLICT (gtin, kid, index) DO UPDATE SET
        scan_count = i.scan_count + 1,
        last_scanned_at = greatest(i.last_scanned_at, excluded.last_scanned_at),
        -- A row may be there without a scan: an exception, or a wrong PIN.
        first_scanned_at = CASE WHEN i.scan_count = 0 THEN excluded.first_scanned_at ELSE i.first_scanned_at END,
        first_device = CASE WHEN i.scan_count = 0 THEN excluded.first_device ELSE i.first_device END,
        first_member_id = CASE WHEN i.scan_count = 0 THEN excluded.first_member_id ELSE i.first_member_id END,
        first_city = CASE WHEN i.scan_count = 0 THEN excluded.first_city ELSE i.first_city END
    RETURNING gtin, kid, index, state, scan_count, first_scanned_at, first_device, first_member_id, first_city,
        suspected_at, cleared_at, pin_failures, exempt_at
"""
_KEY_COLUMNS: Final = 3

_HISTORY: Final = """
    SELECT (
        SELECT json_agg(h) FROM (
            SELECT encode(s.device, 'base64') AS device, s.member_id, s.at,
                CASE WHEN s.place_source IS NOT NULL THEN json_build_object(
                    'city', s.city, 'region', s.region, 'latitude', s.latitude, 'longitude', s.longitude,
                    'source', s.place_source) END AS place
            FROM item_scan AS s
            WHERE s.gtin = a.gtin AND s.kid = a.kid AND s.index = a.index AND s.at >= a.since AND s.at <= a.at
                AND s.at >= %(oldest)s AND s.at <= %(newest)s
                -- Scans before the item was on its way are nobody's business.
                AND s.verdict <> 'not_activated'
            ORDER BY s.at DESC LIMIT %(limit)s) AS h
    )::text
    FROM json_to_recordset(%(asked)s::json) AS a (
        o int, gtin text, kid smallint, index bigint, since timestamptz, at timestamptz)
    ORDER BY a.o
"""
_history_decoder: Final = msgspec.json.Decoder(list[Sighting])

_LOG: Final = """
    INSERT INTO item_scan (
        gtin, kid, index, at, id, programme_id, device, member_id, address_prefix, city, region, latitude, longitude,
        place_source, verdict, diverted)
    SELECT a.gtin, a.kid, a.index, a.at, a.id, a.programme, decode(a.device, 'hex'), a.member, a.prefix, a.city,
        a.region, a.latitude, a.longitude, a.source, a.verdict, a.diverted
    FROM json_to_recordset(%s::json) AS a (
        gtin text, kid smallint, index bigint, at timestamptz, id uuid, programme uuid, device text, member uuid,
        prefix text, city text, region text, latitude double precision, longitude double precision, source text,
        verdict text, diverted boolean)
    RETURNING 1
"""

_FREEZE: Final = """
    UPDATE item SET suspected_at = %s WHERE gtin = %s AND kid = %s AND index = %s RETURNING 1
"""


async def count_scans(connection: AsyncConnection, scans: Sequence[Counted]) -> list[ItemRecord]:
    """Make or count up each item's row, and answer them, in the order of `scans`. No item may be there twice."""
    if not scans:
        return []
    asked = [
        _place_of(code)
        | {
            "programme": programme_id,
            "at": sighting.at,
            "device": sighting.device.hex(),
            "member": sighting.member_id,
            "city": sighting.place.city if sighting.place else None,
        }
        for code, programme_id, sighting in scans
    ]
    rows = await fetch(connection, _COUNT, (_text(asked),))
    records = {
        ItemCode(*row[:_KEY_COLUMNS]): ItemRecord(
            **dict(zip(ItemRecord.__struct_fields__, row[_KEY_COLUMNS:], strict=True))
        )
        for row in rows
    }
    return [records[each.code] for each in scans]


async def read_histories(
    connection: AsyncConnection, asked: Sequence[tuple[Item, datetime, int]]
) -> list[list[Sighting]]:
    """Each item's scans up to a moment, newest first; of an item, the moment, and the hours that verdicts look back."""
    if not asked:
        return []
    since = [_since(*each) for each in asked]
    rows = [
        _place_of(item.code) | {"o": place, "since": since[place], "at": at}
        for place, (item, at, _) in enumerate(asked)
    ]
    values = {
        "asked": _text(rows),
        # Bounds that are known before the statement runs, so that partitions of other months are not even opened.
        "oldest": min(since),
        "newest": max(at for _, at, _ in asked),
        "limit": HISTORY_LIMIT,
    }
    found = await fetch(connection, _HISTORY, values)
    return [_history_decoder.decode(row[0]) if row[0] else [] for row in found]


def _since(item: Item, at: datetime, window_hours: int) -> datetime:
    """No scan of the item is older than this, save late ones; those count in the window alone."""
    window = at - timedelta(hours=window_hours)
    first = item.record.first_scanned_at
    return window if first is None else min(first, window)


async def log_scans(connection: AsyncConnection, entries: Sequence[LogEntry]) -> None:
    """Write scans down."""
    if not entries:
        return
    rows = []
    for entry in entries:
        sighting, place = entry.sighting, entry.sighting.place
        row = _place_of(entry.code) | {
            "at": sighting.at,
            "id": entry.id,
            "programme": entry.programme_id,
            "device": sighting.device.hex(),
            "member": sighting.member_id,
            "prefix": entry.address_prefix,
            "verdict": entry.verdict.kind,
            "diverted": entry.verdict.diverted,
        }
        if place is not None:
            row |= {
                "city": place.city,
                "region": place.region,
                "latitude": place.latitude,
                "longitude": place.longitude,
                "source": place.source,
            }
        rows.append(row)
    await fetch(connection, _LOG, (_text(rows),))


async def freeze_claims(connection: AsyncConnection, code: ItemCode, at: datetime) -> None:
    """Let nobody claim an item until the brand has looked at it."""
    await fetch(connection, _FREEZE, (at, code.gtin, code.kid, code.index))


def _place_of(code: ItemCode) -> dict[str, Any]:
    return {"gtin": code.gtin, "kid": code.kid, "index": code.index}


def _text(rows: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()
