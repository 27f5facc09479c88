"""Joins that began on an item's page: which item brought somebody in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import find_code
from loyalty.items.trace.tables import item_join_table


async def record_join(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    member_id: UUID,
    gtin: str,
    serial: str,
    at: datetime,
) -> bool:
    """Remember which item a new member came from. A code that is not ours brings nobody: then False."""
    code = await find_code(connection, keys, gtin=gtin, serial=serial)
    if not isinstance(code, ItemCode):
        return False
    joined = insert(item_join_table).values(
        member_id=member_id, programme_id=programme_id, gtin=code.gtin, kid=code.kid, index=code.index, at=at
    )
    await connection.execute(joined.on_conflict_do_nothing(index_elements=["member_id"]))
    return True
