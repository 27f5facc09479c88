"""Which lots of a product are recalled, for its public page."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.tables import code_range_table

MOST_LOTS = 100


async def recalled_lots(connection: AsyncConnection, *, gtin: str) -> list[str]:
    """The lots of which codes are recalled, in their order; codes of no lot are not among them."""
    ranges = code_range_table.c
    query = (
        select(ranges.lot)
        .where(ranges.gtin == gtin, ranges.state == "recalled", ranges.lot.is_not(None))
        .distinct()
        .order_by(ranges.lot)
        .limit(MOST_LOTS)
    )
    return [lot for lot in await connection.scalars(query) if lot is not None]
