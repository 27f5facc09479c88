"""How Alembic runs our migrations: one transaction each, with time limits, never touching tables it does not know."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from loyalty.kit.db import metadata

LOCK_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "10min"
SCHEMAS = ("ledger", "public")


def include_name(name: str | None, kind: str, parents: object) -> bool:  # noqa: ARG001
    """Look at our own schemas alone."""
    return kind != "schema" or name is None or name in SCHEMAS


def include_object(_object: object, name: str | None, kind: str, reflected: bool, _compare_to: object) -> bool:  # noqa: FBT001
    """Leave others' tables alone: autogenerate would propose to drop what our metadata does not hold."""
    others = name is not None and (name.startswith("procrastinate_") or name == "alembic_version")
    return not (kind == "table" and reflected and others)


def run(connection: Connection) -> None:
    """Migrate on one connection."""
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=include_name,
        include_object=include_object,
        include_schemas=True,
        transaction_per_migration=True,
        version_table_schema="public",
    )
    with context.begin_transaction():
        context.run_migrations()


shared = context.config.attributes.get("connection")
if shared is not None:
    run(shared)
else:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=NullPool)
    with engine.connect() as connection:
        run(connection)
    engine.dispose()
