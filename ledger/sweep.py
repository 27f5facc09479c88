"""The sweep: what time brings, for accounts that nobody touches.

Postings settle their own account, so a late sweep never lets anybody spend what has expired; it only makes the books
say so. Each batch is a small transaction that locks its accounts in one order; two sweeps at once share the work.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.errors import refusals
from loyalty.kit.db import transaction

BATCH_ACCOUNTS: Final = 200

_SETTLE: Final = text("SELECT accounts, entries FROM ledger.settle_due(:limit)")


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """How many accounts were due, and how many entries that made."""

    accounts: int
    entries: int


async def sweep(engine: AsyncEngine, *, batch: int = BATCH_ACCOUNTS) -> Swept:
    """Settle every account that is due: expire lots, free holds, make pending points spendable.

    Safe to stop, to repeat and to run twice at once; a second run finds nothing to do.
    """
    accounts = entries = 0
    while True:
        async with transaction(engine) as connection:
            with refusals():
                row = (await connection.execute(_SETTLE, {"limit": batch})).one()
        accounts += row.accounts
        entries += row.entries
        if row.accounts == 0:
            return Swept(accounts=accounts, entries=entries)
