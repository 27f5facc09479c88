"""Reading tiers: a member's standing and history, the tier at a moment, and how many members each tier has."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from tiers.changes import TierChange, read_change
from tiers.deciding import Rules, TierState, keep_span, metric_name
from tiers.ladders import DEFAULT_LADDER, TierStep
from tiers.states import load, load_rules, totals
from tiers.tables import member_tier_table, tier_change_table
from tiers.windows import span_on, window_kind

FULL_BP: Final = 10_000
MAX_HISTORY: Final = 500


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member stands on a ladder, as the member's card shows it.

    `value` is what counts now, of `metric` (`points`, `growth`, or `spend:GBP` in minor units) since
    `window_first_day`. `needed` is what is missing for `next_tier` and `progress_bp` the share of its threshold
    reached (0 to 10,000); at the top there is no next tier, nothing is needed and progress is full. The tier is the
    member's before `valid_until` (None: without end), and during grace before `grace_until`; `review_at` is when it is
    looked at next, and `needed_to_keep` what is missing so far for that review to confirm it.
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
    found = await load(
        connection, programme_id=programme_id, member_id=member_id, ladder_code=ladder_code, moment=moment
    )
    if found is None:
        return None
    rules, state = found
    today = rules.day_of(moment)
    current, keeping = span_on(rules.version.ladder.window, today), keep_span(rules, state, today)
    sums = await totals(connection, rules.metrics, [(member_id, current), (member_id, keeping or current)])
    value, kept = rules.value(sums[0]), rules.value(sums[1])
    return _standing(rules, state, window_first_day=current.first_day, value=value, kept=kept)


def _standing(rules: Rules, state: TierState, *, window_first_day: date | None, value: int, kept: int) -> Standing:
    ladder = rules.version.ladder
    tier = rules.tier_of(state)
    above = ladder.above(tier)
    return Standing(
        ladder_code=ladder.code,
        ladder_version=rules.version.version,
        tier=tier,
        next_tier=above,
        metric=metric_name(rules.version),
        window_kind=window_kind(ladder.window),
        window_first_day=window_first_day,
        value=value,
        needed=max(0, above.threshold - value) if above else 0,
        progress_bp=min(FULL_BP, max(0, value) * FULL_BP // above.threshold) if above else FULL_BP,
        needed_to_keep=max(0, tier.threshold - kept) if state.valid_until else 0,
        since=state.since,
        valid_until=state.valid_until,
        grace_until=state.grace_until,
        review_at=state.review_at,
    )


async def current_tier(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, ladder_code: str = DEFAULT_LADDER
) -> str | None:
    """The code of a member's tier now, for earn rules. None where the programme has no such ladder."""
    found = await load(
        connection, programme_id=programme_id, member_id=member_id, ladder_code=ladder_code, moment=utc_now()
    )
    return found[0].tier_of(found[1]).code if found else None


async def tier_at(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> str | None:
    """The code of the tier a member had at a past moment, as recorded then. None where there is no such ladder."""
    changes, newest_first = tier_change_table.c, tier_change_table.c.sequence.desc()
    own = select(changes.to_tier).filter_by(member_id=member_id, ladder_code=ladder_code)
    before = await connection.scalar(own.where(changes.at <= moment).order_by(newest_first).limit(1))
    if before is not None:
        return str(before)
    first = select(changes.from_tier).filter_by(member_id=member_id, ladder_code=ladder_code)
    start = await connection.scalar(first.order_by(changes.sequence).limit(1))
    if start is not None:
        return str(start)
    rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
    return rules.version.ladder.base.code if rules else None


async def history(
    connection: AsyncConnection, *, member_id: UUID, limit: int = 50, ladder_code: str = DEFAULT_LADDER
) -> list[TierChange]:
    """What happened to a member's tier and why, newest first."""
    query: Select[tuple[TierChange]] = (
        select(tier_change_table)
        .filter_by(member_id=member_id, ladder_code=ladder_code)
        .order_by(tier_change_table.c.sequence.desc())
        .limit(min(limit, MAX_HISTORY))
    )
    return [read_change(row) for row in await connection.execute(query)]


async def count_by_tier(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_count: int,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> list[TierCount]:
    """Members by tier, lowest first; members of `member_count` who did nothing yet are in the first tier.

    Empty where the programme has no such ladder.
    """
    rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
    if rules is None:
        return []
    ladder, columns = rules.version.ladder, member_tier_table.c
    query = (
        select(columns.tier_code, columns.tier_rank, func.count().label("members"))
        .filter_by(programme_id=programme_id, ladder_code=ladder_code)
        .group_by(columns.tier_code, columns.tier_rank)
    )
    members = dict.fromkeys((tier.code for tier in ladder.tiers), 0)
    for row in await connection.execute(query):
        members[ladder.tier(row.tier_code, row.tier_rank).code] += row.members
    members[ladder.base.code] += max(0, member_count - sum(members.values()))
    return [TierCount(tier=tier, members=members[tier.code]) for tier in ladder.tiers]
