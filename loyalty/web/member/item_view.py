"""What the page behind a code shows: all of it that many visitors see alike, and apart from that, what is one's own.

The two parts are those of a shape (see `loyalty.web.shapes`): `view_item` answers what the page is drawn from and told
apart by, `fill_item` what stands in its slots. A time or a serial in the first would make a page of its own for each
item; anything personal in the second alone is seen by nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Final
from urllib.parse import quote

import msgspec
from markupsafe import escape

from loyalty.items.loading import Picture
from loyalty.items.products import LocalText, Product
from loyalty.items.scans import Scanned
from loyalty.items.timeline import StepKind
from loyalty.items.verdicts import ClaimBlocker, Verdict
from loyalty.web.i18n import Formats
from loyalty.web.member.verdict_view import VerdictView, number_of, view_verdict
from loyalty.web.ornament import bands
from loyalty.web.shapes import Shape, slot


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the item's way; its time as machines and as people read it."""

    kind: StepKind
    iso: str
    when: str
    places: LocalText | None


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    """What an item's page shows that is the same for many; `product` and what follows from it is None for no item."""

    verdict: VerdictView
    signed_in: bool
    product: Product | None
    pictures: tuple[Picture, ...]
    lot: str | None
    expires_on: date | None
    steps: tuple[StepView, ...]
    claimable: bool
    claim_blocker: ClaimBlocker | None
    points: int
    pin_required: bool
    pin_locked: bool
    pin_tries_left: int | None
    pin_missing: bool


def item_address(gtin: str, serial: str) -> str:
    """The path of an item's page."""
    return f"/01/{quote(gtin, safe='')}/21/{quote(serial, safe='')}"


def view_item(
    scanned: Scanned, formats: Formats, *, signed_in: bool, pin_tries_left: int | None, pin_missing: bool
) -> ItemView:
    """What the page is drawn from; the item's own times are slots."""
    verdict = scanned.verdict
    item = verdict.item
    steps = [
        StepView(
            kind=step.kind,
            iso=slot("first_iso") if step.kind == "first_scanned" else formats.iso(step.at),
            when=slot("first_moment") if step.kind == "first_scanned" else formats.moment(step.at),
            places=step.places,
        )
        for step in scanned.steps
    ]
    return ItemView(
        verdict=view_verdict(verdict, formats),
        signed_in=signed_in,
        product=item.product if item else None,
        pictures=scanned.pictures,
        lot=item.range.lot if item else None,
        expires_on=item.range.expires_on if item else None,
        steps=tuple(steps),
        claimable=verdict.claimable,
        claim_blocker=verdict.claim_blocker,
        points=verdict.points,
        pin_required=verdict.pin_required,
        pin_locked=verdict.pin_locked,
        pin_tries_left=pin_tries_left,
        pin_missing=pin_missing,
    )


def fill_item(shape: Shape, verdict: Verdict, formats: Formats) -> dict[str, str]:
    """What stands in the slots that a shape has, as HTML."""
    outer, middle, inner = bands(verdict.gtin + verdict.serial)
    values = {"outer": outer, "middle": middle, "inner": inner}
    for name in shape.names:
        if name in _FILLINGS:
            values[name] = _FILLINGS[name](verdict, formats)
    return values


_Filling = Callable[[Verdict, Formats], str]


def _moment(moment: datetime | None, write: Callable[[datetime], str]) -> str:
    return write(moment) if moment is not None else ""


def _unbroken(moment: str) -> str:
    """A moment in a sentence, on one line."""
    return f'<span class="nowrap">{moment}</span>' if moment else ""


_FILLINGS: Final[Mapping[str, _Filling]] = {
    "gtin": lambda verdict, _: escape(verdict.gtin),
    "serial": lambda verdict, _: escape(verdict.serial),
    "address": lambda verdict, _: escape(item_address(verdict.gtin, verdict.serial)),
    "join_address": lambda verdict, _: escape(f"/join?item={quote(item_address(verdict.gtin, verdict.serial))}"),
    "n": lambda verdict, formats: formats.number(number_of(verdict)),
    "first_iso": lambda verdict, formats: _moment(verdict.first_scanned_at, formats.iso),
    "first_moment": lambda verdict, formats: _moment(verdict.first_scanned_at, formats.moment),
    "first": lambda verdict, formats: _unbroken(_moment(verdict.first_scanned_at, formats.moment)),
    "since": lambda verdict, formats: _unbroken(_moment(verdict.yours_since, formats.moment)),
    "claimed": lambda verdict, formats: _unbroken(_moment(verdict.claimed_at, formats.day)),
}
