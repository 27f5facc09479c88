"""Merging members: what the absorbed member did counts for the survivor, and can be given back."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import public_id
from tiers.changes import ChangeKind
from tiers.deciding import Decision, Rules, TierState, describe, not_before
from tiers.qualification import evaluate
from tiers.states import lock, read_state, roll_up, write
from tiers.tables import ladder_table, member_tier_table, tier_merge_table


class MergedStates(msgspec.Struct, frozen=True, kw_only=True):
    """What both had on one ladder before the merge, and the number of the survivor's last change after it."""

    survivor: TierState
    absorbed: TierState
    sequence_after: int


_REMEMBER: Final = text("""
    INSERT INTO tier_activity_moved (member_id, absorbed_id, metric, day, amount)
    SELECT :survivor_id, :absorbed_id, metric, day, amount FROM tier_activity WHERE member_id = :absorbed_id
""")
_ADD_TO_SURVIVOR: Final = text("""
    INSERT INTO tier_activity (member_id, metric, day, programme_id, amount)
    SELECT member_id, metric, day, :programme_id, amount FROM tier_activity_moved
    WHERE member_id = :survivor_id AND absorbed_id = :absorbed_id
    ON CONFLICT (member_id, metric, day) DO UPDATE SET amount = tier_activity.amount + excluded.amount
""")
_EMPTY_ABSORBED: Final = text("DELETE FROM tier_activity WHERE member_id = :absorbed_id")
_TAKE_FROM_SURVIVOR: Final = text("""
    INSERT INTO tier_activity (member_id, metric, day, programme_id, amount)
    SELECT member_id, metric, day, :programme_id, -amount FROM tier_activity_moved
    WHERE member_id = :survivor_id AND absorbed_id = :absorbed_id
    ON CONFLICT (member_id, metric, day) DO UPDATE SET amount = tier_activity.amount + excluded.amount
""")
_GIVE_TO_ABSORBED: Final = text("""
    INSERT INTO tier_activity (member_id, metric, day, programme_id, amount)
    SELECT absorbed_id, metric, day, :programme_id, amount FROM tier_activity_moved
    WHERE member_id = :survivor_id AND absorbed_id = :absorbed_id
    ON CONFLICT (member_id, metric, day) DO UPDATE SET amount = tier_activity.amount + excluded.amount
""")
_DROP_EMPTY_DAYS: Final = text("DELETE FROM tier_activity WHERE member_id = :survivor_id AND amount = 0")


async def move_activity(
    connection: AsyncConnection, *, programme_id: UUID, survivor_id: UUID, absorbed_id: UUID, moment: datetime
) -> None:
    """Let the survivor's tiers count what both did. The better of both tiers is kept, then evaluated at once.

    The absorbed member's tier history stays where it is; nothing is deleted from it. Raises ConflictError where these
    two are merged already.
    """
    if survivor_id == absorbed_id:
        raise InvalidInputError("a member cannot be merged with itself", field="absorbed_id")
    pair = {"survivor_id": survivor_id, "absorbed_id": absorbed_id, "programme_id": programme_id}
    row = {"member_id": survivor_id, "absorbed_id": absorbed_id, "programme_id": programme_id, "merged_at": moment}
    merge = postgresql.insert(tier_merge_table).values(row | {"states": {}}).on_conflict_do_nothing()
    if (await connection.execute(merge.returning(tier_merge_table.c.member_id))).first() is None:
        raise ConflictError("the tiers of these two members are merged already", field="absorbed_id")
    locked = await _lock_both(connection, pair, moment)
    for statement in (_REMEMBER, _ADD_TO_SURVIVOR, _EMPTY_ABSORBED):
        await connection.execute(statement, pair)
    cause = f"merge:{public_id('mem', absorbed_id)}"
    states = {}
    for code, (rules, survivor, absorbed) in locked.items():
        if _worth(absorbed) > _worth(survivor):
            await _hand_over(connection, rules, survivor, absorbed, kind="merge", moment=moment, cause=cause)
        await connection.execute(delete(member_tier_table).filter_by(member_id=absorbed_id, ladder_code=code))
        await evaluate(
            connection,
            programme_id=programme_id,
            member_id=survivor_id,
            moment=moment,
            cause=cause,
            ladder_code=code,
        )
        after = await _sequence(connection, survivor_id, code)
        states[code] = MergedStates(survivor=survivor, absorbed=absorbed, sequence_after=after)
    query = tier_merge_table.update().filter_by(member_id=survivor_id, absorbed_id=absorbed_id)
    await connection.execute(query.values(states=states))


