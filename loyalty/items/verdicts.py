"""What a scan says: never a lie, and nothing that frightens an owner. Pure: the rules, without the database.

An outer code can be photographed by anybody, so others having scanned it proves nothing against the item in hand; only
what one genuine item cannot do (be in two far places at once) makes a code suspect, and even then not to the person
whose scan came first or who claimed it.
"""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from loyalty.items.codes import ItemCode
from loyalty.items.precedence import LIVE_STATES, ItemState, Word, effective_state
from loyalty.items.products import Product
from loyalty.items.ranges import CodeRange

VerdictKind = Literal[
    "first_scan",
    "seen_by_you",
    "seen_before",
    "amber",
    "suspected_copy",
    "not_activated",
    "recalled",
    "expired",
    "unknown",
]
"""`amber`: several devices within a day, worth a second look; `unknown`: not a code of ours."""

ClaimBlocker = Literal[
    "claimed_by_you",
    "claimed",
    "not_activated",
    "retired",
    "recalled",
    "suspected_copy",
    "expired",
    "pin_locked",
    "unknown",
]
"""Why an item cannot be claimed, for pages to put into words."""

UnknownReason = Literal[
    "bad_gtin",
    "bad_serial",
    "unknown_key",
    "bad_tag",
    "unknown_product",
    "not_minted",
    "not_handed_out",
    "honey",
    "wrong_pin",
    "pin_used",
]
"""Why a try was refused: for the brand's eyes, since it would teach a forger. `not_handed_out`: its key has leaked, and
no printer was ever given this code. `pin_used`: a second person has the PIN of a claimed item."""

_EARTH_RADIUS_KM: Final = 6371.0
LONGEST_MINUTES: Final = 24 * 60
LONGEST_HOURS: Final = 31 * 24
"""Scans are looked at no further back than this: it is less than the part of their log that is never dropped."""
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Minutes = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_MINUTES)]
Hours = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_HOURS)]


class ItemSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds of scans and claims, which a brand may set."""

    window_hours: Hours = 24
    """How far back devices, cities and speeds are looked at."""
    amber_devices: Count = 3
    copy_cities: Count = 3
    copy_speed_kmh: Count = 900
    copy_distance_km: Count = 50
    """Nearer places say nothing about speed: positions are kept to about a kilometre, and clocks differ."""
    trust_network_places: bool = False
    """Whether a place told by an IP address counts as evidence of a copy, or of diversion within a country. It is often
    wrong by a province."""
    bad_codes_per_device: Count = 10
    bad_codes_per_address: Count = 100
    bad_codes_minutes: Minutes = 60
    claims_per_member_day: Count = 20
    claims_per_device_day: Count = 20
    claim_expired: bool = False
    pin_tries: Count = 5


DEFAULT_SETTINGS: Final = ItemSettings()


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a scan came from, as far as is known; `source` says whether a device or an IP address told.

    `region` is an ISO 3166 code, of a country (`CN`) or of a part of one (`CN-31`); degrees are WGS 84.
    """

    city: str | None = None
    region: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    source: Literal["device", "network"] = "network"


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One scan: who, when, where."""

    device: bytes
    member_id: UUID | None
    at: datetime
    place: Place | None


class ItemRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one item."""

    state: ItemState | None = None
    scan_count: int = 0
    first_scanned_at: datetime | None = None
    first_device: bytes | None = None
    first_member_id: UUID | None = None
    first_city: str | None = None
    suspected_at: datetime | None = None
    cleared_at: datetime | None = None
    """When the brand found nothing wrong: what was scanned before makes no suspicion any more."""
    pin_failures: int = 0
    exempt_at: datetime | None = None
    """When somebody found it good, whatever had been said of its range, lot or key."""


class ClaimRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who claimed an item, and what it brought."""

    member_id: UUID
    device: bytes
    at: datetime
    points: int


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of one item: what its code says, its product, its range, its own record and its claim."""

    code: ItemCode
    product: Product
    time_zone: str
    range: CodeRange
    record: ItemRecord
    claim: ClaimRecord | None
    lot: Word | None = None
    key: Word | None = None
    listed_in: tuple[UUID, ...] = ()
    """Exports in whose lists of codes it has to stand, because its key has leaked."""

    @property
    def state(self) -> ItemState:
        """What holds for the item, of all that it, its range, its lot and its key say."""
        return effective_state(
            item=self.record.state,
            code_range=Word(self.range.state, self.range.state_at or self.range.created_at),
            lot=self.lot,
            key=self.key,
            item_exempt_at=self.record.exempt_at,
            range_exempt_at=self.range.exempt_at,
        )

    @property
    def points(self) -> int:
        """What claiming it brings."""
        own = self.range.policy.points_on_claim
        return self.product.points_on_claim if own is None else own

    def expired(self, at: datetime) -> bool:
        """Whether its last good day is over in the programme's time zone."""
        last: date | None = self.range.expires_on
        return last is not None and at.astimezone(ZoneInfo(self.time_zone)).date() > last


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a scan. `scan_count` has this scan in it; an unknown code has no item."""

    kind: VerdictKind
    gtin: str
    serial: str
    at: datetime
    item: Item | None = None
    scan_count: int = 0
    recent_devices: int = 0
    first_scanned_at: datetime | None = None
    first_city: str | None = None
    yours_since: datetime | None = None
    """When you scanned it first, where you have."""
    claimed_at: datetime | None = None
    claimable: bool = False
    claim_blocker: ClaimBlocker | None = None
    points: int = 0
    pin_required: bool = False
    pin_locked: bool = False
    """Its PIN was wrong too often: nobody's is looked at before the brand has unlocked it, claimed or not."""
    suspected: bool = False
    """The scans look like those of several copies: no more claims until the brand has looked at it."""
    diverted: bool = False
    """Scanned outside its region of sale: a signal for the brand, not for the shopper."""
    reason: UnknownReason | None = None
    """Why it is unknown: for the brand's eyes alone."""


def judge(
    item: Item, sighting: Sighting, history: list[Sighting], *, serial: str, settings: ItemSettings = DEFAULT_SETTINGS
) -> Verdict:
    """Judge one scan of a true code. `item.record` counts this scan; `history` holds the ones before it, newest first.

    The rules are the design's, in `design/item-codes.md`, "What a scan says".
    """
    since = sighting.at - timedelta(hours=settings.window_hours)
    recent = [sighting, *(earlier for earlier in history if earlier.at > since)]
    devices = len({seen.device for seen in recent})
    yours_since = _yours_since(item, sighting, history)
    suspected = _suspect(item.record, recent, settings)
    blocker = claim_blocker(item, sighting, suspected=suspected, settings=settings)
    return Verdict(
        kind=_kind(item, sighting, settings, suspected=suspected, yours=yours_since is not None, devices=devices),
        gtin=item.code.gtin,
        serial=serial,
        at=sighting.at,
        item=item,
        scan_count=item.record.scan_count,
        recent_devices=devices,
        first_scanned_at=item.record.first_scanned_at,
        first_city=item.record.first_city,
        yours_since=yours_since,
        claimed_at=None if item.claim is None else item.claim.at,
        claimable=blocker is None,
        claim_blocker=blocker,
        points=item.points,
        pin_required=item.range.policy.pin_required,
        pin_locked=_pin_locked(item, settings),
        suspected=suspected,
        diverted=_diverted(item.range.region, _region(sighting.place, settings)),
    )


def claim_blocker(
    item: Item, sighting: Sighting, *, suspected: bool, settings: ItemSettings = DEFAULT_SETTINGS
) -> ClaimBlocker | None:
    """Why this person cannot claim this item now; None where they can."""
    if item.claim is not None:
        return "claimed_by_you" if item.claim.member_id == sighting.member_id else "claimed"
    state = item.state
    blocked: tuple[tuple[ClaimBlocker, bool], ...] = (
        ("recalled", state == "recalled"),
        ("retired", state == "retired"),
        ("not_activated", state not in LIVE_STATES),
        ("suspected_copy", suspected),
        ("expired", item.expired(sighting.at) and not settings.claim_expired),
        ("pin_locked", _pin_locked(item, settings)),
    )
    return next((blocker for blocker, holds in blocked if holds), None)


def _pin_locked(item: Item, settings: ItemSettings) -> bool:
    return item.range.policy.pin_required and item.record.pin_failures >= settings.pin_tries


