"""The story's clock: lets a year pass in a transaction, for the ledger and all that goes by its clock.

The database stamps entries by `ledger.clock()`, and so do tills and coupons. While the story is told that function
reads the story's time instead. Nobody else ever sees it: the exchange, everything that is posted meanwhile, and the
exchange back are one transaction (`docs/decisions/demonstration.md`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_DEFINITION: Final = text("SELECT pg_get_functiondef('ledger.clock()'::regprocedure)")
_STORY: Final = """
    CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$SELECT current_setting('tallystar.story_now')::timestamptz$$
"""
_SET: Final = text("SELECT set_config('tallystar.story_now', :now, true)")


class StoryClock:
    """Says what time it is in the story."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection: Final = connection
        self._now: datetime | None = None

    async def set(self, now: datetime) -> None:
        """It is `now`. The ledger takes no earlier time than an account's last entry."""
        if now != self._now:
            await self._connection.execute(_SET, {"now": now.isoformat()})
            self._now = now


@asynccontextmanager
async def story_clock(connection: AsyncConnection, now: datetime) -> AsyncIterator[StoryClock]:
    """Let the clock of this transaction be the story's until the block ends. An error leaves it to the rollback."""
    definition = (await connection.execute(_DEFINITION)).scalar_one()
    await connection.exec_driver_sql(_STORY)
    clock = StoryClock(connection)
    await clock.set(now)
    yield clock
    await connection.exec_driver_sql(definition)
