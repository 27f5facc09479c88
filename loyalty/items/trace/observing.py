"""What scans give reason to look at: five questions to the records, each answered from an index of its own.

What was seen before somebody closed an alert makes no new one of the same subject.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.keys import MasterKeys
from loyalty.items.leaks import list_leaks
from loyalty.items.trace.settings import AlertSettings

AlertKind = Literal["suspected_copy", "diverted", "honey_leak", "refused_burst", "false_code"]
"""`suspected_copy`: one code in places too far apart, its claims frozen. `diverted`: goods of a dealer, or of a region
of sale, scanned outside it. `honey_leak`: a code that was only in one printer's file. `refused_burst`: many wrong codes
from one device or network. `false_code`: the same code that is not ours, on several devices."""

BURST_HOURS: Final = 24
FALSE_CODE_DAYS: Final = 7
MOST_OBSERVED: Final = 1000
"""The most of one kind that is looked at in one go: the newest."""


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an alert is about; which fields are there follows from its kind."""

    gtin: str | None = None
    kid: int | None = None
    index: int | None = None
    serial: str | None = None
    dealer: str | None = None
    region: str | None = None
    export_id: UUID | None = None
    printer: str | None = None
    network: str | None = None
    device: str | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was seen `times` from `first_at` to `last_at`. `subject` names it, always in the same words."""

    kind: AlertKind
    subject: str
    about: About
    first_at: datetime
    last_at: datetime
    times: int


_COPIES: Final = text("""
    SELECT 'item:' || i.gtin || '/' || i.kid || '/' || i.index AS subject,
           i.gtin, i.kid, i.index AS position, coalesce(i.first_scanned_at, i.suspected_at) AS first_at,
           greatest(i.suspected_at, i.last_scanned_at) AS last_at, i.suspected_at, greatest(i.scan_count, 1) AS times
    FROM item AS i
    WHERE i.programme_id = :programme AND i.suspected_at >= :since
      AND i.suspected_at > coalesce((
          SELECT max(c.state_at) FROM alert AS c
          WHERE c.programme_id = :programme AND c.kind = 'suspected_copy' AND c.state = 'closed'
            AND c.subject = 'item:' || i.gtin || '/' || i.kid || '/' || i.index), '-infinity')
    ORDER BY i.suspected_at DESC LIMIT :most
""")
# A dealer's goods are its ranges; goods without a dealer are taken together by their region of sale.
_DIVERTED: Final = text("""
    WITH seen AS (
        SELECT s.gtin, s.kid, s.index, s.at, coalesce(r.dealer, '') AS dealer,
               coalesce(r.region, l.region, '') AS region
        FROM item_scan AS s
        JOIN LATERAL (
            SELECT * FROM code_range AS c WHERE c.gtin = s.gtin AND c.kid = s.kid AND c.lo <= s.index
            ORDER BY c.lo DESC LIMIT 1
        ) AS r ON true
        LEFT JOIN lot AS l ON l.gtin = r.gtin AND l.code = r.lot
        WHERE s.programme_id = :programme AND s.at >= :since AND s.diverted
    ), closed AS (
        SELECT subject, max(state_at) AS at FROM alert
        WHERE programme_id = :programme AND kind = 'diverted' AND state = 'closed' GROUP BY subject
    )
    SELECT 'goods:' || seen.dealer || '|' || seen.region AS subject, seen.dealer, seen.region,
           min(seen.at) AS first_at, max(seen.at) AS last_at, count(DISTINCT (seen.gtin, seen.kid, seen.index)) AS times
    FROM seen LEFT JOIN closed ON closed.subject = 'goods:' || seen.dealer || '|' || seen.region
    WHERE closed.at IS NULL OR seen.at > closed.at
    GROUP BY seen.dealer, seen.region
    ORDER BY times DESC LIMIT :most
""")
# Counted no further than matters: beyond it the share is too small anyway.
_SCANNED_OF_DEALER: Final = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM code_range AS r
        JOIN item AS i ON i.gtin = r.gtin AND i.kid = r.kid AND i.index BETWEEN r.lo AND r.hi
        WHERE r.programme_id = :programme AND r.dealer = :dealer AND i.scan_count > 0
        LIMIT :most
    ) AS scanned
""")
_BURSTS: Final = text("""
    WITH tried AS (
        SELECT source.name, r.at,
               lag(r.at, :before) OVER (PARTITION BY source.name ORDER BY r.at) AS earlier
        FROM refused_scan AS r
        CROSS JOIN LATERAL (
            VALUES ('device:' || encode(r.device, 'hex')), ('network:' || r.address_prefix)
        ) AS source (name)
        WHERE r.programme_id = :programme AND r.at >= :since AND source.name IS NOT NULL
    )
    SELECT tried.name AS subject, min(tried.at) AS first_at, max(tried.at) AS last_at, count(*) AS times
    FROM tried
    LEFT JOIN (
        SELECT subject, max(state_at) AS at FROM alert
        WHERE programme_id = :programme AND kind = 'refused_burst' AND state = 'closed' GROUP BY subject
    ) AS closed ON closed.subject = tried.name
    WHERE closed.at IS NULL OR tried.at > closed.at
    GROUP BY tried.name
    HAVING bool_or(tried.at - tried.earlier <= :minutes * interval '1 minute')
    ORDER BY times DESC LIMIT :most
""")
_FALSE_CODES: Final = text("""
    SELECT 'false:' || r.gtin || '/' || r.serial AS subject, r.gtin, r.serial,
           min(r.at) AS first_at, max(r.at) AS last_at, count(*) AS times
    FROM refused_scan AS r
    WHERE r.programme_id = :programme AND r.at >= :since
      AND r.reason IN ('bad_serial', 'bad_tag', 'unknown_key', 'not_minted', 'not_handed_out')
      AND r.at > coalesce((
          SELECT max(c.state_at) FROM alert AS c
          WHERE c.programme_id = :programme AND c.kind = 'false_code' AND c.state = 'closed'
            AND c.subject = 'false:' || r.gtin || '/' || r.serial), '-infinity')
    GROUP BY r.gtin, r.serial HAVING count(DISTINCT r.device) >= :devices
    ORDER BY times DESC LIMIT :most
""")
_CLOSED: Final = text("""
    SELECT subject, max(state_at) AS at FROM alert
    WHERE programme_id = :programme AND kind = 'honey_leak' AND state = 'closed' GROUP BY subject
""")


