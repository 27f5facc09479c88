"""Codes to try: one for everything that a scan can say. Each lies in a print order of its own, and is found by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.demo.brand import TIME_ZONE, Brand, DemoProduct, products
from loyalty.demo.items import send_print_order
from loyalty.demo.leads import RICH
from loyalty.items.claims import claim
from loyalty.items.codes import ItemCode
from loyalty.items.digital_link import format_link
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import load_item
from loyalty.items.ranges import CodeRange, RangePolicy, change_range_state, list_ranges
from loyalty.items.scans import scan
from loyalty.items.verdicts import Item, Place
from loyalty.kit.clock import start_of_local_day, utc_now
from loyalty.kit.errors import NotFoundError

SampleKind = Literal[
    "fresh", "pin", "seen", "claimed", "amber", "copied", "recalled", "expired", "not_activated", "forged"
]

_SHANGHAI: Final = Place(city="上海", region="CN-SH", latitude=31.23, longitude=121.47, source="device")
_CHENGDU: Final = Place(city="成都", region="CN-SC", latitude=30.57, longitude=104.07, source="device")
_PIECES: Final = 60
_AMBER_DEVICES: Final = 3


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A code to try: its address, what it shows, and its PIN where it has one."""

    kind: SampleKind
    url: str
    shows: str
    pin: str | None = None


class _Exhibit(msgspec.Struct, frozen=True):
    """What a print order of the showcase is for."""

    sku: str
    shows: str


_EXHIBITS: Final[Mapping[SampleKind, _Exhibit]] = {
    "fresh": _Exhibit("spring-ridge-50", "genuine, and nobody has scanned it before: join and claim it"),
    "pin": _Exhibit("gift-four-seasons", "genuine; claiming it takes the code under the scratch-off"),
    "seen": _Exhibit("honey-night-oolong", "scanned by somebody else three days ago"),
    "claimed": _Exhibit("jasmine-pearls", "claimed by another member"),
    "amber": _Exhibit("moon-gate-white", "on several phones today: worth a second look"),
    "copied": _Exhibit("granary-puer-cake", "in two cities within minutes: perhaps a copy"),
    "recalled": _Exhibit("smoke-and-pine", "recalled"),
    "expired": _Exhibit("rose-black", "past its date"),
    "not_activated": _Exhibit("raw-ridge-cake", "printed, and not on sale yet"),
    "forged": _Exhibit("spring-ridge-50", "not a code of this brand"),
}


async def prepare_showcase(
    connection: AsyncConnection, keys: MasterKeys, *, brand: Brand, members: Mapping[int, UUID], today: date
) -> None:
    """Print the codes, and let happen to them what their verdicts are about."""
    by_sku = {product.sku: product for product in products()}
    now = start_of_local_day(today, TIME_ZONE)
    ranges: dict[SampleKind, CodeRange] = {}
    for kind, exhibit in _EXHIBITS.items():
        if kind != "forged":
            ranges[kind] = await _print(connection, keys, brand, kind, by_sku[exhibit.sku], today)
    hall = _Hall(connection, keys, brand)
    await hall.scan(ranges["seen"], "demo-visitor-1", at=now - timedelta(days=3, hours=4))
    for minutes, (device, place) in enumerate((("demo-visitor-2", _SHANGHAI), ("demo-visitor-3", _CHENGDU))):
        await hall.scan(ranges["copied"], device, at=now - timedelta(days=1, minutes=-9 * minutes), place=place)
    claimed_at = now - timedelta(days=9, hours=3)
    serial = hall.serial(ranges["claimed"])
    await claim(
        connection,
        keys,
        programme_id=brand.programme.id,
        gtin=ranges["claimed"].gtin,
        serial=serial,
        member_id=members[RICH],
        device="demo-phone-1",
        at=claimed_at,
    )
    await change_range_state(
        connection,
        programme_id=brand.programme.id,
        range_id=ranges["recalled"].id,
        state="recalled",
        at=now - timedelta(days=5),
        actor="owner",
    )