async def return_activity(
    connection: AsyncConnection, *, programme_id: UUID, survivor_id: UUID, absorbed_id: UUID, moment: datetime
) -> None:
    """Undo `move_activity`: each has again what was moved, and what the survivor did since stays the survivor's.

    The absorbed member is back in the former tier. The survivor goes back too where no change came after the merge;
    otherwise the tier stays until its review. Raises NotFoundError where these two are not merged.
    """
    pair = {"survivor_id": survivor_id, "absorbed_id": absorbed_id, "programme_id": programme_id}
    merge = select(tier_merge_table.c.states).filter_by(
        member_id=survivor_id, absorbed_id=absorbed_id, programme_id=programme_id
    )
    stored = await connection.scalar(merge.with_for_update())
    if stored is None:
        raise NotFoundError("the tiers of these two members are not merged", field="absorbed_id")
    states = msgspec.convert(stored, dict[str, MergedStates])
    locked = await _lock_both(connection, pair, moment)
    for statement in (_TAKE_FROM_SURVIVOR, _GIVE_TO_ABSORBED, _DROP_EMPTY_DAYS):
        await connection.execute(statement, pair)
    cause = f"unmerge:{public_id('mem', absorbed_id)}"
    for code, before in states.items():
        rules, survivor, absorbed = locked[code]
        await write(connection, [Decision(_numbered(before.absorbed, absorbed), None)])
        changed_by_merge = before.sequence_after > before.survivor.change_sequence
        if changed_by_merge and survivor.change_sequence == before.sequence_after:
            await _hand_over(connection, rules, survivor, before.survivor, kind="unmerge", moment=moment, cause=cause)
        for member_id in (survivor_id, absorbed_id):
            await evaluate(
                connection,
                programme_id=programme_id,
                member_id=member_id,
                moment=moment,
                cause=cause,
                ladder_code=code,
            )
    await connection.execute(delete(tier_merge_table).filter_by(member_id=survivor_id, absorbed_id=absorbed_id))


async def _lock_both(
    connection: AsyncConnection, pair: dict[str, UUID], moment: datetime
) -> dict[str, tuple[Rules, TierState, TierState]]:
    """Both members' states on every ladder, locked in the order of their ids: two merges never wait in a ring."""
    codes = select(ladder_table.c.code).filter_by(programme_id=pair["programme_id"]).order_by(ladder_table.c.code)
    locked: dict[str, tuple[Rules, TierState, TierState]] = {}
    for code in (await connection.scalars(codes)).all():
        states: dict[UUID, TierState] = {}
        for member_id in sorted((pair["survivor_id"], pair["absorbed_id"])):
            found = await lock(
                connection,
                programme_id=pair["programme_id"],
                member_id=member_id,
                ladder_code=code,
                moment=moment,
            )
            if found is not None:
                rules, states[member_id] = found
        locked[code] = (rules, states[pair["survivor_id"]], states[pair["absorbed_id"]])
    return locked


def _worth(state: TierState) -> tuple[int, bool, float]:
    """Which of two tiers is the better one: by rank, then by how long it holds."""
    return state.tier_rank, state.valid_until is None, state.valid_until.timestamp() if state.valid_until else 0.0


def _numbered(state: TierState, present: TierState) -> TierState:
    """A former state, numbered on from the member's present history."""
    return msgspec.structs.replace(state, change_sequence=max(state.change_sequence, present.change_sequence))


async def _hand_over(
    connection: AsyncConnection,
    rules: Rules,
    survivor: TierState,
    model: TierState,
    *,
    kind: ChangeKind,
    moment: datetime,
    cause: str,
) -> None:
    """Give the survivor the tier and dates of another state, and write down why."""
    at = not_before(survivor, moment)
    after = msgspec.structs.replace(
        model,
        member_id=survivor.member_id,
        joined_on=survivor.joined_on,
        changed_at=at,
        since=survivor.since if model.tier_code == survivor.tier_code else at,
        change_sequence=survivor.change_sequence + 1,
    )
    reading = rules.read(survivor, await roll_up(connection, rules.metrics, survivor.member_id), rules.day_of(at))
    reasons = rules.reasons(rules.position(after), reading)
    change = describe(rules, survivor, after, reasons, kind=kind, cause=cause)
    await write(connection, [Decision(after, change)])


async def _sequence(connection: AsyncConnection, member_id: UUID, ladder_code: str) -> int:
    query = select(member_tier_table).filter_by(member_id=member_id, ladder_code=ladder_code)
    return read_state((await connection.execute(query)).one()).change_sequence
