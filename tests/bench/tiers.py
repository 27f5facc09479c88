"""Tiers of many members: review and simulation in bulk, against the one aggregate that any solution has to run.

Two years of orders lie in the roll-up in the order in which they happened, so that no member's rows lie together. All
members but those of the first tier are due at once, as on 1 January. Python then decides about each member too,
streamed, and has to come to the very state that was written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import create_engine, libpq_address, transaction
from tests.bench.report import Measure
from tests.factories import make_programme
from tiers.bulk import Bulk
from tiers.deciding import Rules, TierState, decide_review
from tiers.policies import KeepUntilNextYearEnd, Tier, TierPolicy
from tiers.review import review_all
from tiers.rules import AllOf, OrdersMetric, Reach, SpendMetric
from tiers.simulation import simulate
from tiers.states import load_rules
from tiers.versions import publish_policy
from tiers.windows import CalendarYearWindow

BEGIN, DAYS = date(2024, 1, 1), 731
MOMENT = datetime(2025, 12, 31, 16, 30, tzinfo=UTC)
"""Half past midnight on 1 January 2026 in Shanghai."""
EVE = datetime(2025, 12, 31, 4, tzinfo=UTC)
"""Noon before it."""
ORDERS_A_MEMBER = 6
ROUNDS = 2

_FIELDS = TierState.__struct_fields__
_LISTED = ", ".join(_FIELDS)
_YEAR = CalendarYearWindow()


def _tier(code: str, rank: int, spend_minor: int, orders: int) -> Tier:
    return Tier(
        code=code,
        name={"zh": code, "en": code},
        rank=rank,
        qualify=AllOf(
            rules=(
                Reach(metric=SpendMetric(currency="CNY"), window=_YEAR, at_least=spend_minor),
                Reach(metric=OrdersMetric(), window=_YEAR, at_least=orders),
            )
        ),
        benefit_cost_minor=rank * 100,
        earn_rate_bp=10_000 + rank * 1_000,
    )


POLICY = TierPolicy(
    tiers=(
        Tier(code="member", name={"zh": "member", "en": "member"}, rank=0),
        _tier("silver", 1, 200_000, 2),
        _tier("gold", 2, 450_000, 4),
        _tier("black", 3, 750_000, 6),
    ),
    keep=KeepUntilNextYearEnd(),
    at_start="place_all",
)

_ACTIVITY = """
    INSERT INTO tier_activity (member_id, metric, day, programme_id, amount)
    SELECT md5('m' || bought.member)::uuid, kind.metric, %(begin)s::date + day, %(programme)s,
        CASE kind.metric WHEN 'orders' THEN 1 ELSE 20000 + abs(hashint8(bought.member * 733 + day)) %% 180000 END
    FROM generate_series(0, %(days)s - 1) AS day,
        LATERAL (SELECT DISTINCT abs(hashint8(day * 100003 + n)) %% %(members)s AS member
            FROM generate_series(1, %(a_day)s) AS n) AS bought,
        (VALUES ('orders'), ('spend:CNY')) AS kind (metric)
"""
_STATES = """
    INSERT INTO member_tier (member_id, ladder_code, programme_id, tier_code, tier_rank, ladder_version, since,
        changed_at, valid_until, review_at, change_sequence, joined_on)
    SELECT md5('m' || n)::uuid, 'main', %(programme)s, (ARRAY['member', 'silver', 'gold', 'black'])[place + 1],
        place, 1, '2024-12-31 16:30+00', '2024-12-31 16:30+00', CASE WHEN place > 0 THEN ends END,
        CASE WHEN place > 0 THEN ends END, 0, %(begin)s
    FROM (SELECT n, CASE WHEN h < 50 THEN 0 WHEN h < 78 THEN 1 WHEN h < 94 THEN 2 ELSE 3 END AS place
        FROM (SELECT n, abs(hashint8(n)) %% 100 AS h FROM generate_series(0, %(members)s - 1) AS n) AS hashed
        ) AS placed,
        (VALUES ('2025-12-31 16:00+00'::timestamptz)) AS until (ends)
"""
_AGGREGATE = """
    SELECT count(*), sum(spend), sum(orders) FROM (
        SELECT member_id, sum(amount) FILTER (WHERE metric = 'spend:CNY') AS spend,
            sum(amount) FILTER (WHERE metric = 'orders') AS orders
        FROM tier_activity
        WHERE programme_id = %(programme)s AND metric IN ('spend:CNY', 'orders')
            AND day BETWEEN '2025-01-01' AND '2025-12-31'
        GROUP BY member_id
    ) AS sums
