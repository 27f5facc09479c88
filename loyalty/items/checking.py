"""Checking many serials of a product at once: proved in one go, looked up in one query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.imported import IMPORTED_KID
from loyalty.items.keys import MasterKeys
from loyalty.items.precedence import ItemState, Word, effective_state
from loyalty.items.products import get_product

CHECK_LIMIT: Final = 10_000
"""Serials of one call that look into the database. Whether our keys made them can be asked of any number."""

_IMPORTED: Final = text("""
    SELECT serial, index AS position FROM imported_code
    WHERE gtin = :gtin AND programme_id = :programme AND serial = ANY(:serials)
""")
_HELD: Final = text("""
    SELECT w.place, r.hi, r.state, r.state_at, r.exempt_at, r.honey_export_id, r.lot,
           i.state AS item_state, i.exempt_at AS item_exempt_at, l.state AS lot_state, l.state_at AS lot_state_at,
           k.state AS key_state, k.state_at AS key_state_at,
           k.compromised_at IS NOT NULL AND NOT EXISTS (
               SELECT FROM code_export AS e
               WHERE e.gtin = :gtin AND e.kid = w.kid AND e.lo <= w.index AND e.hi >= w.index
                 AND e.handed_out_at <= k.compromised_at
           ) AS withheld
    FROM unnest(CAST(:places AS integer[]), CAST(:kids AS smallint[]), CAST(:indexes AS bigint[]))
         AS w (place, kid, index)
    JOIN LATERAL (
        SELECT * FROM code_range AS c WHERE c.gtin = :gtin AND c.kid = w.kid AND c.lo <= w.index
        ORDER BY c.lo DESC LIMIT 1
    ) AS r ON r.hi >= w.index AND r.programme_id = :programme
    LEFT JOIN item AS i ON i.gtin = :gtin AND i.kid = w.kid AND i.index = w.index
    LEFT JOIN lot AS l ON l.gtin = :gtin AND l.code = r.lot
    LEFT JOIN code_key AS k ON k.programme_id = :programme AND k.kid = w.kid
""")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a serial. `code` is None where it is none of this product's; `state` then is None, too.

    Nothing is counted and nothing logged: this is for the brand's own eyes, not for whoever holds the item.
    """

    serial: str
    code: ItemCode | None = None
    state: ItemState | None = None
    lot: str | None = None

    @property
    def genuine(self) -> bool:
        """Whether it is a code that was handed out for goods."""
        return self.state not in (None, "honey")


async def check_serials(
    connection: AsyncConnection, keys: MasterKeys, *, programme_id: UUID, gtin: str, serials: Sequence[str]
) -> list[Check]:
    """Say of each serial of a product what it is, in their order. Raises NotFoundError for an unknown product."""
    product = await get_product(connection, programme_id=programme_id, gtin=gtin)
    kids, indexes = (each.tolist() for each in keys.verify_many(product.gtin, serials))
    where: dict[str, Any] = {"gtin": product.gtin, "programme": programme_id}
    strangers = [serial for serial, kid in zip(serials, kids, strict=True) if kid < 0]
    imported: dict[str, int] = {}
    if strangers:
        rows = await connection.execute(_IMPORTED, {**where, "serials": strangers})
        imported = {row.serial: row.position for row in rows}
    codes: dict[int, ItemCode] = {}
    for place, serial in enumerate(serials):
        if kids[place] >= 0:
            codes[place] = ItemCode(product.gtin, kids[place], indexes[place])
        elif serial in imported:
            codes[place] = ItemCode(product.gtin, IMPORTED_KID, imported[serial])
    columns = {
        "places": list(codes),
        "kids": [code.kid for code in codes.values()],
        "indexes": [code.index for code in codes.values()],
    }
    held = {row.place: row for row in await connection.execute(_HELD, {**where, **columns})}
    return [
        _check(serial, codes[place], held[place])
        if place in held and not held[place].withheld
        else Check(serial=serial)
        for place, serial in enumerate(serials)
    ]


def _check(serial: str, code: ItemCode, row: Row[Any]) -> Check:
    if row.honey_export_id is not None:
        return Check(serial=serial, code=code, state="honey")
    state = effective_state(
        item=row.item_state,
        code_range=Word(row.state, row.state_at),
        lot=_word(row.lot_state, row.lot_state_at),
        key=_word(row.key_state, row.key_state_at),
        item_exempt_at=row.item_exempt_at,
        range_exempt_at=row.exempt_at,
    )
    return Check(serial=serial, code=code, state=state, lot=row.lot)


def _word(state: Any, at: datetime | None) -> Word | None:
    return None if state is None or at is None else Word(state, at)
