"""Work for later, put into the queue in the transaction that gives the reason for it.

The queue is procrastinate's, whose own `defer` takes a connection of its own: a job could then be there without its
change, or the change without its job. Its SQL function takes part in our transaction instead.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.db import to_json

_DEFER: Final = text("""
    SELECT procrastinate_defer_jobs_v1(ARRAY[
        ROW('default', :task, 0, NULL, NULL, CAST(:arguments AS jsonb), NULL)::procrastinate_job_to_defer_v1
    ])
""")


async def defer(connection: AsyncConnection, task: str, **arguments: Any) -> None:
    """Have a worker run a task once this transaction has committed; not at all if it is undone."""
    await connection.execute(_DEFER, {"task": task, "arguments": to_json(arguments)})
