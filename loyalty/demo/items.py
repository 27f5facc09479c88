"""The codes on the brand's products: print orders, their way to the shops, and the serial of each piece."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.demo.brand import TIME_ZONE, Brand, DemoProduct, products
from loyalty.items.events import EventKind, record_event
from loyalty.items.keys import MasterKeys
from loyalty.items.products import LocalText
from loyalty.items.ranges import CodeRange, NextState, RangePolicy, change_range_state, mint_range

_SPARE_PIECES: Final = 200
_SECOND_BATCH_DAYS: Final = 20
"""How long before the middle of the story the second print order is on its way."""

_ORIGINS: Final[Mapping[str, LocalText]] = {
    "green-tea": LocalText(zh="浙江·天目山", en="Tianmu Mountain, Zhejiang"),
    "white-tea": LocalText(zh="福建·福鼎", en="Fuding, Fujian"),
    "oolong": LocalText(zh="福建·安溪", en="Anxi, Fujian"),
    "black-tea": LocalText(zh="安徽·祁门", en="Qimen, Anhui"),
    "dark-tea": LocalText(zh="云南·勐海", en="Menghai, Yunnan"),
    "scented-tea": LocalText(zh="广西·横州", en="Hengzhou, Guangxi"),
    "herbal": LocalText(zh="杭州·余杭", en="Yuhang, Hangzhou"),
    "teaware": LocalText(zh="江西·景德镇", en="Jingdezhen, Jiangxi"),
    "gift": LocalText(zh="杭州·包装中心", en="Packing centre, Hangzhou"),
}
_PACKED: Final = LocalText(zh="杭州·包装中心", en="Packing centre, Hangzhou")
_SHIPPED: Final = LocalText(zh="上海仓", en="Shanghai warehouse")
_RECEIVED: Final = LocalText(zh="各门店与商城", en="All stores and the online shop")


class DemoItems:
    """The print orders of a story. `ranges` are by product and print order."""

    def __init__(self, keys: MasterKeys, ranges: Mapping[tuple[str, int], CodeRange]) -> None:
        self.keys: Final = keys
        self._ranges: Final = ranges

    def code(self, sku: str, batch: int, piece: int) -> tuple[str, str]:
        """The GTIN and serial of one piece of a print order."""
        ordered = self._ranges[sku, batch]
        return ordered.gtin, self.keys.for_product(ordered.gtin, ordered.kid).mint(ordered.lo + piece)


async def print_codes(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    brand: Brand,
    first_day: date,
    middle: date,
    pieces: Mapping[tuple[str, int], int],
) -> DemoItems:
    """Order prints for each coded product, with codes enough for the story, and send them on their way."""
    days = (first_day, middle - timedelta(_SECOND_BATCH_DAYS))
    by_sku = {product.sku: product for product in products()}
    ranges: dict[tuple[str, int], CodeRange] = {}
    for (sku, batch), count in sorted(pieces.items()):
        ranges[sku, batch] = await send_print_order(
            connection,
            keys,
            brand=brand,
            product=by_sku[sku],
            count=count + _SPARE_PIECES,
            day=days[batch],
            until="shipped",
        )
    return DemoItems(keys, ranges)


async def send_print_order(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    brand: Brand,
    product: DemoProduct,
    count: int,
    day: date,
    until: Literal["issued", "shipped"],
    expires_on: date | None = None,
    policy: RangePolicy | None = None,
    name: str = "",
) -> CodeRange:
    """Order codes and, unless they stay `issued`, let the goods be made, packed and shipped by `day`."""
    programme_id = brand.programme.id
    ordered = await mint_range(
        connection,
        keys,
        programme_id=programme_id,
        gtin=product.gtin,
        count=count,
        print_order=name or f"{product.sku}/{day:%Y-%m}",
        lot=f"L{day:%y%m%d}",
        expires_on=expires_on,
        policy=policy,
        at=_at(day, days_before=52),
        actor="owner",
    )
    if until == "issued":
        return ordered
    road: list[tuple[EventKind, NextState | None, int, LocalText | None]] = [
        ("printed", "printed", 45, None),
        ("made", None, 40, _ORIGINS[product.category]),
        ("packed", None, 33, _PACKED),
        ("activated", "activated", 31, None),
        ("shipped", "shipped", 28, _SHIPPED),
        ("received", None, 24, _RECEIVED),
    ]
    for kind, state, days_before, places in road:
        at = _at(day, days_before=days_before)
        if state is None:
            await record_event(
                connection,
                programme_id=programme_id,
                gtin=ordered.gtin,
                kid=ordered.kid,
                lo=ordered.lo,
                hi=ordered.hi,
                kind=kind,
                at=at,
                places=places,
                actor="owner",
            )
        else:
            ordered = await change_range_state(
                connection,
                programme_id=programme_id,
                range_id=ordered.id,
                state=state,
                at=at,
                places=places,
                actor="owner",
            )
    return ordered


def _at(day: date, *, days_before: int) -> datetime:
    return datetime.combine(day - timedelta(days_before), time(9, 30), ZoneInfo(TIME_ZONE))
