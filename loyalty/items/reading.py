"""Reading items for the brand's own people: what a member claimed, and what scans raised an alarm."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.products import LocalText
from loyalty.items.tables import item_claim_table, product_table

MOST_SHOWN: Final = 200

AlertKind = Literal["suspected_copy", "diverted", "wrong_codes"]


class ClaimedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item that a member claimed, and the points it brought then."""

    code: ItemCode
    member_id: UUID
    names: LocalText
    at: datetime
    points: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that scans tell a brand, the newest `at` of `times`.

    `suspected_copy`: one code in places too far apart; claims of it are frozen. `diverted`: items of one product seen
    outside their region, in `place`. `wrong_codes`: one device tried codes that are not ours; it names no item.
    """

    kind: AlertKind
    at: datetime
    times: int
    code: ItemCode | None
    gtin: str
    names: LocalText
    place: str


_ALERTS: Final = text("""
    SELECT 'suspected_copy' AS kind, i.suspected_at AS at, i.scan_count::bigint AS times, i.gtin, i.kid,
           i.index AS position, coalesce(i.first_city, '') AS place
    FROM item AS i
    WHERE i.programme_id = :programme AND i.suspected_at >= :since
    UNION ALL
    SELECT 'diverted', max(s.at), count(DISTINCT (s.kid, s.index)), s.gtin, NULL, NULL,
           coalesce(s.city, s.region, '')
    FROM item_scan AS s
    WHERE s.programme_id = :programme AND s.at >= :since AND s.diverted
    GROUP BY s.gtin, coalesce(s.city, s.region, '')
    UNION ALL
    SELECT 'wrong_codes', max(r.at), count(*), '', NULL, NULL, ''
    FROM refused_scan AS r
    WHERE r.programme_id = :programme AND r.at >= :since
    GROUP BY r.device HAVING count(*) >= :tries
    ORDER BY at DESC
    LIMIT :most
""")


async def claimed_items(
    connection: AsyncConnection, *, member_ids: Collection[UUID], limit: int = 50
) -> list[ClaimedItem]:
    """What a person claimed under any of their member ids, newest first."""
    claim = item_claim_table.c

    query = (
        select(claim.gtin, claim.kid, claim.index, claim.member_id, claim.at, claim.points, product_table.c.names)
        .outerjoin(product_table, product_table.c.gtin == claim.gtin)
        .where(claim.member_id.in_(list(member_ids)))
        .order_by(claim.at.desc())
        .limit(min(limit, MOST_SHOWN))
    )
    return [
        ClaimedItem(
            code=ItemCode(gtin=row["gtin"], kid=row["kid"], index=row["index"]),
            member_id=row["member_id"],
            names=msgspec.convert(row["names"] or {}, LocalText),
            at=row["at"],
            points=row["points"],
        )
        for row in (await connection.execute(query)).mappings()
    ]


async def list_alerts(
    connection: AsyncConnection, *, programme_id: UUID, since: datetime, wrong_codes: int = 10, limit: int = 20
) -> list[Alert]:
    """What scans since a moment tell a brand, newest first. A device is named from so many `wrong_codes` on."""
    values = {"programme": programme_id, "since": since, "tries": wrong_codes, "most": min(limit, MOST_SHOWN)}
    rows = (await connection.execute(_ALERTS, values)).all()
    products = product_table.c
    query = select(products.gtin, products.names).where(
        products.programme_id == programme_id, products.gtin.in_({row.gtin for row in rows})
    )
    names = {row.gtin: msgspec.convert(row.names, LocalText) for row in await connection.execute(query)}
    return [
        Alert(
            kind=row.kind,
            at=row.at,
            times=row.times,
            code=None if row.kid is None else ItemCode(gtin=row.gtin, kid=row.kid, index=row.position),
            gtin=row.gtin,
            names=names.get(row.gtin, LocalText()),
            place=row.place,
        )
        for row in rows
    ]
