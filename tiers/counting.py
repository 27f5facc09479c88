"""Counting in bulk: what many members did, rolled up and evaluated in one round trip for all of them.

It ends in the same roll-up, tiers and history as `qualification.record` and `qualification.evaluate` called one after
the other in the order of what happened; an import of years needs it in seconds, and a posting over HTTP in fractions
of a millisecond. The decisions are the same functions, fed from the roll-up in memory.

Published versions of a ladder never change, so they are remembered from one call to the next. What is written depends
on them, and is therefore written under a condition: that the newest version is still the one remembered, written by
the same transaction. Where it is not, nothing is written, and everything is done again by the versions there are. So a
version counts from the moment it is committed, in every process, and nobody has to be told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import local_date, start_of_local_day, utc_now
from loyalty.kit.db import to_json
from loyalty.kit.driver import fetch, uuid_array
from loyalty.kit.errors import NotFoundError
from tiers.deciding import (
    Decision,
    Rules,
    TierState,
    decide_activity,
    may_be_undone,
    not_before,
    start_state,
    upgrade_review,
)
from tiers.policies import DEFAULT_LADDER, PolicyVersion
from tiers.rules import RollUp, VisitsMetric
from tiers.states import roll_ups, write
from tiers.versions import list_published
from tiers.windows import LifetimeWindow, span_on

_MOST_REMEMBERED: Final = 1_000


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """Something that counts towards tiers: an amount of a metric.

    Metrics are `points`, `growth`, `spend:GBP` in minor units, `orders`, `checkins` and `scans`.

    It counts on the day of `counts_at`; a refund is a negative amount that counts when its order did. Tiers are looked
    at as of `happened_at`, and `cause` says why in a few machine-readable words.
    """

    member_id: UUID
    metric: str
    amount: int
    counts_at: datetime
    happened_at: datetime
    cause: str


_Place = tuple[UUID, str, date]
_Days = defaultdict[str, dict[date, int]]

_STAMP: Final = "SELECT ladder_stamp(%s, %s)"
_COUNT: Final = """
    SELECT count_tier_activity(
        %s, %s, %s, %s::uuid[], %s::json, %s::text[], %s::date, %s::date, %s::json
    )::text
