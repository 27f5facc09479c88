"""A ledger with its clock in the tests' hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import audit, posting, reading, transfers
from ledger.posting import Posting
from ledger.units import Unit, define_unit
from loyalty.kit.db import create_engine
from tests.roles import as_application, as_owner


class Book:
    """One programme's ledger: short forms of the postings, so that a test reads as the rule it holds."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.programme_id = uuid4()
        self._keys = 0

    def key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    async def unit(self, **policies: Any) -> Unit:
        return await define_unit(self.connection, Unit(programme_id=self.programme_id, **policies))

    async def at(self, moment: datetime) -> None:
        """Set the ledger's clock."""
        await self.connection.execute(text("SELECT set_config('test.now', :now, false)"), {"now": moment.isoformat()})

    def _common(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"key": self.key(), "source": "test", **fields}

    async def earn(self, member: UUID, amount: int, **fields: Any) -> Posting:
        return await posting.earn(
            self.connection, programme_id=self.programme_id, member_id=member, amount=amount, **self._common(fields)
        )

    async def spend(self, member: UUID, amount: int, **fields: Any) -> Posting:
        return await posting.spend(
            self.connection, programme_id=self.programme_id, member_id=member, amount=amount, **self._common(fields)
        )

    async def hold(self, member: UUID, amount: int, **fields: Any) -> Posting:
        fields.setdefault("hold_id", uuid4())
        return await posting.hold(
            self.connection, programme_id=self.programme_id, member_id=member, amount=amount, **self._common(fields)
        )

    async def capture(self, member: UUID, hold_id: UUID | None, amount: int | None = None, **fields: Any) -> Posting:
        assert hold_id is not None
        return await posting.capture(
            self.connection, member_id=member, hold_id=hold_id, amount=amount, **self._common(fields)
        )

    async def release(self, member: UUID, hold_id: UUID | None, amount: int | None = None, **fields: Any) -> Posting:
        assert hold_id is not None
        return await posting.release(
            self.connection, member_id=member, hold_id=hold_id, amount=amount, **self._common(fields)
        )

    async def reverse(self, member: UUID, sequence: int, amount: int | None = None, **fields: Any) -> Posting:
        return await posting.reverse(
            self.connection, member_id=member, sequence=sequence, amount=amount, **self._common(fields)
        )

    async def claw_back(self, member: UUID, amount: int, **fields: Any) -> Posting:
        return await posting.claw_back(
            self.connection, programme_id=self.programme_id, member_id=member, amount=amount, **self._common(fields)
        )

    async def adjust(self, member: UUID, amount: int, **fields: Any) -> Posting:
        fields = {"reason": "a mistake at the till", "actor": "stf_1", **fields}
        return await posting.adjust(
            self.connection, programme_id=self.programme_id, member_id=member, amount=amount, **self._common(fields)
        )

    async def transfer(self, giver: UUID, receiver: UUID, amount: int, **fields: Any) -> Posting:
        return await transfers.transfer(
            self.connection,
            programme_id=self.programme_id,
            from_member_id=giver,
            to_member_id=receiver,
            amount=amount,
            **self._common(fields),
        )

    async def merge(self, absorbed: UUID, survivor: UUID, name: str = "merge:1") -> None:
        await transfers.move_all(
            self.connection,
            programme_id=self.programme_id,
            from_member_id=absorbed,
            to_member_id=survivor,
            key=name,
            source=name,
        )

    async def unmerge(self, absorbed: UUID, survivor: UUID, name: str = "merge:1") -> None:
        await transfers.move_back(
            self.connection,
            programme_id=self.programme_id,
            survivor_id=survivor,
            absorbed_id=absorbed,
            moved_by=name,
            key=f"un{name}",
            source=f"un{name}",
        )

    async def balance(self, member: UUID, unit: str = "points") -> reading.Balance:
        return await reading.balance(self.connection, member_id=member, unit=unit)

    async def spendable(self, member: UUID) -> int:
        return (await self.balance(member)).spendable

    async def open_lots(self, member: UUID) -> list[tuple[int, datetime | None]]:
        """What is left in each open lot and when it expires, in the order of spending."""
        found = await reading.lots(self.connection, member_id=member)
        return [(lot.remaining, lot.expires_at) for lot in found]

    async def kinds(self, member: UUID) -> list[tuple[str, int, str, str]]:
        """The account's entries, oldest first: kind, amount, debit, credit."""
        entries = await reading.history(self.connection, member_ids=[member])
        return [(entry.kind, entry.amount, entry.debit, entry.credit) for entry in reversed(entries)]

    async def verified(self) -> bool:
        result = await audit.verify(self.connection)
        assert result.findings == []
        assert result.entries > 0
        return result.passed


NEW_YEAR = datetime(2026, 1, 1, 12, tzinfo=UTC)
A_DAY = timedelta(days=1)


@pytest.fixture(scope="module")
async def engine(module_database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a database of the module's own: these tests read and write the whole ledger."""
    opened = create_engine(as_application(module_database_url))
    yield opened
    await opened.dispose()


@pytest.fixture
async def book(connection: AsyncConnection) -> AsyncIterator[Book]:
    """A ledger whose clock stands at New Year 2026 until a test moves it; every test leaves books that verify."""
    async with as_owner(connection):
        await connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
                "$$SELECT current_setting('test.now')::timestamptz$$"
            )
        )
    book = Book(connection)
    await book.at(NEW_YEAR)
    yield book
    assert await book.verified()


@pytest.fixture
def member() -> UUID:
    return uuid4()
