"""Members' states and roll-ups in the database: read, locked and written in few round trips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, bindparam, insert, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.driver import fetch, uuid_array
from loyalty.kit.errors import NotFoundError
from tiers.deciding import Decision, Rules, TierState, start_state
from tiers.policies import PolicyVersion, TierPolicy
from tiers.tables import member_tier_table, tier_change_table

_KEY: Final = ("member_id", "ladder_code", "programme_id", "joined_on")
_WRITTEN: Final = tuple(field for field in TierState.__struct_fields__ if field not in _KEY)

_IN_FORCE: Final = """
    SELECT v.programme_id AS rules_of, v.version, v.definition, v.effective_at, v.published_at, p.time_zone
    FROM ladder_version v JOIN programme p ON p.id = v.programme_id
    WHERE v.programme_id = :programme_id AND v.ladder_code = :ladder_code AND v.state = 'published'
    ORDER BY v.effective_at <= {moment} DESC, abs(extract(epoch FROM v.effective_at - {moment}))
    LIMIT 1
"""
"""The version in force at a moment. The first one also governs the time before it."""

_AT_MOMENT: Final = _IN_FORCE.format(moment="CAST(:moment AS timestamptz)")
_AT_CHANGE: Final = _IN_FORCE.format(moment="greatest(m.changed_at, CAST(:moment AS timestamptz))")

_RULES: Final = text(_AT_MOMENT)

_LOCKED: Final = text(f"""
    SELECT m.*, v.* FROM member_tier m CROSS JOIN LATERAL ({_AT_CHANGE}) v
    WHERE m.member_id = :member_id AND m.ladder_code = :ladder_code AND m.programme_id = v.rules_of
    FOR UPDATE OF m
""")  # noqa: S608  (both texts are ours, values are bound)

_UNLOCKED: Final = text(f"""
    SELECT m.*, v.* FROM ({_AT_MOMENT}) v
    LEFT JOIN member_tier m
        ON m.member_id = :member_id AND m.ladder_code = :ladder_code AND m.programme_id = v.rules_of
""")  # noqa: S608  (both texts are ours, values are bound)

_JOINED: Final = text("""
    SELECT CAST(s.joined_at AT TIME ZONE :time_zone AS date) FROM tier_membership s WHERE s.member_id = :member_id
""")

_ROLL_UPS: Final = """
    SELECT member_id, metric, day, amount FROM tier_roll_ups(%s::uuid[], %s::text[], %s::date, %s::date)
"""


def read_state(row: Row[Any]) -> TierState:
    """Read a row of `member_tier`."""
    return TierState(**{field: getattr(row, field) for field in TierState.__struct_fields__})


def read_version(row: Row[Any]) -> PolicyVersion:
    """Read a published row of `ladder_version`."""
    return PolicyVersion(
        programme_id=row.programme_id,
        version=row.version,
        policy=msgspec.convert(row.definition, TierPolicy),
        effective_at=row.effective_at,
        published_at=row.published_at,
    )


def _read_rules(row: Row[Any]) -> Rules:
    version = PolicyVersion(
        programme_id=row.rules_of,
        version=row.version,
        policy=msgspec.convert(row.definition, TierPolicy),
        effective_at=row.effective_at,
        published_at=row.published_at,
    )
    return Rules(version, row.time_zone)


async def load_rules(
    connection: AsyncConnection, *, programme_id: UUID, ladder_code: str, moment: datetime
) -> Rules | None:
    """The version in force at a moment, in the programme's time zone. None where there is no such ladder."""
    bound = {"programme_id": programme_id, "ladder_code": ladder_code, "moment": moment}
    row = (await connection.execute(_RULES, bound)).first()
    return _read_rules(row) if row else None


async def load(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, ladder_code: str, moment: datetime
) -> tuple[Rules, TierState] | None:
    """The version in force at a moment and the member's state. None where the programme has no such ladder."""
    bound = {"programme_id": programme_id, "member_id": member_id, "ladder_code": ladder_code, "moment": moment}
    row = (await connection.execute(_UNLOCKED, bound)).first()
    if row is None:
        return None
    rules = _read_rules(row)
    return rules, read_state(row) if row.member_id else await start(connection, rules, member_id=member_id)


async def start(connection: AsyncConnection, rules: Rules, *, member_id: UUID) -> TierState:
    """A member who did nothing yet, with the day of joining where it is known."""
    joined_on = await connection.scalar(_JOINED, {"member_id": member_id, "time_zone": rules.time_zone})
    return msgspec.structs.replace(start_state(rules, member_id=member_id), joined_on=joined_on)


async def lock(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, ladder_code: str, moment: datetime
) -> tuple[Rules, TierState] | None:
    """The same, with the member's row locked (and made where there is none), so that decisions follow each other.

    Raises NotFoundError for a member of another programme.
    """
    bound = {"programme_id": programme_id, "member_id": member_id, "ladder_code": ladder_code, "moment": moment}
    row = (await connection.execute(_LOCKED, bound)).first()
    if row is None:
        rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
        if rules is None:
            return None
        first = msgspec.structs.asdict(await start(connection, rules, member_id=member_id))
        await connection.execute(postgresql.insert(member_tier_table).values(first).on_conflict_do_nothing())
        row = (await connection.execute(_LOCKED, bound)).first()
        if row is None:
            raise NotFoundError("the member is not in this programme", field="member")
    return _read_rules(row), read_state(row)


async def roll_ups(
    connection: AsyncConnection,
    metrics: Sequence[str],
    members: Iterable[UUID],
    *,
    fold: date = date.min,
    first_day: date = date.min,
) -> dict[UUID, defaultdict[str, dict[date, int]]]:
    """What members did: amounts by metric and day since `first_day`, days up to `fold` as one."""
    found: dict[UUID, defaultdict[str, dict[date, int]]] = {member_id: defaultdict(dict) for member_id in members}
    bound = (uuid_array(found), "{" + ",".join(metrics) + "}", fold, first_day)
    for member_id, metric, day, amount in await fetch(connection, _ROLL_UPS, bound):
        found[member_id][metric][day] = amount
    return found


async def roll_up(
    connection: AsyncConnection, metrics: Sequence[str], member_id: UUID
) -> defaultdict[str, dict[date, int]]:
    """What one member did."""
    return (await roll_ups(connection, metrics, [member_id]))[member_id]


async def write(connection: AsyncConnection, decisions: Sequence[Decision]) -> None:
    """Write new states and their history. The members' rows are locked by the caller."""
    if not decisions:
        return
    table = member_tier_table
    states = [msgspec.structs.asdict(decision.state) for decision in decisions]
    await connection.execute(
        update(table)
        .where(table.c.member_id == bindparam("of_member"), table.c.ladder_code == bindparam("on_ladder"))
        .values({field: bindparam(field) for field in _WRITTEN}),
        [
            {field: state[field] for field in _WRITTEN}
            | {"of_member": state["member_id"], "on_ladder": state["ladder_code"]}
            for state in states
        ],
    )
    history = [
        msgspec.structs.asdict(decision.change) | {"programme_id": decision.state.programme_id}
        for decision in decisions
        if decision.change is not None
    ]
    if history:
        await connection.execute(insert(tier_change_table), history)