"""


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
    ladder = _remembered.get((programme_id, ladder_code)) or await _learn(connection, programme_id, ladder_code)
    by_member: dict[UUID, list[Activity]] = {}
    for activity in sorted(activities, key=lambda activity: activity.happened_at):
        by_member.setdefault(activity.member_id, []).append(activity)
    while (found := await _record(connection, ladder, by_member)) is None:
        ladder = await _learn(connection, programme_id, ladder_code)
    moving = {member_id: done for member_id, done in by_member.items() if found.may_move(ladder, member_id, done)}
    if moving:
        roll_ups = await _read_roll_ups(connection, ladder, moving, found)
        decisions = [
            decision
            for member_id, done in moving.items()
            for decision in _decide(ladder, found.states[member_id], roll_ups[member_id], done)
        ]
        await write(connection, decisions)


class _Ladder:
    """All versions of a ladder, each in force from its moment on, and the first also before. There may be none."""

    def __init__(self, programme_id: UUID, code: str, stamp: str, versions: Sequence[PolicyVersion]) -> None:
        self.programme_id = programme_id
        self.code = code
        self.stamp = stamp
        self.time_zone = stamp.partition(" ")[0]
        ordered = sorted(versions, key=lambda version: version.effective_at)
        self.rules = [Rules(version, self.time_zone) for version in ordered]
        self.metrics = sorted({metric for rules in self.rules for metric in rules.metrics})
        self.only_lifetime = all(_folds(rules) for rules in self.rules)

    def at(self, moment: datetime) -> Rules:
        """The rules in force at a moment."""
        begun = [rules for rules in self.rules if rules.version.effective_at <= moment]
        return begun[-1] if begun else self.rules[0]

    def since(self, moment: datetime) -> Sequence[Rules]:
        """The rules in force at a moment or later."""
        begun = sum(rules.version.effective_at <= moment for rules in self.rules)
        return self.rules[max(begun - 1, 0) :]

    def first_day(self, day: date) -> date:
        """The first day that may count for a decision on `day` or later."""
        return min((_reaches_back(rules, day) for rules in self.rules), default=day)


def _folds(rules: Rules) -> bool:
    """Whether only sums since ever are asked for, so that older days may count as one."""
    return (
        all(isinstance(measure.window, LifetimeWindow) for measure in rules.measures)
        and not any(isinstance(measure.metric, VisitsMetric) for measure in rules.measures)
        and not rules.policy.resets
        and rules.policy.refunds == "keep_until_review"
    )


def _reaches_back(rules: Rules, day: date) -> date:
    """The first day that may count on `day` or later: with a recheck also what counted when the tier was reached."""
    if rules.policy.refunds == "recheck_at_once":
        return date.min
    # A membership year that began on this very day, a year ago, is the longest one.
    joined_on = day + timedelta(days=1)
    return min(
        (span_on(measure.window, day, joined_on=joined_on).first_day or date.min for measure in rules.measures),
        default=day,
    )


_remembered: Final[dict[tuple[UUID, str], _Ladder]] = {}


async def _learn(connection: AsyncConnection, programme_id: UUID, ladder_code: str) -> _Ladder:
    """Read the versions there are, and remember them. Raises NotFoundError for an unknown programme."""
    ((stamp,),) = await fetch(connection, _STAMP, (programme_id, ladder_code))
    if stamp is None:
        message = f"there is no programme {programme_id}"
        raise NotFoundError(message, field="programme")
    versions = await list_published(connection, programme_id=programme_id, ladder_code=ladder_code)
    ladder = _Ladder(programme_id, ladder_code, stamp, versions)
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[programme_id, ladder_code] = ladder
    return ladder


class _Counted(msgspec.Struct, frozen=True):
    """What `count_tier_activity` answers: states, the most of each sum, and the days that had no row before."""

    states: list[TierState] | None
    bounds: list[tuple[UUID, str, int]] | None
    new: list[_Place] | None


_read_counted: Final = msgspec.json.Decoder(_Counted).decode


class _Found(msgspec.Struct, frozen=True):
    """Members' states, locked; what their sums came to at most, before; and what was added since."""

    states: Mapping[UUID, TierState]
    bounds: Mapping[tuple[UUID, str], int]
    earliest: date
    amounts: Mapping[_Place, int]
    new: frozenset[_Place]

    def may_move(self, ladder: _Ladder, member_id: UUID, activities: Sequence[Activity]) -> bool:
        """Whether a decision about the member is possible; of nearly all that is ruled out by sums of everything.

        Most sums are taken over fewer days, and none comes to more than the days that add to it. No rule holds for
        less and fails for more.
        """
        state = self.states.get(member_id)
        if state is None:
            return False  # there is no ladder
        most = {metric: self.bounds.get((member_id, metric), 0) for metric in ladder.metrics}
        refunded = False
        for activity in activities:
            refunded = refunded or activity.amount < 0
            if activity.metric in most:
                most[activity.metric] += max(activity.amount, 0)
        since = not_before(state, activities[0].happened_at)
        return any(
            (refunded and may_be_undone(rules, state)) or _may_rise(rules, state, most, since)
            for rules in ladder.since(since)
        )


def _may_rise(rules: Rules, state: TierState, most: Mapping[str, int], moment: datetime) -> bool:
    if rules.reached([rules.at_most(measure, most) for measure in rules.measures]) <= rules.position(state):
        return False
    # A review that is to come no later will look at it anyhow.
    awaited = rules.policy.upgrade != "at_once" and state.review_at is not None
    return not awaited or state.review_at > upgrade_review(rules, moment)  # type: ignore[operator]


async def _record(
    connection: AsyncConnection, ladder: _Ladder, by_member: Mapping[UUID, Sequence[Activity]]
) -> _Found | None:
    """Lock the members' rows, made where there are none, read what there is and add the activities to it.

    Answers None, with nothing written, where the ladder is not what is remembered of it.
    """
    amounts = _amounts(ladder, by_member)
    earliest = min(local_date(done[0].happened_at, ladder.time_zone) for done in by_member.values())
    starts = [_start(ladder, member_id, done[0]) for member_id, done in by_member.items()] if ladder.rules else None
    added = [
        {"member_id": member_id, "metric": metric, "day": day, "amount": amount}
        for (member_id, metric, day), amount in amounts.items()
    ]
    members, *sums = _sums(ladder, by_member, earliest)
    ((told,),) = await fetch(
        connection,
        _COUNT,
        (
            ladder.programme_id,
            ladder.code,
            ladder.stamp,
            members,
            to_json(starts) if starts is not None else None,
            *sums,
            to_json(added),
        ),
    )
    if told is None:
        return None
    counted = _read_counted(told)
    states = {state.member_id: state for state in counted.states or ()}
    if any(state.programme_id != ladder.programme_id for state in states.values()):
        raise NotFoundError("the member is not in this programme", field="member")
    bounds = {(member_id, metric): most for member_id, metric, most in counted.bounds or ()}
    return _Found(states, bounds, earliest, amounts, frozenset(counted.new or ()))


