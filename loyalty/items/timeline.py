"""What a shopper sees of an item's way: made, packed, shipped, received, sold, first scanned.

It is told from the brand's own records, and from captured EPCIS events as far as the brand shows them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.epcis.publishing import captured_steps
from loyalty.items.events import EventKind, events_of
from loyalty.items.products import LocalText
from loyalty.items.tables import item_table
from loyalty.kit.clock import utc_now

StepKind = EventKind | Literal["first_scanned"]


class TimelineStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an item's way, with its place in the words of the brand where one was given."""

    kind: StepKind
    at: datetime
    places: LocalText | None = None


async def read_timeline(
    connection: AsyncConnection, *, gtin: str, kid: int, index: int, now: datetime | None = None
) -> list[TimelineStep]:
    """The public steps of an item up to now, oldest first, with its first scan among them.

    What the brand keeps to itself, and what is only planned, is left out.
    """
    moment = now or utc_now()
    steps = [
        TimelineStep(kind=event.kind, at=event.at, places=event.places)
        for event in await events_of(connection, gtin=gtin, kid=kid, index=index)
        if event.public and event.at <= moment
    ]
    steps += [
        TimelineStep(kind=step.kind, at=step.at, places=step.places)
        for step in await captured_steps(connection, gtin=gtin, kid=kid, index=index, now=moment)
    ]
    item = item_table.c
    query = select(item.first_scanned_at, item.first_city).where(
        item.gtin == gtin, item.kid == kid, item.index == index
    )
    row = (await connection.execute(query)).first()
    if row is not None and row.first_scanned_at is not None:
        city = LocalText(zh=row.first_city, en=row.first_city) if row.first_city else None
        steps.append(TimelineStep(kind="first_scanned", at=row.first_scanned_at, places=city))
    return sorted(steps, key=lambda step: step.at)