def looks_copied(recent: list[Sighting], settings: ItemSettings = DEFAULT_SETTINGS) -> bool:
    """Whether one item cannot have been scanned like this; `recent` holds the scan just made, then those before it.

    Only different devices count: one phone that seems to be in two places has a false position. And a device counts
    with the first city it was in, so that a traveller with an item makes no copy of it.
    """
    if not recent:
        return False
    located = [seen for seen in recent if seen.place is not None and _counts(seen.place, settings)]
    # Newest first, so that each device is left with the oldest of its cities.
    cities = {seen.device: seen.place.city for seen in located if seen.place is not None and seen.place.city}
    if len(set(cities.values())) >= settings.copy_cities:
        return True
    newest = recent[0]
    return newest in located and any(
        _too_fast(newest, earlier, settings) for earlier in located if earlier.device != newest.device
    )


def _suspect(record: ItemRecord, recent: list[Sighting], settings: ItemSettings) -> bool:
    if record.suspected_at is not None:
        return True
    cleared_at = record.cleared_at
    return looks_copied([seen for seen in recent if cleared_at is None or seen.at > cleared_at], settings)


def _kind(
    item: Item, sighting: Sighting, settings: ItemSettings, *, suspected: bool, yours: bool, devices: int
) -> VerdictKind:
    first_was_yours = item.record.scan_count == 1 or _is_first(item.record, sighting)
    cleared = first_was_yours or _claimed_by(item.claim, sighting)
    state = item.state
    kinds: tuple[tuple[VerdictKind, bool], ...] = (
        ("recalled", state == "recalled"),  # said to everybody, owners too: it may be about their safety
        ("not_activated", state not in LIVE_STATES),
        ("suspected_copy", suspected and not cleared),
        ("expired", item.expired(sighting.at)),
        ("seen_by_you", yours),
        ("first_scan", item.record.scan_count == 1),
        ("amber", devices >= settings.amber_devices),
    )
    return next((kind for kind, holds in kinds if holds), "seen_before")


def _yours_since(item: Item, sighting: Sighting, history: list[Sighting]) -> datetime | None:
    """When this member or device met the item first, by its scans or its claim."""
    times = [seen.at for seen in history if _same_person(seen.device, seen.member_id, sighting)]
    record = item.record
    if record.scan_count > 1 and record.first_scanned_at is not None and _is_first(record, sighting):
        times.append(record.first_scanned_at)
    if item.claim is not None and _claimed_by(item.claim, sighting):
        times.append(item.claim.at)
    return min(times, default=None)


def _is_first(record: ItemRecord, sighting: Sighting) -> bool:
    return _same_person(record.first_device, record.first_member_id, sighting)


def _claimed_by(claim: ClaimRecord | None, sighting: Sighting) -> bool:
    return claim is not None and _same_person(claim.device, claim.member_id, sighting)


def _same_person(device: bytes | None, member_id: UUID | None, sighting: Sighting) -> bool:
    return device == sighting.device or (member_id is not None and member_id == sighting.member_id)


def _counts(place: Place, settings: ItemSettings) -> bool:
    return place.source == "device" or settings.trust_network_places


def _too_fast(newest: Sighting, earlier: Sighting, settings: ItemSettings) -> bool:
    apart_km = _between_km(newest.place, earlier.place)
    if apart_km is None or apart_km < settings.copy_distance_km:
        return False
    hours = abs((newest.at - earlier.at).total_seconds()) / 3600
    return apart_km > settings.copy_speed_kmh * hours


def _between_km(one: Place | None, other: Place | None) -> float | None:
    if one is None or other is None:
        return None
    return distance_km(one.latitude, one.longitude, other.latitude, other.longitude)


def distance_km(
    latitude: float | None, longitude: float | None, other_latitude: float | None, other_longitude: float | None
) -> float | None:
    """The great-circle distance of two positions in degrees (haversine); None where either is not known."""
    if latitude is None or longitude is None or other_latitude is None or other_longitude is None:
        return None
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    east = math.radians(other_longitude - longitude)
    chord = math.sin((other_north - north) / 2) ** 2 + math.cos(north) * math.cos(other_north) * (
        math.sin(east / 2) ** 2
    )
    return 2 * _EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))


def _region(place: Place | None, settings: ItemSettings) -> str | None:
    """The region that a place is evidence of: of one told by an IP address no more than the country, unless trusted."""
    if place is None or place.region is None:
        return None
    return place.region if _counts(place, settings) else place.region.partition("-")[0]


def _diverted(region: str | None, place: str | None) -> bool:
    """Whether a place lies outside a region of sale. A place known only by its country may well lie in a part of it."""
    if region is None or place is None or region == place:
        return False
    return not (place.startswith(f"{region}-") or region.startswith(f"{place}-"))
