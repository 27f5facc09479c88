"""Counting in bulk: what many members did, rolled up and evaluated in a few statements for all of them.

It ends in the same roll-up, tiers and history as `qualification.record` and `qualification.evaluate` called one after
the other in the order of what happened; an import of years needs it in seconds. The decisions are the same functions,
fed from the roll-up in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import local_date, start_of_local_day, utc_now
from loyalty.kit.errors import NotFoundError
from loyalty.kit.programme import get_programme
from tiers.deciding import Decision, Measure, Rules, TierState, decide_upgrade, not_before, start_state
from tiers.ladders import DEFAULT_LADDER, LadderVersion, LifetimeWindow, list_ladder_versions
from tiers.states import read_state, write
from tiers.tables import member_tier_table, tier_activity_table
from tiers.windows import Span, span_on


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """Something that counts towards tiers: an amount of a metric (`points`, `growth`, `spend:GBP` in minor units).

    It counts on the day of `counts_at`; a refund is a negative amount that counts when its order did. Tiers are looked
    at as of `happened_at`, and `cause` says why in a few machine-readable words.
    """

    member_id: UUID
    metric: str
    amount: int
    counts_at: datetime
    happened_at: datetime
    cause: str


_RollUp = defaultdict[str, dict[date, int]]

_RECORD: Final = text("""
    INSERT INTO tier_activity (member_id, metric, day, programme_id, amount)
    SELECT member_id, metric, day, :programme, amount
    FROM unnest(CAST(:members AS uuid[]), CAST(:metrics AS text[]), CAST(:days AS date[]), CAST(:amounts AS bigint[]))
        AS n (member_id, metric, day, amount)
    ORDER BY member_id, metric, day
    ON CONFLICT (member_id, metric, day) DO UPDATE SET amount = tier_activity.amount + excluded.amount
""")


async def count_activities(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    activities: Sequence[Activity],
    ladder_code: str = DEFAULT_LADDER,
) -> None:
    """Roll activities up, and move up at once every member who thereby reaches a tier, as of when it happened.

    Not idempotent: it belongs in the transaction of the postings that it counts. Raises NotFoundError for an unknown
    programme or a member of another one.
    """
    if not activities:
        return
    time_zone = (await get_programme(connection, programme_id)).time_zone
    versions = await list_ladder_versions(connection, programme_id=programme_id, ladder_code=ladder_code)
    ladder = _Ladder(versions, time_zone) if versions else None
    if ladder is not None:
        by_member: dict[UUID, list[Activity]] = {}
        for activity in sorted(activities, key=lambda activity: activity.happened_at):
            by_member.setdefault(activity.member_id, []).append(activity)
        states = await _lock_states(connection, programme_id, ladder, ladder_code, by_member)
        roll_ups = await _read_roll_ups(connection, ladder, list(by_member), activities)
        decisions = [
            decision
            for member_id, done in by_member.items()
            for decision in _decide(ladder, states[member_id], roll_ups[member_id], done)
        ]
        await write(connection, decisions)
    await _record(connection, programme_id, time_zone, activities)


class _Ladder:
    """All versions of a ladder, each in force from its moment on, and the first also before."""

    def __init__(self, versions: Sequence[LadderVersion], time_zone: str) -> None:
        ordered = sorted(versions, key=lambda version: version.effective_at)
        self.rules = [Rules(version, time_zone) for version in ordered]
        self.time_zone = time_zone

    def at(self, moment: datetime) -> Rules:
        """The rules in force at a moment."""
        begun = [rules for rules in self.rules if rules.version.effective_at <= moment]
        return begun[-1] if begun else self.rules[0]

    @property
    def metrics(self) -> list[str]:
        """Every metric that some version counts."""
        return sorted({metric for rules in self.rules for metric in rules.metrics})

    @property
    def only_lifetime(self) -> bool:
        """Whether no version asks on which day something counted."""
        return all(isinstance(rules.version.ladder.window, LifetimeWindow) for rules in self.rules)

    def first_day(self, day: date) -> date:
        """The first day that may count for a decision on `day` or later."""
        return min(span_on(rules.version.ladder.window, day).first_day or date.min for rules in self.rules)


async def _lock_states(
    connection: AsyncConnection,
    programme_id: UUID,
    ladder: _Ladder,
    ladder_code: str,
    by_member: Mapping[UUID, Sequence[Activity]],
) -> dict[UUID, TierState]:
    """Lock the members' rows, made where there are none, in the order of their ids."""
    states = await _select_states(connection, ladder_code, by_member)
    missing = sorted(by_member.keys() - states.keys())
    if missing:
        starts = [
            msgspec.structs.asdict(start_state(ladder.at(by_member[member_id][0].happened_at), member_id=member_id))
            for member_id in missing
        ]
        await connection.execute(insert(member_tier_table).on_conflict_do_nothing(), starts)
        states |= await _select_states(connection, ladder_code, missing)
    if any(state.programme_id != programme_id for state in states.values()):
        raise NotFoundError("the member is not in this programme", field="member")
    return states


