"""One batch, one transaction, and what happens when it does not go through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import psycopg.errors
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import UnavailableError

Result = TypeVar("Result")

_PAUSES_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Long enough for an embedded server that was killed to be there again."""


async def commit(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Do `work` in a transaction of its own; again, where another import or a lost connection undid it.

    `work` must be idempotent against what is committed: a COMMIT whose answer was lost may have happened. Raises
    UnavailableError when the database stays away, and whatever else `work` raises.
    """
    for pause_seconds in _PAUSES_SECONDS:
        try:
            async with transaction(engine) as connection:
                return await work(connection)
        except UnavailableError:
            pass
        except OperationalError as error:
            passes = isinstance(error.orig, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)
            if not (passes or error.connection_invalidated or _is_away(error)):
                raise
        await asyncio.sleep(pause_seconds)
    try:
        async with transaction(engine) as connection:
            return await work(connection)
    except OperationalError as error:
        message = f"the database cannot be reached; run the same command again to go on ({error.orig})"
        raise UnavailableError(message, field="database") from error


def _is_away(error: OperationalError) -> bool:
    """Whether no connection was made at all, as while a server starts."""
    return isinstance(error.orig, psycopg.OperationalError) and error.orig.sqlstate in (None, "57P03", "57P01")
