"""What was posted before, looked up for many postings at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.posting import Posting
from loyalty.kit.db import to_json
from loyalty.kit.driver import fetch

_SOURCES: Final = """
    SELECT p.place, e.source
    FROM json_to_recordset(%s::json) AS p (place integer, member_id uuid, unit text, seq bigint)
    JOIN ledger.entry AS e ON e.member_id = p.member_id AND e.unit = p.unit AND e.seq = p.seq
"""
_KEYS: Final = """
    SELECT p.member_id, p.key
    FROM json_to_recordset(%s::json) AS p (member_id uuid, key text)
    JOIN ledger.entry AS e ON e.member_id = p.member_id AND e.idem_key = p.key
"""
_TAKEN: Final = """
    SELECT p.place, sum(e.amount)::bigint, (
        SELECT o.effective_at FROM ledger.entry AS o
        WHERE o.member_id = p.origin AND o.unit = p.unit AND o.seq = p.reversed)
    FROM json_to_recordset(%s::json) AS p
        (place integer, member_id uuid, unit text, seq bigint, last_seq bigint, origin uuid, reversed bigint)
    JOIN ledger.entry AS e ON e.member_id = p.member_id AND e.unit = p.unit AND e.seq BETWEEN p.seq AND p.last_seq
        AND e.posting = p.seq AND e.credit = 'issued'
    GROUP BY p.place, p.origin, p.unit, p.reversed
"""


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    """A posting that reversed another: the member whose that one was, and its number."""

    posting: Posting
    origin_member_id: UUID
    sequence: int


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """What of earned points a reversal took back, and when they had been earned."""

    amount: int
    earned_at: datetime


async def sources(connection: AsyncConnection, *, postings: Sequence[Posting]) -> list[str | None]:
    """The `source` that each posting was made with; None for one that moved nothing."""
    asked = [
        {"place": place, "member_id": posting.member_id, "unit": posting.unit, "seq": posting.sequence}
        for place, posting in enumerate(postings)
    ]
    found: dict[int, str] = dict(await fetch(connection, _SOURCES, (to_json(asked),)))
    return [found.get(place) for place in range(len(postings))]


async def keys_posted(connection: AsyncConnection, *, keys: Sequence[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Those of the members' idempotency keys under which something was posted to them."""
    asked = [{"member_id": member_id, "key": key} for member_id, key in keys]
    return {(member_id, key) for member_id, key in await fetch(connection, _KEYS, (to_json(asked),))}


async def taken_back(connection: AsyncConnection, *, reversals: Sequence[Reversal]) -> list[TakenBack | None]:
    """What each reversal took back of what had been earned; None where that is nothing, as of a spend."""
    asked = [
        {
            "place": place,
            "member_id": each.posting.member_id,
            "unit": each.posting.unit,
            "seq": each.posting.sequence,
            "last_seq": each.posting.last_sequence,
            "origin": each.origin_member_id,
            "reversed": each.sequence,
        }
        for place, each in enumerate(reversals)
    ]
    found = {
        place: TakenBack(amount=amount, earned_at=earned_at)
        for place, amount, earned_at in await fetch(connection, _TAKEN, (to_json(asked),))
    }
    return [found.get(place) for place in range(len(reversals))]
