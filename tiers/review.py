"""Review: the way down. A tier whose time is over is confirmed, given grace, or lowered, as its policy says.

One member is reviewed by `tiers.deciding`, many by the same rules as SQL (`tiers.bulk`). Reviews of many are written in
batches whose members are locked first. Where many are due at once, as on 1 January, one pass over all activity
(`tiers.proposals`) decides about most of them before.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import case, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from tiers.bulk import Bulk
from tiers.bulk_dates import SharedDates, moment_sql
from tiers.changes import TierChange
from tiers.deciding import Rules, decide_review, not_before
from tiers.policies import DEFAULT_LADDER
from tiers.proposals import LOCKED_AT_ONCE, Written, among, pass_over, write_decided
from tiers.states import load_rules, lock, roll_up, write
from tiers.tables import member_tier_table
from tiers.versions import get_version, list_versions, note

REVIEW_CAUSE: Final = "review"
REVIEWERS: Final = 2
"""Batches that are reviewed at once."""
MANY: Final = 20_000
"""From so many due members on, one pass over all activity is cheaper than looking each of them up."""


class ReviewTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole review decided, by kind. A member whose several periods are over is decided about several times."""

    reviewed: int = 0
    kept: int = 0
    soft_landing: int = 0
    grace: int = 0
    upgrade: int = 0
    downgrade: int = 0
    grant_ended: int = 0


async def review_member(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    moment: datetime,
    ladder_code: str = DEFAULT_LADDER,
) -> list[TierChange]:
    """Review one member until nothing is due at `moment`: usually no change or one, more where reviews were missed.

    Reviewing again decides nothing again.
    """
    changes: list[TierChange] = []
    found = await lock(
        connection, programme_id=programme_id, member_id=member_id, ladder_code=ladder_code, moment=moment
    )
    if found is None:
        return changes
    rules, state = found
    done = await roll_up(connection, rules.metrics, member_id)
    while state.review_at is not None and state.review_at <= moment:
        decision = decide_review(rules, state, done, moment=not_before(state, moment), cause=REVIEW_CAUSE)
        assert decision is not None  # noqa: S101  (a review is due)
        await write(connection, [decision])
        state = decision.state
        changes += [decision.change] if decision.change is not None else []
    return changes


