"""The worker: takes jobs from the queue in the database and starts those that the clock asks for.

Run as many as you like: a periodic job is deferred once however many workers see its minute.
"""

from __future__ import annotations

from typing import Final

from procrastinate import App, PsycopgConnector
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.keys import FILE_NAME as ITEM_KEYS_FILE
from loyalty.items.keys import MasterKeys
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
    item_keys = MasterKeys.load_or_create(settings.keys / ITEM_KEYS_FILE)
    # Two connections a job: a capture tells how far it is beside the transaction that it works in.
    async with open_engine(settings, pool_size=2 * CONCURRENCY) as engine:
        parts = Parts(engine=engine, keyring=open_keyring(settings), item_keys=item_keys, settings=settings)
        await work_on(engine, parts, wait=wait)


async def work_on(engine: AsyncEngine, parts: Parts, *, wait: bool = True) -> None:
    """Work on an engine's database with parts that are open already."""
    async with job_app(libpq_address(engine.url)).open_async() as app:
        await app.run_worker_async(
            concurrency=CONCURRENCY, wait=wait, additional_context={PARTS: parts}, delete_jobs="successful"
        )
