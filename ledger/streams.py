"""Reading many rows at the speed of psycopg: binary, in pieces, with no more than one piece in memory.

Moments come as PostgreSQL holds them, in whole microseconds since 2000, and UUIDs as their 16 bytes. That is faster,
and for moments it is complete: there is a number for every value that a column may have, infinity and what lies beyond
Python's years included, and a verifier must read what it is there to find.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import psycopg
from psycopg.types.numeric import Int8BinaryLoader
from psycopg.types.string import ByteaBinaryLoader
from sqlalchemy.ext.asyncio import AsyncConnection

Driver = psycopg.AsyncConnection[Any]
Row = tuple[Any, ...]

PIECE_ROWS: Final = 2_000

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_names: Final = count()


def microseconds(moment: datetime) -> int:
    """A moment as it is read here."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """And back. Raises OverflowError where Python has no name for it."""
    return _EPOCH + timedelta(microseconds=value)


async def driver(connection: AsyncConnection) -> Driver:
    """The psycopg connection behind SQLAlchemy's, in the same transaction."""
    found: Driver | None = (await connection.get_raw_connection()).driver_connection
    assert found is not None  # noqa: S101  (it is open)
    return found


def _adapt(cursor: psycopg.AsyncCursor[Any]) -> None:
    cursor.adapters.register_loader("timestamptz", Int8BinaryLoader)
    cursor.adapters.register_loader("uuid", ByteaBinaryLoader)


async def stream(
    connection: Driver, query: str, values: Mapping[str, Any] | None = None, *, piece: int = PIECE_ROWS
) -> AsyncIterator[list[Row]]:
    """The rows of a query, in lists of at most `piece`, through a cursor of the server's."""
    async with connection.cursor(f"stream_{next(_names)}", binary=True) as cursor:
        _adapt(cursor)
        await cursor.execute(query.encode(), values)
        while rows := await cursor.fetchmany(piece):
            yield rows


async def rows(connection: Driver, query: str, values: Mapping[str, Any] | None = None) -> list[Row]:
    """All rows of a query that has few."""
    async with connection.cursor(binary=True) as cursor:
        _adapt(cursor)
        await cursor.execute(query.encode(), values)
        return await cursor.fetchall()
