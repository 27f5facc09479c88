"""Reading the scan log and the refused tries: of an item, of a dealer's goods, of a device. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal

import msgspec
from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.tables import item_scan_table, refused_scan_table
from loyalty.items.trace.alerts import Alert
from loyalty.items.verdicts import VerdictKind, distance_km

MOST_SCANS: Final = 50_000
"""The most scans that one piece of evidence holds: the newest."""

_scan: Final = item_scan_table.c
_refused: Final = refused_scan_table.c


class LoggedScan(msgspec.Struct, frozen=True, kw_only=True):
    """A scan as the log has it, without who it was. `device` is the hash that stands for a phone, in hexadecimal."""

    gtin: str
    kid: int
    index: int
    at: datetime
    device: str
    by_member: bool
    network: str | None
    city: str | None
    region: str | None
    latitude: float | None
    longitude: float | None
    place_source: Literal["device", "network"] | None
    verdict: VerdictKind
    diverted: bool


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A try of a code that is not ours, or of a wrong PIN."""

    at: datetime
    device: str
    network: str | None
    gtin: str
    serial: str
    reason: str


class Leap(msgspec.Struct, frozen=True, kw_only=True):
    """Two scans of one item by different devices, one after the other, and how fast it would have had to travel."""

    earlier: LoggedScan
    later: LoggedScan
    distance_km: int
    minutes: int
    speed_kmh: int


class RegionCount(msgspec.Struct, frozen=True, kw_only=True):
    """Scans and items seen in a region and city; empty where it is not known."""

    region: str
    city: str
    scans: int
    items: int


async def scans_of(connection: AsyncConnection, code: ItemCode, *, limit: int = 200) -> list[LoggedScan]:
    """The scans of an item, newest first."""
    query = (
        select(item_scan_table)
        .where(_scan.gtin == code.gtin, _scan.kid == code.kid, _scan.index == code.index)
        .order_by(_scan.at.desc(), _scan.id.desc())
        .limit(limit)
    )
    return [_read_scan(row) for row in (await connection.execute(query)).mappings()]


# The scans of the goods that an alert of diversion is about, by the same words as `observing`.
_DIVERTED: Final = text("""
    SELECT s.* FROM item_scan AS s
    JOIN LATERAL (
        SELECT * FROM code_range AS c WHERE c.gtin = s.gtin AND c.kid = s.kid AND c.lo <= s.index
        ORDER BY c.lo DESC LIMIT 1
    ) AS r ON true
    LEFT JOIN lot AS l ON l.gtin = r.gtin AND l.code = r.lot
    WHERE s.programme_id = :programme AND s.at BETWEEN :first_at AND :last_at AND s.diverted
      AND coalesce(r.dealer, '') = :dealer AND coalesce(r.region, l.region, '') = :region
    ORDER BY s.at DESC, s.id DESC LIMIT :most
""")


async def scans_of_alert(connection: AsyncConnection, alert: Alert, *, limit: int = MOST_SCANS) -> list[LoggedScan]:
    """The scans of true codes that an alert is made of, newest first; none where it is about wrong ones."""
    about = alert.about
    if alert.kind == "suspected_copy" and about.gtin and about.kid is not None and about.index is not None:
        return await scans_of(connection, ItemCode(about.gtin, about.kid, about.index), limit=limit)
    if alert.kind != "diverted":
        return []
    values = {
        "programme": alert.programme_id,
        "first_at": alert.first_at,
        "last_at": alert.last_at,
        "dealer": about.dealer or "",
        "region": about.region or "",
        "most": limit,
    }
    return [_read_scan(row) for row in (await connection.execute(_DIVERTED, values)).mappings()]


async def refusals_of_alert(
    connection: AsyncConnection, alert: Alert, *, codes: Sequence[tuple[str, str]] = (), limit: int = MOST_SCANS
) -> list[Refusal]:
    """The refused tries that an alert is made of, newest first. `codes` are the (GTIN, serial)s of a leaked file."""
    about = alert.about
    query = select(refused_scan_table).where(
        _refused.programme_id == alert.programme_id, _refused.at.between(alert.first_at, alert.last_at)
    )
    match alert.kind:
        case "honey_leak":
            named = {*codes, (about.gtin or "", about.serial or "")}
            query = query.where(_refused.reason == "honey", _refused.gtin.in_({gtin for gtin, _ in named}))
            query = query.where(_refused.serial.in_({serial for _, serial in named}))
        case "false_code":
            query = query.where(_refused.gtin == about.gtin, _refused.serial == about.serial)
        case "refused_burst" if about.device is not None:
            query = query.where(_refused.device == bytes.fromhex(about.device))
        case "refused_burst":
            query = query.where(_refused.address_prefix == about.network)
        case _:
            return []
    rows = await connection.execute(query.order_by(_refused.at.desc(), _refused.id.desc()).limit(limit))
    return [
        Refusal(
            at=row.at,
            device=row.device.hex(),
            network=row.address_prefix,
            gtin=row.gtin,
            serial=row.serial,
            reason=row.reason,
        )
        for row in rows
    ]


def count_regions(scans: Sequence[LoggedScan]) -> list[RegionCount]:
    """Scans by region and city, the most first."""
    counts: dict[tuple[str, str], tuple[int, set[tuple[str, int, int]]]] = {}
    for scan in scans:
        place = (scan.region or "", scan.city or "")
        number, items = counts.get(place, (0, set()))
        counts[place] = (number + 1, items | {(scan.gtin, scan.kid, scan.index)})
    listed = [
        RegionCount(region=region, city=city, scans=number, items=len(items))
        for (region, city), (number, items) in counts.items()
    ]
    return sorted(listed, key=lambda each: (-each.scans, each.region, each.city))


def find_leaps(scans: Sequence[LoggedScan], *, least_km: int = 50, most: int = 20) -> list[Leap]:
    """Scans of one item one after the other, by different devices at least so far apart, the fastest first.

    `scans` are newest first, as they are read. Times less than a minute apart count as one minute.
    """
    leaps: list[Leap] = []
    located = [scan for scan in scans if scan.latitude is not None and scan.longitude is not None]
    for later, earlier in pairwise(located):
        distance = distance_km(earlier.latitude, earlier.longitude, later.latitude, later.longitude)
        if earlier.device == later.device or distance is None or distance < least_km:
            continue
        minutes = max(1, round((later.at - earlier.at).total_seconds() / 60))
        leaps.append(
            Leap(
                earlier=earlier,
                later=later,
                distance_km=round(distance),
                minutes=minutes,
                speed_kmh=round(distance * 60 / minutes),
            )
        )
    return sorted(leaps, key=lambda leap: -leap.speed_kmh)[:most]


def _read_scan(row: RowMapping) -> LoggedScan:
    given = {name: row[name] for name in LoggedScan.__struct_fields__ if name in row}
    own = {"device": row["device"].hex(), "by_member": row["member_id"] is not None, "network": row["address_prefix"]}
    return LoggedScan(**given | own)
