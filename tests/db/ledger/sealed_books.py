"""Books with a past: three seals, a closing that is not sealed yet, and an entry that is not closed yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.audit import Evidence, Verification, verify
from ledger.closing import close_books
from ledger.findings import Finding
from ledger.seal_files import Published, SealFolder, publish
from ledger.seal_keys import SigningKeys
from loyalty.kit.db import create_engine, transaction
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book
from tests.db.ledger.test_audit import busy

CLOCK = (
    "CREATE TABLE test_clock AS SELECT timestamptz '2026-01-01 12:00+00' AS now",
    """
        CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
        AS $$SELECT now FROM public.test_clock$$
    """,
)


class _Book(Book):
    """One whose clock every connection sees."""

    async def at(self, moment: datetime) -> None:
        await self.connection.execute(text("UPDATE test_clock SET now = :now"), {"now": moment})


class SealedBooks:
    """The ledger of two members, its keys and its folder. `ann` has every kind of entry; `bob` some earns.

    | | ann | bob | |
    |---|---|---|---|
    | seal 1 | all that `busy` does | entry 1 | one closing |
    | seal 2 | one more | entry 2 | two closings |
    | seal 3 | | entry 3 | one closing |
    | closed | | entry 4 | |
    | posted | | entry 5 | |
    """

    def __init__(self, engine: AsyncEngine, home: Path) -> None:
        self.engine = engine
        self.keys_file = home / "keys" / "seals.json"
        self.folder = SealFolder(home / "seals")
        self.ann = uuid4()
        self.bob = uuid4()
        self.programme_id = uuid4()
        self.sealed_entries_of_ann = 0

    @property
    def keys(self) -> SigningKeys:
        return SigningKeys.open(self.keys_file)

    def evidence(self, folder: Path | None = None) -> Evidence:
        """What the installation itself knows; with a folder, that as well."""
        return Evidence(public_keys=tuple(self.keys.public_pem().values()), folder=folder)

    async def publish(self) -> Published:
        return await publish(self.engine, keys=self.keys, folder=self.folder)

    async def post(self, book: _Book, days: int, *members: UUID) -> None:
        await book.at(NEW_YEAR + days * A_DAY)
        for member in members:
            await book.earn(member, 10 + days)

    async def seal(self) -> None:
        await close_books(self.engine, thorough=True)
        made = await self.publish()
        assert made.seal is not None
        assert made.problems == []

    async def fill(self) -> None:
        async with transaction(self.engine) as connection:
            for statement in CLOCK:
                await connection.execute(text(statement))
        for number, step in enumerate((self._first, self._second, self._third, self._fourth, self._fifth), 1):
            async with transaction(self.engine) as connection:
                book = _Book(connection)
                book.programme_id = self.programme_id
                book._keys = 1000 * number
                await step(book)
            if number == 2:
                await close_books(self.engine, thorough=True)
                async with transaction(self.engine) as connection:
                    book = _Book(connection)
                    book.programme_id = self.programme_id
                    book._keys = 9000
                    await self.post(book, 6, self.ann)
            if number <= 3:
                await self.seal()
            elif number == 4:
                await close_books(self.engine, thorough=True)

    async def _first(self, book: _Book) -> None:
        await book.at(NEW_YEAR)
        await busy(book, self.ann)
        await self.post(book, 4, self.bob)

    async def _second(self, book: _Book) -> None:
        await self.post(book, 5, self.bob)

    async def _third(self, book: _Book) -> None:
        await self.post(book, 7, self.bob)

    async def _fourth(self, book: _Book) -> None:
        await self.post(book, 8, self.bob)

    async def _fifth(self, book: _Book) -> None:
        await self.post(book, 9, self.bob)

    @asynccontextmanager
    async def tampered(self, *statements: str, **values: object) -> AsyncIterator[AsyncConnection]:
        """A connection of the database's owner with all triggers off, after these statements; undone at the end."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                changed = await connection.execute(text(statement), values)
                assert changed.rowcount, f"nothing was changed by {statement}"
            yield connection
            await connection.rollback()

    async def findings(self, connection: AsyncConnection, folder: Path | None = None) -> list[Finding]:
        return (await self.verified(connection, folder)).findings

    async def verified(self, connection: AsyncConnection, folder: Path | None = None) -> Verification:
        return await verify(connection, evidence=self.evidence(folder))


@asynccontextmanager
async def sealed_books(owner_url: str, home: Path) -> AsyncIterator[SealedBooks]:
    engine = create_engine(owner_url)
    books = SealedBooks(engine, home)
    await books.fill()
    yield books
    await engine.dispose()
