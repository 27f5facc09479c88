"""Scanning items: proved, judged and written down in one transaction, many scans at a time.

A scan alone takes four statements: what is known, the count, the log, and, where others came before, who they were.
Many scans that arrive together take the same four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items import throttle
from loyalty.items.codes import ItemCode
from loyalty.items.keys import MasterKeys
from loyalty.items.loading import Picture, Wanted, load_many
from loyalty.items.lookup import canonical_serial, check_listed, find_code, settle_claimant
from loyalty.items.ranges import LIVE_STATES
from loyalty.items.scan_statements import Counted, LogEntry, count_scans, freeze_claims, log_scans, read_histories
from loyalty.items.timeline import TimelineStep, in_order
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
from loyalty.kit.errors import TooManyAttemptsError
from loyalty.kit.ids import new_id

_COUNTED: Final = frozenset({*LIVE_STATES, "recalled"})
_COORDINATE_DIGITS: Final = 2
"""About a kilometre: enough to tell cities apart, too little to find a home."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody scanned, with what, and where.

    `device` is any lasting id of the scanner's browser or app, `address` its IP address; neither is stored as it is.
    One that does not count is a look: it is told the same, and nothing is written down.
    """

    programme_id: UUID
    gtin: str
    serial: str
    device: str
    member_id: UUID | None = None
    address: str | None = None
    place: Place | None = None
    at: datetime | None = None
    counts: bool = True
    for_page: bool = False
    """Answer what the item's page shows besides, too."""
    settings: ItemSettings | None = None
    """In place of the brand's own."""


class Scanned(NamedTuple):
    """The answer to a scan: the verdict, and for the item's page its public steps and its product's pictures."""

    verdict: Verdict
    steps: list[TimelineStep]
    pictures: tuple[Picture, ...]


Answer = Scanned | TooManyAttemptsError
"""The error: a device, or for wrong codes a network, has tried too many codes that are not ours."""


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
    settings: ItemSettings | None = None,
) -> Verdict:
    """Say what a code is to whoever scans it, and log that. The thresholds are the brand's unless given.

    A code that is not ours is a verdict (`unknown`), not an error, so that the try is committed and counted.
    Raises TooManyAttemptsError once a device, or for wrong codes a network, has tried too many of those.
    """
    asked = Scan(
        programme_id=programme_id,
        gtin=gtin,
        serial=serial,
        device=device,
        member_id=member_id,
        address=address,
        place=place,
        at=at,
        settings=settings,
    )
    (answer,) = await scan_many(connection, keys, [asked])
    if isinstance(answer, TooManyAttemptsError):
        raise answer
    return answer.verdict


async def scan_many(connection: AsyncConnection, keys: MasterKeys, scans: Sequence[Scan]) -> list[Answer]:
    """Judge and log scans as if they came one after the other; the answers are in their order. See `scan`."""
    cases = [_case(scan) for scan in scans]
    waiting = cases
    while waiting:
        together, waiting = _apart(waiting)
        await _scan_together(connection, keys, together)
    return [case.answer for case in cases]


@dataclass(kw_only=True)
class _Case:
    """One scan on its way to an answer."""

    scan: Scan
    sighting: Sighting
    prefix: str | None
    text: str
    code: ItemCode | UnknownReason = "bad_serial"
    item: Item | UnknownReason = "bad_serial"
    settings: ItemSettings = DEFAULT_SETTINGS
    steps: list[TimelineStep] = field(default_factory=list)
    pictures: tuple[Picture, ...] = ()
    history: list[Sighting] = field(default_factory=list)
    answered: Answer | None = None

    @property
    def answer(self) -> Answer:
        """The answer, once there is one."""
        assert self.answered is not None  # noqa: S101  (every way through `_scan_together` ends with one)
        return self.answered

    @property
    def true_item(self) -> Item:
        """The item, of a code that proved to be one."""
        assert isinstance(self.item, Item)  # noqa: S101  (only those are judged)
        return self.item


def _case(scan: Scan) -> _Case:
    sighting = Sighting(
        device=throttle.device_hash(scan.device),
        member_id=scan.member_id,
        at=scan.at or utc_now(),
        place=_coarse(scan.place),
    )
    return _Case(
        scan=scan,
        sighting=sighting,
        prefix=throttle.address_prefix(scan.address),
        text=canonical_serial(scan.serial),
    )


def _apart(cases: list[_Case]) -> tuple[list[_Case], list[_Case]]:
    """Those that can be judged together, and the rest: the second scan of an item, or of a device, sees the first."""
    together: list[_Case] = []
    rest: list[_Case] = []
    taken: set[object] = set()
    for case in cases:
        names = {case.sighting.device, (case.scan.gtin.zfill(14), case.text)}
        (rest if names & taken else together).append(case)
        taken |= names
    return together, rest


async def _scan_together(connection: AsyncConnection, keys: MasterKeys, cases: list[_Case]) -> None:
    for case in cases:
        case.code = await find_code(connection, keys, gtin=case.scan.gtin, serial=case.scan.serial)
    await _load(connection, keys, cases)
    cases = [case for case in cases if case.answered is None]
    await _answer_unknown(connection, [case for case in cases if not isinstance(case.item, Item)])
    true = [case for case in cases if isinstance(case.item, Item)]
    for case in true:
        case.item = await settle_claimant(connection, case.true_item, case.sighting.member_id)
    await _count(connection, true)
    await _judge(connection, true)


