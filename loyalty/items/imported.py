"""Imported serials: a brand's own numbers, which prove nothing by themselves and are therefore kept, a row each.

They have key id 0 and get an index like all others, so that ranges, lots, scans and claims work on them as on ours. A
serial is matched as it is written: GS1's are case-sensitive.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import imported_code_table
from loyalty.items.codes import ItemCode, clean_typed
from loyalty.items.keys import MasterKeys
from loyalty.kit.errors import NotFoundError

IMPORTED_KID: Final = 0
"""The key id of serials that no key of ours made."""
SERIAL_LIMIT: Final = 20
"""AI 21 has at most 20 characters of GS1's set of 82 (General Specifications, section 3.5.2)."""

_PIN_BYTES: Final = 16
_imported: Final = imported_code_table.c


async def find_imported(connection: AsyncConnection, *, gtin: str, serial: str) -> ItemCode | None:
    """The code of an imported serial of a product (14 digits); None where there is none."""
    if not 0 < len(serial) <= SERIAL_LIMIT or not serial.isascii():
        return None
    query = select(_imported.index).where(_imported.gtin == gtin, _imported.serial == serial)
    index = await connection.scalar(query)
    return None if index is None else ItemCode(gtin, IMPORTED_KID, index)


async def imported_serial(connection: AsyncConnection, code: ItemCode) -> str:
    """The serial of an imported code. Raises NotFoundError."""
    query = select(_imported.serial).where(_imported.gtin == code.gtin, _imported.index == code.index)
    serial = await connection.scalar(query)
    if serial is None:
        raise NotFoundError("there is no such imported serial", field="serial")
    return str(serial)


async def verify_imported_pin(connection: AsyncConnection, keys: MasterKeys, code: ItemCode, text: str) -> bool:
    """Whether somebody typed the PIN that came with an imported serial; in constant time. Without one, nothing fits."""
    query = select(_imported.pin_digest).where(_imported.gtin == code.gtin, _imported.index == code.index)
    kept = await connection.scalar(query)
    return kept is not None and hmac.compare_digest(kept, pin_digest(keys, code.gtin, text))


def pin_digest(keys: MasterKeys, gtin: str, pin: str) -> bytes:
    """What is kept of an imported PIN: nothing that a copy of the database could be searched by, without the keys."""
    typed = clean_typed(pin).upper()
    return hmac.digest(keys.imported_pin_key, f"{gtin}|{typed}".encode(), sha256)[:_PIN_BYTES]
