"""Two transactions that meet: one goes on only when the other waits for it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_WAITING: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
_SECONDS: Final = 10


async def until_somebody_waits(engine: AsyncEngine, waiting: asyncio.Future[Any] | None = None) -> None:
    """Until a session of this database waits for a lock. Fails where `waiting`, who should, has ended before."""
    async with engine.connect() as looking, asyncio.timeout(_SECONDS):
        while not await looking.scalar(_WAITING):
            assert waiting is None or not waiting.done()
            await looking.rollback()  # within a transaction it would see the same again and again
