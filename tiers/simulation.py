"""Simulation: what a version would do to the members there are, by what they really did, with nothing written to them.

It is the bulk review with the writing left out. The figures are kept with the version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import add_months
from loyalty.kit.driver import fetch
from loyalty.kit.errors import NotFoundError
from tiers.bulk import TODAY, Bulk
from tiers.bulk_dates import SharedDates
from tiers.changes import Reason, TierChange
from tiers.deciding import Reading, Rules, decide_start
from tiers.policies import DEFAULT_LADDER, PolicyVersion, Tier, TierPolicy
from tiers.rules import FULL_BP
from tiers.states import load, load_rules, roll_up, start
from tiers.tables import ladder_simulation_table
from tiers.versions import get_version, note
from tiers.windows import BEGINNING, Span

EDGE_MEMBERS: Final = 8
"""Members shown on either side of each tier's edge."""
MISSED_BP: Final = 8_000
"""Who reached less of a tier's rule is not at its edge."""
MADE_BP: Final = 12_500
"""Who passed a tier's rule by more is not at its edge."""
LIABILITY_MONTHS: Final = 12


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """How many members go from one tier to another on the day the version takes force, and what they earned.

    `from_tier` is a tier of the policy in force, None where there is none; `points` were earned in the last twelve
    months.
    """

    from_tier: str | None
    to_tier: str
    members: int
    points: int


class EdgeMember(msgspec.Struct, frozen=True, kw_only=True):
    """A member who just made or just missed a tier. `reached_bp` is how much of its rule is reached."""

    member_id: UUID
    tier: str
    made: bool
    reached_bp: int
    reasons: Sequence[Reason]


class TierEffect(msgspec.Struct, frozen=True, kw_only=True):
    """A tier of the version: members, whom its rule alone would put there, and what its benefits cost a month."""

    tier: str
    members: int
    members_by_rule: int
    cost_minor: int


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What a version would do at a moment.

    Costs are minor units of the programme's currency a month, as the policies state them. `points_now` were earned in
    the last twelve months; `points_then` is what the same activity earns with the version's earn rates, so the
    difference is what a year adds to what the brand owes. `entry_cost_minor` is what the benefits cost that are given
    once to those who move up. Members who never did anything stay in the first tier.
    """

    as_of: datetime
    members: int
    movements: Sequence[Movement]
    tiers: Sequence[TierEffect]
    edges: Sequence[EdgeMember]
    up: int
    down: int
    cost_now_minor: int
    cost_then_minor: int
    points_now: int
    points_then: int
    entry_cost_minor: int = 0


class StoredSimulation(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation as it is kept with its version; of which revision, by whom and when."""

    version: int
    revision: int
    result: Simulation
    simulated_at: datetime
    simulated_by: str


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """Where one member would be, and why. `change` is what would be decided about them on the day, if anything is."""

    now: str | None
    then: Tier
    by_rule: Tier
    change: TierChange | None
    asked: Mapping[str, Sequence[Reason]]


async def simulate(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    policy: TierPolicy,
    moment: datetime,
    member_count: int,
    entry_costs_minor: Mapping[str, int] | None = None,
) -> Simulation:
    """Try a policy on all members at a moment. `member_count` is how many the programme has, active or not yet.

    `entry_costs_minor` is what is given to a member who enters a tier, by the tier's code.
    """
    present = await load_rules(connection, programme_id=programme_id, ladder_code=policy.code, moment=moment)
    rules = await _rules_of(connection, present, programme_id, policy, moment)
    since = add_months(rules.day_of(moment), -LIABILITY_MONTHS)
    bulk = Bulk(
        rules,
        occasion="start",
        moment=moment,
        points_since=since,
        strangers=present is None,
        dates=await _shared_dates(connection, rules, moment),
    )
    await connection.execute(text("SET LOCAL work_mem = '256MB'"))
    answer = await fetch(connection, _query(bulk))
    return _result(rules, present, answer, moment, member_count, entry_costs_minor or {})


