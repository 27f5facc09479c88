"""Redemptions that nobody finished: they read as expired at once, and the sweep writes it down."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection


async def sweep(connection: AsyncConnection, *, limit: int = 500, catalogue_item_id: UUID | None = None) -> int:
    """Close up to `limit` redemptions whose time ran out: stock goes back, coupons are free. Answers how many.

    Rows that another process works on are skipped; a second sweep does nothing.
    """
    raise NotImplementedError
