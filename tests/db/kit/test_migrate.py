from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.errors import UnavailableError
from loyalty.kit.migrate import migrate
from loyalty.kit.programme import Programme, list_channels
from tests.factories import make_programme

_MIGRATE = "import sys; from loyalty.kit.migrate import migrate; migrate(sys.argv[1])"


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg|info)'"
        )
        return {name for (name,) in rows}


def test_processes_that_start_at_once_migrate_once(server_url: str, database_url: str) -> None:
    name = "tests_empty"
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            starts = [subprocess.Popen([sys.executable, "-c", _MIGRATE, url]) for _ in range(3)]
            assert [start.wait(timeout=60) for start in starts] == [0, 0, 0]
            assert tables(url) == tables(database_url)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_migrating_a_migrated_database_changes_nothing(database_url: str) -> None:
    before = tables(database_url)
    assert "public.alembic_version" in before
    migrate(database_url)
    assert tables(database_url) == before


def test_a_database_that_is_not_there_is_named() -> None:
    with pytest.raises(UnavailableError, match="cannot be reached") as refusal:
        migrate("postgresql://nobody@127.0.0.1:1/none")
    assert refusal.value.field == "DATABASE_URL"


async def test_a_programme_has_an_online_shop_and_a_store(connection: AsyncConnection, programme: Programme) -> None:
    channels = await list_channels(connection, programme.id)
    assert [(channel.code, channel.kind) for channel in channels] == [("online", "online"), ("store-1", "store")]


async def test_what_a_test_commits_to_its_own_database_is_seen_by_others(committed_engine: AsyncEngine) -> None:
    async with committed_engine.begin() as connection:
        await make_programme(connection)
    async with committed_engine.connect() as one, committed_engine.connect() as other:
        for connection in (one, other):
            assert (await connection.execute(text("SELECT count(*) FROM programme"))).scalar() == 1
