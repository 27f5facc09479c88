"""Laws that hold for every policy, calendar and purse."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from loyalty.kit.clock import start_of_local_day
from tiers.deciding import Rules, TierState, decide_activity, decide_review, start_state
from tiers.ladders import Ladder, TierStep
from tiers.policies import DowngradePolicy, PolicyVersion
from tiers.rules import GrowthMetric, Measure, SpendMetric, measure_value
from tiers.windows import CalendarYearWindow, MembershipYearWindow, RollingMonthsWindow, Span, Window, span_on

ZONE = "America/New_York"
DAYS = st.dates(date(2019, 1, 1), date(2026, 12, 31))
ROLLING = st.integers(1, 24).map(lambda months: RollingMonthsWindow(months=months))
WINDOWS = st.one_of(st.just(CalendarYearWindow()), ROLLING)


def _rules(window: Window, downgrade: DowngradePolicy = "one_step", grace_days: int = 0) -> Rules:
    tiers = [
        TierStep(code=code, name={"zh": code, "en": code}, rank=rank, threshold=rank * 100)
        for rank, code in enumerate(["member", "silver", "gold", "black"])
    ]
    ladder = Ladder(metric=GrowthMetric(), window=window, tiers=tiers, downgrade=downgrade, grace_days=grace_days)
    published = datetime(2019, 1, 1, tzinfo=UTC)
    version = PolicyVersion(
        programme_id=UUID(int=1), version=1, policy=ladder.policy(), effective_at=published, published_at=published
    )
    return Rules(version, ZONE)


def _review(rules: Rules, state: TierState, activity: dict[date, int], moment: datetime) -> TierState:
    """Review until nothing is due."""
    while state.review_at is not None and state.review_at <= moment:
        decision = decide_review(rules, state, {"growth": activity}, moment=moment, cause="review")
        assert decision is not None
        state = decision.state
    return state


def _reached(rules: Rules, activity: dict[date, int], day: date) -> TierState:
    state = start_state(rules, member_id=UUID(int=2))
    moment = start_of_local_day(day, ZONE)
    started = decide_activity(rules, state, {"growth": activity}, moment=moment, cause="order")
    return started.state if started else state


@given(st.one_of(WINDOWS, st.just(MembershipYearWindow())), DAYS, DAYS)
def test_the_day_itself_always_counts_and_from_day_to_day_a_window_never_reaches_further_back(
    window: Window, day: date, joined_on: date
) -> None:
    today = span_on(window, day, joined_on=joined_on)
    tomorrow = span_on(window, day + timedelta(days=1), joined_on=joined_on)
    assert today.first_day is not None
    assert tomorrow.first_day is not None
    assert today.first_day <= today.last_day == day
    assert today.first_day <= tomorrow.first_day


@given(
    WINDOWS,
    st.sampled_from(["one_step", "to_matching"]),
    st.integers(0, 60),
    st.dictionaries(DAYS, st.integers(1, 400), min_size=1, max_size=6),
    st.lists(st.integers(1, 900), min_size=1, max_size=6),
)
def test_reviews_that_come_late_or_seldom_end_in_the_tier_of_those_in_time(
    window: Window, downgrade: DowngradePolicy, grace_days: int, activity: dict[date, int], lateness_days: list[int]
) -> None:
    rules = _rules(window, downgrade, grace_days)
    last = max(activity)
    moment = start_of_local_day(last, ZONE)
    state = _reached(rules, activity, last)
    end = moment + timedelta(days=366 * 12)

    in_time = state
    while in_time.review_at is not None and in_time.review_at <= end:
        in_time = _review(rules, in_time, activity, in_time.review_at)
    late, when = state, moment
    for days in lateness_days:
        when += timedelta(days=days)
        late = _review(rules, late, activity, when)
    late = _review(rules, late, activity, end)

    assert (late.tier_code, late.valid_until) == (in_time.tier_code, in_time.valid_until)


@given(WINDOWS, st.integers(0, 60), st.integers(0, 500), DAYS, st.integers(0, 500))
def test_a_review_lowers_by_one_step_at_most_and_never_who_matches(
    window: Window, grace_days: int, value: int, day: date, later_value: int
) -> None:
    rules = _rules(window, "one_step", grace_days)
    state = _reached(rules, {day: value}, day)
    if state.review_at is None:
        return
    moment = state.review_at + timedelta(days=100)
    later = rules.day_of(moment)
    decision = decide_review(rules, state, {"growth": {later: later_value}}, moment=moment, cause="review")
    assert decision is not None
    matching = rules.reached([later_value])
    assert decision.state.tier_rank == (matching if matching >= state.tier_rank else state.tier_rank - 1)


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_foreign_spend_is_converted_once_and_never_rounded_up(own: int, other: int, rate_bp: int) -> None:
    measure = Measure(SpendMetric(currency="GBP", other_rates_bp={"USD": rate_bp}), CalendarYearWindow())
    day = date(2025, 3, 1)
    done = {"spend:GBP": {day: own}, "spend:USD": {day: other}, "spend:JPY": {day: 10**9}}
    exact = own * 10_000 + other * rate_bp
    assert 0 <= exact - measure_value(measure, done, Span(day, day)) * 10_000 < 10_000
