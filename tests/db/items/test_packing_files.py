"""A line's scan file is packed whole or not at all, whatever spelling its scanner has; and units move as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from loyalty.items.codes import ItemCode
from loyalty.items.packing.files import PackedFile, PackingFileError, pack_file
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.moving import move_unit
from loyalty.items.packing.packing import Packing, pack, unpack
from loyalty.items.packing.reading import contents, packing_history, whereabouts
from loyalty.items.packing.sscc import make_sscc
from loyalty.items.ranges import RangeStateError, find_range
from loyalty.kit.errors import NotFoundError
from tests.db.items.conftest import GTIN, NOON, Brand
from tests.db.items.test_packing import items

CASE, OTHER, PALLET = (make_sscc("6901234", number) for number in range(3))


async def packed(brand: Brand, *lines: str, **how: Any) -> PackedFile:
    file = [f"{line}\n" for line in ("sscc,code", *lines)]
    return await pack_file(
        brand.connection, brand.keys, programme_id=brand.programme.id, lines=file, at=NOON, actor="line 1", **how
    )


async def faults(brand: Brand, *lines: str, **how: Any) -> dict[int, str]:
    savepoint = await brand.connection.begin_nested()
    with pytest.raises(PackingFileError) as refused:
        await packed(brand, *lines, **how)
    await savepoint.rollback()
    return {each.line: each.reason for each in refused.value.lines}


async def held(brand: Brand, sscc: str) -> list[Interval]:
    return (await contents(brand.connection, programme_id=brand.programme.id, sscc=sscc)).items


async def states(brand: Brand, *indexes: int) -> list[str]:
    found = [await find_range(brand.connection, gtin=GTIN, kid=1, index=index) for index in indexes]
    return [each.state for each in found if each is not None]


async def test_codes_are_read_in_any_spelling_and_cases_go_onto_pallets(brand: Brand) -> None:
    await brand.mint(100)
    serial = [brand.serial(index) for index in range(8)]
    done = await packed(
        brand,
        f"{CASE},https://ex.cn/01/{GTIN}/21/{serial[0]}",
        f"00{CASE},HTTPS://EX.CN/01/{GTIN}/21/{serial[1].lower()}?linkType=all",
        f"(00){CASE},(01){GTIN}(21){serial[2]}",
        f"https://id.gs1.org/00/{CASE},]d201{GTIN}21{serial[3]}",
        f"{CASE},{GTIN} {serial[4]}",
        f"{CASE},{serial[5]}",
        f'"{CASE}","{serial[5]}"',
        "",
        f"{OTHER},{serial[7].lower()}",
        f"{PALLET},{CASE}",
        f"{PALLET},(00){OTHER}",
        gtin=GTIN[1:],
    )
    assert done == PackedFile(lines=10, items=7, units=3)
    assert (await held(brand, CASE), await held(brand, OTHER)) == ([items(0, 5)], [items(7, 7)])
    where = await whereabouts(brand.connection, programme_id=brand.programme.id, code=ItemCode(GTIN, 1, 5))
    assert where == [CASE, PALLET]
    history = await packing_history(brand.connection, programme_id=brand.programme.id, sscc=CASE)
    assert [(each.kind, each.at, each.actor) for each in history] == [("packed", NOON, "line 1")]


async def test_each_line_at_fault_is_told_by_its_number_and_nothing_is_packed(brand: Brand) -> None:
    await brand.mint(100)
    await pack(brand.connection, programme_id=brand.programme.id, packings=[Packing(sscc=OTHER, items=[items(9, 9)])])
    wrong_digit = CASE[:-1] + str((int(CASE[-1]) + 1) % 10)
    told = await faults(
        brand,
        f"{CASE},{brand.serial(0)}",
        f"{wrong_digit},{brand.serial(1)}",
        f"{CASE},{brand.serial(2)[:-1]}!",
        f"{CASE}",
        f"{CASE},",
        f"{CASE},{brand.serial(9)}",
        f"{CASE},{brand.serial(100)}",
        f"{PALLET},{brand.serial(0)}",
        f"{PALLET},{make_sscc('6901234', 99)}",
        f"{CASE},(01)09521234543213(21){brand.serial(3)}",
        f"{CASE},{CASE}",
        gtin=GTIN,
    )
    assert told == {
        3: f"'{wrong_digit}' is not an SSCC",
        4: f"{brand.serial(2)[:-1]}! is not a code of ours",
        5: "has 1 fields, not 2",
        6: "has no code",
        7: f"lies in unit {OTHER} already",
        8: f"{brand.serial(100)} is not a code of ours",
        9: f"is in unit {CASE} by line 2, too",
        10: f"nothing was ever packed into unit {make_sscc('6901234', 99)}",
        11: "09521234543213 is not a product of yours",
        12: "a unit cannot lie in itself",
    }
    with pytest.raises(NotFoundError):
        await held(brand, CASE)


@pytest.mark.parametrize(
    ("file", "line", "reason"),
    [
        (["code,unit\n"], 1, "has to name the columns: sscc, code, and gtin where there is one"),
        (["sscc,code\n"], 1, "nothing is scanned in this file"),
        (["sscc,code\n", f'{CASE},"x'], 2, "is not CSV: unexpected end of data"),
        (["sscc,code\n", f"{CASE},0123\n"], 2, "'0123' names no item: its GTIN is not known"),
    ],
)
async def test_a_file_that_is_none_is_refused(brand: Brand, file: list[str], line: int, reason: str) -> None:
    with pytest.raises(PackingFileError) as refused:
        await pack_file(brand.connection, brand.keys, programme_id=brand.programme.id, lines=file)
    assert [(each.line, each.reason) for each in refused.value.lines] == [(line, reason)]


async def test_what_lies_elsewhere_is_repacked_where_that_is_wanted(brand: Brand) -> None:
    await brand.mint(100)
    await packed(brand, *(f"{CASE},{brand.serial(index)}" for index in range(10)), f"{PALLET},{CASE}", gtin=GTIN)
    moved = (f"{OTHER},{brand.serial(3)}", f"{OTHER},{brand.serial(4)}")
    assert await faults(brand, *moved, gtin=GTIN) == dict.fromkeys((2, 3), f"lies in unit {CASE} already")
    assert (await packed(brand, *moved, gtin=GTIN, repack=True)).items == 2
    assert await held(brand, CASE) == [items(0, 2), items(5, 9)]
    told = await faults(brand, f"{OTHER},{brand.serial(5)}", f"{CASE},{brand.serial(5)}", gtin=GTIN, repack=True)
    assert told == {3: f"is in unit {OTHER} by line 2, too"}


async def test_a_file_of_many_batches_puts_no_item_into_two_units(
    brand: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loyalty.items.packing.files._BATCH", 20)
    await brand.mint(100)
    ssccs = [make_sscc("6901234", 10 + number) for number in range(4)]
    lines = [f"{ssccs[index // 24]},{brand.serial(index)}" for index in range(90)]
    read = 0

    def each() -> Iterator[str]:
        nonlocal read
        yield "sscc,code\n"
        for line in lines:
            read += 1
            yield f"{line}\n"

    for repack in (False, True):
        told = await faults(brand, *lines, f"{ssccs[3]},{brand.serial(0)}", gtin=GTIN, repack=repack)
        assert told == {92: f"lies in unit {ssccs[0]} already"}
    done = await pack_file(brand.connection, brand.keys, programme_id=brand.programme.id, lines=each(), gtin=GTIN)
    assert (done, read) == (PackedFile(lines=90, items=90, units=4), 90)
    assert await held(brand, ssccs[1]) == [items(24, 47)]
    history = await packing_history(brand.connection, programme_id=brand.programme.id, sscc=ssccs[1])
    assert len(history) == 1  # a batch ends where a unit ends


@pytest.mark.long
async def test_a_million_scanned_items_are_rows_of_the_order_of_cases(brand: Brand) -> None:
    """Cases of 24, pallets of 40 cases, each item scanned on a line of its own."""
    count = 1_000_000
    await brand.mint(count)
    serials = brand.keys.for_product(GTIN, 1).mint_many(0, count)
    cases = [make_sscc("6901234", number) for number in range(-(-count // 24))]

    def lines() -> Iterator[str]:
        yield "sscc,code\n"
        for index, serial in enumerate(serials.tolist()):
            yield f"{cases[index // 24]},https://t.example/01/{GTIN}/21/{serial.decode()}\n"
        for number, case in enumerate(cases):
            yield f"{make_sscc('6901234', number // 40, extension=1)},{case}\n"

    done = await pack_file(brand.connection, brand.keys, programme_id=brand.programme.id, lines=lines())
    pallets = -(-len(cases) // 40)
    assert done == PackedFile(lines=count + len(cases), items=count, units=len(cases) + pallets)
    grown = text("""
        SELECT (SELECT count(*) FROM packed_interval WHERE gtin = :gtin),
               (SELECT count(*) FROM packing_event_piece WHERE gtin = :gtin),
               (SELECT count(*) FROM item WHERE gtin = :gtin),
               (SELECT count(*) FROM logistic_unit WHERE programme_id = :programme)
    """)
    rows = await brand.connection.execute(grown, {"gtin": GTIN, "programme": brand.programme.id})
    intervals, pieces, items_, units = rows.one()
    assert (intervals, pieces, items_, units) == (len(cases), len(cases), 0, len(cases) + pallets)
    where = await whereabouts(brand.connection, programme_id=brand.programme.id, code=ItemCode(GTIN, 1, 777_777))
    assert where == [cases[777_777 // 24], make_sscc("6901234", 777_777 // 24 // 40, extension=1)]


async def test_a_pallet_moves_as_one_and_what_is_no_longer_in_it_does_not(brand: Brand) -> None:
    await brand.mint(100, state="printed")
    programme: dict[str, Any] = {"programme_id": brand.programme.id}
    cases = [Packing(sscc=CASE, items=[items(0, 9)]), Packing(sscc=OTHER, items=[items(10, 19), items(30, 39)])]
    await pack(brand.connection, packings=cases, **programme)
    await pack(brand.connection, packings=[Packing(sscc=PALLET, units=[CASE, OTHER])], **programme)
    await unpack(brand.connection, sscc=CASE, items=[items(4, 5)], **programme)
    moved = await move_unit(brand.connection, sscc=PALLET, state="activated", **programme)
    assert (moved.count, moved.items) == (28, [items(0, 3), items(6, 19), items(30, 39)])
    assert await states(brand, 3, 4, 6, 19, 20, 30) == [
        "activated", "printed", "activated", "activated", "printed", "activated",
    ]  # fmt: skip
    for state in ("shipped", "sold", "recalled"):
        await move_unit(brand.connection, sscc=OTHER, state=state, **programme)
    assert await states(brand, 3, 10, 30) == ["activated", "recalled", "recalled"]
    with pytest.raises(RangeStateError):
        await move_unit(brand.connection, sscc=PALLET, state="printed", **programme)
    await move_unit(brand.connection, sscc=OTHER, state="sold", exempt=True, **programme)
    assert await states(brand, 10) == ["sold"]
    await unpack(brand.connection, sscc=OTHER, **programme)
    with pytest.raises(NotFoundError, match="nothing lies"):
        await move_unit(brand.connection, sscc=OTHER, state="sold", **programme)
    events = text("SELECT lo, hi FROM range_event WHERE kind = 'activated' AND programme_id = :programme ORDER BY lo")
    rows = await brand.connection.execute(events, {"programme": brand.programme.id})
    assert rows.all() == [(0, 3), (6, 19), (30, 39)]
