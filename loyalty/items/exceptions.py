"""Single items that are not as their range says: a return, a theft, a code that is out to catch a leak."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.lookup import load_item
from loyalty.items.tables import item_table
from loyalty.items.verdicts import Item, ItemState
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import NotFoundError


async def set_item_state(
    connection: AsyncConnection, *, programme_id: UUID, code: ItemCode, state: ItemState | None
) -> None:
    """Give one item a state of its own, which goes before its range's; None gives it back to its range.

    Raises NotFoundError where it was never minted in this programme.
    """
    found = await load_item(connection, programme_id=programme_id, code=code)
    if not isinstance(found, Item) and found != "honey":
        raise NotFoundError("this item was never minted in this programme", field="index")
    own = upsert(item_table).values(
        gtin=code.gtin, kid=code.kid, index=code.index, programme_id=programme_id, state=state
    )
    await connection.execute(
        own.on_conflict_do_update(index_elements=["gtin", "kid", "index"], set_={"state": own.excluded.state})
    )


async def clear_suspicion(
    connection: AsyncConnection, *, programme_id: UUID, code: ItemCode, at: datetime | None = None
) -> None:
    """Say that a brand has looked at an item and found nothing wrong: it can be claimed, and its PIN tried, again."""
    item = item_table.c
    await connection.execute(
        update(item_table)
        .where(
            item.gtin == code.gtin, item.kid == code.kid, item.index == code.index, item.programme_id == programme_id
        )
        .values(suspected_at=None, cleared_at=at or utc_now(), pin_failures=0)
    )