async def review_due(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    moment: datetime,
    limit: int = LOCKED_AT_ONCE,
    ladder_code: str = DEFAULT_LADDER,
) -> Written:
    """Review up to `limit` members due at `moment`, those due longest first, in the caller's transaction.

    No member written means that nobody is due any more, or that another reviewer has them.

    Who is due is written in the member's own row, so a review that stops half way goes on where it stopped, and two
    at once share the work (rows that another one holds are skipped).
    """
    rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
    if rules is None:
        return Written(members=0, kinds=Counter())
    columns = member_tier_table.c
    due = (
        select(columns.member_id)
        .filter_by(programme_id=programme_id, ladder_code=ladder_code)
        .where(columns.review_at <= moment)
        .order_by(columns.review_at, columns.member_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    # A statement of its own: the next one sees what was posted before these locks.
    members = (await connection.scalars(due)).all()
    if not members:
        return Written(members=0, kinds=Counter())
    bulk = Bulk(rules, occasion="due", moment=moment, members=among(members))
    return await write_decided(connection, rules, bulk.decided(), cause=REVIEW_CAUSE)


async def review_all(
    engine: AsyncEngine,
    *,
    programme_id: UUID,
    moment: datetime,
    batch_size: int = LOCKED_AT_ONCE,
    ladder_code: str = DEFAULT_LADDER,
    many: int = MANY,
) -> ReviewTotals:
    """Review everybody due at `moment`, one transaction a batch; `many` of them by one pass over all activity."""
    done = await _review_many(engine, programme_id, ladder_code, moment, many=many)

    async def review_the_rest() -> Counter[str]:
        counted = Counter[str]()
        while True:
            async with transaction(engine) as connection:
                batch = await review_due(
                    connection, programme_id=programme_id, moment=moment, limit=batch_size, ladder_code=ladder_code
                )
            if batch.members == 0:
                return counted
            counted += batch.counted

    async with asyncio.TaskGroup() as group:
        reviewers = [group.create_task(review_the_rest()) for _ in range(REVIEWERS)]
    return _totals(sum((reviewer.result() for reviewer in reviewers), done))


def _totals(done: Counter[str]) -> ReviewTotals:
    return ReviewTotals(**{field: done[field] for field in ReviewTotals.__struct_fields__})


async def start_versions(
    engine: AsyncEngine, *, programme_id: UUID, moment: datetime, ladder_code: str = DEFAULT_LADDER
) -> ReviewTotals | None:
    """Let a version that took force meet the members, once, as its `at_start` says. None where none is waiting.

    A start that is broken off begins again: whom it moved already stays where they are.
    """
    async with transaction(engine) as connection:
        versions = await list_versions(connection, programme_id=programme_id, ladder_code=ladder_code)
        new = next((each for each in versions if each.state == "in_force" and each.started_at is None), None)
        if new is None or new.effective_at is None or new.effective_at > moment:
            return None
        rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
        assert rules is not None  # noqa: S101  (one is in force)
        await connection.execute(_BEGIN, _beginning(rules))
    cause = f"policy:{new.version}"
    dates = SharedDates.find(rules, moment=moment, valid_until=None)
    done = await pass_over(engine, rules, "start", moment, cause=cause, members="true", dates=dates)
    if dates is not None:
        others = f"NOT ({dates.members})"
        done += await pass_over(engine, rules, "start", moment, cause=cause, members=others)
    async with transaction(engine) as connection:
        found = await get_version(connection, programme_id=programme_id, version=new.version, ladder_code=ladder_code)
        if found.started_at is None:
            await connection.execute(
                _STARTED, {"programme_id": programme_id, "code": ladder_code, "version": new.version}
            )
            await note(
                connection,
                programme_id,
                ladder_code,
                version=new.version,
                revision=new.revision,
                action="started",
                by="system:review",
            )
    return _totals(done)


_STARTED: Final = text("""
    UPDATE ladder_version SET started_at = clock_timestamp()
    WHERE programme_id = :programme_id AND ladder_code = :code AND version = :version
""")

_BEGIN: Final = text("""
    INSERT INTO member_tier (
        member_id, ladder_code, programme_id, tier_code, tier_rank, ladder_version, change_sequence, joined_on)
    SELECT a.member_id, :code, :programme_id, :tier_code, :tier_rank, :version, 0,
        CAST(s.joined_at AT TIME ZONE :time_zone AS date)
    FROM (SELECT DISTINCT member_id FROM tier_activity WHERE programme_id = :programme_id) a
    LEFT JOIN tier_membership s ON s.member_id = a.member_id
    WHERE NOT EXISTS (SELECT FROM member_tier m WHERE m.member_id = a.member_id AND m.ladder_code = :code)
    ON CONFLICT DO NOTHING
""")
"""Rows for members whose activity was counted while there was no policy."""


def _beginning(rules: Rules) -> dict[str, Any]:
    base = rules.policy.base
    return {
        "programme_id": rules.version.programme_id,
        "code": rules.policy.code,
        "tier_code": base.code,
        "tier_rank": base.rank,
        "version": rules.version.version,
        "time_zone": rules.time_zone,
    }


async def _review_many(
    engine: AsyncEngine, programme_id: UUID, ladder_code: str, moment: datetime, *, many: int
) -> Counter[str]:
    """Review most of those due, if they are `many`: first those whose tier ends on the same day, if they are most."""
    done = Counter[str]()
    async with transaction(engine) as connection:
        rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
        due = await _count_due(connection, programme_id, ladder_code, moment)
    if rules is None:
        return done
    for dates in (_dates_of_most(rules, due, moment), None):
        if due.total() < many:
            break
        done += await pass_over(
            engine,
            rules,
            "due",
            moment,
            cause=REVIEW_CAUSE,
            members=f"m.review_at <= {moment_sql(moment)}",
            dates=dates,
        )
        if dates is None:
            break
        del due[dates.valid_until]
    return done


def _dates_of_most(rules: Rules, due: Counter[datetime | None], moment: datetime) -> SharedDates | None:
    """The days of those whose tier ends at the same moment as that of most members; None where that is too few."""
    (until, members) = max(due.items(), key=lambda each: each[1], default=(None, 0))
    if until is None or until > moment or 2 * members < due.total():
        return None
    return SharedDates.find(rules, moment=moment, valid_until=until)


async def _count_due(
    connection: AsyncConnection, programme_id: UUID, ladder_code: str, moment: datetime
) -> Counter[datetime | None]:
    """How many are due, by when their tier ends; of those in their grace, by None."""
    columns = member_tier_table.c
    until = case((columns.grace_until.is_(None), columns.valid_until))
    query = select(until.label("ends"), func.count().label("members")).filter_by(
        programme_id=programme_id, ladder_code=ladder_code
    )
    rows = await connection.execute(query.where(columns.review_at <= moment).group_by(until))
    return Counter({row.ends: row.members for row in rows})
