"""A key that has leaked: from then on its codes count only where they were handed out before.

Whoever has a master can make any serial of any product. What they cannot do is put it into a file that a printer was
given before: those are written down. So the key goes on verifying what it made, new codes come from another key, and a
code of the old one has to lie in an export that was handed out in time; where a list of that export's codes is kept,
in the list as well, which does not depend on the key at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import code_export_table
from loyalty.items.codes import ItemKeys
from loyalty.items.exports import Export, export_from_row, this_export
from loyalty.items.imported import IMPORTED_KID
from loyalty.items.key_records import mark_compromised
from loyalty.items.keys import MasterKeys
from loyalty.items.tables import code_range_table
from loyalty.kit.errors import InvalidInputError, NotFoundError

_BATCH: Final = 1_000_000
_export: Final = code_export_table.c
_range: Final = code_range_table.c


class Uncovered(msgspec.Struct, frozen=True, kw_only=True):
    """Codes that are on their way and that nobody was handed, as far as is written down: they count no more."""

    gtin: str
    lo: int
    hi: int


class Compromise(msgspec.Struct, frozen=True, kw_only=True):
    """What a leaked key leaves in force: so many exports, with so many codes; and what it does not."""

    kid: int
    compromised_at: datetime
    exports: int
    codes: int
    lists: int
    uncovered: list[Uncovered]


async def compromise_key(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    kid: int,
    at: datetime,
    note: str = "",
    keep_lists: bool = False,
) -> Compromise:
    """Switch a key to "must be in the print manifest": it takes effect with the commit, at the next scan.

    `at` is when the key can have leaked at the earliest; what was handed out later does not count. With `keep_lists`,
    the codes of each export are listed in a file beside the keys, and have to stand there.

    Raises NotFoundError where there is no such key, InvalidInputError where it is the newest one: rotate first.
    """
    if kid == IMPORTED_KID or kid not in keys.masters:
        raise NotFoundError(f"there is no item code key {kid}", field="kid")
    if kid == keys.current_kid:
        raise InvalidInputError("this is the key that new codes are made under: rotate first", field="kid")
    record = await mark_compromised(connection, programme_id=programme_id, kid=kid, at=at, note=note)
    assert record.compromised_at is not None  # noqa: S101  (it was just written)
    exports = await _handed_out(connection, programme_id, kid, record.compromised_at)
    lists = 0
    if keep_lists:
        for export in exports:
            digest = keys.manifests.write(export.id, _serials(keys.for_product(export.gtin, kid), export))
            listed = update(code_export_table).where(*this_export(export)).values(codes_sha256=digest)
            await connection.execute(listed)
            lists += 1
    return Compromise(
        kid=kid,
        compromised_at=record.compromised_at,
        exports=len(exports),
        codes=sum(hi - lo + 1 for _, lo, hi in _joined([(each.gtin, each.lo, each.hi) for each in exports])),
        lists=lists,
        uncovered=await _uncovered(connection, programme_id, kid, exports),
    )


def _serials(keys: ItemKeys, export: Export) -> Iterator[NDArray[np.bytes_]]:
    """The serials of an export's goods. Its honey need not be listed: it is refused in any case."""
    for lo in range(export.lo, export.hi + 1, _BATCH):
        yield keys.mint_many(lo, min(_BATCH, export.hi - lo + 1))


async def _handed_out(connection: AsyncConnection, programme_id: UUID, kid: int, until: datetime) -> list[Export]:
    query = (
        select(code_export_table)
        .where(_export.programme_id == programme_id, _export.kid == kid, _export.handed_out_at <= until)
        .where(_export.contents != "pins")
        .order_by(_export.gtin, _export.lo)
    )
    return [export_from_row(row) for row in (await connection.execute(query)).mappings()]


async def _uncovered(
    connection: AsyncConnection, programme_id: UUID, kid: int, exports: list[Export]
) -> list[Uncovered]:
    live = select(_range.gtin, _range.lo, _range.hi).where(
        _range.programme_id == programme_id,
        _range.kid == kid,
        _range.honey_export_id.is_(None),
        _range.state.in_(("activated", "shipped", "sold")),
    )
    ranges = _joined([(row.gtin, row.lo, row.hi) for row in (await connection.execute(live)).all()])
    covered = _joined([(export.gtin, export.lo, export.hi) for export in exports])
    left: list[Uncovered] = []
    for gtin, lo, hi in ranges:
        start = lo
        for _, first, last in (each for each in covered if each[0] == gtin and each[2] >= lo and each[1] <= hi):
            if first > start:
                left.append(Uncovered(gtin=gtin, lo=start, hi=first - 1))
            start = max(start, last + 1)
        if start <= hi:
            left.append(Uncovered(gtin=gtin, lo=start, hi=hi))
    return left


def _joined(intervals: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Intervals of products in order, those that touch or overlap made one."""
    joined: list[tuple[str, int, int]] = []
    for gtin, lo, hi in sorted(intervals):
        if joined and joined[-1][0] == gtin and lo <= joined[-1][2] + 1:
            joined[-1] = (gtin, joined[-1][1], max(hi, joined[-1][2]))
        else:
            joined.append((gtin, lo, hi))
    return joined
