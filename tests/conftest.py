"""A real PostgreSQL for the tests: one server a run, one migrated template, a clone of it for each worker."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import audit
from loyalty.kit.db import create_engine
from loyalty.kit.embedded import EmbeddedPostgres
from loyalty.kit.migrate import migrate
from loyalty.kit.programme import Programme
from tests.factories import make_programme
from tests.roles import APPLICATION, application_login, as_application

_HOME_VARIABLE = "TALLYSTAR_TESTS_HOME"
_TEMPLATE = "tests_template"


def pytest_configure(config: pytest.Config) -> None:
    """Choose one home for the run. The workers of pytest-xdist are children and inherit it."""
    if not hasattr(config, "workerinput"):
        os.environ[_HOME_VARIABLE] = tempfile.mkdtemp(prefix="tallystar-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        home = Path(os.environ.pop(_HOME_VARIABLE))
        if (home / "postgres").exists():
            EmbeddedPostgres(home).stop()  # it runs where a worker was killed
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The run's server: durable as in production, shared by all workers, stopped by the last."""
    with EmbeddedPostgres(Path(os.environ[_HOME_VARIABLE])) as url:
        yield url


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a database that was migrated once. Tests clone it and never open it."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")  # one worker makes it, the others wait
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE]).fetchone():
            unfinished = f"{_TEMPLATE}_{uuid4().hex}"
            connection.execute(f"CREATE DATABASE {unfinished}")
            migrate(_with_database(server_url, unfinished), login=True)
            connection.execute(f"ALTER DATABASE {unfinished} RENAME TO {_TEMPLATE}")
    return _TEMPLATE


@contextmanager
def _clone(server_url: str, template: str) -> Iterator[str]:
    """A database of one's own, made from the template and dropped afterwards."""
    name = f"tests_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    with psycopg.connect(_with_database(server_url, name)) as connection:
        # Rights on a database are not cloned with it.
        connection.execute("SELECT ledger.admit_application(%s)", [APPLICATION])
    yield _with_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def database_url(server_url: str, template: str) -> Iterator[str]:
    """The worker's database, migrated and empty, by its owner's address. What a test commits there stays."""
    with _clone(server_url, template) as url:
        yield url


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the worker's database, as the application; `tests.roles.as_owner` where a test tampers."""
    engine = create_engine(as_application(database_url))
    yield engine
    # Whatever the tests of this worker committed, the books must verify. Only a hold's end may differ from its entry:
    # some tests put it into the past rather than wait for it.
    async with engine.connect() as connection:
        verified = await audit.verify(connection)
    await engine.dispose()
    assert [finding for finding in verified.findings if "expires_at" not in finding.problem] == []


@pytest.fixture
async def connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection inside a transaction that is rolled back at the end: the usual way to test a domain function."""
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()


@pytest.fixture
def fresh_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for this test alone, for what needs real commits, several processes or a schema change."""
    with _clone(server_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for this module's tests, for those that commit what other tests must not meet."""
    with _clone(server_url, template) as url:
        yield url


@pytest.fixture
async def committed_engine(fresh_database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a database for this test alone, as the application: commit, use several connections at once."""
    engine = create_engine(application_login(fresh_database_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def programme(connection: AsyncConnection) -> Programme:
    """The programme of `make_programme`, in the test's transaction."""
    return await make_programme(connection)
