"""What a shopper sees of an item's way: made, packed, shipped, received, sold, first scanned.

It is told from the brand's own records, and from captured EPCIS events as far as the brand shows them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.epcis.publishing import STEPS_OF_ASKED as CAPTURED_STEPS_OF_ASKED
from loyalty.items.events import EventKind
from loyalty.items.products import LocalText
from loyalty.kit.clock import utc_now
from loyalty.kit.driver import fetch

_MOST_EVENTS: Final = 500

StepKind = EventKind | Literal["first_scanned"]


class TimelineStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an item's way, with its place in the words of the brand where one was given."""

    kind: StepKind
    at: datetime
    places: LocalText | None = None


STEPS_OF_ASKED: Final = f"""
    SELECT json_agg(e) FROM (
        (
            SELECT v.kind, v.at, v.places FROM range_event AS v
            WHERE v.gtin = a.gtin AND v.kid = a.kid AND v.lo <= a.index AND v.hi >= a.index
                AND v.public AND v.at <= a.at
            ORDER BY v.at, v.id LIMIT {_MOST_EVENTS}
        )
        UNION ALL ({CAPTURED_STEPS_OF_ASKED})
    ) AS e
"""  # noqa: S608  (put together from constants)
"""An item's public steps as JSON, as a subquery. `a` is the item that it is about (`gtin`, `kid`, `index`), and the
moment up to which it is told (`at`). What the brand keeps to itself, and what is only planned, is left out."""

_READ: Final = f"""
    SELECT ({STEPS_OF_ASKED})::text, i.first_scanned_at, i.first_city
    FROM (SELECT %s AS gtin, %s::smallint AS kid, %s::bigint AS index, %s::timestamptz AS at) AS a
    LEFT JOIN item AS i ON i.gtin = a.gtin AND i.kid = a.kid AND i.index = a.index
"""  # noqa: S608  (put together from constants)

_decoder: Final = msgspec.json.Decoder(list[TimelineStep])


async def read_timeline(
    connection: AsyncConnection, *, gtin: str, kid: int, index: int, now: datetime | None = None
) -> list[TimelineStep]:
    """The public steps of an item up to now, oldest first, with its first scan among them."""
    ((steps, first_scanned_at, first_city),) = await fetch(connection, _READ, (gtin, kid, index, now or utc_now()))
    return in_order(_decoder.decode(steps) if steps else [], first_scanned_at, first_city)


def in_order(
    steps: list[TimelineStep], first_scanned_at: datetime | None, first_city: str | None
) -> list[TimelineStep]:
    """An item's steps as they are shown: oldest first, with its first scan among them."""
    if first_scanned_at is not None:
        city = LocalText(zh=first_city, en=first_city) if first_city else None
        steps = [*steps, TimelineStep(kind="first_scanned", at=first_scanned_at, places=city)]
    return sorted(steps, key=lambda step: step.at)
