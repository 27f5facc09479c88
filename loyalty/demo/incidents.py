"""What goes wrong with goods, so that the trace desk has something to show.

A dealer sells goods of one province in another, a printer's file of codes is out, somebody prints a false code on goods
of their own, and a lot is called back that people have claimed items of. The copied code is the showcase's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.demo.brand import TIME_ZONE, Brand, DemoProduct, products
from loyalty.demo.items import send_print_order
from loyalty.items.claims import claim
from loyalty.items.exports import Export, create_export
from loyalty.items.handing_out import begin_download
from loyalty.items.keys import MasterKeys
from loyalty.items.lots import set_lot_state
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.packing import Packing, pack
from loyalty.items.packing.sscc import make_sscc
from loyalty.items.printers import save_printer
from loyalty.items.ranges import CodeRange, assign_dealer
from loyalty.items.scans import scan
from loyalty.items.trace.alerts import change_alert, list_alerts, watch
from loyalty.items.trace.scan_days import count_scans
from loyalty.items.verdicts import Place
from loyalty.kit.clock import start_of_local_day

INCIDENT_DAYS: Final = 3
"""How long before the end of the story it all has happened: what members do since stands before it on the overview."""
COMPANY_PREFIX: Final = "9521234"
CASE_ITEMS: Final = 12
_CASES: Final = 8
_DIVERTED: Final = 9
_RECALLED_CLAIMS: Final = 14
_FALSE_PHONES: Final = 4

_CITIES: Final = (
    Place(city="广州", region="CN-GD", latitude=23.13, longitude=113.26, source="device"),
    Place(city="深圳", region="CN-GD", latitude=22.54, longitude=114.06, source="device"),
    Place(city="厦门", region="CN-FJ", latitude=24.48, longitude=118.09, source="device"),
    Place(city="南宁", region="CN-GX", latitude=22.82, longitude=108.37, source="device"),
)
_HOME: Final = (
    Place(city="成都", region="CN-SC", latitude=30.57, longitude=104.07, source="device"),
    Place(city="绵阳", region="CN-SC", latitude=31.47, longitude=104.68, source="device"),
)


async def let_things_go_wrong(
    connection: AsyncConnection, keys: MasterKeys, *, brand: Brand, members: Mapping[int, UUID], today: date
) -> None:
    """Let it all happen in the last weeks before `today`."""
    incidents = _Incidents(connection, keys, brand, today)
    await incidents.divert()
    await incidents.leak()
    await incidents.forge()
    await incidents.recall([members[number] for number in sorted(members)[-_RECALLED_CLAIMS:]])


async def look_out(connection: AsyncConnection, keys: MasterKeys, *, brand: Brand, now: datetime) -> None:
    """Count the year's scans, raise the alerts that follow from them, and let somebody look at one."""
    while await count_scans(connection, brand.programme, now=now):
        pass
    programme_id = brand.programme.id
    await watch(connection, keys, programme_id=programme_id, now=now)
    for alert in await list_alerts(connection, programme_id=programme_id):
        if alert.kind == "diverted":
            await change_alert(
                connection,
                programme_id=programme_id,
                alert_id=alert.id,
                state="acknowledged",
                note="已致电经销商 Called the dealer",
                actor="staff:members",
            )


