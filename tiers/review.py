"""Review: the only way down. A tier whose time is over is confirmed, given grace, or lowered by the ladder's policy."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tiers.changes import TierChange
from tiers.ladders import DEFAULT_LADDER


class ReviewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch decided; `reviewed` 0 means that nobody is due any more (or another reviewer has them)."""

    reviewed: int
    changes: list[TierChange]


class ReviewTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole review decided, by kind."""

    reviewed: int
    kept: int
    graced: int
    upgraded: int
    downgraded: int


async def review_member(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> TierChange | None:
    """Review one member if due at `moment`; None where nothing is due. Reviewing twice decides once."""
    raise NotImplementedError


async def review_due(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    moment: datetime,
    limit: int = 500,
    ladder_code: str = DEFAULT_LADDER,
) -> ReviewBatch:
    """Review up to `limit` members due at `moment`, those due longest first, in the caller's transaction.

    Who is due is written in the member's own row, so a review that stops half way goes on where it stopped, and two
    at once share the work (rows that another one holds are skipped).
    """
    raise NotImplementedError


async def review_all(
    engine: AsyncEngine,
    *,
    programme_id: UUID,
    moment: datetime,
    batch_size: int = 500,
    ladder_code: str = DEFAULT_LADDER,
) -> ReviewTotals:
    """Review everybody due at `moment`, one transaction a batch."""
    raise NotImplementedError