def _fold(ladder: _Ladder, earliest: date) -> date:
    return earliest if ladder.only_lifetime else date.min


def _sums(ladder: _Ladder, members: Iterable[UUID], earliest: date) -> tuple[str, str, date, date]:
    """What of the roll-ups may count for decisions on `earliest` or later, as `tier_roll_ups` takes it."""
    metrics = "{" + ",".join(ladder.metrics) + "}"
    first_day = ladder.first_day(earliest) if ladder.rules else earliest
    return uuid_array(members), metrics, _fold(ladder, earliest), first_day


async def _read_roll_ups(
    connection: AsyncConnection, ladder: _Ladder, members: Iterable[UUID], found: _Found
) -> dict[UUID, _Days]:
    """What was rolled up before these activities, which are taken off again to be decided about one by one."""
    fold = _fold(ladder, found.earliest)
    done = await roll_ups(connection, ladder.metrics, members, fold=fold, first_day=ladder.first_day(found.earliest))
    for place, amount in found.amounts.items():
        member_id, metric, day = place
        days = done[member_id][metric] if member_id in done else {}
        folded = max(day, fold)
        if folded not in days:
            continue
        days[folded] -= amount
        if place in found.new and day > fold:
            del days[day]
    return done


def _start(ladder: _Ladder, member_id: UUID, first: Activity) -> dict[str, Any]:
    """What a member's row begins with who has none: written only there."""
    state = start_state(ladder.at(first.happened_at), member_id=member_id)
    return {
        "member_id": member_id,
        "tier_code": state.tier_code,
        "tier_rank": state.tier_rank,
        "ladder_version": state.ladder_version,
    }


def _amounts(ladder: _Ladder, by_member: Mapping[UUID, Sequence[Activity]]) -> dict[_Place, int]:
    """What to add to the roll-up: one amount a member, metric and day."""
    amounts: dict[_Place, int] = {}
    for member_id, done in by_member.items():
        for activity in done:
            place = (member_id, activity.metric, local_date(activity.counts_at, ladder.time_zone))
            amounts[place] = amounts.get(place, 0) + activity.amount
    return amounts


def _decide(ladder: _Ladder, state: TierState, roll_up: _Days, activities: Sequence[Activity]) -> Iterable[Decision]:
    """One member's activities, in the order in which they happened, and what each leads to."""
    for moment, at_once in groupby(activities, key=lambda activity: activity.happened_at):
        cause, refunded = "", False
        for activity in at_once:
            day, cause = local_date(activity.counts_at, ladder.time_zone), activity.cause
            refunded = refunded or activity.amount < 0
            days = roll_up[activity.metric]
            days[day] = days.get(day, 0) + activity.amount
        rules = ladder.at(not_before(state, moment))
        as_of = latest(rules, state, roll_up, moment)
        decision = decide_activity(rules, state, roll_up, moment=as_of, cause=cause, refunded=refunded)
        if decision is not None:
            state = decision.state
            yield decision


def latest(rules: Rules, state: TierState, roll_up: RollUp, moment: datetime) -> datetime:
    """The moment, the last change, or the start of the last day with activity up to now, whichever is latest.

    So orders that arrive late or in disorder end in the right tier, and no past is rewritten.
    """
    as_of, now = not_before(state, moment), utc_now()
    if as_of >= now:
        return as_of
    after, until = rules.day_of(as_of), rules.day_of(now)
    days = [day for metric in rules.metrics for day in roll_up.get(metric, ()) if after < day <= until]
    return start_of_local_day(max(days), rules.time_zone) if days else as_of
