"""Laws that hold for every ladder, calendar and purse."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from loyalty.kit.clock import start_of_local_day
from tiers.deciding import Measure, Rules, TierState, decide_review, decide_upgrade, review_spans, start_state
from tiers.ladders import (
    CalendarYearWindow,
    DowngradePolicy,
    GrowthMetric,
    Ladder,
    LadderVersion,
    RollingMonthsWindow,
    SpendMetric,
    TierStep,
    Window,
)
from tiers.windows import Span, holds_through, span_on

ZONE = "America/New_York"
DAYS = st.dates(date(2019, 1, 1), date(2026, 12, 31))
WINDOWS = st.one_of(
    st.just(CalendarYearWindow()), st.integers(1, 24).map(lambda months: RollingMonthsWindow(months=months))
)


def _rules(window: Window, downgrade: DowngradePolicy = "one_step", grace_days: int = 0) -> Rules:
    tiers = [
        TierStep(code=code, name={"zh": code, "en": code}, rank=rank, threshold=rank * 100)
        for rank, code in enumerate(["member", "silver", "gold", "black"])
    ]
    ladder = Ladder(metric=GrowthMetric(), window=window, tiers=tiers, downgrade=downgrade, grace_days=grace_days)
    published = datetime(2019, 1, 1, tzinfo=UTC)
    return Rules(
        LadderVersion(
            programme_id=UUID(int=1), version=1, ladder=ladder, effective_at=published, published_at=published
        ),
        ZONE,
    )


def _measure(activity: dict[date, int], span: Span) -> Measure:
    first = span.first_day or date.min
    return Measure(sum(amount for day, amount in activity.items() if first <= day <= span.last_day), span)


def _review(rules: Rules, state: TierState, activity: dict[date, int], moment: datetime) -> TierState:
    """Review until nothing is due."""
    while state.review_at is not None and state.review_at <= moment:
        measures = [_measure(activity, span) for span in review_spans(rules, state, moment=moment)]
        decision = decide_review(rules, state, measures, moment=moment, cause="review")
        assert decision is not None
        state = decision.state
    return state


@given(WINDOWS, DAYS)
def test_the_day_itself_always_counts_and_the_window_never_starts_after_it(window: Window, day: date) -> None:
    span = span_on(window, day)
    assert span.first_day is not None
    assert span.first_day <= span.last_day == day


@given(WINDOWS, DAYS)
def test_from_day_to_day_a_window_never_reaches_further_back(window: Window, day: date) -> None:
    today, tomorrow = span_on(window, day), span_on(window, day + timedelta(days=1))
    assert today.first_day is not None
    assert tomorrow.first_day is not None
    assert today.first_day <= tomorrow.first_day


@given(WINDOWS, DAYS)
def test_the_review_asks_for_no_less_than_the_time_since_the_tier_was_reached(window: Window, day: date) -> None:
    last_day = holds_through(window, day)
    assert last_day is not None
    assert last_day > day
    first_day = span_on(window, last_day).first_day
    assert first_day is not None
    whole_year_after = isinstance(window, CalendarYearWindow) and first_day == date(day.year + 1, 1, 1)
    assert whole_year_after or first_day <= day + timedelta(days=1)


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
    started = decide_upgrade(
        rules,
        start_state(rules, member_id=UUID(int=2)),
        _measure(activity, span_on(window, last)),
        moment=moment,
        cause="order",
    )
    state = started.state if started else start_state(rules, member_id=UUID(int=2))
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
    window: Window, grace_days: int, value: int, day: date, reviewed_value: int
) -> None:
    rules = _rules(window, "one_step", grace_days)
    start = start_state(rules, member_id=UUID(int=2))
    up = decide_upgrade(
        rules, start, Measure(value, span_on(window, day)), moment=start_of_local_day(day, ZONE), cause="order"
    )
    if up is None or up.state.review_at is None:
        return
    moment = up.state.review_at + timedelta(days=100)
    spans = review_spans(rules, up.state, moment=moment)
    decision = decide_review(
        rules, up.state, [Measure(reviewed_value, span) for span in spans], moment=moment, cause="review"
    )
    assert decision is not None
    matching = rules.version.ladder.matching(reviewed_value).rank
    lowered = up.state.tier_rank - decision.state.tier_rank
    if matching >= up.state.tier_rank:
        assert decision.state.tier_rank == matching
    else:
        assert lowered == 1


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_foreign_spend_is_converted_once_and_never_rounded_up(own: int, other: int, rate_bp: int) -> None:
    rules = _rules(CalendarYearWindow())
    ladder = Ladder(
        metric=SpendMetric(currency="GBP", other_rates_bp={"USD": rate_bp}),
        window=rules.version.ladder.window,
        tiers=rules.version.ladder.tiers,
    )
    version = LadderVersion(
        programme_id=UUID(int=1),
        version=1,
        ladder=ladder,
        effective_at=rules.version.effective_at,
        published_at=rules.version.published_at,
    )
    value = Rules(version, ZONE).value({"spend:GBP": own, "spend:USD": other, "spend:JPY": 10**9})
    exact = own * 10_000 + other * rate_bp
    assert 0 <= exact - value * 10_000 < 10_000
