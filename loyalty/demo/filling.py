"""Filling a database with the story, in one transaction: it is there whole or not at all, whenever it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.demo.brand import CODE, Brand, found_brand
from loyalty.demo.clock import story_clock
from loyalty.demo.incidents import INCIDENT_DAYS, let_things_go_wrong, look_out
from loyalty.demo.items import print_codes
from loyalty.demo.moments import Moments
from loyalty.demo.offers import make_offers
from loyalty.demo.showcase import prepare_showcase
from loyalty.demo.story import Story, tell_story
from loyalty.demo.telling import Teller
from loyalty.items.keys import MasterKeys
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError
from loyalty.kit.programme import list_channels, list_programmes

_ALONE: Final = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=0x7A11_DE30)
"""Any number, as long as every process uses the same one: two fillings at once would make two brands."""
_NEW_STATISTICS: Final = text("ANALYZE")

Progress = Callable[[Story, int], None]
"""Told after each day how many days of the story are behind us."""


class ForeignDatabaseError(ConflictError):
    """The database holds a programme that is not the demonstration's, so nothing is put into it."""

    type = "not-a-demonstration"
    title = "This database is in use by a real programme"


class Filled(msgspec.Struct, frozen=True):
    """The brand in the database, and the story that was told now; None where it was there before."""

    brand: Brand
    story: Story | None


async def find_brand(connection: AsyncConnection) -> Brand | None:
    """The demonstration's brand where the database holds it. Raises ForeignDatabaseError where it holds another."""
    programmes = await list_programmes(connection)
    if not programmes:
        return None
    strangers = [programme.code for programme in programmes if programme.code != CODE]
    if strangers:
        message = (
            f"this database belongs to {', '.join(strangers)}; the demonstration wants one of its own: "
            "set TALLYSTAR_HOME to another folder"
        )
        raise ForeignDatabaseError(message, field="TALLYSTAR_HOME")
    channels = await list_channels(connection, programmes[0].id)
    return Brand(programmes[0], {channel.code: channel for channel in channels})


async def fill(
    connection: AsyncConnection,
    keyring: Keyring,
    item_keys: MasterKeys,
    *,
    members: int,
    seed: int,
    today: date,
    progress: Progress,
) -> Filled:
    """Fill an empty database with a story of so many members that ends before `today`; a filled one stays as it is.

    The caller commits. Raises ForeignDatabaseError, InvalidInputError (members).
    """
    await connection.execute(_ALONE)
    found = await find_brand(connection)
    if found is not None:
        return Filled(found, None)
    story = tell_story(members=members, seed=seed, today=today)
    async with story_clock(connection, story.starts_at) as clock:
        brand = await found_brand(connection, opened_at=story.starts_at, today=story.ends_at)
        items = await print_codes(
            connection,
            item_keys,
            brand=brand,
            first_day=story.first_day,
            middle=story.first_day + timedelta(len(story.days) // 2),
            pieces=story.pieces,
        )
        moments = Moments(connection, keyring, brand=brand, items=items)
        teller = Teller(connection, keyring, brand=brand, story=story, clock=clock, moments=moments)
        for number, day in enumerate(story.days, 1):
            if number == len(story.days) - INCIDENT_DAYS:
                await let_things_go_wrong(connection, item_keys, brand=brand, members=moments.members, today=day.day)
            await teller.tell(day)
            progress(story, number)
        await clock.set(story.ends_at)
        await prepare_showcase(connection, item_keys, brand=brand, members=moments.members, today=story.today)
        await look_out(connection, item_keys, brand=brand, now=story.ends_at)
    await make_offers(connection, keyring, brand=brand, today=story.today)
    await connection.execute(_NEW_STATISTICS)
    return Filled(brand, story)
