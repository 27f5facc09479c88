"""Reading many rows at the speed of psycopg: binary, in pieces, with no more than one piece in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any, Final

import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

Driver = psycopg.AsyncConnection[Any]
Row = tuple[Any, ...]

PIECE_ROWS: Final = 2_000

_names: Final = count()


async def driver(connection: AsyncConnection) -> Driver:
    """The psycopg connection behind SQLAlchemy's, in the same transaction."""
    found = (await connection.get_raw_connection()).driver_connection
    assert isinstance(found, psycopg.AsyncConnection)  # noqa: S101  (kit.db chooses this driver)
    return found


async def stream(
    connection: Driver, query: str, values: Mapping[str, Any] | None = None, *, piece: int = PIECE_ROWS
) -> AsyncIterator[list[Row]]:
    """The rows of a query, in lists of at most `piece`, through a cursor of the server's."""
    async with connection.cursor(f"stream_{next(_names)}", binary=True) as cursor:
        await cursor.execute(query.encode(), values)
        while rows := await cursor.fetchmany(piece):
            yield rows


async def rows(connection: Driver, query: str, values: Mapping[str, Any] | None = None) -> list[Row]:
    """All rows of a query that has few."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query.encode(), values)
        return await cursor.fetchall()
