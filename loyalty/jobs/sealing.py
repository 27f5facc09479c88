"""Sealing the ledger as often as the installation wants it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.closing import close_books
from ledger.seal_files import Published, SealFolder, publish
from ledger.seal_keys import FILE_NAME, SigningKeys
from ledger.seals import newest_seal
from loyalty.kit.db import transaction
from loyalty.settings import Settings

_SLACK: Final = timedelta(minutes=2, seconds=30)
"""Half of the time between two looks: a seal is made at the look that is nearest to its hour."""


async def seal_when_due(engine: AsyncEngine, settings: Settings, *, now: datetime) -> Published | None:
    """Close the books, make a seal and write it outside; None where the last one is younger than the settings say.

    Raises SealError as `publish` does.
    """
    async with transaction(engine) as connection:
        newest = await newest_seal(connection)
    if newest is not None and now - newest.sealed_at < timedelta(minutes=settings.seal_minutes) - _SLACK:
        return None
    await close_books(engine)
    keys = SigningKeys.open(settings.keys / FILE_NAME)
    return await publish(engine, keys=keys, folder=SealFolder(settings.seals))
