"""A dump that was restored holds the same books, and they verify: what a backup is for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from ledger.audit import verify
from loyalty.kit.db import create_engine, libpq_address, transaction
from loyalty.kit.embedded import programs
from tests.db.ledger.conftest import A_DAY
from tests.db.ledger.racing import race_on

TABLES = ("unit", "account", "entry", "filed_lot", "hold")


def run(program: str, *arguments: str) -> None:
    subprocess.run([programs.binaries() / program, *arguments], check=True, capture_output=True, text=True)


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the ledger as the database writes it, in the order of its bytes."""
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(
                f"SELECT written FROM (SELECT CAST(t.* AS text) AS written FROM ledger.{table} AS t) AS rows ORDER BY 1"
            ).fetchall()
            for table in TABLES
        }


@pytest.mark.parametrize("format_", ["custom", "plain"])
async def test_a_dump_that_was_restored_verifies_and_is_equal(
    fresh_database_url: str, server_url: str, tmp_path: Path, format_: str
) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(5, points=100, expiry_kind="end_of_month", expiry_months=1)
        now = (await race.rows("SELECT ledger.clock()"))[0][0]
        for member in race.members:
            await race.earn(member, 30, expires_at=now + A_DAY, priority=1)
            await race.spend(member, 110)
        await race.transfer(race.members[0], race.members[1], 7)
    source, dump, name = libpq_address(make_url(fresh_database_url)), str(tmp_path / "dump"), f"tests_{uuid4().hex}"
    restored = libpq_address(make_url(fresh_database_url).set(database=name))
    run("pg_dump", "--format", format_, "--file", dump, "--dbname", source)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        if format_ == "custom":
            run("pg_restore", "--exit-on-error", "--jobs", "2", "--dbname", restored, dump)
        else:
            run("psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", dump, "--dbname", restored)
        assert contents(restored) == contents(source)
        engine = create_engine(restored)
        async with transaction(engine) as connection:
            verified = await verify(connection)
        await engine.dispose()
        assert verified.findings == []
        assert verified.entries == 5 * 3 + 2
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
