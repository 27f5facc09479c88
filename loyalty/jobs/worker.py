"""The worker: takes jobs from the queue in the database and starts those that the clock asks for.

Run as many as you like: a periodic job is deferred once however many workers see its minute.
"""

from __future__ import annotations

from typing import Final

from procrastinate import App, PsycopgConnector
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.jobs.tasks import PARTS, Parts, register
from loyalty.kit.db import libpq_address
from loyalty.runtime import open_engine, open_keyring
from loyalty.settings import Settings

CONCURRENCY: Final = 4


def job_app(database_url: str) -> App:
    """The queue on a database, with every task of ours; open it before use."""
    app = App(connector=PsycopgConnector(conninfo=database_url, min_size=1, max_size=CONCURRENCY))
    register(app)
    return app


async def work(settings: Settings, *, wait: bool = True) -> None:
    """Work until stopped (SIGINT and SIGTERM finish what is under way), or until the queue is empty."""
    async with open_engine(settings, pool_size=CONCURRENCY) as engine:
        await work_on(engine, Parts(engine=engine, keyring=open_keyring(settings)), wait=wait)


async def work_on(engine: AsyncEngine, parts: Parts, *, wait: bool = True) -> None:
    """Work on an engine's database with parts that are open already."""
    async with job_app(libpq_address(engine.url)).open_async() as app:
        await app.run_worker_async(
            concurrency=CONCURRENCY, wait=wait, additional_context={PARTS: parts}, delete_jobs="successful"
        )
