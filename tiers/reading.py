"""Reading tiers: a member's standing and history, the tier at a moment, and how many members each tier has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from tiers.changes import Reason, TierChange, read_change
from tiers.deciding import Rules, TierState, keep_spans
from tiers.policies import DEFAULT_LADDER, Tier
from tiers.rules import FULL_BP, AnyOf, RollUp, reached_bp
from tiers.states import load, load_rules, roll_up
from tiers.tables import member_tier_table, tier_change_table

MAX_HISTORY: Final = 500


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member stands on a ladder, as the member's card shows it.

    `next_asks` is what the next tier asks for and what it comes to today: all of it, or where `next_any` one of it.
    `progress_bp` is the share reached (0 to 10,000): of all conditions the least, of any the most. At the top there is
    no next tier, nothing is asked and progress is full. The tier is the member's before `valid_until` (None: without
    end), and during grace before `grace_until`; `review_at` is when it is looked at next. `keep_asks` is what that
    review asks for, as far as it has come; empty where the tier has no end, or was `granted` by hand.
    """

    ladder_code: str
    ladder_version: int
    tier: Tier
    next_tier: Tier | None
    next_asks: Sequence[Reason]
    next_any: bool
    progress_bp: int
    keep_asks: Sequence[Reason]
    keep_any: bool
    kept_bp: int
    granted: bool
    since: datetime | None
    valid_until: datetime | None
    grace_until: datetime | None
    review_at: datetime | None

    @property
    def nearest(self) -> Reason | None:
        """The condition that says how far the next tier is: of all the least reached one, of any the most reached."""
        asks = [each for each in self.next_asks if each.missing] or list(self.next_asks)
        pick = max if self.next_any else min
        return pick(asks, key=lambda each: each.value / each.at_least, default=None)


class TierCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many members are in a tier now."""

    tier: Tier
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
    return _standing(rules, state, await roll_up(connection, rules.metrics, member_id), rules.day_of(moment))


def _standing(rules: Rules, state: TierState, done: RollUp, today: date) -> Standing:
    tiers, place = rules.policy.tiers, rules.position(state)
    above = place + 1 if place + 1 < len(tiers) else None
    now, spans = rules.read(state, done, today), keep_spans(rules, state, today)
    keeping = rules.reading(done, spans, as_of=None) if spans is not None else None
    return Standing(
        ladder_code=rules.policy.code,
        ladder_version=rules.version.version,
        tier=tiers[place],
        next_tier=tiers[above] if above is not None else None,
        next_asks=rules.reasons(above, now) if above is not None else [],
        next_any=above is not None and isinstance(tiers[above].qualify, AnyOf),
        progress_bp=_share(rules, above, now.values),
        keep_asks=rules.reasons(place, keeping) if keeping is not None else [],
        keep_any=isinstance(tiers[place].qualify, AnyOf),
        kept_bp=_share(rules, place, keeping.values) if keeping is not None else FULL_BP,
        granted=state.granted,
        since=state.since,
        valid_until=state.valid_until,
        grace_until=state.grace_until,
        review_at=state.review_at,
    )


def _share(rules: Rules, place: int | None, values: Sequence[int]) -> int:
    rule = rules.policy.tiers[place].qualify if place is not None else None
    return FULL_BP if rule is None else min(FULL_BP, max(0, reached_bp(rule, values, rules.measures)))


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
    return rules.policy.base.code if rules else None


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
    policy, columns = rules.policy, member_tier_table.c
    query = (
        select(columns.tier_code, columns.tier_rank, func.count().label("members"))
        .filter_by(programme_id=programme_id, ladder_code=ladder_code)
        .group_by(columns.tier_code, columns.tier_rank)
    )
    members = dict.fromkeys((tier.code for tier in policy.tiers), 0)
    for row in await connection.execute(query):
        members[policy.tier(row.tier_code, row.tier_rank).code] += row.members
    members[policy.base.code] += max(0, member_count - sum(members.values()))
    return [TierCount(tier=tier, members=members[tier.code]) for tier in policy.tiers]
