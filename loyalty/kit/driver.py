"""The hot path: statements on the connection beneath SQLAlchemy.

SQLAlchemy serves everything that is not hot. Where thousands of postings a second go through one process, its share of
each statement (compiling, adapting, wrapping rows) counts. What runs here is in the same transaction of the same
connection, and fails with the same errors. Many values go as one JSON text, which is written fifty times faster than
psycopg writes arrays of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, Self
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Rows = list[tuple[Any, ...]]

_Driver = psycopg.AsyncConnection[tuple[Any, ...]]

_PROBE: Final = text("SELECT 1")


async def fetch(
    connection: AsyncConnection,
    statement: LiteralString,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    *,
    once: bool = False,
) -> Rows:
    """The rows of a statement, within the connection's transaction. Raises DBAPIError.

    One that is said `once`, never again with the same words, is not kept: the driver counts how often it has seen the
    last hundred of a connection, however long they are.
    """
    async with _driver(connection) as driver:
        return await (await driver.execute(statement, parameters, prepare=False if once else None)).fetchall()


class Session:
    """A connection of the pool's for transactions that follow each other, each begun by its first statement.

    SQLAlchemy takes them for one that lasts until the block ends, and so has no share in their COMMITs. After an error
    the block is to be left: that undoes what was not committed.
    """

    connection: AsyncConnection

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def __aenter__(self) -> Self:
        self.connection = await self._engine.connect()
        await self.connection.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.connection.invalidated and _driver_of(self.connection).closed:
            await self.connection.invalidate()
        await self.connection.close()

    async def commit(self) -> None:
        """Commit what was done since the last time. Raises DBAPIError: then nobody knows whether it was."""
        try:
            async with _driver(self.connection) as driver:
                await driver.commit()
        except BaseException:
            await self.connection.invalidate()  # the server ends whatever is left of it
            raise


def _driver_of(connection: AsyncConnection) -> _Driver:
    assert connection.sync_connection is not None  # noqa: S101  (it was awaited)
    driver = connection.sync_connection.connection.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)  # noqa: S101  (kit.db opens no other)
    return driver


@asynccontextmanager
async def _driver(connection: AsyncConnection) -> AsyncIterator[_Driver]:
    if not connection.in_transaction():
        await connection.begin()  # as SQLAlchemy's own statements do, so that its COMMIT is one
    driver = _driver_of(connection)
    try:
        yield driver
    except psycopg.Error as error:
        if driver.closed:
            # SQLAlchemy has to learn of it from a statement of its own: then no part of the pool is used again.
            await connection.execute(_PROBE)
        statement: str = "(on the driver)"
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error


def uuid_array(values: Iterable[UUID]) -> str:
    """UUIDs as the text of an array, which is written ten times faster than a list of them."""
    return "{" + ",".join([value.hex for value in values]) + "}"


def lock_patience(patience_ms: int | None) -> str | None:
    """How long to wait for a lock, as PostgreSQL's `lock_timeout` has it; None for as long as the session says."""
    return None if patience_ms is None else f"{patience_ms}ms"
