"""A database with a small story in it. It was stopped half way once, and begun again, before any test looks at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.demo.brand import TIME_ZONE
from loyalty.demo.filling import Filled, fill
from loyalty.demo.story import Story
from loyalty.items.keys import MasterKeys
from loyalty.kit.clock import local_date, utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import create_engine, transaction

MEMBERS, SEED, STOPPED_AFTER_DAYS = 30, 3, 40


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


@dataclass(frozen=True)
class Telling:
    """What a filled database is made with."""

    engine: AsyncEngine
    keyring: Keyring
    item_keys: MasterKeys
    today: date
    clock_before: str

    async def fill(self, *, stop_after: int | None = None, members: int = MEMBERS) -> Filled:
        def progress(_story: Story, days: int) -> None:
            if days == stop_after:
                raise StoppedError

        async with transaction(self.engine) as connection:
            return await fill(
                connection,
                self.keyring,
                self.item_keys,
                members=members,
                seed=SEED,
                today=self.today,
                progress=progress,
            )


@pytest.fixture(scope="session")
def story_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for the story alone."""
    name = f"tests_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def telling(story_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Telling]:
    """A filled database."""
    home: Path = tmp_path_factory.mktemp("demo")
    engine = create_engine(story_database_url)
    async with transaction(engine) as connection:
        clock = await clock_definition(connection)
    telling = Telling(
        engine=engine,
        keyring=Keyring.open(home / "personal-data.json"),
        item_keys=MasterKeys.load_or_create(home / "item-codes.json"),
        today=local_date(utc_now(), TIME_ZONE),
        clock_before=clock,
    )
    with pytest.raises(StoppedError):
        await telling.fill(stop_after=STOPPED_AFTER_DAYS)
    await telling.fill()
    yield telling
    await engine.dispose()


async def clock_definition(connection: AsyncConnection) -> str:
    found = await connection.exec_driver_sql("SELECT pg_get_functiondef('ledger.clock()'::regprocedure)")
    return str(found.scalar_one())


@pytest.fixture
async def told(telling: Telling) -> AsyncIterator[AsyncConnection]:
    """A connection to the filled database, rolled back at the end."""
    async with telling.engine.connect() as connection:
        yield connection
        await connection.rollback()
