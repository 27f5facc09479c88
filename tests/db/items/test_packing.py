"""Cases and pallets: what goes in comes out, nothing lies in two places, and no item has a row of its own."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from loyalty.items.codes import ItemCode
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.packing import PackedElsewhereError, Packing, pack, unpack
from loyalty.items.packing.reading import UnitContents, all_items, contents, packing_history, whereabouts
from loyalty.items.packing.sscc import make_sscc
from loyalty.kit.errors import InvalidInputError, NotFoundError
from tests.db.items.conftest import GTIN, NOON, Brand

CASE, OTHER, PALLET = (make_sscc("6901234", number) for number in range(3))


def items(lo: int, hi: int) -> Interval:
    return Interval(GTIN, 1, lo, hi)


async def put(brand: Brand, sscc: str, *held: Interval, units: tuple[str, ...] = (), repack: bool = False) -> int:
    return await pack(
        brand.connection,
        programme_id=brand.programme.id,
        packings=[Packing(sscc=sscc, items=held, units=units)],
        repack=repack,
        at=NOON,
        actor="line 1",
    )


async def where(brand: Brand, index: int) -> list[str]:
    return await whereabouts(brand.connection, programme_id=brand.programme.id, code=ItemCode(GTIN, 1, index))


async def inside(brand: Brand, sscc: str) -> UnitContents:
    return await contents(brand.connection, programme_id=brand.programme.id, sscc=sscc)


async def test_an_item_knows_its_case_and_pallet_and_a_case_its_items(brand: Brand) -> None:
    await brand.mint(100)
    assert await put(brand, CASE, items(0, 23)) == 24
    assert await put(brand, OTHER, items(24, 30), items(32, 47)) == 23
    await put(brand, PALLET, units=(CASE, OTHER))
    assert await where(brand, 23) == [CASE, PALLET]
    assert await where(brand, 31) == []
    assert await where(brand, 32) == [OTHER, PALLET]
    case, pallet = await inside(brand, OTHER), await inside(brand, PALLET)
    assert (case.items, case.parents, case.count) == ([items(24, 30), items(32, 47)], [PALLET], 23)
    assert (pallet.items, pallet.units, pallet.count) == ([], [CASE, OTHER], 47)
    held = await all_items(brand.connection, programme_id=brand.programme.id, sscc=PALLET)
    assert held == [items(0, 30), items(32, 47)]


async def test_what_lies_in_one_case_is_not_put_into_another_unless_it_is_repacked(brand: Brand) -> None:
    await brand.mint(100)
    await put(brand, CASE, items(0, 23))
    with pytest.raises(PackedElsewhereError) as refused:
        async with brand.connection.begin_nested():
            await put(brand, OTHER, items(20, 30))
    assert (refused.value.members["sscc"], refused.value.members["index"]) == (CASE, 20)
    assert await where(brand, 25) == []
    await put(brand, OTHER, items(10, 12), items(20, 30), repack=True)
    assert (await inside(brand, CASE)).items == [items(0, 9), items(13, 19)]
    assert (await inside(brand, OTHER)).items == [items(10, 12), items(20, 30)]


async def test_packing_what_is_there_already_changes_and_records_nothing(brand: Brand) -> None:
    await brand.mint(100)
    await put(brand, CASE, items(0, 23))
    await put(brand, CASE, items(0, 23))
    await put(brand, CASE, items(20, 25))
    history = await packing_history(brand.connection, programme_id=brand.programme.id, sscc=CASE)
    assert [(event.kind, event.items) for event in history] == [("packed", [items(0, 23)]), ("packed", [items(24, 25)])]
    assert (await inside(brand, CASE)).count == 26


async def test_a_case_is_unpacked_in_part_and_whole(brand: Brand) -> None:
    await brand.mint(100)
    await put(brand, CASE, items(0, 23))
    await put(brand, PALLET, units=(CASE,))
    out: dict[str, Any] = {"programme_id": brand.programme.id, "at": NOON}
    assert await unpack(brand.connection, sscc=CASE, items=[items(5, 6)], **out) == 2
    assert await where(brand, 5) == []
    assert (await inside(brand, CASE)).count == 22
    with pytest.raises(NotFoundError, match="item 5"):
        await unpack(brand.connection, sscc=CASE, items=[items(4, 5)], **out)
    assert await unpack(brand.connection, sscc=PALLET, **out) == 0
    assert await where(brand, 4) == [CASE]
    assert await unpack(brand.connection, sscc=CASE, **out) == 22
    assert (await inside(brand, CASE)).count == 0


@pytest.mark.parametrize(
    ("sscc", "held", "units", "field"),
    [
        ("123", [items(0, 1)], (), "packings[0].sscc"),
        (CASE[:-1] + str((int(CASE[-1]) + 1) % 10), [items(0, 1)], (), "packings[0].sscc"),
        (CASE, [items(5, 4)], (), "items[0].lo"),
        (CASE, [items(0, 100)], (), "items"),
        (CASE, [], (CASE,), "packings[0].units"),
        (CASE, [], (OTHER,), "units"),
    ],
)
async def test_what_cannot_be_packed_is_refused_by_its_field(
    brand: Brand, sscc: str, held: list[Interval], units: tuple[str, ...], field: str
) -> None:
    await brand.mint(100)
    with pytest.raises((InvalidInputError, NotFoundError)) as refused:
        await put(brand, sscc, *held, units=units)
    assert refused.value.field == field


async def test_units_do_not_lie_in_a_circle(brand: Brand) -> None:
    await brand.mint(100)
    await put(brand, CASE, items(0, 1))
    await put(brand, OTHER, items(2, 3))
    await put(brand, OTHER, units=(CASE,))
    with pytest.raises(InvalidInputError, match="circle"):
        await put(brand, CASE, units=(OTHER,))


async def test_a_million_items_in_cases_and_pallets_are_as_many_rows_as_cases(brand: Brand) -> None:
    """A million items, or a hundredth of it here: cases of 24, and pallets of 40 cases."""
    count = 10_000
    await brand.mint(count)
    cases = [
        Packing(sscc=make_sscc("6901234", number), items=[items(lo, min(lo + 23, count - 1))])
        for number, lo in enumerate(range(0, count, 24))
    ]
    everything: dict[str, Any] = {"programme_id": brand.programme.id, "at": NOON}
    await pack(brand.connection, packings=cases, **everything)
    pallets = [
        Packing(sscc=make_sscc("6901234", number, extension=1), units=[case.sscc for case in cases[first : first + 40]])
        for number, first in enumerate(range(0, len(cases), 40))
    ]
    await pack(brand.connection, packings=pallets, **everything)
    rows = await brand.connection.scalar(
        text(
            "SELECT (SELECT count(*) FROM packed_interval WHERE gtin = :gtin) +"
            " (SELECT count(*) FROM item WHERE gtin = :gtin)"
        ),
        {"gtin": GTIN},
    )
    assert rows == len(cases)
    assert await where(brand, count - 1) == [cases[-1].sscc, pallets[-1].sscc]
    assert (await inside(brand, pallets[0].sscc)).count == 24 * 40
