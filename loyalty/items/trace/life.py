"""Everything that is known of one item, and everything that happened to it, as one story."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.events import RangeEvent, events_of
from loyalty.items.exports import Export, exports_of
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import find_code, find_item, find_serial
from loyalty.items.lots import Lot, get_lot
from loyalty.items.packing.reading import PackingEvent, packing_history, whereabouts
from loyalty.items.products import LocalText
from loyalty.items.thresholds import read_thresholds
from loyalty.items.trace.alerts import Alert, alerts_about
from loyalty.items.trace.reasons import Said, explain_state, stranger_verdict
from loyalty.items.trace.sightings import Leap, LoggedScan, RegionCount, count_regions, find_leaps, scans_of
from loyalty.items.verdicts import Item, UnknownReason, Verdict
from loyalty.kit.clock import utc_now

SCANS_READ: Final = 200
SCANS_TOLD: Final = 40
"""Scans that stand in the story; the table beside it has more."""
_MOST_EVENTS: Final = 200

StepSource = Literal["range", "epcis", "packing", "scan", "claim", "alert"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `what` is a word of its source: a kind of range event, a CBV step, a verdict, …"""

    source: StepSource
    at: datetime
    what: str
    places: LocalText | None = None
    detail: str = ""
    actor: str | None = None
    lo: int | None = None
    hi: int | None = None


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """One item as the brand knows it. Whose claim it is, `item.claim` says; who that is, is the reader's to ask."""

    code: ItemCode
    serial: str
    item: Item
    said: list[Said]
    verdict: Verdict
    lot: Lot | None
    units: list[str]
    exports: list[Export]
    scans: list[LoggedScan]
    regions: list[RegionCount]
    leaps: list[Leap]
    alerts: list[Alert]
    steps: list[Step]


class NotAnItem(msgspec.Struct, frozen=True, kw_only=True):
    """A code that is none of ours, or a honey code: why, and which files hold it."""

    gtin: str
    serial: str
    reason: UnknownReason
    exports: list[Export]


async def read_dossier(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    gtin: str,
    serial: str,
    now: datetime | None = None,
) -> Dossier | NotAnItem:
    """All that is known of the item of a GTIN and a serial, in any spelling; or why there is none. Logs nothing."""
    moment = now or utc_now()
    item = await find_item(connection, keys, programme_id=programme_id, gtin=gtin, serial=serial)
    if not isinstance(item, Item):
        code = await find_code(connection, keys, gtin=gtin, serial=serial)
        exports = await _own_exports(connection, code, programme_id) if isinstance(code, ItemCode) else []
        return NotAnItem(gtin=gtin, serial=serial, reason=item, exports=exports)
    code = item.code
    scans = await scans_of(connection, code, limit=SCANS_READ)
    printed = await find_serial(connection, keys, code)
    units = await whereabouts(connection, programme_id=programme_id, code=code)
    alerts = await alerts_about(connection, programme_id=programme_id, subject=subject_of_item(code))
    settings = await read_thresholds(connection, programme_id=programme_id)
    lot_code = item.range.lot
    return Dossier(
        code=code,
        serial=printed,
        item=item,
        said=explain_state(item),
        verdict=stranger_verdict(item, scans, serial=printed, now=moment, settings=settings),
        lot=await get_lot(connection, programme_id=programme_id, gtin=code.gtin, code=lot_code) if lot_code else None,
        units=units,
        exports=await _own_exports(connection, code, programme_id),
        scans=scans,
        regions=count_regions(scans),
        leaps=find_leaps(scans),
        alerts=alerts,
        steps=await _steps(connection, programme_id, item, scans, units, alerts),
    )


def subject_of_item(code: ItemCode) -> str:
    """The subject of alerts about one item; `observing` writes the same."""
    return f"item:{code.gtin}/{code.kid}/{code.index}"


async def _own_exports(connection: AsyncConnection, code: ItemCode, programme_id: UUID) -> list[Export]:
    return [export for export in await exports_of(connection, code) if export.programme_id == programme_id]


async def _steps(
    connection: AsyncConnection,
    programme_id: UUID,
    item: Item,
    scans: list[LoggedScan],
    units: list[str],
    alerts: list[Alert],
) -> list[Step]:
    """The story, oldest first: ranges, partners' events, packing, scans, the claim, alerts."""
    code = item.code
    events = await events_of(connection, gtin=code.gtin, kid=code.kid, index=code.index)
    steps = [_of_range(event) for event in events]
    steps += await _captured(connection, programme_id, code)
    for unit in units:
        history = await packing_history(connection, programme_id=programme_id, sscc=unit)
        steps += [_of_packing(event) for event in history if _holds(event, code, units)]
    told = scans if len(scans) <= SCANS_TOLD else [*scans[: SCANS_TOLD - 1], scans[-1]]
    steps += [
        Step(source="scan", at=scan.at, what=scan.verdict, detail=scan.city or scan.region or "") for scan in told
    ]
    if item.claim is not None:
        steps.append(Step(source="claim", at=item.claim.at, what="claimed", detail=str(item.claim.points)))
    steps += [Step(source="alert", at=alert.raised_at, what=alert.kind, detail=alert.public_id) for alert in alerts]
    return sorted(steps, key=lambda step: step.at)


def _of_range(event: RangeEvent) -> Step:
    return Step(
        source="range",
        at=event.at,
        what=event.kind,
        places=event.places,
        actor=event.actor,
        lo=event.lo,
        hi=event.hi,
    )


def _of_packing(event: PackingEvent) -> Step:
    return Step(source="packing", at=event.at, what=event.kind, detail=event.sscc, actor=event.actor)


def _holds(event: PackingEvent, code: ItemCode, units: list[str]) -> bool:
    """Whether something was done with the item itself, or with a unit that it lies in."""
    inside = any(
        (each.gtin, each.kid) == (code.gtin, code.kid) and each.lo <= code.index <= each.hi for each in event.items
    )
    return inside or bool(set(event.units) & set(units))


_CAPTURED: Final = text("""
    SELECT e.event_type, e.event_time, e.biz_step, e.disposition, e.actor, e.event_id,
           coalesce(e.biz_location, e.read_point) AS place, coalesce(b.names, r.names) AS names,
           e.declared_at IS NOT NULL AS withdrawn
    FROM epcis_item AS i
    JOIN epcis_event AS e ON e.key = i.event_key
    LEFT JOIN epcis_place AS b ON b.programme_id = e.programme_id AND b.place = e.biz_location
    LEFT JOIN epcis_place AS r ON r.programme_id = e.programme_id AND r.place = e.read_point
    WHERE i.gtin = :gtin AND i.kid = :kid AND i.index = :position AND e.programme_id = :programme
    ORDER BY e.event_time, e.key LIMIT :most
""")


async def _captured(connection: AsyncConnection, programme_id: UUID, code: ItemCode) -> list[Step]:
    """What partners captured of an item, whether or not shoppers are shown it."""
    values = {
        "gtin": code.gtin,
        "kid": code.kid,
        "position": code.index,
        "programme": programme_id,
        "most": _MOST_EVENTS,
    }
    return [
        Step(
            source="epcis",
            at=row.event_time,
            what=(row.biz_step or row.event_type).rpartition("/")[2].removeprefix("BizStep-"),
            places=None if row.names is None else msgspec.convert(row.names, LocalText),
            detail=row.place or "",
            actor=row.actor,
        )
        for row in await connection.execute(_CAPTURED, values)
    ]
