"""Ranges are handed out once, cut without holes, and go one way."""

from __future__ import annotations

import asyncio
from datetime import date
from itertools import pairwise

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.codes import INDEX_LIMIT
from loyalty.items.events import events_of
from loyalty.items.products import LocalText
from loyalty.items.ranges import (
    CodeRange,
    NextState,
    RangePolicy,
    RangeStateError,
    SeriesExhaustedError,
    assign_lot,
    change_range_state,
    change_state,
    find_range,
    get_range,
    list_ranges,
    mint_range,
)
from loyalty.items.tables import code_series_table
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from tests.db.items.conftest import GTIN, NOON, Brand, make_brand


def spans(ranges: list[CodeRange]) -> list[tuple[int, int, str]]:
    return [(found.lo, found.hi, found.state) for found in ranges]


async def all_ranges(brand: Brand) -> list[CodeRange]:
    return sorted(await list_ranges(brand.connection, programme_id=brand.programme.id), key=lambda found: found.lo)


async def change(brand: Brand, lo: int, hi: int, state: NextState) -> list[CodeRange]:
    return await change_state(
        brand.connection, programme_id=brand.programme.id, gtin=GTIN, kid=1, lo=lo, hi=hi, state=state, at=NOON
    )


async def kinds(brand: Brand, index: int) -> list[str]:
    return [event.kind for event in await events_of(brand.connection, gtin=GTIN, kid=1, index=index)]


async def test_print_orders_take_the_next_codes_in_turn(brand: Brand) -> None:
    first = await brand.mint(10, print_order=" spring ", lot="L1", policy=RangePolicy(points_on_claim=5))
    second = await brand.mint(5)
    assert (first.lo, first.hi, first.count, first.state, first.print_order) == (0, 9, 10, "issued", "spring")
    assert (second.lo, second.hi) == (10, 14)
    assert first.origin_id == first.id
    assert first.public_id.startswith("rng_")
    found = await get_range(brand.connection, programme_id=brand.programme.id, range_id=first.id)
    assert found == first
    assert found.policy.points_on_claim == 5
    assert await kinds(brand, 3) == ["minted"]


async def test_a_hundred_million_codes_are_a_range_and_no_row_an_item(brand: Brand) -> None:
    written = text("SELECT relname, n_tup_ins FROM pg_stat_xact_user_tables WHERE n_tup_ins > 0")
    before = {row.relname: row.n_tup_ins for row in await brand.connection.execute(written)}
    await brand.mint(100_000_000)
    after = {row.relname: row.n_tup_ins for row in await brand.connection.execute(written)}
    grown = {table: count - before.get(table, 0) for table, count in after.items() if count > before.get(table, 0)}
    assert grown == {"code_series": 1, "code_range": 1, "range_event": 1}


async def test_each_key_has_a_series_of_its_own(brand: Brand) -> None:
    await brand.mint(10)
    brand.keys = brand.keys.with_new_key()
    assert (await brand.mint(4)).kid == 2
    assert (await brand.mint(4, kid=1)).lo == 10
    assert (await brand.mint(4)).lo == 4


async def test_a_code_is_found_in_its_range_and_an_unminted_one_nowhere(brand: Brand) -> None:
    first, second = await brand.mint(10), await brand.mint(10)
    for index, expected in ((0, first), (9, first), (10, second), (19, second), (20, None)):
        assert await find_range(brand.connection, gtin=GTIN, kid=1, index=index) == expected
    assert await find_range(brand.connection, gtin=GTIN, kid=2, index=0) is None