async def _load(connection: AsyncConnection, keys: MasterKeys, cases: list[_Case]) -> None:
    """Read what is known of each code, and turn away devices that tried too many wrong ones."""
    wanted = [
        Wanted(
            programme_id=case.scan.programme_id,
            code=case.code if isinstance(case.code, ItemCode) else None,
            at=case.sighting.at,
            device=case.sighting.device,
            for_page=case.scan.for_page,
            settings=case.scan.settings,
        )
        for case in cases
    ]
    for case, loaded in zip(cases, await load_many(connection, wanted), strict=True):
        case.settings, case.steps, case.pictures = loaded.settings, loaded.steps, loaded.pictures
        if loaded.wrong_tries >= case.settings.bad_codes_per_device:
            case.answered = throttle.too_many(case.settings)
        elif isinstance(case.code, ItemCode):
            case.item = check_listed(keys, loaded.item, case.scan.serial)
        else:
            case.item = case.code


async def _answer_unknown(connection: AsyncConnection, cases: list[_Case]) -> None:
    for case in cases:
        reason = case.item
        assert not isinstance(reason, Item)  # noqa: S101  (they were sorted out)
        try:
            await throttle.check_address(connection, prefix=case.prefix, at=case.sighting.at, settings=case.settings)
        except TooManyAttemptsError as error:
            case.answered = error
            continue
        if case.scan.counts:
            await throttle.record_refusal(
                connection,
                programme_id=case.scan.programme_id,
                device=case.sighting.device,
                prefix=case.prefix,
                gtin=case.scan.gtin,
                serial=case.text,
                reason=reason,
                at=case.sighting.at,
            )
        verdict = Verdict(
            kind="unknown",
            gtin=case.scan.gtin,
            serial=case.text,
            at=case.sighting.at,
            claim_blocker="unknown",
            reason=reason,
        )
        case.answered = Scanned(verdict, [], ())


async def _count(connection: AsyncConnection, cases: list[_Case]) -> None:
    """Count the scans of items that are on their way, and read who scanned them before.

    A scan in a warehouse, before the item is on its way, is logged but is nobody's first scan. The row's lock orders
    scans of one item, so that exactly one of them is the first.
    """
    counted = [case for case in cases if case.true_item.state in _COUNTED]
    kept = [case for case in counted if case.scan.counts]
    records = await count_scans(
        connection, [Counted(case.true_item.code, case.scan.programme_id, case.sighting) for case in kept]
    )
    for case, record in zip(kept, records, strict=True):
        case.item = msgspec.structs.replace(case.true_item, record=record)
    for case in counted:
        if not case.scan.counts:
            case.item = msgspec.structs.replace(
                case.true_item, record=_as_if_counted(case.true_item.record, case.sighting)
            )
    again = [case for case in counted if case.true_item.record.scan_count > 1]
    asked = [(case.true_item, case.sighting.at, case.settings.window_hours) for case in again]
    for case, history in zip(again, await read_histories(connection, asked), strict=True):
        case.history = history


def _as_if_counted(record: ItemRecord, sighting: Sighting) -> ItemRecord:
    if record.scan_count:
        return msgspec.structs.replace(record, scan_count=record.scan_count + 1)
    return msgspec.structs.replace(
        record,
        scan_count=1,
        first_scanned_at=sighting.at,
        first_device=sighting.device,
        first_member_id=sighting.member_id,
        first_city=sighting.place.city if sighting.place else None,
    )


async def _judge(connection: AsyncConnection, cases: list[_Case]) -> None:
    """Say what each scan says, write that down, and freeze the claims of what looks copied."""
    entries: list[LogEntry] = []
    for case in cases:
        item, sighting = case.true_item, case.sighting
        verdict = judge(item, sighting, case.history, serial=case.text, settings=case.settings)
        record = item.record
        steps = in_order(case.steps, record.first_scanned_at, record.first_city) if case.scan.for_page else []
        case.answered = Scanned(verdict, steps, case.pictures)
        if case.scan.counts:
            entries.append(LogEntry(new_id(), item.code, case.scan.programme_id, sighting, case.prefix, verdict))
    await log_scans(connection, entries)
    suspects = [entry for entry in entries if entry.verdict.suspected and _not_yet_frozen(entry.verdict)]
    for entry in suspects:
        await freeze_claims(connection, entry.code, entry.sighting.at)


def _not_yet_frozen(verdict: Verdict) -> bool:
    return verdict.item is not None and verdict.item.record.suspected_at is None


def _coarse(place: Place | None) -> Place | None:
    """A place no finer than we want to know."""
    if place is None or place.latitude is None or place.longitude is None:
        return place
    return msgspec.structs.replace(
        place,
        latitude=round(place.latitude, _COORDINATE_DIGITS),
        longitude=round(place.longitude, _COORDINATE_DIGITS),
    )
