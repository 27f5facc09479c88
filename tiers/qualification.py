"""Qualification: what a member does is rolled up by day, and reaching a threshold moves the member up at once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from tiers.changes import TierChange
from tiers.ladders import DEFAULT_LADDER


async def record(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, metric: str, at: datetime, amount: int
) -> None:
    """Add to what a member did on one day: `points`, `growth`, or `spend:GBP` in minor units.

    `at` chooses the day, in the programme's time zone. A refund is a negative amount at the *order's* moment, so that
    it counts against the window the order counted in. Not idempotent: call it once for each posting, in the posting's
    transaction. Raises NotFoundError for an unknown programme, InvalidInputError for an unknown metric.
    """
    raise NotImplementedError


async def evaluate(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    moment: datetime,
    cause: str,
    ladder_code: str = DEFAULT_LADDER,
) -> TierChange | None:
    """Move a member up at once where the ladder in force says so. Never moves anybody down: `review` does.

    Answers the upgrade, or None: nothing to do, or the programme has no ladder. Call it after every `record`, refunds
    included, in the same transaction. `cause` says what happened, such as `order:online/536381`. Evaluation never goes
    back behind the member's last change: an older moment counts as that one.
    """
    raise NotImplementedError
