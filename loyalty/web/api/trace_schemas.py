"""Requests and answers about the trace of an item, alerts, and dealers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from loyalty.items.exports import EXPORT_PREFIX
from loyalty.items.precedence import ItemState
from loyalty.items.products import LocalText
from loyalty.items.trace.alerts import NOTE_LIMIT, Alert, AlertEvent, AlertEventKind, AlertState
from loyalty.items.trace.life import Dossier, Step, StepSource
from loyalty.items.trace.observing import AlertKind
from loyalty.items.trace.reasons import Said, Whole
from loyalty.items.trace.sightings import LoggedScan
from loyalty.items.verdicts import ClaimBlocker, VerdictKind
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.api.items_schemas import RANGE_PREFIX
from loyalty.web.api.operations import Person, tell

Index = Annotated[int, Meta(ge=0, lt=2**35)]


class SaidAnswer(Struct, frozen=True, kw_only=True):
    """What is said of the item, its range, its lot or its key; `decides` marks the word that counts."""

    of: Whole
    state: ItemState | None
    at: datetime | None
    decides: bool
    excepted: bool


class StepTraced(Struct, frozen=True, kw_only=True):
    """One thing that happened to the item, whoever recorded it."""

    source: StepSource
    at: datetime
    what: str
    place: LocalText | None
    detail: str
    actor: str | None


class ScanTraced(Struct, frozen=True, kw_only=True):
    """A scan. `device` is a hash that stands for a phone; who scanned is not told."""

    at: datetime
    device: str
    by_member: bool
    city: str | None
    region: str | None
    latitude: float | None
    longitude: float | None
    verdict: VerdictKind
    diverted: bool


class ClaimTraced(Struct, frozen=True, kw_only=True):
    """Who claimed the item, and when."""

    member_id: str
    at: datetime
    points: int


class ItemTrace(Struct, frozen=True, kw_only=True):
    """Everything that is known of one item. `verdict` is what a stranger would be told now; asking is no scan."""

    gtin: str
    serial: str
    key_id: int
    index: int
    state: ItemState
    reasons: list[SaidAnswer]
    verdict: VerdictKind
    claim_blocker: ClaimBlocker | None
    suspected_at: datetime | None
    range_id: str
    print_order: str
    lot: str | None
    dealer: str | None
    region: str | None
    units: list[str]
    exports: list[str]
    scan_count: int
    scans: list[ScanTraced]
    claim: ClaimTraced | None
    alerts: list[str]
    steps: list[StepTraced]


class AboutAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an alert is about; which members are there follows from its kind."""

    gtin: str | None = None
    key_id: int | None = None
    index: int | None = None
    serial: str | None = None
    dealer: str | None = None
    region: str | None = None
    export_id: str | None = None
    printer: str | None = None
    network: str | None = None
    device: str | None = None


class AlertAnswer(Struct, frozen=True, kw_only=True):
    """Something that scans give reason to look at, seen `times` from `first_at` to `last_at`."""

    id: str
    kind: AlertKind
    about: AboutAnswer
    state: AlertState
    first_at: datetime
    last_at: datetime
    times: int
    raised_at: datetime
    state_at: datetime
    state_by: str | None
    note: str


class Alerts(Struct, frozen=True, kw_only=True):
    """A page of alerts, what was seen last first."""

    data: list[AlertAnswer]
    next_cursor: str | None


class AlertEventAnswer(Struct, frozen=True, kw_only=True):
    """What was done about an alert, by whom."""

    kind: AlertEventKind
    at: datetime
    actor: str | None
    note: str


class AlertDetails(Struct, frozen=True, kw_only=True):
    """An alert with its history."""

    alert: AlertAnswer
    history: list[AlertEventAnswer]


class AlertChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take an alert on, close it (with a note why), or open it again."""

    state: AlertState
    note: Annotated[str, Meta(max_length=NOTE_LIMIT)] = ""
    actor: Person | None = None


class DealerRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dealer codes were sold to: all of the range, or those from `lo` to `hi`; null where none has them."""

    dealer: Annotated[str, Meta(min_length=1, max_length=200, examples=["Xiling Tea Trading"])] | None
    region: Annotated[str, Meta(min_length=2, max_length=6, description="ISO 3166.", examples=["CN-SC"])] | None = None
    lo: Index | None = None
    hi: Index | None = None


class DealerPart(Struct, frozen=True, kw_only=True):
    """Codes of one dealer."""

    range_id: str
    lo: int
    hi: int
    dealer: str | None
    region: str | None


class DealerParts(Struct, frozen=True, kw_only=True):
    """The ranges that the codes lie in now."""

    data: list[DealerPart]


def item_trace(read: Dossier) -> ItemTrace:
    """Tell a dossier."""
    item, claim = read.item, read.item.claim
    return ItemTrace(
        gtin=read.code.gtin,
        serial=read.serial,
        key_id=read.code.kid,
        index=read.code.index,
        state=item.state,
        reasons=[_said(each) for each in read.said],
        verdict=read.verdict.kind,
        claim_blocker=read.verdict.claim_blocker,
        suspected_at=item.record.suspected_at,
        range_id=public_id(RANGE_PREFIX, item.range.id),
        print_order=item.range.print_order,
        lot=item.range.lot,
        dealer=item.range.dealer,
        region=item.range.region,
        units=read.units,
        exports=[public_id(EXPORT_PREFIX, export.id) for export in read.exports],
        scan_count=item.record.scan_count,
        scans=[_scan(scan) for scan in read.scans],
        claim=None
        if claim is None
        else ClaimTraced(member_id=public_id(MEMBER_PREFIX, claim.member_id), at=claim.at, points=claim.points),
        alerts=[alert.public_id for alert in read.alerts],
        steps=[_step(step) for step in read.steps],
    )


def alert_answer(alert: Alert) -> AlertAnswer:
    """Tell an alert."""
    about = alert.about
    export_id = None if about.export_id is None else public_id(EXPORT_PREFIX, about.export_id)
    told = tell(AboutAnswer, about, key_id=about.kid, export_id=export_id)
    return tell(AlertAnswer, alert, id=alert.public_id, about=told)


def alert_details(alert: Alert, history: list[AlertEvent]) -> AlertDetails:
    """Tell an alert with what was done about it."""
    return AlertDetails(alert=alert_answer(alert), history=[tell(AlertEventAnswer, each) for each in history])


def _said(said: Said) -> SaidAnswer:
    return tell(SaidAnswer, said)


def _scan(scan: LoggedScan) -> ScanTraced:
    return tell(ScanTraced, scan)


def _step(step: Step) -> StepTraced:
    return tell(StepTraced, step, place=step.places)
