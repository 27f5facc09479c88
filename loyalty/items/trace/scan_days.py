"""Scans by day: counted once from the log, up to a horizon, so that a chart of a year reads some hundred rows.

Nothing is counted while a shopper waits: a job counts what came since it counted last. It stays some minutes behind
the clock, because a scan's moment is when its transaction began; what lies between is read from the log when asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal

import msgspec
from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.trace.tables import scan_day_progress_table
from loyalty.kit.clock import end_of_local_day, start_of_local_day, utc_now
from loyalty.kit.programme import Programme

LAG: Final = timedelta(minutes=5)
"""No scan's transaction takes so long: the server gives up long before."""
STEP: Final = timedelta(hours=6)
"""How much of the log one transaction counts at most, where a job has fallen behind."""

_COUNTED: Final = """
    SELECT s.programme_id, (s.at AT TIME ZONE :zone)::date AS day, s.gtin,
           coalesce(r.origin_id, '00000000-0000-0000-0000-000000000000') AS origin_id,
           coalesce(r.dealer, '') AS dealer, coalesce(s.region, '') AS region, s.verdict, count(*) AS scans
    FROM item_scan AS s
    LEFT JOIN LATERAL (
        SELECT c.origin_id, c.dealer FROM code_range AS c
        WHERE c.gtin = s.gtin AND c.kid = s.kid AND c.lo <= s.index ORDER BY c.lo DESC LIMIT 1
    ) AS r ON true
    WHERE s.programme_id = :programme AND s.at >= :since AND s.at < :until
    GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_ADD: Final = text(f"""
    INSERT INTO scan_day (programme_id, day, gtin, origin_id, dealer, region, verdict, scans)
    {_COUNTED}
    ON CONFLICT (programme_id, day, gtin, origin_id, dealer, region, verdict)
    DO UPDATE SET scans = scan_day.scans + excluded.scans
""")
_FIRST: Final = text("SELECT min(at) FROM item_scan WHERE programme_id = :programme")

Side = Literal["day", "gtin", "origin_id", "dealer", "region", "verdict"]


class ScanCount(msgspec.Struct, frozen=True, kw_only=True):
    """Scans of true codes that have one value of a side in common; an empty one is not known."""

    value: str
    scans: int
    suspect: int
    """Those that were told `suspected_copy` or `amber`."""


async def count_scans(connection: AsyncConnection, programme: Programme, *, now: datetime | None = None) -> bool:
    """Count the next piece of the log, at most STEP of it. Answers whether more is left to be counted.

    One counts at a time; whoever comes second waits, and finds it done.
    """
    until = (now or utc_now()) - LAG
    progress = scan_day_progress_table.c
    horizon = select(progress.counted_until).where(progress.programme_id == programme.id)
    since = await connection.scalar(horizon.with_for_update())
    if since is None:
        first = await connection.scalar(_FIRST, {"programme": programme.id})
        begun = insert(scan_day_progress_table).values(programme_id=programme.id, counted_until=first or until)
        await connection.execute(begun.on_conflict_do_nothing(index_elements=["programme_id"]))
        since = await connection.scalar(horizon.with_for_update())
        assert since is not None  # noqa: S101  (it was written just now, by us or by somebody else)
    if since >= until:
        return False
    end = min(until, since + STEP) if await _is_busy(connection, programme, since, until) else until
    values = {"programme": programme.id, "zone": programme.time_zone, "since": since, "until": end}
    await connection.execute(_ADD, values)
    moved = insert(scan_day_progress_table).values(programme_id=programme.id, counted_until=end)
    moved = moved.on_conflict_do_update(index_elements=["programme_id"], set_={"counted_until": end})
    await connection.execute(moved)
    return end < until


_MANY: Final = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM item_scan WHERE programme_id = :programme AND at >= :since AND at < :until LIMIT :most
    ) AS logged
""")
_MUCH: Final = 200_000


async def _is_busy(connection: AsyncConnection, programme: Programme, since: datetime, until: datetime) -> bool:
    """Whether there is more than one transaction should count."""
    values = {"programme": programme.id, "since": since, "until": until, "most": _MUCH}
    return (await connection.scalar(_MANY, values) or 0) >= _MUCH


async def scans_by(
    connection: AsyncConnection,
    programme: Programme,
    side: Side,
    *,
    first_day: date,
    last_day: date,
    gtin: str | None = None,
    now: datetime | None = None,
) -> list[ScanCount]:
    """Scans of a period of local days, ends included, by one side: by day in their order, else the most first.

    Exact up to `now`: what is not counted yet is read from the log.
    """
    progress = scan_day_progress_table.c
    horizon = await connection.scalar(
        select(progress.counted_until).where(progress.programme_id == programme.id)
    ) or start_of_local_day(first_day, programme.time_zone)
    values = {
        "programme": programme.id,
        "zone": programme.time_zone,
        "first": first_day,
        "last": last_day,
        "since": max(horizon, start_of_local_day(first_day, programme.time_zone)),
        "until": min(now or utc_now(), end_of_local_day(last_day, programme.time_zone)),
        "gtin": gtin,
    }
    rows = await connection.execute(_BY[side], values)
    return [ScanCount(value=str(row.value), scans=int(row.scans), suspect=int(row.suspect)) for row in rows]


def _by(side: Side) -> str:
    order = "1" if side == "day" else "scans DESC, 1"
    return f"""
        WITH counted AS (
            SELECT programme_id, day, gtin, origin_id, dealer, region, verdict, scans FROM scan_day
            WHERE programme_id = :programme AND day BETWEEN :first AND :last
            UNION ALL
            ({_COUNTED})
        )
        SELECT CAST({side} AS text) AS value, sum(scans) AS scans,
               coalesce(sum(scans) FILTER (WHERE verdict IN ('suspected_copy', 'amber')), 0) AS suspect
        FROM counted
        WHERE CAST(:gtin AS text) IS NULL OR gtin = :gtin
        GROUP BY {side} ORDER BY {order}
    """  # noqa: S608  (one of our own column names)


_SIDES: Final[Sequence[Side]] = ("day", "gtin", "origin_id", "dealer", "region", "verdict")
_BY: Final = {side: text(_by(side)).bindparams(bindparam("gtin")) for side in _SIDES}
