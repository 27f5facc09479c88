"""Two roles: one owns the database and migrates it, the other is the application and changes nothing that is posted.

What the application's role may do is written in the database itself, by `ledger.admit_application` of migration
`0013_roles`. Here is who that role is, how it is made, and what is missing where it could not be made. Why it is so:
`docs/decisions/roles.md`.
"""

from __future__ import annotations

import re
from typing import Final

import psycopg
from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from loyalty.kit.db import libpq_address
from loyalty.kit.errors import UnavailableError

_SUFFIX: Final = "_app"
_LONGEST_NAME_BYTES: Final = 63
_ATTEMPTS: Final = 10

_MADE_BY_ANOTHER: Final = ("42710", "23505")
"""duplicate_object, unique_violation: roles belong to the whole server, and another database's start was quicker."""
_ALTERED_BY_ANOTHER: Final = "XX000"
""""tuple concurrently updated": the same, and PostgreSQL has no better name for it."""


def application_role(owner: str) -> str:
    """The application's role beside an owner of that name: `tallystar_app` beside `tallystar`."""
    kept = owner.encode()[: _LONGEST_NAME_BYTES - len(_SUFFIX)].decode(errors="ignore")
    return kept + _SUFFIX


def with_role(database_url: str, role: str) -> str:
    """The owner's address, put under the application's role: each connection begins with SET ROLE."""
    url = make_url(database_url)
    escaped = re.sub(r"([\s\\])", r"\\\1", role)
    options = " ".join([*_words(url.query.get("options")), f"-c role={escaped}"])
    return libpq_address(url.update_query_dict({"options": options}))


def with_user(database_url: str, user: str) -> str:
    """The same database for another user, who needs no password."""
    url = make_url(database_url)
    return libpq_address(URL.create(url.drivername, user, None, url.host, url.port, url.database, url.query))


def _words(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()


def user_of(database_url: str, *, field: str) -> str:
    """Who an address logs in as. Raises UnavailableError naming the field where nobody can."""
    with open_once(database_url, field=field) as connection:
        return str(connection.scalar(text("SELECT session_user")))


def open_once(database_url: str, *, field: str) -> Connection:
    """One connection, without a pool. Raises UnavailableError naming the field where the database cannot be reached."""
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    try:
        return engine.connect()
    except OperationalError as error:
        message = f"the database cannot be reached: {error.orig}"
        raise UnavailableError(message, field=field) from error


def make_role(connection: Connection, role: str, *, login: bool) -> bool:
    """Make the application's role where it is missing, and let this connection's user take it.

    With `login`, the role can log in by itself. Answers False where the user may not do that. Commits.
    """
    row = connection.execute(text("SELECT rolcanlogin FROM pg_roles WHERE rolname = :role"), {"role": role}).first()
    connection.rollback()
    quoted = connection.dialect.identifier_preparer.quote_identifier(role)
    can = "LOGIN" if login else "NOLOGIN"
    if row is None and not _done(connection, f"CREATE ROLE {quoted} {can}"):
        return False
    if row is not None and login and not row.rolcanlogin and not _done(connection, f"ALTER ROLE {quoted} LOGIN"):
        return False
    take = f"SET LOCAL ROLE {quoted}"
    return _done(connection, take) or (_done(connection, f"GRANT {quoted} TO CURRENT_USER") and _done(connection, take))


def _done(connection: Connection, statement: str) -> bool:
    """Whether a statement about roles is done, by us or by somebody at the same moment; False where it is not ours."""
    for attempt in range(_ATTEMPTS):
        try:
            connection.exec_driver_sql(statement)
            connection.commit()
        except DBAPIError as error:
            connection.rollback()
            code = error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None
            if code in _MADE_BY_ANOTHER:
                return True
            if code == "42501":  # insufficient_privilege
                return False
            if code != _ALTERED_BY_ANOTHER or attempt == _ATTEMPTS - 1:
                raise
        else:
            return True
    return False


def admit(connection: Connection, role: str) -> None:
    """Give a role what the application needs and take from it what it must not have. Commits."""
    connection.execute(text("SELECT ledger.admit_application(:role)"), {"role": role})
    connection.commit()


_FENCE: Final = text("""
    SELECT session_user AS login, current_user AS role,
        pg_has_role(current_user, relowner, 'MEMBER') AS owns,
        pg_has_role(session_user, relowner, 'MEMBER') AS may_own,
        has_database_privilege(current_database(), 'CREATE, TEMPORARY')
            OR (SELECT bool_or(has_schema_privilege(oid, 'CREATE')) FROM pg_namespace WHERE nspname !~ '^pg_') AS makes,
        (SELECT array_agg(relname ORDER BY relname) FROM pg_class
         WHERE relnamespace = owned.relnamespace AND relkind IN ('r', 'p')
             AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writes
    FROM pg_class AS owned WHERE oid = 'ledger.entry'::regclass
""")


def gaps_at(database_url: str) -> list[str]:
    """`gaps` of the application's address. Raises UnavailableError."""
    with open_once(database_url, field="DATABASE_URL") as connection:
        return gaps(connection)


def gaps(connection: Connection) -> list[str]:
    """What is missing of the fence around the ledger, in sentences for whoever runs it; empty where it is whole."""
    found = connection.execute(_FENCE).one()
    if found.owns:
        sentence = (
            f"the application runs as {found.role}, who owns the ledger: only triggers keep posted entries from being "
            "changed. Give it a role of its own"
        )
        return [sentence]
    sentences = []
    if found.may_own:
        sentences.append(
            f"the application runs as {found.role} and logs in as {found.login}, who owns the ledger: that keeps a "
            "mistake from changing posted entries, and not somebody who can send any statement. Give it its own login"
        )
    if found.writes:
        sentences.append(f"{found.role} may write these tables of the ledger directly: {', '.join(found.writes)}")
    if found.makes:
        sentences.append(f"{found.role} may make tables, types or functions in this database")
    return sentences
