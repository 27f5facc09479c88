"""Forgetting what is over: sessions, one-time codes, counters and kept answers whose time has passed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import transaction
from loyalty.web.idempotency import KEPT_DAYS

BATCH_ROWS: Final = 5000

_OVER: Final = {
    "web_session": "expires_at < now()",
    "one_time_code": "expires_at < now() - interval '1 day'",
    "throttle": "window_ends_at < now()",
    "idempotency": f"created_at < now() - interval '{KEPT_DAYS} days'",
}


async def forget_what_is_over(engine: AsyncEngine) -> dict[str, int]:
    """Delete rows whose time has passed, in small transactions; answers how many by table."""
    return {table: await _forget(engine, table, condition) for table, condition in _OVER.items()}


async def _forget(engine: AsyncEngine, table: str, condition: str) -> int:
    statement = text(
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {condition} LIMIT :limit))"  # noqa: S608
    )
    count = 0
    while True:
        async with transaction(engine) as connection:
            deleted = (await connection.execute(statement, {"limit": BATCH_ROWS})).rowcount
        count += deleted
        if deleted < BATCH_ROWS:
            return count
