"""What tests of many clients at once have in common: connections enough, a programme, and short forms of postings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import posting, transfers
from ledger.audit import verify
from ledger.posting import Posting
from ledger.units import Unit, define_unit
from loyalty.kit.db import create_engine, transaction
from tests.roles import application_login

CLIENTS: Final = 16


@dataclass
class Race:
    """A programme on a database of its own, and members whom everybody posts to at once."""

    engine: AsyncEngine
    programme_id: UUID = field(default_factory=uuid4)
    members: list[UUID] = field(default_factory=list)

    async def begin(self, members: int, *, points: int = 0, **policies: Any) -> None:
        """Define the unit; make so many members, with so many points each."""
        async with transaction(self.engine) as connection:
            await define_unit(connection, Unit(programme_id=self.programme_id, **policies))
        self.members += [uuid4() for _ in range(members)]
        for member in self.members if points else ():
            await self.earn(member, points)

    def _to(self, member: UUID, amount: int, terms: dict[str, Any]) -> dict[str, Any]:
        of_itself = {"key": uuid4().hex, "source": "race"}
        return {"programme_id": self.programme_id, "member_id": member, "amount": amount, **of_itself, **terms}

    async def earn(self, member: UUID, amount: int, **terms: Any) -> Posting:
        async with transaction(self.engine) as connection:
            return await posting.earn(connection, **self._to(member, amount, terms))

    async def spend(self, member: UUID, amount: int, **terms: Any) -> Posting:
        async with transaction(self.engine) as connection:
            return await posting.spend(connection, **self._to(member, amount, terms))

    async def transfer(self, giver: UUID, receiver: UUID, amount: int) -> Posting:
        async with transaction(self.engine) as connection:
            return await transfers.transfer(
                connection,
                programme_id=self.programme_id,
                from_member_id=giver,
                to_member_id=receiver,
                amount=amount,
                key=uuid4().hex,
                source="race",
            )

    async def check(self) -> None:
        """The books that the race leaves behind balance."""
        async with transaction(self.engine) as connection:
            assert (await verify(connection)).findings == []

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        async with transaction(self.engine) as connection:
            return list((await connection.execute(text(query), parameters)).all())

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A reader who sees one moment."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            yield connection
            await connection.rollback()


@asynccontextmanager
async def race_on(database_url: str, *, connections: int = CLIENTS + 4) -> AsyncIterator[Race]:
    engine = create_engine(application_login(database_url), pool_size=connections)
    try:
        yield Race(engine)
    finally:
        await engine.dispose()
