"""Deciding about a tier: pure rules, fed with what a member did, so that calendars can be tested without a database.

`tiers.bulk` says the same in SQL; a property test holds the two together. Change both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from loyalty.kit.clock import end_of_local_day, local_date, start_of_local_day
from tiers.changes import ChangeKind, Reason, TierChange
from tiers.policies import PolicyVersion, Tier, holds_through
from tiers.rules import FULL_BP, Measure, RollUp, conditions, matcher, measure_value, measures_of, metric_name
from tiers.windows import Span, span_on, window_kind

_ONE_DAY: Final = timedelta(days=1)


class TierState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member is on a ladder: a row of `member_tier`.

    `changed_at` is the moment of the last decision, which no later one goes behind; `review_at` is when the member is
    looked at next. `counts_from` is the day after the tier was reached or last confirmed. `qualified_on` is the day as
    of which its rule held, with windows that began on `qualified_from` at the earliest; None where it is held for
    another reason. `former_tier` and `former_until` are what a grant stands on top of.
    """

    member_id: UUID
    ladder_code: str
    programme_id: UUID
    tier_code: str
    tier_rank: int
    ladder_version: int
    since: datetime | None = None
    changed_at: datetime | None = None
    valid_until: datetime | None = None
    grace_until: datetime | None = None
    review_at: datetime | None = None
    change_sequence: int = 0
    joined_on: date | None = None
    counts_from: date | None = None
    qualified_on: date | None = None
    qualified_from: date | None = None
    granted: bool = False
    former_tier: str | None = None
    former_rank: int | None = None
    former_until: datetime | None = None


class Reading(msgspec.Struct, frozen=True):
    """What a policy's measures came to, each over its own span, and the place of the highest tier they reach.

    `as_of` is the day on which the spans are the policy's own; None where they were kept open through a grace.
    """

    values: Sequence[int]
    spans: Sequence[Span]
    reached: int
    as_of: date | None


class Decision(msgspec.Struct, frozen=True):
    """A new state, and the change to write into the history (None: only the review date moved)."""

    state: TierState
    change: TierChange | None


