"""The database: one PostgreSQL, reached through SQLAlchemy Core.

A controller or command opens a transaction and hands its connection down; domain functions take the connection and
never commit. A request that answers 2xx has therefore committed, and one that fails has written nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import URL, MetaData, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_encoder: Final = msgspec.json.Encoder()

metadata: Final = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
"""Every table of ours. Each noun declares its own in its `tables.py`; `migrations/` creates them by hand."""

POOL_SIZE: Final = 8
"""Connections a process. Four is a third slower; more only queue inside the server."""


def to_json(value: Any) -> str:
    """Write any msgspec-serialisable value for a JSON column."""
    return _encoder.encode(value).decode()


def libpq_address(url: URL) -> str:
    """An address as libpq reads it, with its password: for psql, and for psycopg where SQLAlchemy is not in between.

    SQLAlchemy writes a space as `+`, which libpq takes for a plus.
    """
    written = url.set(drivername="postgresql").render_as_string(hide_password=False)
    address, mark, query = written.partition("?")
    return address + mark + query.replace("+", "%20")


def create_engine(database_url: str, *, pool_size: int = POOL_SIZE) -> AsyncEngine:
    """Open an engine on a `postgresql://` address; psycopg 3 whatever driver the address names."""
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    asked = url.query.get("options", ())
    options = [asked] if isinstance(asked, str) else list(asked)
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        json_serializer=to_json,
        connect_args={"options": " ".join([*options, "-c timezone=UTC"]), "connect_timeout": 10},
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed when the block ends, rolled back when it raises."""
    async with engine.begin() as connection:
        yield connection
