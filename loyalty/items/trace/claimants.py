"""Who claimed items of a lot or of a case: whom a recall has to reach."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.packing.intervals import Interval
from loyalty.items.tables import code_range_table
from loyalty.items.trace.parts import interval_columns
from loyalty.kit.crypto import Keyring
from loyalty.members.consent import MARKETING_EMAIL, MARKETING_SMS, agrees, consents_of
from loyalty.members.profile import Profile, read_profiles

MOST_LISTED: Final = 100_000

# A recall reaches the person, so a member who was merged counts as the one they are now.
_CLAIMED: Final = text("""
    WITH RECURSIVE asked AS (
        SELECT * FROM unnest(CAST(:gtins AS text[]), CAST(:kids AS smallint[]), CAST(:los AS bigint[]),
                             CAST(:his AS bigint[])) AS a (gtin, kid, lo, hi)
    ), claimed AS (
        SELECT c.member_id, c.at, c.points FROM asked
        JOIN item_claim AS c ON c.gtin = asked.gtin AND c.kid = asked.kid AND c.index BETWEEN asked.lo AND asked.hi
        WHERE c.programme_id = :programme
    ), person AS (
        SELECT DISTINCT member_id AS claimant, member_id AS id FROM claimed
        UNION ALL
        SELECT person.claimant, m.merged_into FROM person JOIN member AS m ON m.id = person.id
        WHERE m.merged_into IS NOT NULL
    )
    SELECT m.id, m.state, m.locale, count(*) AS items, min(claimed.at) AS first_at, max(claimed.at) AS last_at,
           sum(claimed.points)::bigint AS points
    FROM claimed
    JOIN person ON person.claimant = claimed.member_id
    JOIN member AS m ON m.id = person.id AND m.merged_into IS NULL
    GROUP BY m.id, m.state, m.locale
    ORDER BY max(claimed.at) DESC, m.id LIMIT :most
""")


class Claimant(msgspec.Struct, frozen=True, kw_only=True):
    """A person who claimed `items` of these, today's member of all that they were. `erased`: nobody to write to."""

    member_id: UUID
    erased: bool
    locale: str | None
    items: int
    points: int
    first_at: datetime
    last_at: datetime


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """A claimant with how to reach them and what they agreed to. A warning of danger needs no consent; news do."""

    claimant: Claimant
    profile: Profile
    marketing_sms: bool
    marketing_email: bool


class ItemCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many items of an interval were scanned or are claimed."""

    scanned: int
    claimed: int


async def intervals_of_lot(connection: AsyncConnection, *, programme_id: UUID, gtin: str, lot: str) -> list[Interval]:
    """The codes of a lot."""
    ranged = code_range_table.c
    query = select(ranged.gtin, ranged.kid, ranged.lo, ranged.hi).where(
        ranged.gtin == gtin, ranged.lot == lot, ranged.programme_id == programme_id
    )
    return sorted(Interval(row.gtin, row.kid, row.lo, row.hi) for row in await connection.execute(query))


async def claimants_of(
    connection: AsyncConnection, *, programme_id: UUID, intervals: Sequence[Interval], limit: int = MOST_LISTED
) -> list[Claimant]:
    """Who claimed items of these intervals, who claimed last first."""
    values = {"programme": programme_id, "most": limit, **interval_columns(intervals)}
    return [
        Claimant(
            member_id=row.id,
            erased=row.state == "erased",
            locale=row.locale,
            items=row.items,
            points=row.points,
            first_at=row.first_at,
            last_at=row.last_at,
        )
        for row in await connection.execute(_CLAIMED, values)
    ]


async def read_contacts(connection: AsyncConnection, keyring: Keyring, claimants: Sequence[Claimant]) -> list[Contact]:
    """How to reach these; those who were erased are left out. Personal data: record who asks."""
    reachable = [claimant for claimant in claimants if not claimant.erased]
    profiles = await read_profiles(connection, keyring, [claimant.member_id for claimant in reachable])
    consents = await consents_of(connection, member_ids=[claimant.member_id for claimant in reachable])
    return [
        Contact(
            claimant=claimant,
            profile=profiles[claimant.member_id],
            marketing_sms=agrees(consents[claimant.member_id], MARKETING_SMS),
            marketing_email=agrees(consents[claimant.member_id], MARKETING_EMAIL),
        )
        for claimant in reachable
    ]


_COUNTS: Final = text("""
    SELECT coalesce(sum(scanned), 0)::bigint AS scanned, coalesce(sum(claimed), 0)::bigint AS claimed
    FROM unnest(CAST(:gtins AS text[]), CAST(:kids AS smallint[]), CAST(:los AS bigint[]), CAST(:his AS bigint[]))
         AS a (gtin, kid, lo, hi)
    CROSS JOIN LATERAL (
        SELECT count(*) AS scanned FROM item AS i
        WHERE i.gtin = a.gtin AND i.kid = a.kid AND i.index BETWEEN a.lo AND a.hi AND i.scan_count > 0
    ) AS s
    CROSS JOIN LATERAL (
        SELECT count(*) AS claimed FROM item_claim AS c
        WHERE c.gtin = a.gtin AND c.kid = a.kid AND c.index BETWEEN a.lo AND a.hi
    ) AS c
""")


async def count_items(connection: AsyncConnection, intervals: Sequence[Interval]) -> ItemCounts:
    """How many items of these intervals were scanned, and are claimed."""
    row = (await connection.execute(_COUNTS, interval_columns(intervals))).one()
    return ItemCounts(scanned=row.scanned, claimed=row.claimed)
