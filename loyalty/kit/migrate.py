"""Bring a database to the newest schema, from within the program; several processes may start at once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from loyalty.kit.errors import UnavailableError

_LOCK_KEY: Final = 0x7A11_57A2
"""Any number, as long as every process uses the same one."""


def migrate(database_url: str) -> None:
    """Upgrade the database to the newest migration; where it is there already, do nothing.

    One process migrates at a time, the others wait and find it done. Raises UnavailableError where the database cannot
    be reached. A migration that fails is rolled back alone and its error is raised.
    """
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    try:
        connection = engine.connect()
    except OperationalError as error:
        message = f"the database cannot be reached: {error.orig}"
        raise UnavailableError(message, field="DATABASE_URL") from error
    with connection:
        _migrate_alone(connection)


def _migrate_alone(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
    connection.commit()  # the lock is the session's; a migration's transaction must be its own
    try:
        config = Config()
        config.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})
        connection.commit()


def _migrations() -> Path:
    """The folder of the migrations package. Looked up, not imported: the kernel imports nothing of ours."""
    specification = importlib.util.find_spec("migrations")
    for folder in (specification.submodule_search_locations or ()) if specification else ():
        return Path(folder)
    raise UnavailableError("the migrations are not installed")
