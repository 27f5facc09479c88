"""Closing the books: adding up what has happened since they were closed last.

A closing takes each account that has moved, exactly once, whatever order transactions commit in and however often a
process is stopped: how far an account is closed is written down with it. It makes the roll-up that every report reads,
the heads that are sealed, and the checkpoints that a look back starts from. Reports add what is not closed yet, so
nothing depends on how often this is done.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.errors import refusals
from loyalty.kit.db import transaction


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """One closing: how many accounts had moved, by how many entries.

    Every entry recorded before `complete_until` is in it or in an earlier one; many recorded later are, too.
    """

    number: int
    closed_at: datetime
    complete_until: datetime
    accounts: int
    entries: int


_NO_LIMIT: Final = text("SET LOCAL statement_timeout = 0")
_CLOSE: Final = text("SELECT * FROM ledger.close_books(:thorough)")
_ROLL_UP: Final = text("SELECT ledger.roll_up_anew(:programme, :unit)")
_LAST: Final = text("SELECT * FROM ledger.closing ORDER BY number DESC LIMIT 1")


async def close_books(engine: AsyncEngine, *, thorough: bool = False) -> Closing | None:
    """Close the books; None where nothing had moved since, or where another process is closing them at this moment.

    Accounts that moved are found by when their entries were recorded. `thorough` compares every account instead, which
    a closing does by itself where the server's clock was set back; once a day it costs little and trusts no clock.
    """
    async with transaction(engine) as connection:
        return await close_books_on(connection, thorough=thorough)


async def close_books_on(connection: AsyncConnection, *, thorough: bool = False) -> Closing | None:
    """The same within the caller's transaction, which is READ COMMITTED."""
    await connection.execute(_NO_LIMIT)
    with refusals():
        row = (await connection.execute(_CLOSE, {"thorough": thorough})).one()
    return None if row.number is None else _closing(row)


async def last_closing(connection: AsyncConnection) -> Closing | None:
    """The newest closing, or None where the books were never closed."""
    row = (await connection.execute(_LAST)).first()
    return None if row is None else _closing(row)


async def roll_up_anew(connection: AsyncConnection, *, programme_id: UUID, unit: str) -> None:
    """Make a unit's roll-up anew from the entries that are closed: after it was found to be wrong."""
    await connection.execute(_NO_LIMIT)
    await connection.execute(_ROLL_UP, {"programme": programme_id, "unit": unit})


def _closing(row: Row[Any]) -> Closing:
    return Closing(**{name: row._mapping[name] for name in Closing.__struct_fields__})  # noqa: SLF001  (SQLAlchemy's)
