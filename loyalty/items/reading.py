"""Reading items for the brand's own people: what a member claimed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.products import LocalText
from loyalty.items.tables import item_claim_table, product_table

MOST_SHOWN: Final = 200


class ClaimedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item that a member claimed, and the points it brought then."""

    code: ItemCode
    member_id: UUID
    names: LocalText
    at: datetime
    points: int


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
