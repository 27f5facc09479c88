"""A limit on guessing: so many attempts in a window for one subject, whatever process they reach.

Attempts are counted before they are tried and committed at once, so that a refusal, which rolls its own work back,
is counted all the same. That is why these functions take the engine and not a connection.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

import msgspec
from sqlalchemy import case, delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import TooManyAttemptsError
from loyalty.web.security.tables import throttle_table


class Limit(msgspec.Struct, frozen=True):
    """So many attempts in a window that begins with the first of them."""

    attempts: int
    window: timedelta


def throttle_subject(secret: bytes, *parts: str) -> bytes:
    """What is counted, such as ("staff", programme, username), hashed under a key: no name or address is stored."""
    return hmac.digest(secret, b"throttle\0" + "\0".join(parts).encode(), hashlib.sha256)


async def count_attempt(engine: AsyncEngine, subject: bytes, limit: Limit) -> None:
    """Count one attempt. Raises TooManyAttemptsError (with `retry_after_seconds`) from the one above the limit on."""
    now = func.now()
    expired = throttle_table.c.window_ends_at <= now
    row = insert(throttle_table).values(subject=subject, attempts=1, window_ends_at=now + limit.window)
    statement = row.on_conflict_do_update(
        index_elements=[throttle_table.c.subject],
        set_={
            "attempts": case((expired, 1), else_=throttle_table.c.attempts + 1),
            "window_ends_at": case((expired, row.excluded.window_ends_at), else_=throttle_table.c.window_ends_at),
        },
    ).returning(
        throttle_table.c.attempts,
        func.ceil(func.extract("epoch", throttle_table.c.window_ends_at - now)).label("seconds_left"),
    )
    async with transaction(engine) as connection:
        counted = (await connection.execute(statement)).one()
    if counted.attempts > limit.attempts:
        seconds = max(1, int(counted.seconds_left))
        message = f"too many attempts; try again in {seconds} seconds"
        raise TooManyAttemptsError(message, retry_after_seconds=seconds)


async def uncount_attempt(connection: AsyncConnection, subject: bytes) -> None:
    """Take one attempt back: it was no guess. The others of its window stay counted."""
    counted = throttle_table.c.subject == subject
    fewer = update(throttle_table).where(counted, throttle_table.c.attempts > 0)
    await connection.execute(fewer.values(attempts=throttle_table.c.attempts - 1))


async def forget_attempts(connection: AsyncConnection, subject: bytes) -> None:
    """Begin anew: the right password was given."""
    await connection.execute(delete(throttle_table).where(throttle_table.c.subject == subject))
