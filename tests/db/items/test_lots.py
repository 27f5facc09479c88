"""A lot has one row, and its recall is that row: the next scan reads it, and no item is written."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.exceptions import change_item
from loyalty.items.key_records import set_key_state
from loyalty.items.lots import count_lot, get_lot, list_lots, move_lot, save_lot, set_lot_state
from loyalty.items.precedence import ExceptionState, NextState
from loyalty.items.ranges import RangeStateError, change_state, list_ranges
from loyalty.items.timeline import read_timeline
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from tests.db.items.conftest import GTIN, Brand


async def say(brand: Brand, state: ExceptionState | None, lot: str = "L1") -> None:
    await set_lot_state(
        brand.connection, programme_id=brand.programme.id, gtin=GTIN, code=lot, state=state, actor="owner"
    )


async def kind(brand: Brand, index: int = 0) -> str:
    return (await brand.scan(index, device=f"phone-{new_id()}")).kind


async def change(brand: Brand, lo: int, hi: int, state: NextState, **fields: Any) -> None:
    where: dict[str, Any] = {"programme_id": brand.programme.id, "gtin": GTIN, "kid": 1, "lo": lo, "hi": hi}
    await change_state(brand.connection, **where, state=state, **fields)


async def change_one(brand: Brand, index: int, state: NextState, **fields: Any) -> None:
    code = ItemCode(GTIN, 1, index)
    await change_item(brand.connection, programme_id=brand.programme.id, code=code, state=state, **fields)


async def written_items(connection: AsyncConnection) -> tuple[int, int]:
    """How many rows of items this transaction has updated and deleted so far."""
    row = (
        await connection.execute(
            text("SELECT n_tup_upd, n_tup_del FROM pg_stat_xact_user_tables WHERE relname = 'item'")
        )
    ).one()
    return row.n_tup_upd, row.n_tup_del


async def test_a_recall_of_a_million_items_takes_effect_on_the_next_scan_and_writes_no_item(brand: Brand) -> None:
    count = 1_000_000
    await brand.mint(count, lot="L1", state="shipped")
    for lo in range(1_000, count, 100_000):
        await change(brand, lo, lo + 9, "sold")
    seen = text("""
        INSERT INTO item (gtin, kid, index, programme_id, scan_count, first_scanned_at, first_device)
        SELECT :gtin, 1, index, :programme, 1, now(), '\\x00' FROM generate_series(0, :last) AS index
    """)
    await brand.connection.execute(seen, {"gtin": GTIN, "programme": brand.programme.id, "last": count - 1})
    assert await kind(brand, 777_777) == "seen_before"
    ranges = await list_ranges(brand.connection, programme_id=brand.programme.id)
    before = await written_items(brand.connection)

    await say(brand, "recalled")

    assert await written_items(brand.connection) == before
    assert await list_ranges(brand.connection, programme_id=brand.programme.id) == ranges
    for index in (0, 1_005, 777_777, count - 1):
        assert await kind(brand, index) == "recalled"
    # The scans just made counted their four items, and nothing else was written.
    assert await written_items(brand.connection) == (before[0] + 4, before[1])


async def test_a_recall_is_lifted_as_it_was_made(brand: Brand) -> None:
    await brand.mint(10, lot="L1", state="shipped")
    await say(brand, "recalled")
    await say(brand, "recalled")
    await say(brand, None)
    assert await kind(brand) == "first_scan"
    steps = await read_timeline(brand.connection, gtin=GTIN, kid=1, index=3)
    assert [step.kind for step in steps] == ["shipped", "recalled", "released"]
    found = await get_lot(brand.connection, programme_id=brand.programme.id, gtin=GTIN, code="L1")
    assert (found.state, found.state_by) == (None, "owner")


async def test_only_the_lot_named_is_recalled(brand: Brand) -> None:
    await brand.mint(10, lot="L1", state="shipped")
    await brand.mint(10, lot="L2", state="shipped")
    await say(brand, "recalled")
    assert await kind(brand, 5) == "recalled"
    assert await kind(brand, 15) == "first_scan"


async def test_an_item_sold_by_itself_is_recalled_with_its_lot_and_one_found_good_is_not(brand: Brand) -> None:
    await brand.mint(10, lot="L1", state="shipped")
    await change_one(brand, 1, "sold")
    await say(brand, "recalled")
    assert await kind(brand, 1) == "recalled"
    with pytest.raises(RangeStateError, match="find this one good"):
        await change_one(brand, 1, "sold")
    await change_one(brand, 1, "sold", exempt=True)
    assert await kind(brand, 1) != "recalled"
    assert await kind(brand, 2) == "recalled"


async def test_a_range_found_good_is_out_of_the_recall_until_the_next_one(brand: Brand) -> None:
    await brand.mint(10, lot="L1", state="shipped")
    await say(brand, "recalled")
    await change(brand, 4, 6, "shipped", exempt=True)
    assert [await kind(brand, index) for index in (3, 4, 6, 7)] == ["recalled", "first_scan", "first_scan", "recalled"]
    await say(brand, None)
    await say(brand, "recalled")
    assert [await kind(brand, index) for index in (3, 4)] == ["recalled", "recalled"]


async def test_nobody_is_exempt_without_a_live_state(brand: Brand) -> None:
    await brand.mint(10, lot="L1")
    with pytest.raises(InvalidInputError, match="exempt"):
        await change(brand, 0, 9, "recalled", exempt=True)
    with pytest.raises(InvalidInputError, match="exempt"):
        await change_one(brand, 0, "printed", exempt=True)


async def test_what_is_said_of_a_key_reaches_all_its_ranges_but_not_those_of_another(brand: Brand) -> None:
    await brand.mint(10, state="shipped")
    brand.keys = brand.keys.with_new_key()
    await brand.mint(10, state="shipped")
    await set_key_state(brand.connection, programme_id=brand.programme.id, kid=1, state="retired")
    assert await kind(brand, 3) == "not_activated"
    assert (await brand.scan(3, serial=brand.serial(3, kid=2))).kind == "first_scan"
    await set_key_state(brand.connection, programme_id=brand.programme.id, kid=1, state=None)
    assert await kind(brand, 3) == "first_scan"


async def test_a_lot_is_moved_along_the_road_range_by_range(brand: Brand) -> None:
    await brand.mint(10, lot="L1")
    await brand.mint(10, lot="L1", state="sold")
    await brand.mint(10, lot="L2")
    where: dict[str, Any] = {"programme_id": brand.programme.id, "gtin": GTIN, "code": "L1"}
    moved = await move_lot(brand.connection, **where, state="shipped")
    assert [(each.lo, each.hi, each.state) for each in moved] == [(0, 9, "shipped")]
    counts = await count_lot(brand.connection, gtin=GTIN, code="L1")
    assert {each.state: each.codes for each in counts} == {"shipped": 10, "sold": 10}
    assert {each.state for each in await count_lot(brand.connection, gtin=GTIN, code="L2")} == {"issued"}
    with pytest.raises(InvalidInputError, match="born as issued"):
        await move_lot(brand.connection, **where, state="issued")


async def test_a_retired_lot_stays_retired(brand: Brand) -> None:
    await brand.mint(10, lot="L1", state="shipped")
    await say(brand, "retired")
    with pytest.raises(RangeStateError, match="stays retired"):
        await say(brand, None)


async def test_a_lot_is_known_from_the_first_codes_that_name_it_and_says_what_its_ranges_leave_out(
    brand: Brand,
) -> None:
    await brand.mint(5, lot="L1", state="shipped")
    await brand.mint(5, lot="L1", state="shipped", expires_on=date(2030, 1, 1))
    connection, programme_id = brand.connection, brand.programme.id
    assert (await get_lot(connection, programme_id=programme_id, gtin=GTIN, code="L1")).expires_on is None
    saved = await save_lot(
        connection, programme_id=programme_id, gtin=GTIN, code=" L1 ", expires_on=date(2026, 1, 31), region="CN-31"
    )
    assert (saved.code, saved.expires_on) == ("L1", date(2026, 1, 31))
    assert [await kind(brand, index) for index in (0, 5)] == ["expired", "first_scan"]
    await save_lot(connection, programme_id=programme_id, gtin=GTIN, code="L0")
    assert [lot.code for lot in await list_lots(connection, programme_id=programme_id)] == ["L0", "L1"]
    rest = await list_lots(connection, programme_id=programme_id, gtin=GTIN, after=(GTIN, "L0"))
    assert [lot.code for lot in rest] == ["L1"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": " "}, "lot"),
        ({"code": "a\nb"}, "lot"),
        ({"made_on": date(2026, 2, 1), "expires_on": date(2026, 1, 1)}, "expires_on"),
        ({"note": "x" * 2001}, "note"),
    ],
)
async def test_a_lot_that_cannot_be_is_refused_by_its_field(brand: Brand, fields: dict[str, Any], field: str) -> None:
    values: dict[str, Any] = {"programme_id": brand.programme.id, "gtin": GTIN, "code": "L1"}
    with pytest.raises(InvalidInputError) as refused:
        await save_lot(brand.connection, **values | fields)
    assert refused.value.field == field


async def test_another_programmes_lot_is_not_found(brand: Brand) -> None:
    await brand.mint(5, lot="L1")
    with pytest.raises(NotFoundError):
        await set_lot_state(brand.connection, programme_id=new_id(), gtin=GTIN, code="L1", state="recalled")
