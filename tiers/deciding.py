"""Deciding about a tier: pure rules, fed with sums, so that calendars can be tested without a database."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from loyalty.kit.clock import end_of_local_day, local_date, start_of_local_day
from tiers.changes import ChangeKind, TierChange
from tiers.ladders import LadderVersion, LifetimeWindow, SpendMetric, TierStep
from tiers.windows import Span, holds_through, span_on, window_kind


class TierState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member is on a ladder: a row of `member_tier`.

    `changed_at` is the moment of the last decision, which no later one goes behind; `review_at` is the end of the
    grace, else the end of the time the tier holds, else None.
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


class Rules(msgspec.Struct, frozen=True):
    """What a decision is made by: the ladder version in force, in the programme's time zone."""

    version: LadderVersion
    time_zone: str

    @property
    def metrics(self) -> list[str]:
        """The roll-up metrics that count."""
        return list(self.version.ladder.metric.components())

    def tier_of(self, state: TierState) -> TierStep:
        """The member's tier in the words of this version."""
        return self.version.ladder.tier(state.tier_code, state.tier_rank)

    def day_of(self, moment: datetime) -> date:
        """The programme's calendar day."""
        return local_date(moment, self.time_zone)

    def value(self, totals: dict[str, int]) -> int:
        """What the totals of the roll-up come to: each currency converted once at its stated rate, floored."""
        parts = self.version.ladder.metric.components()
        return sum(totals.get(metric, 0) * rate_bp // 10_000 for metric, rate_bp in parts.items())


class Measure(msgspec.Struct, frozen=True):
    """What the metric came to over some days."""

    value: int
    span: Span


class Decision(msgspec.Struct, frozen=True):
    """A new state, and the change to write into the history (None: only the review date moved)."""

    state: TierState
    change: TierChange | None


def start_state(rules: Rules, *, member_id: UUID) -> TierState:
    """A member who did nothing yet: in the base tier since ever."""
    version = rules.version
    return TierState(
        member_id=member_id,
        ladder_code=version.ladder.code,
        programme_id=version.programme_id,
        tier_code=version.ladder.base.code,
        tier_rank=version.ladder.base.rank,
        ladder_version=version.version,
    )


def not_before(state: TierState, moment: datetime) -> datetime:
    """`moment`, or the member's last change where that is later: history is never rewritten."""
    return moment if state.changed_at is None else max(moment, state.changed_at)


def decide_upgrade(
    rules: Rules, state: TierState, measure: Measure, *, moment: datetime, cause: str
) -> Decision | None:
    """Up where the measure reaches a higher tier; a lifetime ladder also notes a tier no longer covered, or again."""
    tier, reached = rules.tier_of(state), rules.version.ladder.matching(measure.value)
    if reached.rank > tier.rank:
        until = _holds_until(rules, reached, rules.day_of(moment))
        return _decide(rules, state, measure, kind="upgrade", to=reached, moment=moment, cause=cause, until=until)
    if not isinstance(rules.version.ladder.window, LifetimeWindow):
        return None
    covered = measure.value >= tier.threshold
    if covered and state.grace_until is not None:
        return _decide(rules, state, measure, kind="kept", to=tier, moment=moment, cause=cause, until=None)
    if covered and state.valid_until is not None:
        return Decision(msgspec.structs.replace(state, valid_until=None, review_at=None), None)
    if not covered and state.valid_until is None and rules.version.ladder.downgrade != "never":
        until = end_of_local_day(rules.day_of(moment), rules.time_zone)
        return Decision(msgspec.structs.replace(state, valid_until=until, review_at=until), None)
    return None


def review_spans(rules: Rules, state: TierState, *, moment: datetime) -> list[Span]:
    """What a review looks at; the best of them counts.

    The window of the period that closed; where the grace is over, the same window kept open through it; and what
    counts today, so that nobody is lowered who would be moved up again at once.
    """
    closed = span_on(rules.version.ladder.window, _close_day(rules, state))
    spans = [closed]
    grace_end = _grace_end(rules, state)
    if moment >= grace_end:
        spans.append(Span(closed.first_day, _day_before(rules, grace_end)))
    spans.append(span_on(rules.version.ladder.window, rules.day_of(moment)))
    return list(dict.fromkeys(spans))


def keep_span(rules: Rules, state: TierState, today: date) -> Span | None:
    """The days whose sum the coming review asks for, as far as they are over; None where no review is coming."""
    if state.valid_until is None:
        return None
    closed = span_on(rules.version.ladder.window, _close_day(rules, state))
    last_day = closed.last_day if state.grace_until is None else _day_before(rules, state.grace_until)
    return Span(closed.first_day, min(last_day, today))


def decide_review(
    rules: Rules, state: TierState, measures: list[Measure], *, moment: datetime, cause: str
) -> Decision | None:
    """Confirm, give grace, or lower a tier whose review is due, by what `review_spans` came to; None where none is.

    Periods follow each other without a gap, so a review that comes late ends in the tiers of one in time.
    """
    if state.review_at is None or moment < state.review_at:
        return None
    ladder, tier = rules.version.ladder, rules.tier_of(state)
    best = max(measures, key=lambda measure: measure.value)
    reached = ladder.matching(best.value)
    if reached.rank > tier.rank:
        until = _holds_until(rules, reached, rules.day_of(moment))
        return _decide(rules, state, best, kind="upgrade", to=reached, moment=moment, cause=cause, until=until)
    close_day = _close_day(rules, state)
    if reached.rank == tier.rank or ladder.downgrade == "never":
        until = _holds_until(rules, tier, close_day)
        return _decide(rules, state, best, kind="kept", to=tier, moment=moment, cause=cause, until=until)
    grace_end = _grace_end(rules, state)
    if moment < grace_end:
        return _give_grace(rules, state, best, moment=moment, cause=cause, grace_end=grace_end)
    lower = ladder.below(tier) if ladder.downgrade == "one_step" else reached
    until = _holds_until(rules, lower, close_day)
    if isinstance(ladder.window, LifetimeWindow) and best.value < lower.threshold:
        until = end_of_local_day(rules.day_of(moment), rules.time_zone)
    return _decide(rules, state, best, kind="downgrade", to=lower, moment=moment, cause=cause, until=until)


def _close_day(rules: Rules, state: TierState) -> date:
    """The last day of the period under review."""
    if state.valid_until is None:
        message = "only a tier that holds for a time is reviewed"
        raise AssertionError(message)
    return _day_before(rules, state.valid_until)


def _day_before(rules: Rules, moment: datetime) -> date:
    return rules.day_of(moment) - timedelta(days=1)


def _grace_end(rules: Rules, state: TierState) -> datetime:
    """When the grace is over: as it was promised, else as the ladder has it today."""
    if state.grace_until is not None:
        return state.grace_until
    last_day = _close_day(rules, state) + timedelta(days=rules.version.ladder.grace_days)
    return start_of_local_day(last_day + timedelta(days=1), rules.time_zone)


def _holds_until(rules: Rules, tier: TierStep, day: date) -> datetime | None:
    """Until when a tier reached on `day` holds; None for the base tier and for a ladder without a way down."""
    ladder = rules.version.ladder
    last_day = None if tier == ladder.base or ladder.downgrade == "never" else holds_through(ladder.window, day)
    return None if last_day is None else end_of_local_day(last_day, rules.time_zone)


def _decide(
    rules: Rules,
    state: TierState,
    measure: Measure,
    *,
    kind: ChangeKind,
    to: TierStep,
    moment: datetime,
    cause: str,
    until: datetime | None,
) -> Decision:
    asked = to if kind == "upgrade" else rules.tier_of(state)
    changed = msgspec.structs.replace(
        state,
        tier_code=to.code,
        tier_rank=to.rank,
        ladder_version=rules.version.version,
        since=state.since if to.code == state.tier_code else moment,
        changed_at=moment,
        valid_until=until,
        grace_until=None,
        review_at=until,
        change_sequence=state.change_sequence + 1,
    )
    return Decision(
        changed, describe(rules, state, changed, measure, kind=kind, cause=cause, threshold=asked.threshold)
    )


def _give_grace(
    rules: Rules, state: TierState, measure: Measure, *, moment: datetime, cause: str, grace_end: datetime
) -> Decision:
    changed = msgspec.structs.replace(
        state,
        ladder_version=rules.version.version,
        changed_at=moment,
        grace_until=grace_end,
        review_at=grace_end,
        change_sequence=state.change_sequence + 1,
    )
    threshold = rules.tier_of(state).threshold
    return Decision(changed, describe(rules, state, changed, measure, kind="grace", cause=cause, threshold=threshold))


def describe(
    rules: Rules,
    before: TierState,
    after: TierState,
    measure: Measure,
    *,
    kind: ChangeKind,
    cause: str,
    threshold: int,
) -> TierChange:
    """The line of history that leads from one state to the next."""
    if after.changed_at is None:
        message = "a change has its moment"
        raise AssertionError(message)
    return TierChange(
        member_id=after.member_id,
        ladder_code=after.ladder_code,
        sequence=after.change_sequence,
        kind=kind,
        cause=cause,
        ladder_version=rules.version.version,
        from_tier=before.tier_code,
        to_tier=after.tier_code,
        metric=metric_name(rules.version),
        value=measure.value,
        threshold=threshold,
        window_kind=window_kind(rules.version.ladder.window),
        window_first_day=measure.span.first_day,
        window_last_day=measure.span.last_day,
        at=after.changed_at,
        valid_until=after.valid_until,
        grace_until=after.grace_until,
    )


def metric_name(version: LadderVersion) -> str:
    """`points`, `growth`, or `spend:GBP`: the metric's name in the roll-up and in history."""
    metric = version.ladder.metric
    return f"spend:{metric.currency}" if isinstance(metric, SpendMetric) else next(iter(metric.components()))
