"""What every process stands on before it does anything: a database that is there and migrated, and the keys.

The web application and each command of the command line open the same parts in the same way, here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.crypto import Keyring
from loyalty.kit.db import POOL_SIZE, create_engine
from loyalty.kit.embedded import EmbeddedPostgres
from loyalty.kit.migrate import migrate
from loyalty.settings import Settings

KEYRING_FILE: Final = "personal-data.json"
"""The keyring of personal data in `settings.keys`."""


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """The address of the migrated database: DATABASE_URL, or the embedded server, held until the block ends.

    Blocks while the server starts and migrations run. Raises UnavailableError where it cannot be reached or started.
    """
    if settings.database_url is not None:
        migrate(settings.database_url)
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.home) as url:
        migrate(url)
        yield url


@asynccontextmanager
async def open_engine(settings: Settings, *, pool_size: int = POOL_SIZE) -> AsyncIterator[AsyncEngine]:
    """An engine on the migrated database; closed, and the embedded server given back, when the block ends.

    Raises UnavailableError as open_database does.
    """
    database = open_database(settings)
    engine = create_engine(await asyncio.to_thread(database.__enter__), pool_size=pool_size)
    try:
        yield engine
    finally:
        await engine.dispose()
        await asyncio.to_thread(database.__exit__, None, None, None)


def open_keyring(settings: Settings) -> Keyring:
    """The keys of personal data; made at first use. Raises KeyringError where the file is not a keyring."""
    return Keyring.open(settings.keys / KEYRING_FILE)