async def observe(
    connection: AsyncConnection, keys: MasterKeys, *, programme_id: UUID, now: datetime, settings: AlertSettings
) -> list[Observation]:
    """Everything that is an alert at a moment by these settings, whether or not it was raised before."""
    since = now - timedelta(days=settings.days)
    return [
        *await _copies(connection, programme_id, since),
        *await _diversions(connection, programme_id, since, settings),
        *await _leaks(connection, keys, programme_id, since),
        *await _bursts(connection, programme_id, now, settings),
        *await _false_codes(connection, programme_id, now, settings),
    ]


async def _ask(connection: AsyncConnection, question: TextClause, programme_id: UUID, **values: Any) -> list[Any]:
    rows = await connection.execute(question, {"programme": programme_id, "most": MOST_OBSERVED, **values})
    return list(rows)


async def _copies(connection: AsyncConnection, programme_id: UUID, since: datetime) -> list[Observation]:
    return [
        Observation(
            kind="suspected_copy",
            subject=row.subject,
            about=About(gtin=row.gtin, kid=row.kid, index=row.position),
            first_at=min(row.first_at, row.suspected_at),
            last_at=row.last_at,
            times=row.times,
        )
        for row in await _ask(connection, _COPIES, programme_id, since=since)
    ]


async def _diversions(
    connection: AsyncConnection, programme_id: UUID, since: datetime, settings: AlertSettings
) -> list[Observation]:
    return [
        Observation(
            kind="diverted",
            subject=row.subject,
            about=About(dealer=row.dealer or None, region=row.region or None),
            first_at=row.first_at,
            last_at=row.last_at,
            times=row.times,
        )
        for row in await _ask(connection, _DIVERTED, programme_id, since=since)
        if await _is_much(connection, programme_id, row.dealer, row.times, settings)
    ]


async def _is_much(
    connection: AsyncConnection, programme_id: UUID, dealer: str, items: int, settings: AlertSettings
) -> bool:
    if items >= settings.diverted_items:
        return True
    if not dealer or items < settings.diverted_least:
        return False
    most = items * 10_000 // settings.diverted_share_bp + 1
    values = {"programme": programme_id, "dealer": dealer, "most": most}
    scanned = await connection.scalar(_SCANNED_OF_DEALER, values) or 0
    return items * 10_000 >= scanned * settings.diverted_share_bp


async def _leaks(
    connection: AsyncConnection, keys: MasterKeys, programme_id: UUID, since: datetime
) -> list[Observation]:
    closed = {row.subject: row.at for row in await connection.execute(_CLOSED, {"programme": programme_id})}
    found: dict[str, Observation] = {}
    for leak in await list_leaks(connection, keys, programme_id=programme_id, since=since):
        source = leak.sources[0] if len(leak.sources) == 1 else None
        subject = f"export:{source.export.id}" if source else f"honey:{leak.gtin}/{leak.serial}"
        if subject in closed and leak.last_at <= closed[subject]:
            continue
        before = found.get(subject)
        found[subject] = Observation(
            kind="honey_leak",
            subject=subject,
            about=About(
                gtin=leak.gtin,
                kid=leak.code.kid,
                serial=leak.serial,
                export_id=source.export.id if source else None,
                printer=source.printer.name if source and source.printer else None,
            ),
            first_at=min(leak.first_at, before.first_at) if before else leak.first_at,
            last_at=max(leak.last_at, before.last_at) if before else leak.last_at,
            times=leak.times + (before.times if before else 0),
        )
    return list(found.values())


async def _bursts(
    connection: AsyncConnection, programme_id: UUID, now: datetime, settings: AlertSettings
) -> list[Observation]:
    rows = await _ask(
        connection,
        _BURSTS,
        programme_id,
        since=now - timedelta(hours=BURST_HOURS),
        before=settings.refused_tries - 1,
        minutes=settings.refused_minutes,
    )
    return [
        Observation(
            kind="refused_burst",
            subject=row.subject,
            about=About(network=value) if row.subject.startswith("network:") else About(device=value),
            first_at=row.first_at,
            last_at=row.last_at,
            times=row.times,
        )
        for row in rows
        for value in [row.subject.partition(":")[2]]
    ]


async def _false_codes(
    connection: AsyncConnection, programme_id: UUID, now: datetime, settings: AlertSettings
) -> list[Observation]:
    since = now - timedelta(days=FALSE_CODE_DAYS)
    return [
        Observation(
            kind="false_code",
            subject=row.subject,
            about=About(gtin=row.gtin, serial=row.serial),
            first_at=row.first_at,
            last_at=row.last_at,
            times=row.times,
        )
        for row in await _ask(connection, _FALSE_CODES, programme_id, since=since, devices=settings.false_devices)
    ]
