"""Bring a database to the newest schema, from within the program; several processes may start at once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from loyalty.kit.errors import ConflictError, UnavailableError
from loyalty.kit.roles import admit, application_role, make_role, open_once

_LOCK_KEY: Final = 0x7A11_57A2
"""Any number, as long as every process uses the same one."""

_OWNER: Final = text("""
    SELECT coalesce(
        (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('public.alembic_version')),
        has_database_privilege(current_database(), 'CREATE'))
""")

_EARLIER_SHAPE: Final = text("""
    SELECT to_regclass('ledger.entry') IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('ledger.entry') AND attname = 'lots')
""")
"""Until the first release migrations were changed in place. An entry that does not keep its own takings is of then."""


class UnknownSchemaError(ConflictError):
    """The database was made by a program that this one does not know. Nothing was changed. Members: `revision`."""

    type = "unknown-schema"
    title = "The database is of another version"


def migrate(
    database_url: str,
    *,
    application: str | None = None,
    login: bool = False,
    field: str = "DATABASE_URL",
    folder: Path | None = None,
) -> str | None:
    """Upgrade the database to the newest migration, and let the application's role in; both only where it is needed.

    The address is the owner's. Answers the role: `application`, which exists, or one that is made here beside the
    owner's (with `login`, one that can log in); None where the owner may not make roles. One process does this at a
    time, the others wait and find it done. A refusal names the address by `field`, and by `folder` where the data lies.

    Raises UnavailableError where the database cannot be reached, UnknownSchemaError where it was made by another
    version. A migration that fails is rolled back alone and its error is raised.
    """
    with open_once(database_url, field=field) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        connection.commit()  # the lock is the session's; a migration's transaction must be its own
        try:
            config = _config(connection)
            _current(connection, config, folder)
            command.upgrade(config, "head")
            role = application or _beside_owner(connection, login=login)
            if role is not None:
                admit(connection, role)
            return role
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})
            connection.commit()


def owns(database_url: str, *, field: str = "DATABASE_URL") -> bool:
    """Whether an address is of the database's owner, who may migrate it. Raises UnavailableError."""
    with open_once(database_url, field=field) as connection:
        return bool(connection.scalar(_OWNER))


def check_newest(database_url: str) -> None:
    """Make sure, as somebody who may not migrate, that nothing is to be migrated.

    Raises UnavailableError where something is, UnknownSchemaError where the schema is of another version.
    """
    with open_once(database_url, field="DATABASE_URL") as connection:
        config = _config(connection)
        current = _current(connection, config, None)
    newest = ScriptDirectory.from_config(config).get_current_head()
    if current != newest:
        message = (
            f"the database has the schema {current or 'of nothing'}, this version needs {newest}, and this address is "
            "not its owner's: run `tallystar db migrate` where TALLYSTAR_OWNER_DATABASE_URL is set"
        )
        raise UnavailableError(message, field="DATABASE_URL")


def _beside_owner(connection: Connection, *, login: bool) -> str | None:
    role = application_role(str(connection.scalar(text("SELECT current_user"))))
    return role if make_role(connection, role, login=login) else None


def _current(connection: Connection, config: Config, folder: Path | None) -> str | None:
    """The revision that a database is at, None where it is empty. Raises UnknownSchemaError."""
    context = MigrationContext.configure(connection, opts={"version_table_schema": "public"})
    revision = context.get_current_revision()
    earlier = connection.scalar(_EARLIER_SHAPE)
    connection.rollback()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and (revision not in known or earlier):
        where, remedy = ("", "use an empty database")
        if folder is not None:
            where, remedy = (f" in {folder}", f"move the folder {folder} away and start again")
        message = (
            f"the database{where} was made by another version of Tallystar (its schema is {revision}): by a newer one, "
            "or by one in development before the first release. Nothing in it was changed. A newer version's database "
            f"is opened by that version. One from before the first release cannot be carried over: {remedy}, or "
            "restore a backup into a new one"
        )
        raise UnknownSchemaError(message, revision=revision)
    return revision


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrations() -> Path:
    """The folder of the migrations package. Looked up, not imported: the kernel imports nothing of ours."""
    specification = importlib.util.find_spec("migrations")
    for folder in (specification.submodule_search_locations or ()) if specification else ():
        return Path(folder)
    raise UnavailableError("the migrations are not installed")