async def simulate_version(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    version: int,
    moment: datetime,
    member_count: int,
    by: str,
    ladder_code: str = DEFAULT_LADDER,
    entry_costs_minor: Mapping[str, int] | None = None,
) -> StoredSimulation:
    """Simulate a version as it is, and keep the result with it. Raises NotFoundError."""
    found = await get_version(connection, programme_id=programme_id, version=version, ladder_code=ladder_code)
    result = await simulate(
        connection,
        programme_id=programme_id,
        policy=found.policy,
        moment=moment,
        member_count=member_count,
        entry_costs_minor=entry_costs_minor,
    )
    key = {"programme_id": programme_id, "ladder_code": ladder_code, "version": version, "revision": found.revision}
    query = insert(ladder_simulation_table).values(key | {"result": result, "simulated_by": by})
    kept = {"result": query.excluded.result, "simulated_by": by, "simulated_at": text("clock_timestamp()")}
    await connection.execute(
        query.on_conflict_do_update(index_elements=list(ladder_simulation_table.primary_key), set_=kept)
    )
    await note(
        connection, programme_id, ladder_code, version=version, revision=found.revision, action="simulated", by=by
    )
    stored = await find_simulation(connection, programme_id=programme_id, version=version, ladder_code=ladder_code)
    if stored is None:
        raise NotFoundError("the simulation is gone", field="version")
    return stored


async def find_simulation(
    connection: AsyncConnection, *, programme_id: UUID, version: int, ladder_code: str = DEFAULT_LADDER
) -> StoredSimulation | None:
    """The simulation of a version's newest simulated revision, or None."""
    table = ladder_simulation_table
    query = select(table).filter_by(programme_id=programme_id, ladder_code=ladder_code, version=version)
    row = (await connection.execute(query.order_by(table.c.revision.desc()).limit(1))).first()
    if row is None:
        return None
    return StoredSimulation(
        version=row.version,
        revision=row.revision,
        result=msgspec.convert(row.result, Simulation),
        simulated_at=row.simulated_at,
        simulated_by=row.simulated_by,
    )


async def preview(
    connection: AsyncConnection, *, programme_id: UUID, policy: TierPolicy, member_id: UUID, moment: datetime
) -> Preview:
    """Where a policy would put one member, and why: what each of its tiers asks for and what it comes to."""
    found = await load(
        connection, programme_id=programme_id, member_id=member_id, ladder_code=policy.code, moment=moment
    )
    present = found[0] if found else None
    rules = await _rules_of(connection, present, programme_id, policy, moment)
    state = found[1] if found else await start(connection, rules, member_id=member_id)
    done = await roll_up(connection, rules.metrics, member_id)
    decision = decide_start(rules, state, done, moment=moment, cause="preview")
    reading = rules.read(state, done, rules.day_of(moment))
    return Preview(
        now=present.tier_of(state).code if present else None,
        then=rules.tier_of(decision.state if decision else state),
        by_rule=policy.tiers[reading.reached],
        change=decision.change if decision else None,
        asked={tier.code: rules.reasons(place, reading) for place, tier in enumerate(policy.tiers) if place},
    )


async def _rules_of(
    connection: AsyncConnection, present: Rules | None, programme_id: UUID, policy: TierPolicy, moment: datetime
) -> Rules:
    """A policy as if it were in force."""
    zone = present.time_zone if present else await connection.scalar(_ZONE, {"programme_id": programme_id})
    if zone is None:
        raise NotFoundError("there is no such programme", field="programme")
    version = PolicyVersion(
        programme_id=programme_id, version=0, policy=policy, effective_at=moment, published_at=moment
    )
    return Rules(version, zone)


async def _shared_dates(connection: AsyncConnection, rules: Rules, moment: datetime) -> SharedDates | None:
    """The days of everybody, unless something was decided about a member later than the moment that is asked about."""
    later = {"programme_id": rules.version.programme_id, "code": rules.policy.code, "moment": moment}
    if await connection.scalar(_CHANGED_LATER, later):
        return None
    return SharedDates.find(rules, moment=moment, valid_until=None)


_CHANGED_LATER: Final = text("""
    SELECT EXISTS (SELECT FROM member_tier
        WHERE programme_id = :programme_id AND ladder_code = :code AND changed_at > :moment)
""")

_ZONE: Final = text("SELECT time_zone FROM programme WHERE id = :programme_id")


