"""A million items in cases of 24 and pallets of 40 cases: their rows, and the time an item's pallet takes."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.packing import Packing, pack
from loyalty.items.packing.reading import whereabouts
from loyalty.items.packing.sscc import make_sscc
from loyalty.items.ranges import open_range
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.programme import Programme
from tests.bench.report import Measure
from tests.factories import make_product, make_programme

ITEMS: Final = 1_000_000
CASE: Final = 24
PALLET: Final = 40
ASKED: Final = 1_000
GOAL_SECONDS: Final = 0.005
GOAL_CASES_A_ROW: Final = 1 / 5
"""A case is four rows: itself, its interval, and both once more in the history. The rest is for pallets."""
_AT_ONCE: Final = 1_000


def measure(url: str) -> list[Measure]:
    """Pack, count the rows, ask for items at random."""
    return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Measure]:
    engine = create_engine(url)
    try:
        async with transaction(engine) as connection:
            programme = await make_programme(connection)
            product = await make_product(connection, programme)
            minted = await open_range(
                connection, programme_id=programme.id, gtin=product.gtin, kid=1, count=ITEMS, print_order="packing"
            )
            started = time.perf_counter()
            cases = await _pack(connection, programme, minted.gtin)
            packing = ITEMS / (time.perf_counter() - started)
        async with transaction(engine) as connection:
            await connection.execute(text("ANALYZE packed_interval, logistic_unit"))
            rows = await _rows(connection, minted.gtin, programme)
            chance = random.Random(24)  # noqa: S311  (which items are asked for is no secret)
            indexes = [chance.randrange(ITEMS) for _ in range(ASKED)]
            slowest, started = 0.0, time.perf_counter()
            for index in indexes:
                begun = time.perf_counter()
                found = await whereabouts(connection, programme_id=programme.id, code=ItemCode(minted.gtin, 1, index))
                slowest = max(slowest, time.perf_counter() - begun)
                assert found == _expected(index)
            asking = ASKED / (time.perf_counter() - started)
    finally:
        await engine.dispose()
    return [
        Measure(name="items packed into cases and pallets", rate=packing),
        Measure(
            name=f"cases over rows that hold where {ITEMS:,} items are",
            rate=cases,
            baseline="rows of units, intervals and their history",
            baseline_rate=rows,
            goal=GOAL_CASES_A_ROW,
            notes={"rows an item": f"{rows / ITEMS:.3f}"},
        ),
        Measure(
            name="the case and pallet of an item",
            rate=asking,
            baseline="5 ms each",
            baseline_rate=1 / GOAL_SECONDS,
            goal=1.0,
            notes={"slowest ms": f"{1000 * slowest:.1f}"},
        ),
    ]


def _sscc(number: int, *, pallet: bool) -> str:
    return make_sscc("6901234", number, extension=int(pallet))


def _expected(index: int) -> list[str]:
    case = index // CASE
    return [_sscc(case, pallet=False), _sscc(case // PALLET, pallet=True)]


async def _pack(connection: AsyncConnection, programme: Programme, gtin: str) -> int:
    """Pack everything; how many cases that were."""
    cases = [
        Packing(sscc=_sscc(number, pallet=False), items=[Interval(gtin, 1, lo, min(lo + CASE, ITEMS) - 1)])
        for number, lo in enumerate(range(0, ITEMS, CASE))
    ]
    for first in range(0, len(cases), _AT_ONCE):
        await pack(connection, programme_id=programme.id, packings=cases[first : first + _AT_ONCE])
    pallets = [
        Packing(sscc=_sscc(number, pallet=True), units=[case.sscc for case in cases[first : first + PALLET]])
        for number, first in enumerate(range(0, len(cases), PALLET))
    ]
    await pack(connection, programme_id=programme.id, packings=pallets)
    return len(cases)


async def _rows(connection: AsyncConnection, gtin: str, programme: Programme) -> int:
    query = text("""
        SELECT (SELECT count(*) FROM packed_interval WHERE gtin = :gtin)
             + (SELECT count(*) FROM logistic_unit WHERE programme_id = :programme)
             + (SELECT count(*) FROM packing_event WHERE programme_id = :programme)
             + (SELECT count(*) FROM packing_event_piece WHERE gtin = :gtin)
             + (SELECT count(*) FROM item WHERE gtin = :gtin)
    """)
    rows = await connection.scalar(query, {"gtin": gtin, "programme": programme.id})
    return int(rows or 0)