async def test_a_series_ends_and_no_index_is_used_twice(brand: Brand) -> None:
    await brand.mint(1)
    await brand.connection.execute(update(code_series_table).values(next_index=INDEX_LIMIT - 3))
    with pytest.raises(SeriesExhaustedError, match="fewer than 4"):
        await brand.mint(4)
    assert (await brand.mint(3)).hi == INDEX_LIMIT - 1
    with pytest.raises(SeriesExhaustedError):
        await brand.mint(1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"count": 0}, "count"),
        ({"count": 10**10}, "count"),
        ({"print_order": " "}, "print_order"),
        ({"print_order": "a\nb"}, "print_order"),
        ({"lot": "L" * 201}, "lot"),
        ({"gtin": "06901234567893"}, "gtin"),
        ({"policy": RangePolicy(points_on_claim=-1)}, "policy.points_on_claim"),
    ],
)
async def test_a_print_order_that_cannot_be_is_refused_by_its_field(
    brand: Brand, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await brand.mint(**fields)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert await all_ranges(brand) == []


async def test_an_unknown_product_or_key_mints_nothing(brand: Brand) -> None:
    with pytest.raises(NotFoundError, match="no product"):
        await brand.mint(gtin="00000096385074")
    with pytest.raises(NotFoundError, match="key 9"):
        await brand.mint(kid=9)
    assert await all_ranges(brand) == []


async def test_a_range_goes_down_the_road_and_may_leave_steps_out(brand: Brand) -> None:
    minted = await brand.mint(10)
    assert spans(await change(brand, 0, 9, "activated")) == [(0, 9, "activated")]
    sold = await change_range_state(
        brand.connection,
        programme_id=brand.programme.id,
        range_id=minted.id,
        state="sold",
        places=LocalText(zh="上海", en="Shanghai"),
        actor="clerk",
    )
    assert (sold.id, sold.state) == (minted.id, "sold")
    assert await kinds(brand, 0) == ["minted", "activated", "sold"]


async def test_part_of_a_range_is_cut_out_and_nothing_is_lost(brand: Brand) -> None:
    minted = await brand.mint(100, lot="L1", state="activated")
    changed = await change(brand, 40, 59, "shipped")
    assert spans(changed) == [(40, 59, "shipped")]
    pieces = await all_ranges(brand)
    assert spans(pieces) == [(0, 39, "activated"), (40, 59, "shipped"), (60, 99, "activated")]
    assert pieces[0].id == minted.id
    assert {piece.origin_id for piece in pieces} == {minted.id}
    assert len({piece.id for piece in pieces}) == 3
    assert {piece.lot for piece in pieces} == {"L1"}
    assert len(await list_ranges(brand.connection, programme_id=brand.programme.id, origin_id=minted.id)) == 3


async def test_an_interval_may_span_ranges_and_each_run_of_change_is_one_event(brand: Brand) -> None:
    await brand.mint(10, state="activated")
    await brand.mint(10, state="activated")
    await brand.mint(10, state="activated")
    await change(brand, 12, 13, "shipped")
    assert spans(await change(brand, 5, 24, "shipped")) == [
        (5, 9, "shipped"),
        (10, 11, "shipped"),
        (12, 13, "shipped"),
        (14, 19, "shipped"),
        (20, 24, "shipped"),
    ]
    query = text("SELECT lo, hi FROM range_event WHERE kind = 'shipped' AND gtin = :gtin ORDER BY lo")
    rows = await brand.connection.execute(query, {"gtin": GTIN})
    assert rows.all() == [(5, 11), (12, 13), (14, 24)]


async def test_repeating_a_change_does_nothing_and_records_nothing(brand: Brand) -> None:
    await brand.mint(10, state="activated")
    before = await kinds(brand, 0)
    assert spans(await change(brand, 2, 5, "activated")) == [(0, 9, "activated")]
    assert await kinds(brand, 0) == before


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (["activated"], "printed"),
        (["shipped"], "activated"),
        (["sold"], "shipped"),
        (["recalled"], "printed"),
        (["retired"], "activated"),
        (["retired"], "recalled"),
    ],
)
async def test_no_code_goes_back(brand: Brand, path: list[NextState], wanted: NextState) -> None:
    await brand.mint(10)
    for state in path:
        await change(brand, 0, 9, state)
    with pytest.raises(RangeStateError, match=f"codes 0 to 9 are {path[-1]} and cannot become {wanted}"):
        await change(brand, 0, 9, wanted)
    assert spans(await all_ranges(brand)) == [(0, 9, path[-1])]


async def test_one_code_that_cannot_go_stops_the_whole_change(brand: Brand) -> None:
    await brand.mint(10, state="activated")
    await change(brand, 5, 5, "retired")
    with pytest.raises(RangeStateError, match="codes 5 to 5 are retired"):
        await change(brand, 0, 9, "shipped")
    assert spans(await all_ranges(brand)) == [(0, 4, "activated"), (5, 5, "retired"), (6, 9, "activated")]


