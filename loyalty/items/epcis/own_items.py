"""Which EPCs are the brand's own items: its codes, which prove themselves, and the serials that it imported."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.imported import IMPORTED_KID
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import read_code
from loyalty.items.tables import product_table

SerialNumber = tuple[str, str]
"""A GTIN of 14 digits, and a serial."""

_IMPORTED: Final = text("""
    SELECT c.gtin, c.serial, c.index AS position
    FROM imported_code c
    JOIN unnest(CAST(:gtins AS text[]), CAST(:serials AS text[])) AS n (gtin, serial)
        ON c.gtin = n.gtin AND c.serial = n.serial
""")


async def find_own_items(
    connection: AsyncConnection, keys: MasterKeys, named: Collection[SerialNumber], *, programme_id: UUID
) -> dict[SerialNumber, ItemCode]:
    """The codes of those that are of a programme's products and are its codes, in two queries at most."""
    gtins = {gtin for gtin, _ in named}
    if not gtins:
        return {}
    query = select(product_table.c.gtin).where(
        product_table.c.gtin.in_(gtins), product_table.c.programme_id == programme_id
    )
    ours = {row.gtin for row in await connection.execute(query)}
    # Only serials of its products are looked at: deriving the key of a product is not free.
    asked = [(gtin, serial) for gtin, serial in named if gtin in ours]
    found = {
        (gtin, serial): code
        for gtin, serial in asked
        if isinstance(code := read_code(keys, gtin=gtin, serial=serial), ItemCode)
    }
    others = sorted(set(asked) - found.keys())
    if others:
        columns = {"gtins": [gtin for gtin, _ in others], "serials": [serial for _, serial in others]}
        for row in await connection.execute(_IMPORTED, columns):
            found[row.gtin, row.serial] = ItemCode(row.gtin, IMPORTED_KID, row.position)
    return found
