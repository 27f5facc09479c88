"""Leaked packages: a honey code that somebody scanned, the file it stood in, and who was handed that file.

A honey code is on no goods. Whoever scans one has it from a file of codes, so the file is out; which, the code says.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.exports import Export, exports_of
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import find_code
from loyalty.items.printers import Printer, list_printers
from loyalty.items.tables import refused_scan_table

MOST_TOLD: Final = 500
_refused: Final = refused_scan_table.c


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a honey code stood in, and who it was for; None where it was made for nobody in particular."""

    export: Export
    printer: Printer | None


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """A honey code that was scanned: how often, by how many devices, from which networks, and whence it can be.

    One source is proof. Several are possible where a single code of a range was set out by hand.
    """

    gtin: str
    serial: str
    code: ItemCode
    first_at: datetime
    last_at: datetime
    times: int
    devices: int
    networks: list[str]
    sources: list[Source]


async def list_leaks(
    connection: AsyncConnection, keys: MasterKeys, *, programme_id: UUID, since: datetime | None = None
) -> list[Leak]:
    """The honey codes that were scanned (since a moment), the last scanned first."""
    query = (
        select(
            _refused.gtin,
            _refused.serial,
            func.min(_refused.at).label("first_at"),
            func.max(_refused.at).label("last_at"),
            func.count().label("times"),
            func.count(_refused.device.distinct()).label("devices"),
            func.array_remove(func.array_agg(_refused.address_prefix.distinct()), None).label("networks"),
        )
        .where(_refused.programme_id == programme_id, _refused.reason == "honey")
        .group_by(_refused.gtin, _refused.serial)
        .order_by(func.max(_refused.at).desc())
        .limit(MOST_TOLD)
    )
    if since is not None:
        query = query.where(_refused.at >= since)
    printers = {printer.id: printer for printer in await list_printers(connection, programme_id=programme_id)}
    leaks: list[Leak] = []
    for row in (await connection.execute(query)).all():
        code = await find_code(connection, keys, gtin=row.gtin, serial=row.serial)
        if not isinstance(code, ItemCode):
            continue  # its key is gone
        sources = [
            Source(export=export, printer=printers.get(export.printer_id) if export.printer_id else None)
            for export in await exports_of(connection, code)
            if export.contents != "pins"
        ]
        leaks.append(
            Leak(
                gtin=code.gtin,
                serial=row.serial,
                code=code,
                first_at=row.first_at,
                last_at=row.last_at,
                times=row.times,
                devices=row.devices,
                networks=sorted(row.networks),
                sources=sources,
            )
        )
    return leaks
