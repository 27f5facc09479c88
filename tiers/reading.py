"""Reading tiers: a member's standing and history, the tier at a moment, and how many members each tier has."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tiers.changes import TierChange
from tiers.ladders import DEFAULT_LADDER, TierStep


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member stands on a ladder, as the member's card shows it.

    `value` is what counts now, of `metric` (`points`, `growth`, or `spend:GBP` in minor units) since
    `window_first_day`. `needed` is what is missing for `next_tier` and `progress_bp` the share of its threshold
    reached (0 to 10,000); at the top there is no next tier, nothing is needed and progress is full. The tier is the
    member's before `valid_until` (None: without end), and during grace before `grace_until`; `review_at` is when it is
    looked at next. `needed_to_keep` is what is missing today for the present tier.
    """

    ladder_code: str
    ladder_version: int
    tier: TierStep
    next_tier: TierStep | None
    metric: str
    window_kind: str
    window_first_day: date | None
    value: int
    needed: int
    progress_bp: int
    needed_to_keep: int
    since: datetime | None
    valid_until: datetime | None
    grace_until: datetime | None
    review_at: datetime | None


class TierCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many members are in a tier now."""

    tier: TierStep
    members: int


async def standing(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> Standing | None:
    """Where a member stands now. None where the programme has no such ladder."""
    raise NotImplementedError


async def current_tier(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, ladder_code: str = DEFAULT_LADDER
) -> str | None:
    """The code of a member's tier now, for earn rules. None where the programme has no such ladder."""
    raise NotImplementedError


async def tier_at(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> str | None:
    """The code of the tier a member had at a past moment. None where the programme has no such ladder."""
    raise NotImplementedError


async def history(
    connection: AsyncConnection, *, member_id: UUID, limit: int = 50, ladder_code: str = DEFAULT_LADDER
) -> list[TierChange]:
    """What happened to a member's tier and why, newest first."""
    raise NotImplementedError


async def count_by_tier(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_count: int,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> list[TierCount]:
    """Members by tier, lowest first; members of `member_count` who did nothing yet are in the first tier."""
    raise NotImplementedError
