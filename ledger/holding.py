"""Accounts that a transaction holds before it does anything else, so that there is one order of locks.

A posting locks its account by itself. A transaction that posts, locks other rows and posts again must have all its
accounts from the start: else somebody who has one of them may be waiting for those other rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import refusals

_HOLD: Final = text("SELECT ledger.hold_accounts(:programme, CAST(:members AS uuid[]), CAST(:units AS text[]))")
_DROP_UNUSED: Final = text("SELECT ledger.drop_unused_accounts(CAST(:members AS uuid[]), CAST(:units AS text[]))")


@asynccontextmanager
async def accounts_held(
    connection: AsyncConnection, *, programme_id: UUID, accounts: Collection[tuple[UUID, str]]
) -> AsyncIterator[None]:
    """Hold accounts (a member and a unit each) from here until the transaction ends, in the order of their ids.

    Nobody posts to them meanwhile. Those that are missing are opened, and put away at the end of the block where
    nothing was posted to them. Raises UnavailableError where one stays locked by somebody else.
    """
    in_order = sorted(set(accounts))
    if not in_order:
        yield
        return
    asked = {"members": [member_id for member_id, _ in in_order], "units": [unit for _, unit in in_order]}
    with refusals():
        unused = await connection.scalar(_HOLD, {"programme": programme_id, **asked})
    yield
    if unused:
        await connection.execute(_DROP_UNUSED, asked)