async def _select_states(
    connection: AsyncConnection, ladder_code: str, member_ids: Iterable[UUID]
) -> dict[UUID, TierState]:
    columns = member_tier_table.c
    rows = await connection.execute(
        select(member_tier_table)
        .where(columns.member_id.in_(list(member_ids)), columns.ladder_code == ladder_code)
        .order_by(columns.member_id)
        .with_for_update()
    )
    return {row.member_id: read_state(row) for row in rows}


async def _read_roll_ups(
    connection: AsyncConnection, ladder: _Ladder, member_ids: Sequence[UUID], activities: Sequence[Activity]
) -> dict[UUID, _RollUp]:
    """What was rolled up before, as far as it may count; for lifetime sums, all before these activities as one day."""
    earliest = min(local_date(activity.happened_at, ladder.time_zone) for activity in activities)
    columns = tier_activity_table.c
    day = func.greatest(columns.day, earliest) if ladder.only_lifetime else columns.day
    rows = await connection.execute(
        select(columns.member_id, columns.metric, day.label("day"), func.sum(columns.amount).label("amount"))
        .where(
            columns.member_id.in_(member_ids),
            columns.metric.in_(ladder.metrics),
            columns.day >= ladder.first_day(earliest),
        )
        .group_by(columns.member_id, columns.metric, day)
    )
    roll_ups: dict[UUID, _RollUp] = {member_id: defaultdict(dict) for member_id in member_ids}
    for row in rows:
        roll_ups[row.member_id][row.metric][row.day] = int(row.amount)
    return roll_ups


def _decide(ladder: _Ladder, state: TierState, roll_up: _RollUp, activities: Sequence[Activity]) -> Iterable[Decision]:
    """One member's activities, in the order in which they happened, and what each leads to."""
    for moment, at_once in groupby(activities, key=lambda activity: activity.happened_at):
        cause = ""
        for activity in at_once:
            day, cause = local_date(activity.counts_at, ladder.time_zone), activity.cause
            days = roll_up[activity.metric]
            days[day] = days.get(day, 0) + activity.amount
        rules = ladder.at(not_before(state, moment))
        as_of = _latest(rules, state, roll_up, moment)
        span = span_on(rules.version.ladder.window, rules.day_of(as_of))
        totals = {metric: _sum(roll_up[metric], span) for metric in rules.metrics}
        decision = decide_upgrade(rules, state, Measure(rules.value(totals), span), moment=as_of, cause=cause)
        if decision is not None:
            state = decision.state
            yield decision


def _latest(rules: Rules, state: TierState, roll_up: _RollUp, moment: datetime) -> datetime:
    """The moment, the last change, or the start of the last day with activity up to now, whichever is latest."""
    as_of, now = not_before(state, moment), utc_now()
    if as_of >= now:
        return as_of
    after, until = rules.day_of(as_of), rules.day_of(now)
    days = [day for metric in rules.metrics for day in roll_up[metric] if after < day <= until]
    return start_of_local_day(max(days), rules.time_zone) if days else as_of


def _sum(days: Mapping[date, int], span: Span) -> int:
    first_day = span.first_day or date.min
    return sum(amount for day, amount in days.items() if first_day <= day <= span.last_day)


async def _record(
    connection: AsyncConnection, programme_id: UUID, time_zone: str, activities: Sequence[Activity]
) -> None:
    amounts: dict[tuple[UUID, str, date], int] = {}
    for activity in activities:
        place = (activity.member_id, activity.metric, local_date(activity.counts_at, time_zone))
        amounts[place] = amounts.get(place, 0) + activity.amount
    await connection.execute(
        _RECORD,
        {
            "programme": programme_id,
            "members": [member_id for member_id, _, _ in amounts],
            "metrics": [metric for _, metric, _ in amounts],
            "days": [day for _, _, day in amounts],
            "amounts": list(amounts.values()),
        },
    )
