"""Python and SQL decide alike, for any policy, history, refund and clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.driver import uuid_array
from loyalty.kit.programme import programme_table
from loyalty.members.tables import member_table
from tests.factories import make_programme
from tiers.bulk import Bulk, Occasion
from tiers.bulk_dates import SharedDates
from tiers.bulk_states import STATE
from tiers.changes import Reason
from tiers.counting import Activity, count_activities
from tiers.deciding import Decision, Rules, TierState, decide_review, decide_start, keep_spans, not_before
from tiers.grants import grant_tier
from tiers.policies import (
    Keep,
    KeepForever,
    KeepMonths,
    KeepUntilNextYearEnd,
    KeepUntilYearEnd,
    Tier,
    TierPolicy,
)
from tiers.reading import history
from tiers.review import review_due
from tiers.rules import (
    AllOf,
    AnyOf,
    GrowthMetric,
    Metric,
    OrdersMetric,
    Reach,
    SpendMetric,
    TierRule,
    VisitsMetric,
)
from tiers.states import load_rules, read_state, roll_ups
from tiers.tables import member_tier_table
from tiers.versions import publish_policy
from tiers.warnings import list_warnings, warn_members
from tiers.windows import (
    CalendarYearWindow,
    LifetimeWindow,
    MembershipYearWindow,
    RollingMonthsWindow,
    TierStartWindow,
    Window,
)

FIRST = datetime(2023, 11, 20, tzinfo=UTC)
ZONES = ["Asia/Shanghai", "America/New_York", "America/Havana"]

WINDOWS: st.SearchStrategy[Window] = st.sampled_from(
    [
        LifetimeWindow(),
        CalendarYearWindow(),
        MembershipYearWindow(),
        RollingMonthsWindow(months=1),
        RollingMonthsWindow(months=3),
        TierStartWindow(),
    ]
)
METRICS: st.SearchStrategy[Metric] = st.sampled_from(
    [GrowthMetric(), SpendMetric(currency="CNY", other_rates_bp={"USD": 70_001}), OrdersMetric(), VisitsMetric()]
)


@st.composite
def rules(draw: st.DrawFn, level: int) -> TierRule:
    def reach() -> Reach:
        metric = draw(METRICS)
        small = isinstance(metric, OrdersMetric | VisitsMetric)
        return Reach(metric=metric, window=draw(WINDOWS), at_least=level * (1 if small else draw(st.integers(40, 110))))

    shape = draw(st.sampled_from(["one", "one", "all", "any", "nested"]))
    if shape == "one":
        return reach()
    if shape == "nested":
        return AllOf(rules=(reach(), AnyOf(rules=(reach(), reach()))))
    return (AllOf if shape == "all" else AnyOf)(rules=(reach(), reach()))


@st.composite
def policies(draw: st.DrawFn) -> TierPolicy:
    keeps: st.SearchStrategy[Keep] = st.sampled_from(
        [KeepMonths(months=1), KeepMonths(months=3), KeepUntilYearEnd(), KeepUntilNextYearEnd(), KeepForever()]
    )
    return TierPolicy(
        tiers=(
            Tier(code="member", name={"zh": "会员", "en": "Member"}, rank=0),
            *(
                Tier(code=code, name={"zh": code, "en": code}, rank=level * 10, qualify=draw(rules(level)))
                for level, code in enumerate(["silver", "gold", "black"], start=1)
            ),
        ),
        upgrade=draw(st.sampled_from(["at_once", "at_once", "at_month_start", "at_year_start"])),
        keep=draw(keeps),
        downgrade=draw(st.sampled_from(["one_step", "to_matching", "never"])),
        grace_days=draw(st.sampled_from([0, 0, 9])),
        warning_days=draw(st.sampled_from([0, 20])),
        soft_landing_bp=draw(st.sampled_from([0, 0, 6_667])),
        requalification=draw(st.sampled_from(["keeps_window", "resets_window"])),
        refunds=draw(st.sampled_from(["keep_until_review", "recheck_at_once"])),
        at_start=draw(st.sampled_from(["raise_only", "place_all"])),
    )


EVENT = st.tuples(
    st.integers(0, 2),  # which member
    st.sampled_from(["growth", "spend:CNY", "spend:USD", "orders", "order", "refund", "late", "grant", "review"]),
    st.sampled_from([60, 60, 130, 250]),
    st.integers(0, 45),  # days since what happened before
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    versions=st.lists(policies(), min_size=1, max_size=2),
    zone=st.sampled_from(ZONES),
    events=st.lists(EVENT, min_size=8, max_size=22),
)
async def test_bulk_and_single_decide_alike(
    connection: AsyncConnection, versions: list[TierPolicy], zone: str, events: list[tuple[int, str, int, int]]
) -> None:
    story = await Story.begin(connection, zone)
    changes = len(events) // 2
    for number, (member, what, amount, days) in enumerate(events):
        if number in (0, changes) and versions:
            await story.publish(versions.pop(0))
        story.now += timedelta(days=days, hours=7)
        await story.tell(member, what, amount, number)
        await story.compare("start")
    story.now += timedelta(days=400)
    await story.review()


class Story:
    """Members to whom things happen, each decision made twice."""

    def __init__(self, connection: AsyncConnection, programme_id: UUID, members: Sequence[UUID]) -> None:
        self.connection = connection
        self.programme_id = programme_id
        self.members = members
        self.now = FIRST
        self.orders: list[tuple[UUID, datetime, int]] = []

    @classmethod
    async def begin(cls, connection: AsyncConnection, zone: str) -> Story:
        programme = await make_programme(connection)
        change = programme_table.update().filter_by(id=programme.id).values(time_zone=zone)
        await connection.execute(change)
        members = [uuid4() for _ in range(3)]
        joined = [datetime(2020, 2, 29, 12, tzinfo=UTC), datetime(2023, 12, 31, 20, tzinfo=UTC)]
        for member_id, at in zip(members, joined, strict=False):  # nobody knows when the third joined
            row = {"id": member_id, "programme_id": programme.id, "joined_at": at, "joined_channel": "shop"}
            await connection.execute(insert(member_table).values(row))
        return cls(connection, programme.id, members)

    async def publish(self, policy: TierPolicy) -> None:
        await publish_policy(
            self.connection, programme_id=self.programme_id, policy=policy, effective_at=self.now + timedelta(hours=1)
        )

    async def tell(self, member: int, what: str, amount: int, number: int) -> None:
        member_id = self.members[member]
        if what == "review":
            await self.review()
        elif what == "grant":
            state = await self.connection.scalar(select(member_tier_table.c.tier_code).filter_by(member_id=member_id))
            if state in (None, "member"):
                await grant_tier(
                    self.connection,
                    programme_id=self.programme_id,
                    member_id=member_id,
                    tier_code="gold",
                    ends_at=self.now + timedelta(days=amount // 4),
                    reason="a gift",
                    by="staff:1",
                    moment=self.now,
                )
        elif what == "refund" and self.orders:
            of, at, paid = self.orders.pop(number % len(self.orders))
            await self.count(of, at, {"spend:CNY": -paid, "growth": -paid, "orders": -1})
        elif what in ("order", "late", "refund"):
            at = self.now - timedelta(days=amount if what == "late" else 0)
            self.orders.append((member_id, at, amount))
            await self.count(member_id, at, {"spend:CNY": amount, "growth": amount, "orders": 1})
        else:
            await self.count(member_id, self.now, {what: 1 if what == "orders" else amount})

    async def count(self, member_id: UUID, at: datetime, amounts: dict[str, int]) -> None:
        activities = [
            Activity(
                member_id=member_id, metric=metric, amount=amount, counts_at=at, happened_at=self.now, cause="order:1"
            )
            for metric, amount in amounts.items()
        ]
        await count_activities(self.connection, programme_id=self.programme_id, activities=activities)

    async def review(self) -> None:
        await self.compare("warn")
        for _ in range(60):
            single = await self.compare("due")
            batch = await review_due(self.connection, programme_id=self.programme_id, moment=self.now)
            assert batch.members == len(single)
            await self.compare_written(single)
            if not batch.members:
                return
        raise AssertionError("a review never ends")

    async def compare_written(self, single: dict[UUID, Any]) -> None:
        """What a review wrote: everybody's state, and the newest change of those about whom it decided."""
        rows = await self.connection.execute(select(member_tier_table).filter_by(programme_id=self.programme_id))
        for state in [read_state(row) for row in rows]:
            decided = single.get(state.member_id)
            if decided is None:
                continue
            assert {field: getattr(state, field) for field in STATE} == {field: decided[field] for field in STATE}
            if decided["kind"] is None:
                continue
            change, *_ = await history(self.connection, member_id=state.member_id)
            assert (change.kind, change.cause, list(change.reasons)) == (decided["kind"], "review", decided["reasons"])
            assert (change.to_tier, change.ladder_version) == (state.tier_code, state.ladder_version)
            assert (change.at, change.valid_until, change.grace_until) == (
                state.changed_at,
                state.valid_until,
                state.grace_until,
            )

    async def compare(self, occasion: Occasion) -> dict[UUID, Any]:
        """Both forms of the rules, on the members as they are now; what Python decides about whom."""
        rules = await load_rules(self.connection, programme_id=self.programme_id, ladder_code="main", moment=self.now)
        assert rules is not None
        rows = await self.connection.execute(select(member_tier_table).filter_by(programme_id=self.programme_id))
        states = [read_state(row) for row in rows]
        done = await roll_ups(self.connection, rules.metrics, [state.member_id for state in states])
        if occasion == "warn":
            await self.compare_warnings(rules, states, done)
            return {}
        single = {}
        for state in states:
            moment = not_before(state, self.now)
            if occasion == "start":
                decision = decide_start(rules, state, done[state.member_id], moment=moment, cause="x")
            elif state.review_at is None or state.review_at > self.now:
                decision = None
            else:
                decision = decide_review(rules, state, done[state.member_id], moment=moment, cause="x")
            if decision is not None:
                single[state.member_id] = told(decision)
        due = f"m.review_at <= '{self.now.isoformat()}'::timestamptz" if occasion == "due" else "true"
        assert await self.decided(Bulk(rules, occasion=occasion, moment=self.now, members=due)) == single
        await self.compare_alike(occasion, rules, due, states, single)
        return single

    async def compare_alike(
        self, occasion: Occasion, rules: Rules, due: str, states: Sequence[TierState], single: dict[UUID, Any]
    ) -> None:
        """The short form, of members whose days are the same: each group of them."""
        ends = {state.valid_until for state in states if state.valid_until and state.valid_until <= self.now}
        for until in ends if occasion == "due" else {None}:
            dates = SharedDates.find(rules, moment=self.now, valid_until=until)
            if dates is None:
                continue
            alike = {
                state.member_id
                for state in states
                if not_before(state, self.now) == self.now
                and (until is None or (state.valid_until == until and state.grace_until is None))
            }
            decided = {member: decided for member, decided in single.items() if member in alike}
            for bulk in (
                Bulk(rules, occasion=occasion, moment=self.now, members=due, dates=dates),
                Bulk(rules, occasion=occasion, moment=self.now, listed=uuid_array([*alike]), dates=dates),
            ):
                assert await self.decided(bulk) == decided

    async def decided(self, bulk: Bulk) -> dict[UUID, Any]:
        rows = await self.connection.exec_driver_sql(bulk.decided())
        return {row.member_id: row_told(row._mapping) for row in rows}

    async def compare_warnings(self, rules: Rules, states: Sequence[TierState], done: Any) -> None:
        await warn_members(self.connection, programme_id=self.programme_id, moment=self.now)
        warned = {each.member_id: each for each in await list_warnings(self.connection, programme_id=self.programme_id)}
        for state in states:
            spans = keep_spans(rules, state, rules.day_of(self.now))
            soon = self.now + timedelta(days=rules.policy.warning_days)
            if not spans or not rules.policy.warning_days or rules.policy.downgrade == "never" or state.grace_until:
                continue
            if state.valid_until is None or not self.now < state.valid_until <= soon or state.changed_at > self.now:  # type: ignore[operator]
                continue
            if state.review_at != state.valid_until:
                continue
            reading = rules.reading(done[state.member_id], spans, as_of=None)
            place = rules.position(state)
            mine = warned.get(state.member_id)
            assert (mine is not None and mine.ends_at == state.valid_until) or reading.reached >= place
            if reading.reached < place and mine is not None and mine.warned_at == self.now:
                assert mine.reasons == rules.reasons(place, reading)


def told(decision: Decision) -> dict[str, Any]:
    change = decision.change
    return {
        "kind": change.kind if change else None,
        "reasons": list(change.reasons) if change else None,
        **{field: getattr(decision.state, field) for field in STATE},
    }


def row_told(row: Any) -> dict[str, Any]:
    reasons = msgspec.convert(row["reasons"], list[Reason]) if row["kind"] else None
    return {"kind": row["kind"], "reasons": reasons, **{field: row[field] for field in STATE}}
