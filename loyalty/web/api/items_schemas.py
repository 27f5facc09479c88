"""Requests and answers about products, codes and items."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from loyalty.items.claims import Claim, RefusedTry
from loyalty.items.products import POINTS_LIMIT, LocalText, Product
from loyalty.items.ranges import MINT_LIMIT, CodeRange, NextState, RangeState
from loyalty.items.timeline import StepKind
from loyalty.items.verdicts import ClaimBlocker, Verdict, VerdictKind
from loyalty.kit.ids import public_id
from loyalty.web.api.operations import MemberReference, Moment, Person, tell

RANGE_PREFIX = "rng"

Gtin = Annotated[
    str, Meta(pattern="^[0-9]{8,14}$", description="GTIN-8, -12, -13 or -14.", examples=["06901234567892"])
]
Serial = Annotated[str, Meta(min_length=1, max_length=64, examples=["10Y7DJPF72MHRCYR"])]
Device = Annotated[
    str,
    Meta(min_length=1, max_length=500, description="Any lasting id of the scanner's app; it is not kept as it is."),
]
ClaimPoints = Annotated[int, Meta(ge=0, le=POINTS_LIMIT, examples=[50])]
Label = Annotated[str, Meta(min_length=1, max_length=200, examples=["PO-2026-014"])]
Degrees = Annotated[float, Meta(ge=-180, le=180)]


class LocalTextRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same words in Chinese and in English; one of them may be missing."""

    zh: Annotated[str, Meta(max_length=4000)] = ""
    en: Annotated[str, Meta(max_length=4000)] = ""


class ProductRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sold under a GTIN. Claiming one item of it brings `points_on_claim`."""

    names: LocalTextRequest
    descriptions: LocalTextRequest | None = None
    category: Annotated[str, Meta(max_length=200)] = ""
    points_on_claim: ClaimPoints = 0


class MintRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A print order: the next `count` codes of a product."""

    gtin: Gtin
    count: Annotated[int, Meta(ge=1, le=MINT_LIMIT, examples=[10000])]
    print_order: Label
    lot: Label | None = None
    region: Annotated[str, Meta(min_length=2, max_length=6, description="ISO 3166.", examples=["CN-31"])] | None = None
    expires_on: date | None = None
    pin_required: bool = False
    points_on_claim: ClaimPoints | None = None


class RangeStateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Move codes to a state: the whole range, or those from index `lo` to `hi` of its series."""

    state: NextState
    exempt: bool = False
    lo: Annotated[int, Meta(ge=0, lt=2**35)] | None = None
    hi: Annotated[int, Meta(ge=0, lt=2**35)] | None = None
    at: Moment | None = None
    place: LocalTextRequest | None = None
    public: bool | None = None
    actor: Person | None = None


class ScanRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody scanned an item in your app. `address` is their network address, the place what their phone says."""

    gtin: Gtin
    serial: Serial
    device: Device
    member_id: MemberReference | None = None
    address: Annotated[str, Meta(max_length=60)] | None = None
    city: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    region: Annotated[str, Meta(min_length=2, max_length=6)] | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Degrees | None = None


class ClaimRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member claims an item."""

    gtin: Gtin
    serial: Serial
    member_id: MemberReference
    device: Device
    pin: Annotated[str, Meta(min_length=1, max_length=20)] | None = None
    address: Annotated[str, Meta(max_length=60)] | None = None


class ProductAnswer(Struct, frozen=True, kw_only=True):
    """What is sold under a GTIN, of 14 digits."""

    gtin: str
    names: LocalText
    descriptions: LocalText
    category: str
    points_on_claim: int


class Products(Struct, frozen=True, kw_only=True):
    """A page of products, by GTIN."""

    data: list[ProductAnswer]
    next_cursor: str | None


class RangeAnswer(Struct, frozen=True, kw_only=True):
    """Consecutive codes from index `lo` to `hi`, ends included. `origin_id` is the range they were minted in."""

    id: str
    origin_id: str
    gtin: str
    kid: int
    lo: int
    hi: int
    count: int
    state: RangeState
    print_order: str
    lot: str | None
    region: str | None
    expires_on: date | None
    pin_required: bool
    points_on_claim: int | None
    exempt_at: datetime | None
    created_at: datetime


class Ranges(Struct, frozen=True, kw_only=True):
    """Ranges, newest first, a page of them where there is a cursor."""

    data: list[RangeAnswer]
    next_cursor: str | None


class VerdictAnswer(Struct, frozen=True, kw_only=True):
    """What the code is to whoever scanned it. `kind` says it, the figures say why."""

    kind: VerdictKind
    gtin: str
    serial: str
    product: ProductAnswer | None
    at: datetime
    scan_count: int
    recent_devices: int
    first_scanned_at: datetime | None
    first_city: str | None
    yours_since: datetime | None
    claimed_at: datetime | None
    claimable: bool
    claim_blocker: ClaimBlocker | None
    points: int
    pin_required: bool


class ClaimAnswer(Struct, frozen=True, kw_only=True):
    """Whether the claim holds. If not: `refusal` says why, and how many PINs may still be tried."""

    claimed: bool
    points: int
    claimed_at: datetime | None
    refusal: Literal["unknown", "wrong_pin", "pin_used"] | None
    tries_left: int | None


class StepAnswer(Struct, frozen=True, kw_only=True):
    """One step of the item's way."""

    kind: StepKind
    at: datetime
    places: LocalText | None


class Timeline(Struct, frozen=True, kw_only=True):
    """The public steps of an item, oldest first."""

    data: list[StepAnswer]


def read_text(request: LocalTextRequest | None) -> LocalText | None:
    """The words of a request."""
    return tell(LocalText, request) if request is not None else None


def product_answer(product: Product) -> ProductAnswer:
    """A product as it is told."""
    return tell(ProductAnswer, product)


def range_answer(found: CodeRange) -> RangeAnswer:
    """A range as it is told."""
    return tell(
        RangeAnswer,
        found,
        id=range_id(found.id),
        origin_id=range_id(found.origin_id),
        pin_required=found.policy.pin_required,
        points_on_claim=found.policy.points_on_claim,
    )


def range_id(identifier: UUID) -> str:
    """A range's id as the outside world sees it."""
    return public_id(RANGE_PREFIX, identifier)


def verdict_answer(verdict: Verdict) -> VerdictAnswer:
    """A verdict as it is told. Why a code is unknown stays with the brand: it would teach a forger."""
    return tell(VerdictAnswer, verdict, product=product_answer(verdict.item.product) if verdict.item else None)


def claim_answer(outcome: Claim | RefusedTry) -> ClaimAnswer:
    """A claim, or a wrong try, as it is told."""
    if isinstance(outcome, RefusedTry):
        return tell(ClaimAnswer, outcome, claimed=False, points=0, claimed_at=None, refusal=outcome.reason)
    return tell(ClaimAnswer, outcome, claimed=True, claimed_at=outcome.at, refusal=None, tries_left=None)
