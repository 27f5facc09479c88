"""How the application gets a role of its own on the embedded server, on one's own, and where nobody may make roles."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url, text

from loyalty.kit.db import create_engine, libpq_address
from loyalty.kit.errors import UnavailableError
from loyalty.kit.migrate import UnknownSchemaError, migrate, owns
from loyalty.kit.roles import application_role, gaps_at, with_role, with_user
from loyalty.runtime import Database, open_database
from loyalty.settings import Settings

_MIGRATE = "import sys; from loyalty.kit.migrate import migrate; print(migrate(sys.argv[1]))"


@contextmanager
def keeper(server_url: str, rights: str, databases: int = 1) -> Iterator[tuple[str, list[str]]]:
    """A login that owns some empty databases and, unless its rights say so, nothing else; and their addresses."""
    name = f"keeper_{uuid4().hex[:8]}"
    names = [f"tests_{uuid4().hex}" for _ in range(databases)]
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN {rights}")
        for database in names:
            connection.execute(f"CREATE DATABASE {database} OWNER {name}")
    try:
        urls = [libpq_address(make_url(server_url).set(username=name, database=database)) for database in names]
        yield name, urls
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            for database in names:
                connection.execute(f"DROP DATABASE {database} WITH (FORCE)")
            connection.execute(f"DROP ROLE IF EXISTS {application_role(name)}")
            connection.execute(f"DROP ROLE {name}")


def opened(home: Path, url: str, owner_url: str | None = None) -> Database:
    with open_database(Settings(home=home, database_url=url, owner_database_url=owner_url)) as database:
        return database


def test_an_owner_who_may_make_roles_gives_the_application_one_that_nobody_can_log_in_as(
    server_url: str, tmp_path: Path
) -> None:
    with keeper(server_url, "CREATEROLE") as (name, [url]):
        database = opened(tmp_path, url)
        assert database.owner_url == url
        with psycopg.connect(database.url) as connection:
            assert connection.execute("SELECT session_user, current_user").fetchone() == (name, f"{name}_app")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM ledger.account")
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            psycopg.connect(with_user(url, f"{name}_app"))
        [sentence] = gaps_at(database.url)
        assert f"runs as {name}_app and logs in as {name}" in sentence


def test_an_owner_who_may_not_make_roles_works_and_is_told_what_is_missing(server_url: str, tmp_path: Path) -> None:
    with keeper(server_url, "") as (name, [url]):
        assert migrate(url) is None
        assert opened(tmp_path, url) == Database(url=url, owner_url=url)
        [sentence] = gaps_at(url)
        assert f"runs as {name}, who owns the ledger: only triggers" in sentence


def test_a_role_that_was_made_for_the_owner_is_used_though_it_may_make_none(server_url: str) -> None:
    with keeper(server_url, "") as (name, [url]), psycopg.connect(server_url, autocommit=True) as administrator:
        administrator.execute(f"CREATE ROLE {name}_app NOLOGIN")
        administrator.execute(f"GRANT {name}_app TO {name}")
        assert migrate(url) == f"{name}_app"
        assert len(gaps_at(with_role(url, f"{name}_app"))) == 1


def test_two_addresses_are_a_whole_fence(server_url: str, tmp_path: Path) -> None:
    with keeper(server_url, "") as (name, [url]), psycopg.connect(server_url, autocommit=True) as administrator:
        administrator.execute(f"CREATE ROLE {name}_app LOGIN")
        application = with_user(url, f"{name}_app")
        with pytest.raises(UnavailableError, match="TALLYSTAR_OWNER_DATABASE_URL"):
            opened(tmp_path, application)  # nobody has migrated it, and this login may not
        assert opened(tmp_path, application, url) == Database(url=application, owner_url=url)
        assert gaps_at(application) == []
        assert opened(tmp_path, application) == Database(url=application, owner_url=None)
        assert not owns(application)
        with pytest.raises(UnavailableError, match="only the application's address is set"):
            opened(tmp_path, application).as_owner()


def test_one_login_for_both_addresses_is_no_fence_and_locks_nobody_out(server_url: str, tmp_path: Path) -> None:
    with keeper(server_url, "") as (_, [url]):
        assert opened(tmp_path, url, url) == Database(url=url, owner_url=url)
        assert len(gaps_at(url)) == 1
        migrate(url)


def test_the_embedded_servers_application_has_a_login_of_its_own(tmp_path: Path) -> None:
    with open_database(Settings(home=tmp_path)) as database, psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT session_user, current_user").fetchone() == ("tallystar_app",) * 2
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("TRUNCATE ledger.entry")


def test_databases_of_one_server_that_are_migrated_at_once_make_their_role_once(server_url: str) -> None:
    with keeper(server_url, "CREATEROLE", databases=3) as (name, urls):
        starts = [subprocess.Popen([sys.executable, "-c", _MIGRATE, url], stdout=subprocess.PIPE) for url in urls]
        assert [start.communicate(timeout=60)[0].decode() for start in starts] == [f"{name}_app\n"] * 3
        for url in urls:
            with psycopg.connect(with_role(url, f"{name}_app")) as connection:
                assert connection.execute("SELECT count(*) FROM ledger.entry").fetchone() == (0,)


def test_a_long_name_leaves_room_and_a_strange_one_is_quoted(server_url: str) -> None:
    assert application_role("é" * 40) == "é" * 29 + "_app"
    url = with_role("postgresql://me@host/database?options=-c%20jit%3Doff", "my role")
    assert url == "postgresql://me@host/database?options=-c%20jit%3Doff%20-c%20role%3Dmy%5C%20role"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute('CREATE ROLE "my role"')
        try:
            with psycopg.connect(with_role(server_url, "my role")) as session:
                assert session.execute("SELECT current_user").fetchone() == ("my role",)
        finally:
            connection.execute('DROP ROLE "my role"')


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alembic_version SET version_num = '0010_jobs'",
        "DROP VIEW ledger.allocation; ALTER TABLE ledger.entry DROP COLUMN lots CASCADE",
    ],
    ids=["unknown revision", "known revision of another shape"],
)
def test_a_database_of_another_version_is_left_alone_and_says_what_to_do(fresh_database_url: str, change: str) -> None:
    with psycopg.connect(fresh_database_url) as connection:
        connection.execute(change)
        connection.commit()
        before = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        with pytest.raises(UnknownSchemaError, match="before the first release") as refusal:
            migrate(fresh_database_url, folder=Path("/home/brand/.tallystar/postgres"))
        assert "move the folder /home/brand/.tallystar/postgres away" in refusal.value.detail
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == before


async def test_an_engines_options_are_added_to_those_of_its_address(database_url: str) -> None:
    engine = create_engine(with_role(database_url, "tallystar_app"))
    async with engine.connect() as connection:
        query = "SELECT current_user, current_setting('timezone')"
        assert tuple((await connection.execute(text(query))).one()) == ("tallystar_app", "UTC")
    await engine.dispose()
