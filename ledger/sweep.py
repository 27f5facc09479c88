"""The sweep: what time brings, for accounts that nobody touches.

Postings settle their own account, so a late sweep never lets anybody spend what has expired; it only makes the books
say so. It reads which accounts are due and settles them in small transactions: each is as large as fits into
TARGET_SECONDS, which is how long a posting on one of its accounts may have to wait. It takes no account that somebody
else holds, so two sweeps at once share the work, and one that was stopped is gone on with by the next.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.errors import refusals
from loyalty.kit.db import transaction

TARGET_SECONDS: Final = 0.025
"""How long one transaction should last."""
FEWEST_ACCOUNTS: Final = 8
MOST_ACCOUNTS: Final = 1_000
_FIRST_ACCOUNTS: Final = 64
_LISTED: Final = 20_000
"""How many due accounts are read at once. They are read in one go because what a sweep has just settled stays in front
of the index for a while, and each look has to step over it."""

_DUE: Final = text("""
    SELECT member_id, unit FROM ledger.account WHERE next_due <= ledger.clock() ORDER BY next_due LIMIT :limit
""")
_COUNT: Final = text("SELECT count(*) FROM ledger.account WHERE next_due <= ledger.clock()")
_SETTLE: Final = text(
    "SELECT accounts, entries FROM ledger.settle_due(CAST(:members AS uuid[]), CAST(:units AS text[]))"
)

_Key = tuple[UUID, str]


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """How many accounts were settled, and how many entries that made."""

    accounts: int = 0
    entries: int = 0

    def __add__(self, other: Swept) -> Swept:
        return Swept(accounts=self.accounts + other.accounts, entries=self.entries + other.entries)


async def count_due(connection: AsyncConnection) -> int:
    """On how many accounts something is due."""
    return int(await connection.scalar(_COUNT) or 0)


async def sweep(engine: AsyncEngine, *, progress: Callable[[Swept], None] | None = None) -> Swept:
    """Settle every account that is due: expire lots, free holds, make pending points spendable.

    Safe to stop, to repeat and to run twice at once; a second run finds nothing to do. Accounts that a posting or
    another sweep holds are left to them, or to the next run. Raises UnavailableError.
    """
    swept = Swept()
    while True:
        before = swept
        async for batch in _batches(engine, await _due(engine)):
            swept += batch
            if progress is not None:
                progress(swept)
        if swept.accounts == before.accounts:
            return swept


async def _due(engine: AsyncEngine) -> list[_Key]:
    """Accounts that are due, of those that have waited longest; by their ids, which is how they lie in the table."""
    async with transaction(engine) as connection:
        rows = await connection.execute(_DUE, {"limit": _LISTED})
        return sorted((row.member_id, row.unit) for row in rows)


async def _batches(engine: AsyncEngine, due: list[_Key]) -> AsyncIterator[Swept]:
    """Settle accounts, as many in each transaction as fit into its time."""
    size = _FIRST_ACCOUNTS
    place = 0
    while place < len(due):
        keys = due[place : place + size]
        started = time.perf_counter()
        yield await _settle(engine, keys)
        place += len(keys)
        size = fitting(len(keys), time.perf_counter() - started)


def fitting(accounts: int, seconds: float) -> int:
    """How many accounts fit into a transaction, when so many took so long: at most twice, at least half of them."""
    wanted = accounts * TARGET_SECONDS / max(seconds, 1e-6)
    wanted = min(max(wanted, accounts / 2), accounts * 2)
    return int(min(max(wanted, FEWEST_ACCOUNTS), MOST_ACCOUNTS))


async def _settle(engine: AsyncEngine, keys: list[_Key]) -> Swept:
    asked = {"members": [member_id for member_id, _ in keys], "units": [unit for _, unit in keys]}
    async with transaction(engine) as connection:
        with refusals():
            row = (await connection.execute(_SETTLE, asked)).one()
    return Swept(accounts=row.accounts, entries=row.entries)