"""


def measure(url: str, *, members: int = 50_000) -> list[Measure]:
    """The aggregate, the simulation and the review, of so many members."""
    return asyncio.run(_measure(url, members))


async def _measure(url: str, members: int) -> list[Measure]:
    engine = create_engine(url)
    async with transaction(engine) as connection:
        programme = await make_programme(connection)
        await publish_policy(
            connection, programme_id=programme.id, policy=POLICY, effective_at=datetime(2023, 1, 1, tzinfo=UTC)
        )
        rules = await load_rules(connection, programme_id=programme.id, ladder_code="main", moment=MOMENT)
    assert rules is not None
    with psycopg.connect(libpq_address(make_url(url)), autocommit=True) as session:
        orders = _load(session, programme.id, members)
        aggregate_ms = min(_aggregate(session, programme.id) for _ in range(ROUNDS))
        simulate_ms = [await _simulate(engine, programme.id, members) for _ in range(ROUNDS)]
        _remember(session, rules)
        begun = time.perf_counter()
        totals = await review_all(engine, programme_id=programme.id, moment=MOMENT)
        review_ms = (time.perf_counter() - begun) * 1_000
        agreed = _agree(session, rules)
        assert agreed == members
    await engine.dispose()
    shape = {"members": f"{members:,}", "orders": f"{orders:,}"}
    decided = {
        "reviewed": f"{totals.reviewed:,}",
        "up": f"{totals.upgrade:,}",
        "kept": f"{totals.kept:,}",
        "down": f"{totals.downgrade:,}",
        "decided alike in Python": f"{agreed:,}",
    }
    return [
        Measure(name="sums of a year by member, one aggregate query", rate=aggregate_ms, at_most=True, notes=shape),
        Measure(
            name="review of a four-tier policy with two conditions, written",
            rate=review_ms,
            baseline="the aggregate",
            baseline_rate=aggregate_ms,
            goal=3,
            at_most=True,
            notes=decided,
        ),
        Measure(
            name="simulation of the same policy",
            rate=min(simulate_ms),
            baseline="the review",
            baseline_rate=review_ms,
            goal=1.5,
            at_most=True,
        ),
    ]


def _load(session: psycopg.Connection[Any], programme_id: UUID, members: int) -> int:
    a_day = members * ORDERS_A_MEMBER // DAYS
    bound = {"programme": programme_id, "members": members, "begin": BEGIN, "days": DAYS, "a_day": a_day}
    session.execute("ALTER TABLE tier_activity DROP CONSTRAINT tier_activity_pkey")
    session.execute(_ACTIVITY, bound)
    session.execute("SET maintenance_work_mem = '512MB'")
    session.execute(
        "ALTER TABLE tier_activity ADD CONSTRAINT tier_activity_pkey PRIMARY KEY (member_id, metric, day)"
        " INCLUDE (amount)"
    )
    session.execute(_STATES, bound)
    for table in ("tier_activity", "member_tier"):
        session.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
    session.execute("CHECKPOINT")
    row = session.execute("SELECT count(*) FROM tier_activity WHERE metric = 'orders'").fetchone()
    assert row is not None
    return int(row[0])


def _aggregate(session: psycopg.Connection[Any], programme_id: UUID) -> float:
    session.execute("SET work_mem = '256MB'")
    begun = time.perf_counter()
    session.execute(_AGGREGATE, {"programme": programme_id}).fetchone()
    return (time.perf_counter() - begun) * 1_000


async def _simulate(engine: AsyncEngine, programme_id: UUID, members: int) -> float:
    begun = time.perf_counter()
    async with transaction(engine) as connection:
        await simulate(connection, programme_id=programme_id, policy=POLICY, moment=MOMENT, member_count=members)
    return (time.perf_counter() - begun) * 1_000


def _remember(session: psycopg.Connection[Any], rules: Rules) -> None:
    """Keep everybody's state before the review, with the tier that SQL says they reach on the last day of the year."""
    judged = Bulk(rules, occasion="start", moment=EVE).judged()
    session.execute(f"CREATE TABLE before AS SELECT {_LISTED}, t_reached FROM ({judged}) j")
    session.execute("CREATE INDEX ON before (member_id)")
    session.execute("ANALYZE before")


def _agree(session: psycopg.Connection[Any], rules: Rules) -> int:
    """How many members are, in every column, where Python puts them, and reach the tier that it says they reach.

    Python decides about each as it does when an order comes in, and when one member is reviewed.
    """
    after = ", ".join(f"m.{field}" for field in _FIELDS)
    states = _stream(
        session,
        f"SELECT b.*, {after} FROM before b JOIN member_tier m USING (member_id) ORDER BY b.member_id",
        "states",
    )
    done = groupby(
        _stream(session, "SELECT member_id, metric, day, amount FROM tier_activity ORDER BY member_id", "done"),
        key=lambda row: row[0],
    )
    agreed, eve = 0, rules.day_of(EVE)
    whose, rows = next(done, (None, iter(())))
    for row in states:
        state, reached, found = _state(row[: len(_FIELDS)]), row[len(_FIELDS)], _state(row[len(_FIELDS) + 1 :])
        roll_up: dict[str, dict[date, int]] = {}
        if whose == state.member_id:
            for _, metric, day, amount in rows:
                roll_up.setdefault(metric, {})[day] = amount
            whose, rows = next(done, (None, iter(())))
        alike = rules.read(state, roll_up, eve).reached == reached
        while (decision := decide_review(rules, state, roll_up, moment=MOMENT, cause="review")) is not None:
            state = decision.state
        agreed += alike and state == found
    return agreed


def _state(values: Sequence[Any]) -> TierState:
    return TierState(**dict(zip(_FIELDS, values, strict=True)))


def _stream(session: psycopg.Connection[Any], query: str, name: str) -> Iterator[tuple[Any, ...]]:
    with psycopg.connect(session.info.dsn, password=session.info.password) as other:
        other.execute("SET work_mem = '256MB'")
        cursor = other.cursor(name)
        cursor.itersize = 20_000
        cursor.execute(query)
        yield from cursor
