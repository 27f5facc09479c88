"""Opening the demonstration: an empty database is filled, one that was filled before is opened as it is."""

from __future__ import annotations

import asyncio
import os
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.demo.brand import TIME_ZONE, Brand
from loyalty.demo.filling import Filled, Progress, fill, find_brand
from loyalty.demo.leaflet import Leaflet
from loyalty.demo.showcase import open_showcase
from loyalty.items.keys import FILE_NAME as ITEM_KEYS_FILE
from loyalty.items.keys import MasterKeys
from loyalty.kit.clock import local_date, utc_now
from loyalty.kit.db import transaction
from loyalty.kit.errors import AuthenticationError, ConflictError
from loyalty.members.reading import count_members
from loyalty.runtime import open_keyring
from loyalty.settings import Settings
from loyalty.web.security.api_keys import SCOPES, Callers, create_api_key

NOTES_FILE: Final = "demo.json"
"""What is printed and is not in the database, in `TALLYSTAR_HOME`: the API key, of which the database has the hash."""

_OTHERS: Final = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
""")
_PATIENCE_TRIES: Final = 10
_PATIENCE_SECONDS: Final = 0.1
_EMPTY: Final = "DROP SCHEMA IF EXISTS ledger CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public"


class _Notes(msgspec.Struct, frozen=True):
    api_token: str
    last_day: date | None


class Opened(msgspec.Struct, frozen=True):
    """The demonstration as it stands: `filled_now` where it was told this time."""

    brand: Brand
    leaflet: Leaflet
    filled_now: bool


async def open_demonstration(
    engine: AsyncEngine, settings: Settings, *, members: int, seed: int, progress: Progress, command: str, served: bool
) -> Opened:
    """Fill the database where it is empty, and say what is in it, where `settings.public_url` shows it, and what
    `command` starts it.

    Raises ForeignDatabaseError, InvalidInputError (members).
    """
    keyring = open_keyring(settings)
    item_keys = MasterKeys.load_or_create(settings.keys / ITEM_KEYS_FILE)
    today = local_date(utc_now(), TIME_ZONE)
    async with transaction(engine) as connection:
        filled = await fill(connection, keyring, item_keys, members=members, seed=seed, today=today, progress=progress)
    notes = await _read_notes(engine, settings.home / NOTES_FILE, filled)
    async with transaction(engine) as connection:
        samples = await open_showcase(connection, item_keys, brand=filled.brand, public_url=settings.public_url)
        counts = await count_members(connection, programme_id=filled.brand.programme.id)
    leaflet = Leaflet(
        public_url=settings.public_url,
        members=counts.active,
        last_day=notes.last_day,
        samples=samples,
        api_token=notes.api_token,
        command=command,
        served=served,
    )
    return Opened(filled.brand, leaflet, filled.story is not None)


async def _read_notes(engine: AsyncEngine, path: Path, filled: Filled) -> _Notes:
    """What was noted when the database was filled; made anew where it is gone, or its key was revoked."""
    try:
        notes = msgspec.json.decode(await asyncio.to_thread(path.read_bytes), type=_Notes)
        await Callers(engine).recognise(f"Bearer {notes.api_token}")
    except (FileNotFoundError, msgspec.MsgspecError, AuthenticationError):
        async with transaction(engine) as connection:
            made = await create_api_key(
                connection, programme_id=filled.brand.programme.id, name="demonstration", scopes=SCOPES
            )
        notes = _Notes(made.token, filled.story.days[-1].day if filled.story else None)
        await asyncio.to_thread(_write_notes, path, notes)
    return notes


def _write_notes(path: Path, notes: _Notes) -> None:
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(notes))
    draft.replace(path)


async def empty(engine: AsyncEngine) -> None:
    """Empty a database that holds the demonstration or nothing; it wants to be migrated again then.

    Raises ForeignDatabaseError, ConflictError where another process has it open.
    """
    async with transaction(engine) as connection:
        await find_brand(connection)
        for _ in range(_PATIENCE_TRIES):  # a connection that was just closed may take a moment to be gone
            if not await connection.scalar(_OTHERS):
                break
            await asyncio.sleep(_PATIENCE_SECONDS)
        else:
            raise ConflictError("another process has the database open; stop it first (is the demonstration running?)")
        await connection.exec_driver_sql(_EMPTY)
