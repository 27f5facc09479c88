"""Tiers given by hand: to a member, until a day, for a reason, by somebody. At the end the rules decide again."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from tiers.changes import TierChange
from tiers.deciding import Decision, describe, end_grant, not_before
from tiers.policies import DEFAULT_LADDER
from tiers.states import lock, roll_up, write
from tiers.tables import tier_grant_table

MAX_REASON: Final = 200


class TierGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A tier given by hand. `withdrawn_at` where somebody ended it before its time."""

    member_id: UUID
    grant_id: UUID
    ladder_code: str
    tier_code: str
    ends_at: datetime
    reason: str
    granted_by: str
    granted_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None


async def grant_tier(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    tier_code: str,
    ends_at: datetime,
    reason: str,
    by: str,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> TierChange:
    """Give a member a tier until `ends_at`. Granting the granted tier again moves its end.

    Until then no review lowers the member. At the end the member is in the tier reached on that day, or in the one
    before the grant while that still holds. Raises InvalidInputError naming the field, NotFoundError, and
    ConflictError where the member has this tier or a higher one by qualification.
    """
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise InvalidInputError(f"a reason has 1 to {MAX_REASON} characters", field="reason")
    if ends_at <= moment:
        raise InvalidInputError("the end must lie ahead", field="ends_at")
    found = await lock(
        connection, programme_id=programme_id, member_id=member_id, ladder_code=ladder_code, moment=moment
    )
    if found is None:
        raise NotFoundError(f"there is no ladder {ladder_code!r} in this programme", field="ladder")
    rules, state = found
    place = next((at for at, tier in enumerate(rules.policy.tiers) if tier.code == tier_code), None)
    if place is None:
        raise InvalidInputError(f"there is no tier {tier_code[:40]!r}", field="tier_code")
    present = rules.position(state)
    if place < present or (place == present and not state.granted):
        raise ConflictError("the member has this tier, or a higher one, already", field="tier_code")
    tier, at = rules.policy.tiers[place], not_before(state, moment)
    former = (
        (state.former_tier, state.former_rank, state.former_until)
        if state.granted
        else (state.tier_code, state.tier_rank, state.valid_until)
    )
    after = msgspec.structs.replace(
        state,
        tier_code=tier.code,
        tier_rank=tier.rank,
        ladder_version=rules.version.version,
        since=state.since if tier.code == state.tier_code else at,
        changed_at=at,
        valid_until=ends_at,
        grace_until=None,
        review_at=ends_at,
        change_sequence=state.change_sequence + 1,
        qualified_on=None,
        qualified_from=None,
        granted=True,
        former_tier=former[0],
        former_rank=former[1],
        former_until=former[2],
    )
    done = await roll_up(connection, rules.metrics, member_id)
    reasons = rules.reasons(place, rules.read(state, done, rules.day_of(at)))
    grant_id = new_id()
    row = {"member_id": member_id, "grant_id": grant_id, "ladder_code": ladder_code, "programme_id": programme_id}
    row |= {"tier_code": tier_code, "ends_at": ends_at, "reason": reason.strip(), "granted_by": by, "granted_at": at}
    await connection.execute(insert(tier_grant_table).values(row))
    change = describe(rules, state, after, reasons, kind="grant", cause=f"grant:{grant_id}")
    await write(connection, [Decision(after, change)])
    return change


async def withdraw_grant(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    by: str,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> TierChange:
    """End a member's grant before its time, as its end would. Raises NotFoundError where there is none."""
    found = await lock(
        connection, programme_id=programme_id, member_id=member_id, ladder_code=ladder_code, moment=moment
    )
    if found is None or not found[1].granted:
        raise NotFoundError("the member has no granted tier", field="member")
    rules, state = found
    at = not_before(state, moment)
    done = await roll_up(connection, rules.metrics, member_id)
    decision = end_grant(rules, state, rules.read(state, done, rules.day_of(at)), moment=at, cause="grant:withdrawn")
    await write(connection, [decision])
    columns = tier_grant_table.c
    query = update(tier_grant_table).filter_by(member_id=member_id, ladder_code=ladder_code, withdrawn_at=None)
    await connection.execute(query.where(columns.ends_at > at).values(withdrawn_at=at, withdrawn_by=by))
    assert decision.change is not None  # noqa: S101  (the end of a grant is told)
    return decision.change


async def list_grants(connection: AsyncConnection, *, member_id: UUID) -> list[TierGrant]:
    """Tiers that were given to a member by hand, newest first."""
    columns = tier_grant_table.c
    query = select(tier_grant_table).filter_by(member_id=member_id).order_by(columns.granted_at.desc())
    return [
        TierGrant(**{field: getattr(row, field) for field in TierGrant.__struct_fields__})
        for row in await connection.execute(query)
    ]
