"""Which lots of a product are recalled, for its public page."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import lot_table
from loyalty.items.tables import code_range_table

MOST_LOTS: Final = 100


async def recalled_lots(connection: AsyncConnection, *, gtin: str) -> list[str]:
    """The lots of a product that are recalled, or some codes of which are, in their order."""
    lot, ranges = lot_table.c, code_range_table.c
    of_lots = select(lot.code.label("lot")).where(lot.gtin == gtin, lot.state == "recalled")
    of_ranges = select(ranges.lot.label("lot")).where(
        ranges.gtin == gtin, ranges.state == "recalled", ranges.lot.is_not(None)
    )
    query = union(of_lots, of_ranges).order_by("lot").limit(MOST_LOTS)
    return [str(code) for code in await connection.scalars(query)]