class _Incidents:
    def __init__(self, connection: AsyncConnection, keys: MasterKeys, brand: Brand, today: date) -> None:
        self._connection: Final = connection
        self._keys: Final = keys
        self._brand: Final = brand
        self._today: Final = today
        self.now: Final = start_of_local_day(today, TIME_ZONE)

    async def divert(self) -> None:
        """Cases for Sichuan, packed on a pallet, of which some items turn up on the coast."""
        order = await self._print("ferry-oolong", "dealer/west")
        programme_id = self._brand.programme.id
        pallet = make_sscc(COMPANY_PREFIX, 900)
        cases = [
            Packing(
                sscc=make_sscc(COMPANY_PREFIX, 100 + number),
                items=[
                    Interval(
                        order.gtin,
                        order.kid,
                        order.lo + number * CASE_ITEMS,
                        order.lo + (number + 1) * CASE_ITEMS - 1,
                    )
                ],
            )
            for number in range(_CASES)
        ]
        packed_at = self.now - timedelta(days=33)
        await pack(self._connection, programme_id=programme_id, packings=cases, at=packed_at, actor="line-1")
        loaded = Packing(sscc=pallet, units=[case.sscc for case in cases])
        await pack(self._connection, programme_id=programme_id, packings=[loaded], at=packed_at, actor="line-1")
        await assign_dealer(
            self._connection,
            programme_id=programme_id,
            gtin=order.gtin,
            kid=order.kid,
            lo=order.lo,
            hi=order.lo + _CASES * CASE_ITEMS - 1,
            dealer="西岭茶叶商行 Xiling Tea Trading",
            region="CN-SC",
        )
        for piece in range(24):
            at = self.now - timedelta(days=20 - piece // 2, hours=piece % 9 + 3)
            place = _HOME[piece % 2] if piece >= _DIVERTED else _CITIES[piece % 4]
            await self._scan(order, piece, f"demo-dealer-{piece}", at, place)

    async def leak(self) -> None:
        """A file of codes with traps in it was fetched by a printer; two of the traps are scanned."""
        order = await self._print("osmanthus-oolong", "print/press-b", until="issued")
        programme_id = self._brand.programme.id
        printer = await save_printer(
            self._connection, programme_id=programme_id, name="锦程印务 Jincheng Press", note="demo"
        )
        export = await create_export(
            self._connection,
            programme_id=programme_id,
            range_id=order.id,
            base_url="http://127.0.0.1:8420",
            printer_id=printer.id,
            honey=3,
            actor="staff:owner",
        )
        await begin_download(
            self._connection, self._keys, programme_id=programme_id, export_id=export.id, actor="staff:owner"
        )
        for trap in range(2):
            await self._scan_trap(export, trap)

    async def _scan_trap(self, export: Export, trap: int) -> None:
        serial = self._keys.for_product(export.gtin, export.kid).mint((export.honey_lo or 0) + trap)
        await self._scan_serial(
            export.gtin,
            serial,
            f"demo-buyer-{trap}",
            self.now - timedelta(days=2, hours=5 - trap),
            address="203.0.113.9",
        )

    async def forge(self) -> None:
        """One invented code, printed many times: several phones meet it."""
        gtin = self._product("spring-ridge-50").gtin
        serial = self._keys.for_product(gtin, self._keys.current_kid).mint(1)
        forged = serial[:-1] + ("7" if serial[-1] != "7" else "8")
        for phone in range(_FALSE_PHONES):
            at = self.now - timedelta(days=1, hours=7 - phone)
            await self._scan_serial(gtin, forged, f"demo-duped-{phone}", at, address=f"198.51.{100 + phone}.7")

    async def recall(self, members: list[UUID]) -> None:
        """A lot that people have claimed items of is called back."""
        order = await self._print("citrus-puer", "recall/lot")
        serials = self._keys.for_product(order.gtin, order.kid)
        for piece, member_id in enumerate(members):
            at = self.now - timedelta(days=14 - piece // 2, hours=piece + 1)
            await self._scan(order, piece, f"demo-tea-{piece}", at, _HOME[piece % 2])
            await claim(
                self._connection,
                self._keys,
                programme_id=self._brand.programme.id,
                gtin=order.gtin,
                serial=serials.mint(order.lo + piece),
                member_id=member_id,
                device=f"demo-tea-{piece}",
                at=at,
            )
        await set_lot_state(
            self._connection,
            programme_id=self._brand.programme.id,
            gtin=order.gtin,
            code=order.lot or "",
            state="recalled",
            at=self.now - timedelta(days=1),
            actor="staff:owner",
        )

    async def _print(self, sku: str, name: str, *, until: Literal["issued", "shipped"] = "shipped") -> CodeRange:
        return await send_print_order(
            self._connection,
            self._keys,
            brand=self._brand,
            product=self._product(sku),
            count=200,
            day=self._today - timedelta(days=5),
            until=until,
            name=name,
        )

    def _product(self, sku: str) -> DemoProduct:
        return next(product for product in products() if product.sku == sku)

    async def _scan(self, order: CodeRange, piece: int, device: str, at: datetime, place: Place) -> None:
        serial = self._keys.for_product(order.gtin, order.kid).mint(order.lo + piece)
        await self._scan_serial(order.gtin, serial, device, at, place=place)

    async def _scan_serial(
        self,
        gtin: str,
        serial: str,
        device: str,
        at: datetime,
        *,
        place: Place | None = None,
        address: str | None = None,
    ) -> None:
        await scan(
            self._connection,
            self._keys,
            programme_id=self._brand.programme.id,
            gtin=gtin,
            serial=serial,
            device=device,
            address=address,
            place=place,
            at=at,
        )
