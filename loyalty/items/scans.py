"""Scanning an item: proved, judged and written down in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, bindparam, case, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from loyalty.items import throttle
from loyalty.items.codes import ItemCode
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import canonical_serial, find_item, settle_claimant
from loyalty.items.ranges import LIVE_STATES
from loyalty.items.tables import item_scan_table, item_table
from loyalty.items.verdicts import (
    DEFAULT_SETTINGS,
    Item,
    ItemRecord,
    ItemSettings,
    Place,
    Sighting,
    UnknownReason,
    Verdict,
    judge,
)
from loyalty.kit.clock import utc_now
from loyalty.kit.ids import new_id

_HISTORY_LIMIT: Final = 200
"""Earlier scans that are looked at. A code that is all over the internet must not make its own scans slow."""
_COORDINATE_DIGITS: Final = 2
"""About a kilometre: enough to tell cities apart, too little to find a home."""

_scan: Final = item_scan_table.c


def _counting() -> ReturningInsert[Any]:
    """Make or count up an item's row, and answer it."""
    item, fresh = item_table.c, upsert(item_table)
    # A row may be there without a scan: an exception, or a wrong PIN.
    unseen = item.scan_count == 0
    counted = fresh.on_conflict_do_update(
        index_elements=["gtin", "kid", "index"],
        set_={
            "scan_count": item.scan_count + 1,
            "last_scanned_at": func.greatest(item.last_scanned_at, fresh.excluded.last_scanned_at),
        }
        | {
            name: case((unseen, fresh.excluded[name]), else_=item[name])
            for name in ("first_scanned_at", "first_device", "first_member_id", "first_city")
        },
    )
    return counted.returning(*(item[name] for name in ItemRecord.__struct_fields__))


# Statements are built once: building one costs several times what PostgreSQL takes to run it.
_COUNT: Final = _counting()
_LOG: Final = insert(item_scan_table)
_HISTORY: Final = (
    select(
        _scan.device,
        _scan.member_id,
        _scan.at,
        _scan.city,
        _scan.region,
        _scan.latitude,
        _scan.longitude,
        _scan.place_source,
    )
    .where(
        _scan.gtin == bindparam("gtin"),
        _scan.kid == bindparam("kid"),
        _scan.index == bindparam("position"),
        _scan.at <= bindparam("moment"),
        # Scans before the item was on its way are nobody's business.
        _scan.verdict != "not_activated",
    )
    .order_by(_scan.at.desc())
    .limit(_HISTORY_LIMIT)
)
"""The item's scans up to a moment, newest first."""


async def scan(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    gtin: str,
    serial: str,
    device: str,
    member_id: UUID | None = None,
    address: str | None = None,
    place: Place | None = None,
    at: datetime | None = None,
    settings: ItemSettings = DEFAULT_SETTINGS,
) -> Verdict:
    """Say what a code is to whoever scans it, and log that.

    `device` is any lasting id of the scanner's browser or app, `address` its IP address; neither is stored as it is.
    A code that is not ours is a verdict (`unknown`), not an error, so that the try is committed and counted.
    Raises TooManyAttemptsError once a device, or for wrong codes a network, has tried too many of those.
    """
    sighting = Sighting(
        device=throttle.device_hash(device), member_id=member_id, at=at or utc_now(), place=_coarse(place)
    )
    prefix = throttle.address_prefix(address)
    await throttle.check_device(connection, device=sighting.device, at=sighting.at, settings=settings)
    item = await find_item(connection, keys, programme_id=programme_id, gtin=gtin, serial=serial)
    text = canonical_serial(serial)
    if not isinstance(item, Item):
        await throttle.check_address(connection, prefix=prefix, at=sighting.at, settings=settings)
        await throttle.record_refusal(
            connection,
            programme_id=programme_id,
            device=sighting.device,
            prefix=prefix,
            gtin=gtin,
            serial=text,
            reason=item,
            at=sighting.at,
        )
        return _unknown(gtin, text, sighting.at, item)
    item = await settle_claimant(connection, item, member_id)
    history: list[Sighting] = []
    # A scan in a warehouse, before the item is on its way, is logged but is nobody's first scan.
    if item.state in LIVE_STATES or item.state == "recalled":
        record = await _count(connection, item, sighting)
        item = msgspec.structs.replace(item, record=record)
        if record.scan_count > 1:
            history = await _history(connection, item.code, sighting.at)
    verdict = judge(item, sighting, history, serial=text, settings=settings)
    await _log(connection, verdict, item, sighting, prefix)
    if verdict.suspected and item.record.suspected_at is None:
        await _freeze(connection, item.code, sighting.at)
    return verdict


async def _count(connection: AsyncConnection, item: Item, sighting: Sighting) -> ItemRecord:
    """Count a scan. The row's lock orders scans of one item, so that exactly one of them is the first."""
    row = {
        "gtin": item.code.gtin,
        "kid": item.code.kid,
        "index": item.code.index,
        "programme_id": item.product.programme_id,
        "scan_count": 1,
        "first_scanned_at": sighting.at,
        "first_device": sighting.device,
        "first_member_id": sighting.member_id,
        "first_city": sighting.place.city if sighting.place else None,
        "last_scanned_at": sighting.at,
    }
    return ItemRecord(**(await connection.execute(_COUNT, row)).mappings().one())


async def _history(connection: AsyncConnection, code: ItemCode, at: datetime) -> list[Sighting]:
    parameters = {"gtin": code.gtin, "kid": code.kid, "position": code.index, "moment": at}
    return [_sighting(row) for row in await connection.execute(_HISTORY, parameters)]


def _sighting(row: Row[*tuple[Any, ...]]) -> Sighting:
    place = None
    if row.place_source is not None:
        place = Place(
            city=row.city,
            region=row.region,
            latitude=row.latitude,
            longitude=row.longitude,
            source=row.place_source,
        )
    return Sighting(device=row.device, member_id=row.member_id, at=row.at, place=place)


async def _log(
    connection: AsyncConnection, verdict: Verdict, item: Item, sighting: Sighting, prefix: str | None
) -> None:
    place = sighting.place
    row = {
        "gtin": item.code.gtin,
        "kid": item.code.kid,
        "index": item.code.index,
        "at": sighting.at,
        "id": new_id(),
        "programme_id": item.product.programme_id,
        "device": sighting.device,
        "member_id": sighting.member_id,
        "address_prefix": prefix,
        "city": place and place.city,
        "region": place and place.region,
        "latitude": place and place.latitude,
        "longitude": place and place.longitude,
        "place_source": place and place.source,
        "verdict": verdict.kind,
        "diverted": verdict.diverted,
    }
    await connection.execute(_LOG, row)


async def _freeze(connection: AsyncConnection, code: ItemCode, at: datetime) -> None:
    item = item_table.c
    frozen = update(item_table).where(item.gtin == code.gtin, item.kid == code.kid, item.index == code.index)
    await connection.execute(frozen.values(suspected_at=at))


def _coarse(place: Place | None) -> Place | None:
    """A place no finer than we want to know."""
    if place is None or place.latitude is None or place.longitude is None:
        return place
    return msgspec.structs.replace(
        place,
        latitude=round(place.latitude, _COORDINATE_DIGITS),
        longitude=round(place.longitude, _COORDINATE_DIGITS),
    )


def _unknown(gtin: str, serial: str, at: datetime, reason: UnknownReason) -> Verdict:
    return Verdict(kind="unknown", gtin=gtin, serial=serial, at=at, claim_blocker="unknown", reason=reason)
