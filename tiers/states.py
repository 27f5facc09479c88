"""Members' states and roll-ups in the database: read, locked, summed and written in few round trips."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, bindparam, insert, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import NotFoundError
from tiers.deciding import Decision, Rules, TierState, start_state
from tiers.ladders import Ladder, LadderVersion
from tiers.tables import member_tier_table, tier_change_table
from tiers.windows import Span

_KEY: Final = ("member_id", "ladder_code", "programme_id")
_WRITTEN: Final = tuple(field for field in TierState.__struct_fields__ if field not in _KEY)

_IN_FORCE: Final = """
    SELECT v.programme_id AS rules_of, v.version, v.definition, v.effective_at, v.published_at, p.time_zone
    FROM ladder_version v JOIN programme p ON p.id = v.programme_id
    WHERE v.programme_id = :programme_id AND v.ladder_code = :ladder_code
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

_TOTALS: Final = text("""
    SELECT wanted.slot, activity.metric, sum(activity.amount) AS total
    FROM unnest(
        CAST(:slots AS integer[]), CAST(:member_ids AS uuid[]), CAST(:first_days AS date[]), CAST(:last_days AS date[])
    ) AS wanted (slot, member_id, first_day, last_day)
    JOIN tier_activity activity
        ON activity.member_id = wanted.member_id AND activity.metric = ANY (CAST(:metrics AS text[]))
        AND activity.day BETWEEN wanted.first_day AND wanted.last_day
    GROUP BY wanted.slot, activity.metric
""")

_LAST_DAY: Final = text("""
    SELECT max(day) FROM tier_activity
    WHERE member_id = :member_id AND metric = ANY (CAST(:metrics AS text[])) AND day BETWEEN :after AND :until
""")


def read_state(row: Row[Any]) -> TierState:
    """Read a row of `member_tier`."""
    return TierState(**{field: getattr(row, field) for field in TierState.__struct_fields__})


def _read_rules(row: Row[Any]) -> Rules:
    version = LadderVersion(
        programme_id=row.rules_of,
        version=row.version,
        ladder=msgspec.convert(row.definition, Ladder),
        effective_at=row.effective_at,
        published_at=row.published_at,
    )
    return Rules(version, row.time_zone)


async def load_rules(
    connection: AsyncConnection, *, programme_id: UUID, ladder_code: str, moment: datetime
) -> Rules | None:
    """The version in force, without anybody's state."""
    bound = {"programme_id": programme_id, "ladder_code": ladder_code, "moment": moment}
    row = (await connection.execute(_RULES, bound)).first()
    return _read_rules(row) if row else None


async def load(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, ladder_code: str, moment: datetime
) -> tuple[Rules, TierState] | None:
    """A member's state as it is now with the version in force at `moment`; None where there is no such ladder."""
    bound = {"programme_id": programme_id, "member_id": member_id, "ladder_code": ladder_code, "moment": moment}
    row = (await connection.execute(_UNLOCKED, bound)).first()
    if row is None:
        return None
    rules = _read_rules(row)
    return rules, read_state(row) if row.member_id else start_state(rules, member_id=member_id)


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
        start = msgspec.structs.asdict(start_state(rules, member_id=member_id))
        await connection.execute(postgresql.insert(member_tier_table).values(start).on_conflict_do_nothing())
        row = (await connection.execute(_LOCKED, bound)).first()
        if row is None:
            raise NotFoundError("the member is not in this programme", field="member")
    return _read_rules(row), read_state(row)


async def totals(
    connection: AsyncConnection, metrics: Sequence[str], wanted: Sequence[tuple[UUID, Span]]
) -> list[dict[str, int]]:
    """The roll-up of each wanted member and span by metric, in one query, in the order asked."""
    answers: list[dict[str, int]] = [{} for _ in wanted]
    bound = {
        "slots": list(range(len(wanted))),
        "member_ids": [member_id for member_id, _ in wanted],
        "first_days": [span.first_day or date.min for _, span in wanted],
        "last_days": [span.last_day for _, span in wanted],
        "metrics": list(metrics),
    }
    for row in await connection.execute(_TOTALS, bound):
        answers[row.slot][row.metric] = int(row.total)
    return answers


async def last_activity_day(
    connection: AsyncConnection, metrics: Sequence[str], *, member_id: UUID, after: date, until: date
) -> date | None:
    """The last day between two on which anything was rolled up for a member."""
    bound = {"member_id": member_id, "metrics": list(metrics), "after": after, "until": until}
    day: date | None = (await connection.execute(_LAST_DAY, bound)).scalar_one()
    return day


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
