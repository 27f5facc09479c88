"""The recruiting funnel: what codes on goods bring, from a scan to a first purchase."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.trace.scan_days import scans_by
from loyalty.kit.clock import end_of_local_day, start_of_local_day
from loyalty.kit.programme import Programme

FunnelSide = Literal["gtin", "origin_id"]


class FunnelStep(msgspec.Struct, frozen=True, kw_only=True):
    """One product's, or one print order's, funnel of a period of local days.

    - `scans`: scans of its true codes in the period, whatever they were told. Not people: one may scan twice.
    - `joins`: people who became members in the period by a join that they began on the page of one of its items. Who
      was a member already, or signs in, is not among them.
    - `claims`: of these, who has claimed an item, any of the brand's, since they joined.
    - `purchases`: of those who claimed, whose first order ever, in any channel, was placed after they joined.

    Joins, claims and purchases are people, each step a part of the one before, and grow after the period as people go
    on; who was merged counts as the member they are now.
    """

    value: str
    scans: int
    joins: int
    claims: int
    purchases: int


_PEOPLE: Final = """
    WITH RECURSIVE joined AS (
        SELECT j.member_id, j.gtin, j.at, coalesce(r.origin_id, '00000000-0000-0000-0000-000000000000') AS origin_id
        FROM item_join AS j
        LEFT JOIN LATERAL (
            SELECT c.origin_id FROM code_range AS c
            WHERE c.gtin = j.gtin AND c.kid = j.kid AND c.lo <= j.index ORDER BY c.lo DESC LIMIT 1
        ) AS r ON true
        WHERE j.programme_id = :programme AND j.at >= :since AND j.at < :until
          AND (CAST(:gtin AS text) IS NULL OR j.gtin = :gtin)
    ), person AS (
        SELECT member_id AS who, member_id AS id FROM joined
        UNION ALL
        SELECT person.who, m.merged_into FROM person JOIN member AS m ON m.id = person.id
        WHERE m.merged_into IS NOT NULL
    ), went AS (
        SELECT joined.*,
               EXISTS (
                   SELECT FROM person JOIN item_claim AS c ON c.member_id = person.id
                   WHERE person.who = joined.member_id AND c.at >= joined.at
               ) AS claimed,
               (
                   SELECT min(o.placed_at) FROM person JOIN purchase_order AS o ON o.member_id = person.id
                   WHERE person.who = joined.member_id
               ) AS bought_at
        FROM joined
    )
    SELECT CAST({side} AS text) AS value, count(*) AS joins, count(*) FILTER (WHERE claimed) AS claims,
           count(*) FILTER (WHERE claimed AND bought_at >= at) AS purchases
    FROM went GROUP BY {side}
"""
_BY: Final = {side: text(_PEOPLE.format(side=side)) for side in ("gtin", "origin_id")}


async def recruiting_funnel(
    connection: AsyncConnection,
    programme: Programme,
    side: FunnelSide,
    *,
    first_day: date,
    last_day: date,
    gtin: str | None = None,
    now: datetime | None = None,
) -> list[FunnelStep]:
    """The funnels of a period of local days, ends included, by product or print order (`origin_id`); most scans first.

    Scans are read from counts by day, people from the joins of the period: neither reads the log.
    """
    values = {
        "programme": programme.id,
        "since": start_of_local_day(first_day, programme.time_zone),
        "until": end_of_local_day(last_day, programme.time_zone),
        "gtin": gtin,
    }
    people = {row.value: row for row in await connection.execute(_BY[side], values)}
    counted = await scans_by(connection, programme, side, first_day=first_day, last_day=last_day, gtin=gtin, now=now)
    scans = {each.value: each.scans for each in counted}
    return [
        FunnelStep(
            value=value,
            scans=scans.get(value, 0),
            joins=people[value].joins if value in people else 0,
            claims=people[value].claims if value in people else 0,
            purchases=people[value].purchases if value in people else 0,
        )
        for value in sorted(scans.keys() | people.keys(), key=lambda value: (-scans.get(value, 0), value))
    ]
