"""Scans are kept by the month: none is lost for want of a partition, and old months go at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.scan_log import keep_scan_log
from tests.db.items.conftest import GTIN, NOON, Brand

PARTITION = text(
    "SELECT DISTINCT tableoid::regclass::text FROM item_scan WHERE gtin = :gtin AND kid = 1 AND index = :n"
)


async def partitions_of(connection: AsyncConnection, index: int) -> list[str]:
    rows = await connection.execute(PARTITION, {"gtin": GTIN, "n": index})
    return sorted(rows.scalars())


async def test_a_month_without_a_partition_is_kept_by_the_default_one_and_brought_home(brand: Brand) -> None:
    await brand.mint(state="activated")
    await brand.scan(1, at=NOON)
    assert await partitions_of(brand.connection, 1) == ["scan_log.item_scan_default"]
    done = await keep_scan_log(brand.connection, now=NOON + timedelta(days=365), months=None)
    assert "made item_scan_2026_03" in done
    assert "made refused_scan_2027_05" in done  # two months ahead
    assert await partitions_of(brand.connection, 1) == ["scan_log.item_scan_2026_03"]
    await brand.scan(1, at=NOON + timedelta(days=365))
    assert await partitions_of(brand.connection, 1) == ["scan_log.item_scan_2026_03", "scan_log.item_scan_2027_03"]
    assert await keep_scan_log(brand.connection, now=NOON + timedelta(days=365), months=None) == []


async def test_old_months_are_dropped_and_the_item_still_knows_its_first_scan(brand: Brand) -> None:
    await brand.mint(state="activated")
    await brand.scan(1, device="first", at=NOON)
    await keep_scan_log(brand.connection, now=NOON, months=2)
    assert await partitions_of(brand.connection, 1) == ["scan_log.item_scan_2026_03"]
    later = datetime(2026, 5, 31, 23, 59, tzinfo=UTC)
    assert not any(line.startswith("dropped") for line in await keep_scan_log(brand.connection, now=later, months=2))
    later += timedelta(minutes=1)
    done = await keep_scan_log(brand.connection, now=later, months=2)
    assert {"dropped item_scan_2026_03", "dropped refused_scan_2026_03"} <= {*done}
    assert await partitions_of(brand.connection, 1) == []
    again = await brand.scan(1, device="first", at=later)
    assert (again.kind, again.scan_count, again.first_scanned_at) == ("seen_by_you", 2, NOON)


async def test_what_the_verdicts_need_is_never_dropped(brand: Brand) -> None:
    with pytest.raises(DBAPIError, match="at least 2 months"):
        await keep_scan_log(brand.connection, now=NOON, months=1)


async def test_an_items_history_is_looked_for_in_its_own_months_alone(brand: Brand) -> None:
    await keep_scan_log(brand.connection, now=NOON + timedelta(days=365 * 2), months=None)
    await keep_scan_log(brand.connection, now=NOON, months=None)
    await brand.connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
    query = """
        SELECT s.device FROM (VALUES (:gtin, CAST(:since AS timestamptz), CAST(:moment AS timestamptz))) AS o (g, a, b),
        LATERAL (SELECT * FROM item_scan s WHERE s.gtin = o.g AND s.kid = 1 AND s.index = 7 AND s.at >= o.a
                 AND s.at <= o.b ORDER BY s.at DESC LIMIT 200) AS s"""
    values = {"gtin": GTIN, "since": NOON, "moment": NOON + timedelta(days=3)}
    plan = (await brand.connection.execute(text(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {query}"), values)).scalars()
    executed = [line for line in plan if "Scan" in line and "never executed" not in line]
    assert len(executed) <= 2, executed