async def test_a_recall_reaches_every_state_and_is_lifted_by_naming_where_to(brand: Brand) -> None:
    await brand.mint(10)
    await change(brand, 5, 9, "sold")
    assert spans(await change(brand, 0, 9, "recalled")) == [(0, 4, "recalled"), (5, 9, "recalled")]
    assert spans(await change(brand, 5, 9, "sold")) == [(5, 9, "sold")]


async def test_codes_that_were_never_minted_change_nothing(brand: Brand) -> None:
    await brand.mint(10)
    with pytest.raises(NotFoundError, match="not all codes from 5 to 10"):
        await change(brand, 5, 10, "activated")
    with pytest.raises(InvalidInputError, match="after the last"):
        await change(brand, 6, 5, "activated")
    with pytest.raises(NotFoundError, match="no codes of"):
        await change_state(brand.connection, programme_id=new_id(), gtin=GTIN, kid=1, lo=0, hi=1, state="activated")
    assert spans(await all_ranges(brand)) == [(0, 9, "issued")]


async def test_a_lot_is_said_of_part_of_a_print_order_once_it_is_known(brand: Brand) -> None:
    await brand.mint(10, region="CN")
    assigned = await assign_lot(
        brand.connection,
        programme_id=brand.programme.id,
        gtin=GTIN,
        kid=1,
        lo=0,
        hi=5,
        lot="L7",
        expires_on=date(2027, 1, 31),
    )
    assert [(piece.lo, piece.hi, piece.lot, piece.expires_on, piece.region) for piece in assigned] == [
        (0, 5, "L7", date(2027, 1, 31), "CN")
    ]
    rest = await find_range(brand.connection, gtin=GTIN, kid=1, index=6)
    assert rest is not None
    assert (rest.lot, rest.expires_on) == (None, None)


async def test_print_orders_at_the_same_time_share_no_code(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        brand = await make_brand(connection)

    async def mint(count: int) -> CodeRange:
        async with transaction(committed_engine) as connection:
            return await mint_range(
                connection, brand.keys, programme_id=brand.programme.id, gtin=GTIN, count=count, print_order="race"
            )

    minted = sorted(await asyncio.gather(*(mint(count) for count in range(1, 31))), key=lambda found: found.lo)
    assert minted[0].lo == 0
    assert all(before.hi + 1 == after.lo for before, after in pairwise(minted))
    assert minted[-1].hi == sum(range(1, 31)) - 1


async def test_cuts_at_the_same_time_leave_no_hole_and_no_overlap(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        brand = await make_brand(connection)
        await brand.mint(1_000)

    async def activate(lo: int) -> None:
        async with transaction(committed_engine) as connection:
            await change_state(
                connection, programme_id=brand.programme.id, gtin=GTIN, kid=1, lo=lo, hi=lo + 9, state="activated"
            )

    await asyncio.gather(*(activate(lo) for lo in range(5, 900, 35)))
    async with transaction(committed_engine) as connection:
        brand.connection = connection
        pieces = await all_ranges(brand)
    assert (pieces[0].lo, pieces[-1].hi) == (0, 999)
    assert all(before.hi + 1 == after.lo for before, after in pairwise(pieces))
    assert [(piece.lo, piece.hi) for piece in pieces if piece.state == "activated"] == [
        (lo, lo + 9) for lo in range(5, 900, 35)
    ]


async def test_a_range_is_known_to_its_own_programme_alone(brand: Brand) -> None:
    minted = await brand.mint(1)
    with pytest.raises(NotFoundError):
        await get_range(brand.connection, programme_id=new_id(), range_id=minted.id)
    assert await list_ranges(brand.connection, programme_id=new_id()) == []


async def test_ranges_are_listed_newest_first_by_page_and_product(brand: Brand) -> None:
    minted = [await brand.mint(1) for _ in range(5)]
    page = await list_ranges(brand.connection, programme_id=brand.programme.id, limit=2)
    assert page == [minted[4], minted[3]]
    following = await list_ranges(brand.connection, programme_id=brand.programme.id, before=page[-1].id, gtin=GTIN)
    assert following == [minted[2], minted[1], minted[0]]
    assert await list_ranges(brand.connection, programme_id=brand.programme.id, gtin="00000096385074") == []
