"""The real ledger in a test's hands: its functions over one synchronous connection, and what it holds in one query.

Thousands of postings a minute on one core leave no time for an event loop: the ledger's coroutines are driven by hand
over SQLAlchemy's synchronous connection, which never makes them wait. Each posting is a transaction of its own, as in
production. What speaks to the driver itself is given a connection as in production.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, Self, TypeVar, cast
from uuid import UUID

import msgspec
import psycopg
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import create_engine as open_engine

Result = TypeVar("Result")

CLOCK: Final = """
    CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$SELECT current_setting('test.now')::timestamptz$$
"""


class LotState(msgspec.Struct, array_like=True, frozen=True):
    """An open lot, as the ledger holds it."""

    remaining: int
    expires_at: datetime | None
    available_at: datetime | None
    priority: int
    pending: bool


class HoldState(msgspec.Struct, array_like=True, frozen=True):
    """A hold, as the ledger holds it."""

    amount: int
    captured: int
    released: int
    state: str


class EntryState(msgspec.Struct, array_like=True, frozen=True):
    """An entry that came since somebody last looked; `effective_at` only where time made it."""

    sequence: int
    kind: str
    debit: str
    credit: str
    amount: int
    effective_at: datetime | None


class AccountState(msgspec.Struct, frozen=True):
    """All that the ledger holds of one account."""

    member_id: UUID
    unit: str
    posted: int
    pending: int
    held: int
    debt: int
    sequence: int
    last_at: datetime | None
    idle_expires_at: datetime | None
    expired: int
    lots: list[LotState]
    holds: list[HoldState]
    entries: list[EntryState]


_STATE: Final = """
    SELECT coalesce(json_agg(json_build_object(
        'member_id', a.member_id, 'unit', a.unit,
        'posted', a.posted, 'pending', a.pending, 'held', a.held, 'debt', a.debt, 'sequence', a.seq,
        'last_at', CASE WHEN isfinite(a.last_at) THEN a.last_at END, 'idle_expires_at', a.idle_expires_at,
        'expired', (SELECT coalesce(sum(expired), 0) FROM ledger.lot
                    WHERE member_id = a.member_id AND unit = a.unit),
        'lots', (SELECT coalesce(json_agg(json_build_array(remaining, expires_at, available_at, priority,
                                                           pending)
                                          ORDER BY priority, expires_at, seq), '[]')
                 FROM ledger.lot WHERE member_id = a.member_id AND unit = a.unit AND open),
        'holds', (SELECT coalesce(json_agg(json_build_array(amount, captured, released, state) ORDER BY seq), '[]')
                  FROM ledger.hold WHERE member_id = a.member_id AND unit = a.unit),
        'entries', (SELECT coalesce(json_agg(json_build_array(seq, kind, debit, credit, amount,
                                                              CASE WHEN source = 'time' THEN effective_at END)
                                             ORDER BY seq), '[]')
                    FROM ledger.entry
                    WHERE member_id = a.member_id AND unit = a.unit
                        AND seq > coalesce((CAST(:seen AS json) ->> (a.member_id || a.unit))::bigint, 0))
    )), '[]')::text
    FROM ledger.account AS a
"""


class Ledger:
    """A ledger of one's own: nobody else uses its database."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        self._connection = self._engine.connect()
        # What is lost in a crash of this server is lost with it; the tests of durability do not come through here.
        self._execute("SET synchronous_commit = off")
        self._execute("SET timezone = 'UTC'")
        self._execute(CLOCK)
        self._tables = [row[0] for row in self._execute("SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'")]
        self.connection = cast("AsyncConnection", _Driven(self._connection))
        self.engine = cast("AsyncEngine", _DrivenEngine(self))
        self._runner = asyncio.Runner()
        self._real = open_engine(url, pool_size=1)
        self._now = ""

    def _execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Any:
        return self._connection.execute(text(statement), parameters)

    def close(self) -> None:
        self._runner.run(self._real.dispose())
        self._runner.close()
        self._connection.close()
        self._engine.dispose()

    def empty(self) -> None:
        """Begin anew. Nothing is ever deleted from a ledger; this one was an example."""
        self._execute("SET session_replication_role = replica")
        for table in self._tables:
            self._execute(f"DELETE FROM ledger.{table}")
        self._execute("SET session_replication_role = origin")

    def set_clock(self, now: datetime) -> None:
        self._now = now.isoformat()
        self._execute("SELECT set_config('test.now', :now, false)", {"now": self._now})

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Carry a coroutine of the ledger out."""
        try:
            coroutine.send(None)
        except StopIteration as done:
            return cast("Result", done.value)
        raise AssertionError("the ledger waits for something else than its database")

    def really(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Do something on a real connection, in a loop, in one transaction: for what speaks to the driver itself."""

        async def do() -> Result:
            async with self._real.begin() as connection:
                await connection.execute(text("SELECT set_config('test.now', :now, true)"), {"now": self._now})
                await connection.execute(text("SET LOCAL synchronous_commit = off"))
                return await work(connection)

        return self._runner.run(do())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several calls, all or nothing."""
        self._execute("BEGIN")
        try:
            yield
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def state(self, seen: Mapping[str, int]) -> dict[tuple[UUID, str], AccountState]:
        """Every account, with its entries after those that were seen (by member and unit)."""
        found = self._execute(_STATE, {"seen": msgspec.json.encode(seen).decode()}).scalar_one()
        rows = msgspec.json.decode(found, type=list[AccountState])
        return {(row.member_id, row.unit): row for row in rows}


class _Driven:
    """As much of an AsyncConnection as the ledger uses, over a synchronous one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        return self._connection.execute(statement, parameters)

    async def scalar(self, statement: Any, parameters: Any = None) -> Any:
        return self._connection.scalar(statement, parameters)

    async def get_raw_connection(self) -> SimpleNamespace:
        """The driver's connection, for what the ledger reads without SQLAlchemy: `ledger.streams`."""
        sync: Any = self._connection.connection.driver_connection
        return SimpleNamespace(
            driver_connection=SimpleNamespace(cursor=lambda *_, binary: _DrivenCursor(sync.cursor(binary=binary)))
        )


class _DrivenCursor:
    """As much of psycopg's AsyncCursor as `ledger.streams` uses, over a synchronous one that holds all its rows."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor
        self.adapters = cursor.adapters

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cursor.close()

    async def execute(self, query: bytes, values: Mapping[str, Any] | None) -> None:
        self._cursor.execute(query, values)

    async def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        return self._cursor.fetchmany(size)

    async def fetchall(self) -> list[tuple[Any, ...]]:
        return self._cursor.fetchall()


class _DrivenEngine:
    """As much of an AsyncEngine as `transaction` uses, over the same connection."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        with self._ledger.transaction():
            yield self._ledger.connection