class Rules:
    """What a decision is made by: the version in force, in the programme's time zone."""

    def __init__(self, version: PolicyVersion, time_zone: str) -> None:
        self.version = version
        self.policy = version.policy
        self.time_zone = time_zone
        self.measures = measures_of([tier.qualify for tier in self.policy.tiers])
        self.metrics = sorted({metric for measure in self.measures for metric in measure.metric.components()})
        self.asks = [matcher(tier.qualify, self.measures) for tier in self.policy.tiers if tier.qualify is not None]
        """Of each tier but the first."""

    def position(self, state: TierState) -> int:
        """The place of the member's tier among those of this version."""
        return self.policy.position(state.tier_code, state.tier_rank)

    def tier_of(self, state: TierState) -> Tier:
        """The member's tier in the words of this version."""
        return self.policy.tiers[self.position(state)]

    def day_of(self, moment: datetime) -> date:
        """The programme's calendar day."""
        return local_date(moment, self.time_zone)

    def reached(self, values: Sequence[int]) -> int:
        """The place of the highest tier whose rule holds; 0 where none does."""
        for place in range(len(self.asks), 0, -1):
            if self.asks[place - 1](values):
                return place
        return 0

    def at_most(self, measure: Measure, most: Mapping[str, int]) -> int:
        """What a measure can come to at most, where no more than `most` of each metric was done, never less than 0."""
        return sum(most.get(metric, 0) * rate_bp // FULL_BP for metric, rate_bp in measure.metric.components().items())

    def spans(self, state: TierState, day: date, *, counts_from: date | None) -> list[Span]:
        """What counts on a day, for each measure."""
        return [
            span_on(measure.window, day, joined_on=state.joined_on, counts_from=counts_from, resets=self.policy.resets)
            for measure in self.measures
        ]

    def read(self, state: TierState, roll_up: RollUp, day: date) -> Reading:
        """What counts on a day comes to."""
        return self.reading(roll_up, self.spans(state, day, counts_from=state.counts_from), as_of=day)

    def reading(self, roll_up: RollUp, spans: Sequence[Span], *, as_of: date | None) -> Reading:
        """What given spans come to."""
        values = [measure_value(measure, roll_up, span) for measure, span in zip(self.measures, spans, strict=True)]
        return Reading(values, spans, self.reached(values), as_of)

    def reasons(self, place: int, reading: Reading) -> list[Reason]:
        """The conditions of a tier, and what they came to."""
        rule = self.policy.tiers[place].qualify
        found = []
        for condition in conditions(rule) if rule is not None else ():
            index = self.measures.index(Measure(condition.metric, condition.window))
            span = reading.spans[index]
            found.append(
                Reason(
                    metric=metric_name(condition.metric),
                    window=window_kind(condition.window),
                    at_least=condition.at_least,
                    value=reading.values[index],
                    first_day=span.first_day,
                    last_day=span.last_day,
                )
            )
        return found

    def lands_softly(self, place: int, reading: Reading) -> bool:
        """Whether enough of a tier's rule is reached to keep it for another period."""
        rule, share_bp = self.policy.tiers[place].qualify, self.policy.soft_landing_bp
        return bool(share_bp) and rule is not None and matcher(rule, self.measures, share_bp=share_bp)(reading.values)


def start_state(rules: Rules, *, member_id: UUID) -> TierState:
    """A member who did nothing yet: in the base tier since ever."""
    return TierState(
        member_id=member_id,
        ladder_code=rules.policy.code,
        programme_id=rules.version.programme_id,
        tier_code=rules.policy.base.code,
        tier_rank=rules.policy.base.rank,
        ladder_version=rules.version.version,
    )


def not_before(state: TierState, moment: datetime) -> datetime:
    """`moment`, or the member's last change where that is later: history is never rewritten."""
    return moment if state.changed_at is None else max(moment, state.changed_at)


def decide_activity(
    rules: Rules, state: TierState, roll_up: RollUp, *, moment: datetime, cause: str, refunded: bool = True
) -> Decision | None:
    """What activity leads to at once: up, a review to come that will move up, or what a refund undid; else None.

    `refunded` False says that nothing was taken off since the last decision, so that nothing can be undone.
    """
    now = rules.read(state, roll_up, rules.day_of(moment))
    place = rules.position(state)
    if now.reached > place:
        if rules.policy.upgrade == "at_once":
            return _up(rules, state, now, moment=moment, cause=cause)
        due = upgrade_review(rules, moment)
        if state.review_at is None or due < state.review_at:
            return Decision(msgspec.structs.replace(state, review_at=due), None)
        return None
    if refunded and now.reached < place and may_be_undone(rules, state):
        return _undo(rules, state, roll_up, now, moment=moment, cause=cause)
    return None


def upgrade_review(rules: Rules, moment: datetime) -> datetime:
    """When a tier that is reached is given, where that is not at once: the first day of the next month or year."""
    day = rules.day_of(moment)
    if rules.policy.upgrade == "at_year_start" or day.month == 12:  # noqa: PLR2004  (December)
        return start_of_local_day(date(day.year + 1, 1, 1), rules.time_zone)
    return start_of_local_day(date(day.year, day.month + 1, 1), rules.time_zone)


def may_be_undone(rules: Rules, state: TierState) -> bool:
    """Whether a refund can undo the tier: it was reached by the rule of this very version."""
    return (
        rules.policy.refunds == "recheck_at_once"
        and state.qualified_on is not None
        and not state.granted
        and state.ladder_version == rules.version.version
    )


def _undo(
    rules: Rules, state: TierState, roll_up: RollUp, now: Reading, *, moment: datetime, cause: str
) -> Decision | None:
    assert state.qualified_on is not None  # noqa: S101  (may_be_undone)
    place = rules.position(state)
    spans = rules.spans(state, state.qualified_on, counts_from=state.qualified_from)
    then = rules.reading(roll_up, spans, as_of=state.qualified_on)
    if then.reached >= place:
        return None
    best = max(then, now, key=lambda reading: reading.reached)
    day = rules.day_of(moment)
    until = _holds_until(rules, best.reached, day, confirmed=False)
    return _decide(
        rules,
        state,
        then,
        kind="undone",
        to=best.reached,
        moment=moment,
        cause=cause,
        until=until,
        counts_from=state.qualified_from,
    )


def review_readings(rules: Rules, state: TierState, roll_up: RollUp, *, moment: datetime) -> list[Reading]:
    """What a review looks at; the best of them counts.

    The windows of the period that closed; where the grace is over, the same windows kept open through it; where tiers
    are given at the start of a month or year, what was reached by then and leads up; and what counts today, so that
    nobody is lowered who would be moved up again at once.
    """
    readings = []
    if is_closing(state, moment) and not state.granted:
        close_day = _close_day(rules, state)
        spans = rules.spans(state, close_day, counts_from=state.counts_from)
        readings.append(rules.reading(roll_up, spans, as_of=close_day))
        grace_end = _grace_end(rules, state)
        if grace_end <= moment and grace_end != state.valid_until:
            through = _day_before(rules, grace_end)
            readings.append(rules.reading(roll_up, [Span(span.first_day, through) for span in spans], as_of=None))
    if rules.policy.upgrade != "at_once":
        reading = rules.read(state, roll_up, upgrade_eve(rules, moment))
        readings += [reading] if reading.reached > rules.position(state) else []
    readings.append(rules.read(state, roll_up, rules.day_of(moment)))
    return readings


def upgrade_eve(rules: Rules, moment: datetime) -> date:
    """The day before the last one on which tiers were given, where that is not at once: what was reached by then."""
    day = rules.day_of(moment)
    return (day.replace(month=1, day=1) if rules.policy.upgrade == "at_year_start" else day.replace(day=1)) - _ONE_DAY


def is_closing(state: TierState, moment: datetime) -> bool:
    """Whether the time a tier holds, and its grace, are over; otherwise a review only looks for a higher tier."""
    ends = state.grace_until or state.valid_until
    return ends is not None and ends <= moment


def keep_spans(rules: Rules, state: TierState, today: date) -> list[Span] | None:
    """The days whose sums the coming review asks for, as far as they are over; None where none is coming."""
    if state.valid_until is None or state.granted:
        return None
    closed = rules.spans(state, _close_day(rules, state), counts_from=state.counts_from)
    last_day = _day_before(rules, state.grace_until or state.valid_until)
    return [Span(span.first_day, min(last_day, today)) for span in closed]


def decide_review(rules: Rules, state: TierState, roll_up: RollUp, *, moment: datetime, cause: str) -> Decision | None:
    """Confirm, give grace, or lower a tier whose review is due, or give one that was reached; None where none is due.

    Periods follow each other without a gap, so a review that comes late ends in the tiers of one in time.
    """
    if state.review_at is None or moment < state.review_at:
        return None
    readings = review_readings(rules, state, roll_up, moment=moment)
    best, place = max(readings, key=lambda reading: reading.reached), rules.position(state)
    if best.reached > place:
        return _up(rules, state, best, moment=moment, cause=cause)
    if not is_closing(state, moment):
        return Decision(msgspec.structs.replace(state, review_at=state.grace_until or state.valid_until), None)
    if state.granted:
        return end_grant(rules, state, best, moment=moment, cause=cause)
    return _close(rules, state, readings, best, moment=moment, cause=cause, close_day=_close_day(rules, state))


def decide_start(rules: Rules, state: TierState, roll_up: RollUp, *, moment: datetime, cause: str) -> Decision | None:
    """What a version does to a member on the day it takes force, by its `at_start`; None where nothing changes."""
    today = rules.day_of(moment)
    reading, place = rules.read(state, roll_up, today), rules.position(state)
    if reading.reached > place:
        return _up(rules, state, reading, moment=moment, cause=cause)
    if place == 0 or state.granted:
        return None
    if rules.policy.at_start == "raise_only" or reading.reached >= place:
        return _give_end(rules, state, today)
    decision = _close(rules, state, [reading], reading, moment=moment, cause=cause, close_day=today - timedelta(days=1))
    if decision.change is None or decision.change.kind in ("kept", "soft_landing"):
        return _give_end(rules, state, today)
    already = decision.change.kind == "grace" and state.grace_until is not None
    return None if already else decision


def _give_end(rules: Rules, state: TierState, today: date) -> Decision | None:
    """Say how long a tier holds that had no end until now, where the new version gives it one."""
    until = _holds_until(rules, rules.position(state), today, confirmed=False)
    if state.valid_until is not None or until is None:
        return None
    return Decision(msgspec.structs.replace(state, valid_until=until, review_at=state.grace_until or until), None)


def _up(rules: Rules, state: TierState, reading: Reading, *, moment: datetime, cause: str) -> Decision:
    day = rules.day_of(moment)
    until = _holds_until(rules, reading.reached, day, confirmed=False)
    return _decide(
        rules,
        state,
        reading,
        kind="upgrade",
        to=reading.reached,
        moment=moment,
        cause=cause,
        until=until,
        counts_from=day + timedelta(days=1),
        qualified_on=reading.as_of,
    )


def _close(
    rules: Rules,
    state: TierState,
    readings: Sequence[Reading],
    best: Reading,
    *,
    moment: datetime,
    cause: str,
    close_day: date,
) -> Decision:
    """What becomes of a tier whose period closed and whose member reaches no higher one."""
    place, policy = rules.position(state), rules.policy
    kind: ChangeKind = "kept"
    to = place
    if best.reached < place and policy.downgrade != "never":
        if any(rules.lands_softly(place, reading) for reading in readings):
            kind = "soft_landing"
        elif moment < (grace_end := _grace_end(rules, state, close_day=close_day)):
            closed = end_of_local_day(close_day, rules.time_zone)
            return _give_grace(rules, state, best, moment=moment, cause=cause, closed=closed, grace_end=grace_end)
        else:
            kind, to = "downgrade", place - 1 if policy.downgrade == "one_step" else best.reached
    until = _holds_until(rules, to, close_day, confirmed=True)
    return _decide(
        rules,
        state,
        best,
        kind=kind,
        to=to,
        moment=moment,
        cause=cause,
        until=until,
        counts_from=close_day + timedelta(days=1),
        qualified_on=best.as_of if best.reached == place else None,
    )


def end_grant(rules: Rules, state: TierState, reading: Reading, *, moment: datetime, cause: str) -> Decision:
    """Off a granted tier: to the one reached today, or to the one before the grant while that still holds."""
    place, to = rules.position(state), reading.reached
    day = rules.day_of(moment)
    former = rules.policy.position(state.former_tier or "", state.former_rank or 0)
    former_holds = state.former_until is None or state.former_until > moment
    if to == place:
        return _decide(
            rules,
            state,
            reading,
            kind="kept",
            to=to,
            moment=moment,
            cause=cause,
            until=_holds_until(rules, to, day, confirmed=False),
            counts_from=day + timedelta(days=1),
            qualified_on=reading.as_of,
        )
    back = former_holds and former >= to
    until = state.former_until if back and former > 0 else _holds_until(rules, to, day, confirmed=False)
    return _decide(
        rules,
        state,
        reading,
        kind="grant_ended",
        to=former if back else to,
        moment=moment,
        cause=cause,
        until=until,
        counts_from=state.counts_from,
    )


def _close_day(rules: Rules, state: TierState) -> date:
    """The last day of the period under review."""
    assert state.valid_until is not None  # noqa: S101  (only a tier that holds for a time is reviewed)
    return _day_before(rules, state.valid_until)


def _day_before(rules: Rules, moment: datetime) -> date:
    return rules.day_of(moment) - timedelta(days=1)


def _grace_end(rules: Rules, state: TierState, *, close_day: date | None = None) -> datetime:
    """When the grace is over: as it was promised, else as the policy has it today."""
    if state.grace_until is not None:
        return state.grace_until
    last_day = (close_day or _close_day(rules, state)) + timedelta(days=rules.policy.grace_days)
    return start_of_local_day(last_day + timedelta(days=1), rules.time_zone)


def _holds_until(rules: Rules, place: int, day: date, *, confirmed: bool) -> datetime | None:
    """Until when a tier reached on `day` holds; None for the base tier and for a policy without a way down."""
    if place == 0 or rules.policy.downgrade == "never":
        return None
    last_day = holds_through(rules.policy.keep, day, confirmed=confirmed)
    return None if last_day is None else end_of_local_day(last_day, rules.time_zone)


def _decide(
    rules: Rules,
    state: TierState,
    reading: Reading,
    *,
    kind: ChangeKind,
    to: int,
    moment: datetime,
    cause: str,
    until: datetime | None,
    counts_from: date | None,
    qualified_on: date | None = None,
) -> Decision:
    tier = rules.policy.tiers[to]
    changed = msgspec.structs.replace(
        state,
        tier_code=tier.code,
        tier_rank=tier.rank,
        ladder_version=rules.version.version,
        since=state.since if tier.code == state.tier_code else moment,
        changed_at=moment,
        valid_until=until,
        grace_until=None,
        review_at=until,
        change_sequence=state.change_sequence + 1,
        counts_from=counts_from,
        qualified_on=qualified_on,
        qualified_from=state.counts_from if qualified_on is not None else None,
        granted=False,
        former_tier=None,
        former_rank=None,
        former_until=None,
    )
    asked = to if kind == "upgrade" else rules.position(state)
    return Decision(changed, describe(rules, state, changed, rules.reasons(asked, reading), kind=kind, cause=cause))


def _give_grace(
    rules: Rules,
    state: TierState,
    reading: Reading,
    *,
    moment: datetime,
    cause: str,
    closed: datetime,
    grace_end: datetime,
) -> Decision:
    changed = msgspec.structs.replace(
        state,
        ladder_version=rules.version.version,
        changed_at=moment,
        valid_until=closed,
        grace_until=grace_end,
        review_at=grace_end,
        change_sequence=state.change_sequence + 1,
        qualified_on=None,
        qualified_from=None,
    )
    reasons = rules.reasons(rules.position(state), reading)
    return Decision(changed, describe(rules, state, changed, reasons, kind="grace", cause=cause))


def describe(
    rules: Rules, before: TierState, after: TierState, reasons: Sequence[Reason], *, kind: ChangeKind, cause: str
) -> TierChange:
    """The line of history that leads from one state to the next."""
    assert after.changed_at is not None  # noqa: S101  (a change has its moment)
    return TierChange(
        member_id=after.member_id,
        ladder_code=after.ladder_code,
        sequence=after.change_sequence,
        kind=kind,
        cause=cause,
        ladder_version=rules.version.version,
        from_tier=before.tier_code,
        to_tier=after.tier_code,
        reasons=reasons,
        at=after.changed_at,
        valid_until=after.valid_until,
        grace_until=after.grace_until,
    )
