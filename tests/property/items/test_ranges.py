"""Whatever is minted, moved, cut and set out as honey: ranges hold every index once, and each is in its right state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.lookup import load_item
from loyalty.items.precedence import LIVE_STATES, NextState, RangeState, may_go
from loyalty.items.ranges import (
    CodeRange,
    RangeStateError,
    assign_lot,
    change_state,
    find_range,
    open_range,
    range_from_row,
)
from loyalty.items.tables import code_range_table, code_series_table
from loyalty.items.verdicts import Item
from loyalty.kit.errors import DomainError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from tests.db.items.conftest import GTIN, Brand, make_brand

STATES: tuple[NextState, ...] = ("printed", "activated", "shipped", "sold", "recalled", "retired")


class Step(msgspec.Struct, frozen=True):
    """Something done: `count` codes minted or set out, or those from `lo` to `hi` moved or put onto a lot."""

    kind: Literal["mint", "honey", "move", "lot"]
    count: int = 0
    lo: int = 0
    hi: int = 0
    state: NextState = "activated"
    lot: str = ""


class Code(msgspec.Struct):
    """What the model knows of one index."""

    state: RangeState
    lot: str | None
    honey: bool


places = st.integers(min_value=0, max_value=60)
steps = st.one_of(
    st.builds(Step, st.just("mint"), count=st.integers(1, 20), lot=st.sampled_from(["", "L1"])),
    st.builds(Step, st.just("honey"), count=st.integers(1, 4)),
    st.builds(Step, st.just("move"), lo=places, hi=places, state=st.sampled_from(STATES)),
    st.builds(Step, st.just("move"), lo=places, hi=places, state=st.sampled_from(STATES)),
    st.builds(Step, st.just("lot"), lo=places, hi=places, lot=st.sampled_from(["L1", "L2"])),
)


async def carry_out(brand: Brand, step: Step) -> CodeRange | None:
    where: dict[str, Any] = {"programme_id": brand.programme.id, "gtin": GTIN, "kid": 1}
    if step.kind == "mint":
        return await open_range(brand.connection, **where, count=step.count, print_order="any", lot=step.lot or None)
    if step.kind == "honey":
        return await open_range(
            brand.connection, **where, count=step.count, print_order="honey", honey_export_id=new_id()
        )
    if step.kind == "move":
        await change_state(brand.connection, **where, lo=step.lo, hi=step.hi, state=step.state)
    else:
        await assign_lot(brand.connection, **where, lo=step.lo, hi=step.hi, lot=step.lot)
    return None


def expect(model: list[Code], step: Step) -> type[DomainError] | None:
    """Do the same to the model; or which refusal is expected, with nothing done."""
    if step.kind in ("mint", "honey"):
        honey = step.kind == "honey"
        model += [Code("issued", None if honey else step.lot or None, honey) for _ in range(step.count)]
        return None
    refusals: tuple[tuple[type[DomainError], bool], ...] = (
        (NotFoundError, not model),
        (InvalidInputError, step.lo > step.hi),
        (NotFoundError, step.hi >= len(model)),
        (RangeStateError, any(code.honey for code in model[step.lo : step.hi + 1])),
        (
            RangeStateError,
            step.kind == "move" and not all(may_go(code.state, step.state) for code in model[step.lo : step.hi + 1]),
        ),
    )
    refusal = next((kind for kind, holds in refusals if holds), None)
    for code in model[step.lo : step.hi + 1] if refusal is None else []:
        if step.kind == "lot":
            code.lot = step.lot
        else:
            code.state = step.state
    return refusal


async def check(brand: Brand, model: Sequence[Code]) -> None:
    # Of this series alone: tests that commit leave ranges of other products behind in the worker's database.
    table, series = code_range_table.c, code_series_table.c
    ordered = select(code_range_table).where(table.gtin == GTIN, table.kid == 1).order_by(table.lo)
    ranges = [range_from_row(row) for row in (await brand.connection.execute(ordered)).mappings()]
    held = [
        (index, each.state, each.lot, each.honey_export_id is not None)
        for each in ranges
        for index in range(each.lo, each.hi + 1)
    ]
    assert held == [(index, code.state, code.lot, code.honey) for index, code in enumerate(model)]
    assert len({each.id for each in ranges}) == len(ranges)
    next_index = await brand.connection.scalar(select(series.next_index).where(series.gtin == GTIN, series.kid == 1))
    assert (next_index or 0) == len(model)
    for each in ranges:
        for index in {each.lo, each.hi}:
            assert await find_range(brand.connection, gtin=GTIN, kid=1, index=index) == each
            found = await load_item(brand.connection, programme_id=brand.programme.id, code=ItemCode(GTIN, 1, index))
            if model[index].honey:
                assert found == "honey"
            else:
                assert isinstance(found, Item)
                assert found.state == model[index].state


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(script=st.lists(steps, min_size=1, max_size=12))
async def test_ranges_stay_a_partition_of_the_indexes_and_honey_is_never_sold(
    connection: AsyncConnection, script: list[Step]
) -> None:
    outer = await connection.begin_nested()
    try:
        brand = await make_brand(connection)
        model: list[Code] = []
        for step in script:
            before = len(model)
            refusal = expect(model, step)
            savepoint = await connection.begin_nested()
            if refusal is not None:
                with pytest.raises(refusal):
                    await carry_out(brand, step)
                await savepoint.rollback()
            else:
                opened = await carry_out(brand, step)
                await savepoint.commit()
                assert opened is None or (opened.lo, opened.hi) == (before, len(model) - 1)
        await check(brand, model)
        assert not any(code.honey and code.state in LIVE_STATES for code in model)
    finally:
        await outer.rollback()  # also where it failed, so that the next example begins with nothing
