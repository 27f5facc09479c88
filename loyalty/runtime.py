"""What every process stands on before it does anything: a database that is there and migrated, and the keys.

The web application and each command of the command line open the same parts in the same way, here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.crypto import Keyring
from loyalty.kit.db import POOL_SIZE, create_engine
from loyalty.kit.embedded import EmbeddedPostgres
from loyalty.kit.errors import UnavailableError
from loyalty.kit.migrate import check_newest, migrate, owns
from loyalty.kit.roles import user_of, with_role, with_user
from loyalty.settings import Settings

KEYRING_FILE: Final = "personal-data.json"
"""The keyring of personal data in `settings.keys`."""


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """A migrated database by its two addresses; `owner_url` is None where this process was not given it."""

    url: str
    owner_url: str | None

    def as_owner(self) -> str:
        """The owner's address. Raises UnavailableError where this process was not given it."""
        if self.owner_url is None:
            message = "this is the owner's to do, and only the application's address is set"
            raise UnavailableError(message, field="TALLYSTAR_OWNER_DATABASE_URL")
        return self.owner_url


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The migrated database: DATABASE_URL, or the embedded server, held until the block ends.

    Blocks while the server starts and migrations run. Raises UnavailableError where it cannot be reached or started, or
    is to be migrated and only its owner could; UnknownSchemaError where it was made by another version.
    """
    if settings.database_url is None:
        with EmbeddedPostgres(settings.home) as url:
            role = migrate(url, login=True, folder=settings.home / "postgres")
            yield Database(url=with_user(url, role) if role else url, owner_url=url)
    elif settings.owner_database_url is not None:
        role = user_of(settings.database_url, field="DATABASE_URL")
        migrate(settings.owner_database_url, application=role, field="TALLYSTAR_OWNER_DATABASE_URL")
        yield Database(url=settings.database_url, owner_url=settings.owner_database_url)
    elif owns(settings.database_url):
        role = migrate(settings.database_url)
        url = with_role(settings.database_url, role) if role else settings.database_url
        yield Database(url=url, owner_url=settings.database_url)
    else:
        check_newest(settings.database_url)
        yield Database(url=settings.database_url, owner_url=None)


@asynccontextmanager
async def open_engine(
    settings: Settings, *, pool_size: int = POOL_SIZE, owner: bool = False
) -> AsyncIterator[AsyncEngine]:
    """An engine on the migrated database; closed, and the embedded server given back, when the block ends.

    It is the application's, or, for what only the owner may do, the owner's. Raises as open_database does.
    """
    database = open_database(settings)
    opened = await asyncio.to_thread(database.__enter__)
    try:
        engine = create_engine(opened.as_owner() if owner else opened.url, pool_size=pool_size)
        try:
            yield engine
        finally:
            await engine.dispose()
    finally:
        await asyncio.to_thread(database.__exit__, None, None, None)


def open_keyring(settings: Settings) -> Keyring:
    """The keys of personal data; made at first use. Raises KeyringError where the file is not a keyring."""
    return Keyring.open(settings.keys / KEYRING_FILE)