def _query(bulk: Bulk) -> str:
    """Rows of three kinds: `moves` (from, rank, to, by rule, members, points), and a tier's `missed` and `made`."""
    tiers = range(1, len(bulk.policy.tiers))
    values = ", ".join(f"x.{TODAY}v{index}" for index in range(len(bulk.rules.measures)))
    days = ", ".join(f"x.{TODAY}f{index}" for index in range(len(bulk.rules.measures)))
    told = f"ARRAY[{values}]::bigint[], ARRAY[{days}]::date[]"
    edges = "".join(
        f"""
        UNION ALL (SELECT '{word}', x.member_id, NULL, NULL, {place}, NULL, {bulk.nearness(place, "x")}::bigint, NULL,
            {told} FROM judged x
            WHERE x.best {relation} {place} AND {bulk.nearness(place, "x")} BETWEEN {low} AND {high}
            ORDER BY 7 {order}, 2 LIMIT {EDGE_MEMBERS})
        """
        for place in tiers
        for word, relation, low, high, order in (
            ("missed", "<", MISSED_BP, FULL_BP - 1, "DESC"),
            ("made", "=", FULL_BP, MADE_BP, "ASC"),
        )
    )
    return f"""
        WITH judged AS MATERIALIZED ({bulk.kinds()})
        SELECT 'moves', NULL::uuid, x.tier_code, x.tier_rank, x.to_place, x.best, count(*), sum(x.points)::bigint,
            NULL::bigint[], NULL::date[]
        FROM judged x GROUP BY x.tier_code, x.tier_rank, x.to_place, x.best
        {edges}
    """


def _result(
    rules: Rules,
    present: Rules | None,
    rows: Sequence[tuple[Any, ...]],
    moment: datetime,
    member_count: int,
    entry_costs_minor: Mapping[str, int],
) -> Simulation:
    tiers = rules.policy.tiers
    moves = [row[2:8] for row in rows if row[0] == "moves"]
    idle = max(0, member_count - sum(members for *_, members, _ in moves))
    base = present.policy.base if present else rules.policy.base
    if idle:
        moves.append((base.code, base.rank, 0, 0, idle, 0))
    counted = Counter[tuple[str | None, str]]()
    earned = Counter[tuple[str | None, str]]()
    placed, by_rule = Counter[int](), Counter[int]()
    up = down = cost_now = points_then = entry_cost = 0
    for code, rank, to, best, members, points in moves:
        was = present.policy.tier(code, rank) if present else None
        key = (was.code if was else None, tiers[to].code)
        counted[key] += members
        earned[key] += int(points)
        placed[to] += members
        by_rule[best] += members
        place = rules.policy.position(code, rank)
        up += members * (to > place)
        entry_cost += members * (to > place) * entry_costs_minor.get(tiers[to].code, 0)
        down += members * (to < place)
        cost_now += members * (was.benefit_cost_minor if was else 0)
        rate_bp = was.earn_rate_bp if was else FULL_BP
        points_then += int(points) * tiers[to].earn_rate_bp // (rate_bp or FULL_BP)
    effects = [
        TierEffect(
            tier=tier.code,
            members=placed[at],
            members_by_rule=by_rule[at],
            cost_minor=placed[at] * tier.benefit_cost_minor,
        )
        for at, tier in enumerate(tiers)
    ]
    return Simulation(
        as_of=moment,
        members=sum(placed.values()),
        movements=[
            Movement(from_tier=was, to_tier=to, members=members, points=earned[was, to])
            for (was, to), members in counted.items()
        ],
        tiers=effects,
        edges=[_edge(rules, row, moment) for row in rows if row[0] != "moves"],
        up=up,
        down=down,
        cost_now_minor=cost_now,
        cost_then_minor=sum(effect.cost_minor for effect in effects),
        points_now=sum(earned.values()),
        points_then=points_then,
        entry_cost_minor=entry_cost,
    )


def _edge(rules: Rules, row: tuple[Any, ...], moment: datetime) -> EdgeMember:
    word, member_id, _, _, place, _, near_bp, _, values, firsts = row
    today = rules.day_of(moment)
    spans = [Span(None if first == BEGINNING else first, today) for first in firsts]
    return EdgeMember(
        member_id=member_id,
        tier=rules.policy.tiers[place].code,
        made=word == "made",
        reached_bp=near_bp,
        reasons=rules.reasons(place, Reading(values, spans, place, today)),
    )
