"""Why an item is in the state that it is in: what is said of it, its range, its lot and its key, and which word counts.

The rules are those of `precedence`; here each is told with who decides. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from loyalty.items.precedence import LIVE_STATES, ROAD, ItemState
from loyalty.items.trace.sightings import LoggedScan
from loyalty.items.verdicts import Item, ItemSettings, Place, Sighting, Verdict, judge

Whole = Literal["item", "range", "lot", "key"]
WHOLES: Final[tuple[Whole, ...]] = ("item", "range", "lot", "key")
_STRANGER: Final = b"somebody who never scanned it"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of an item or of a whole that it is part of; `state` is None where nothing is.

    `decides`: this is why the item is in its state. `excepted`: it does not hold, because the item or its range was
    found good after it was said.
    """

    of: Whole
    state: ItemState | None
    at: datetime | None = None
    decides: bool = False
    excepted: bool = False


def explain_state(item: Item) -> list[Said]:
    """What is said of an item and its wholes, the nearest first; exactly one of them decides `item.state`."""
    record, ranged = item.record, item.range
    range_at = ranged.state_at or ranged.created_at
    words: list[tuple[Whole, ItemState | None, datetime | None, list[datetime | None]]] = [
        ("item", record.state, None, []),
        ("range", ranged.state, range_at, [record.exempt_at]),
        ("lot", item.lot and item.lot.state, item.lot and item.lot.at, [record.exempt_at, ranged.exempt_at]),
        ("key", item.key and item.key.state, item.key and item.key.at, [record.exempt_at, ranged.exempt_at]),
    ]
    said = [
        Said(
            of=of,
            state=state,
            at=at,
            excepted=state is not None
            and state not in ROAD
            and at is not None
            and any(exempt is not None and at <= exempt for exempt in exempt_at),
        )
        for of, state, at, exempt_at in words
    ]
    deciding = next((each for each in said if each.state == item.state and not each.excepted), said[1])
    return [msgspec.structs.replace(each, decides=each is deciding) for each in said]


def stranger_verdict(
    item: Item, scans: list[LoggedScan], *, serial: str, now: datetime, settings: ItemSettings
) -> Verdict:
    """What somebody who never scanned this item would be told now. `scans` are the latest, newest first; none is added.

    The place of that scan is not known, so it makes no copy of an item by itself.
    """
    sighting = Sighting(device=_STRANGER, member_id=None, at=now, place=None)
    record = item.record
    if item.state in LIVE_STATES or item.state == "recalled":
        first = record.scan_count == 0
        record = msgspec.structs.replace(
            record,
            scan_count=record.scan_count + 1,
            first_scanned_at=now if first else record.first_scanned_at,
            first_device=_STRANGER if first else record.first_device,
        )
    since = now - timedelta(hours=settings.window_hours)
    history = [
        Sighting(device=bytes.fromhex(each.device), member_id=None, at=each.at, place=_place(each))
        for each in scans
        if each.verdict != "not_activated" and each.at > since
    ]
    asked = msgspec.structs.replace(item, record=record)
    return judge(asked, sighting, history, serial=serial, settings=settings)


def _place(scan: LoggedScan) -> Place | None:
    if scan.place_source is None:
        return None
    return Place(
        city=scan.city,
        region=scan.region,
        latitude=scan.latitude,
        longitude=scan.longitude,
        source=scan.place_source,
    )