async def _print(
    connection: AsyncConnection, keys: MasterKeys, brand: Brand, kind: SampleKind, product: DemoProduct, today: date
) -> CodeRange:
    return await send_print_order(
        connection,
        keys,
        brand=brand,
        product=product,
        count=_PIECES,
        day=today,
        until="issued" if kind == "not_activated" else "shipped",
        expires_on=today - timedelta(20) if kind == "expired" else None,
        policy=RangePolicy(pin_required=True) if kind == "pin" else None,
        name=_order_name(kind),
    )


def _order_name(kind: SampleKind) -> str:
    return f"showcase/{kind}"


class _Hall:
    """The showcase as visitors come to it."""

    def __init__(self, connection: AsyncConnection, keys: MasterKeys, brand: Brand) -> None:
        self._connection: Final = connection
        self._keys: Final = keys
        self._brand: Final = brand

    def serial(self, ordered: CodeRange, piece: int = 0) -> str:
        """The serial of a piece of a print order."""
        return self._keys.for_product(ordered.gtin, ordered.kid).mint(ordered.lo + piece)

    def pin(self, ordered: CodeRange, piece: int) -> str:
        """The PIN of a piece of a print order."""
        return self._keys.for_product(ordered.gtin, ordered.kid).pin(ordered.lo + piece)

    async def scan(self, ordered: CodeRange, device: str, *, at: datetime, place: Place | None = None) -> None:
        """Let somebody scan the first piece of a print order."""
        await scan(
            self._connection,
            self._keys,
            programme_id=self._brand.programme.id,
            gtin=ordered.gtin,
            serial=self.serial(ordered),
            device=device,
            place=place,
            at=at,
        )

    async def find(self, kind: SampleKind, gtin: str) -> CodeRange:
        """The print order of a kind. Raises NotFoundError."""
        found = await list_ranges(self._connection, programme_id=self._brand.programme.id, gtin=gtin)
        for ordered in found:
            if ordered.print_order == _order_name(kind):
                return ordered
        message = f"the showcase has no {kind} code any more; begin anew with tallystar demo --fresh"
        raise NotFoundError(message, field="showcase")

    async def untouched_piece(self, ordered: CodeRange) -> int:
        """The first piece that nobody has scanned; the last one where all were."""
        for piece in range(ordered.count):
            code = ItemCode(ordered.gtin, ordered.kid, ordered.lo + piece)
            item = await load_item(self._connection, programme_id=self._brand.programme.id, code=code)
            if isinstance(item, Item) and item.record.scan_count == 0:
                return piece
        return ordered.count - 1


async def open_showcase(
    connection: AsyncConnection, keys: MasterKeys, *, brand: Brand, public_url: str
) -> list[Sample]:
    """The codes to try now. Some verdicts are about today, so today's strangers scan before anybody else does."""
    by_sku = {product.sku: product for product in products()}
    hall = _Hall(connection, keys, brand)
    samples: list[Sample] = []
    for kind, exhibit in _EXHIBITS.items():
        gtin = by_sku[exhibit.sku].gtin
        ordered = await hall.find("fresh" if kind == "forged" else kind, gtin)
        piece = await hall.untouched_piece(ordered) if kind in ("fresh", "pin") else 0
        serial = hall.serial(ordered, piece)
        if kind == "amber":
            for stranger in range(_AMBER_DEVICES):
                await hall.scan(ordered, f"demo-crowd-{stranger}", at=utc_now())
        if kind == "forged":
            serial = serial[:-1] + ("7" if serial[-1] != "7" else "8")
        samples.append(
            Sample(
                kind=kind,
                url=format_link(public_url, gtin=gtin, serial=serial),
                shows=exhibit.shows,
                pin=hall.pin(ordered, piece) if kind == "pin" else None,
            )
        )
    return samples
