"""Review: the way down. A tier whose time is over is confirmed, given grace, or lowered, as its policy says.

One member is reviewed by `tiers.deciding`, many by the same rules as SQL (`tiers.bulk`). Reviews of many are written in
batches whose members are locked first. Where many are due at once, as on 1 January, one pass over all activity first
proposes what becomes of them, without a lock; each batch then only writes, and what anything happened to since is
decided again.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from psycopg.sql import quote
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.driver import copy_across, fetch
from tiers.bulk import DECIDED, STATE, Bulk, Occasion
from tiers.changes import TierChange
from tiers.deciding import Rules, decide_review, not_before
from tiers.policies import DEFAULT_LADDER
from tiers.states import load_rules, lock, roll_up, write
from tiers.tables import member_tier_table
from tiers.versions import get_version, list_versions, note

REVIEW_CAUSE: Final = "review"
BATCH_MEMBERS: Final = 2_000
MANY: Final = 20_000
"""From so many due members on, one pass over all activity is cheaper than looking each of them up."""
WRITTEN_AT_ONCE: Final = 20_000
_LATE_DAYS: Final = 2
"""How many days back a posting may still have changed what was proposed seconds ago; see docs/decisions/tiers.md."""


class ReviewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch decided, by kind; `reviewed` 0 means that nobody is due any more (or another reviewer has them).

    Members whose review only found out that there is nothing to decide are in `reviewed` and in no kind.
    """

    reviewed: int
    kinds: Counter[str]


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
    limit: int = BATCH_MEMBERS,
    ladder_code: str = DEFAULT_LADDER,
) -> ReviewBatch:
    """Review up to `limit` members due at `moment`, those due longest first, in the caller's transaction.

    Who is due is written in the member's own row, so a review that stops half way goes on where it stopped, and two
    at once share the work (rows that another one holds are skipped).
    """
    rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
    if rules is None:
        return ReviewBatch(reviewed=0, kinds=Counter())
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
        return ReviewBatch(reviewed=0, kinds=Counter())
    bulk = Bulk(rules, occasion="due", moment=moment, members=f"m.member_id = ANY ({_ids(members)})")
    return await _write_decided(connection, rules, bulk.decided(), cause=REVIEW_CAUSE)


async def review_all(
    engine: AsyncEngine,
    *,
    programme_id: UUID,
    moment: datetime,
    batch_size: int = BATCH_MEMBERS,
    ladder_code: str = DEFAULT_LADDER,
    many: int = MANY,
) -> ReviewTotals:
    """Review everybody due at `moment`, one transaction a batch; `many` of them by one pass over all activity."""
    done = Counter[str]()
    if await _count_due(engine, programme_id, ladder_code, moment, most=many) >= many:
        done += await _review_many(engine, programme_id, ladder_code, moment)
    while True:
        async with transaction(engine) as connection:
            batch = await review_due(
                connection, programme_id=programme_id, moment=moment, limit=batch_size, ladder_code=ladder_code
            )
        done += batch.kinds + Counter(reviewed=batch.reviewed)
        if batch.reviewed == 0:
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
    done = await _pass_over(engine, rules, "start", moment, cause=cause, members="true")
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
    return ReviewTotals(**{field: done[field] for field in ReviewTotals.__struct_fields__})


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


async def _count_due(engine: AsyncEngine, programme_id: UUID, ladder_code: str, moment: datetime, *, most: int) -> int:
    columns = member_tier_table.c
    due = select(columns.member_id).filter_by(programme_id=programme_id, ladder_code=ladder_code)
    async with transaction(engine) as connection:
        return len((await connection.scalars(due.where(columns.review_at <= moment).limit(most))).all())


async def _review_many(engine: AsyncEngine, programme_id: UUID, ladder_code: str, moment: datetime) -> Counter[str]:
    async with transaction(engine) as connection:
        rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
    if rules is None:
        return Counter()
    due = f"m.review_at <= CAST({quote(moment.isoformat())} AS timestamptz)"
    return await _pass_over(engine, rules, "due", moment, cause=REVIEW_CAUSE, members=due)


async def _pass_over(
    engine: AsyncEngine, rules: Rules, occasion: Occasion, moment: datetime, *, cause: str, members: str
) -> Counter[str]:
    """Propose what becomes of many members in one query, and write it in batches.

    COPY is the one statement that may write and still be planned in parallel; the rows go through as bytes.
    """
    run_id = uuid4()
    async with engine.connect() as reading, engine.connect() as writing:
        in_grace = await reading.scalar(_IN_GRACE, {"programme_id": rules.version.programme_id})
        bulk = Bulk(
            rules,
            occasion=occasion,
            moment=moment,
            members=members,
            graced=bool(in_grace) or rules.policy.grace_days > 0,
        )
        await reading.execute(text("SET LOCAL work_mem = '256MB'"))
        listed = ", ".join(DECIDED)
        proposed = await copy_across(
            reading,
            f"COPY (SELECT {quote(str(run_id))}::uuid, row_number() OVER (), {listed} FROM ({bulk.decided()}) decided) "
            "TO STDOUT (FORMAT binary)",
            writing,
            f"COPY tier_proposal (run_id, number, {listed}) FROM STDIN (FORMAT binary)",
        )
        await writing.commit()
        since = rules.day_of(moment) - timedelta(days=_LATE_DAYS)
        done = Counter[str]()
        for first in range(1, proposed + 1, WRITTEN_AT_ONCE):
            chosen = f"""
                SELECT {listed} FROM tier_proposal p
                WHERE run_id = {quote(str(run_id))} AND number BETWEEN {first} AND {first + WRITTEN_AT_ONCE - 1}
            """
            batch = await _write_decided(writing, rules, chosen, cause=cause, unless_since=since.isoformat())
            await writing.commit()
            done += batch.kinds + Counter(reviewed=batch.reviewed)
        if occasion == "start":
            done += await _start_the_rest(writing, rules, run_id, moment, cause=cause)
        await writing.execute(text("DELETE FROM tier_proposal WHERE run_id = :run_id"), {"run_id": run_id})
        await writing.commit()
    return done


async def _start_the_rest(
    connection: AsyncConnection, rules: Rules, run_id: UUID, moment: datetime, *, cause: str
) -> Counter[str]:
    """Decide again, under lock, about those to whom something happened since it was proposed.

    Reviews need no such thing: who was not written is still due.
    """
    left = (await connection.scalars(_LEFT, {"run_id": run_id, "code": rules.policy.code})).all()
    done = Counter[str]()
    for first in range(0, len(left), BATCH_MEMBERS):
        columns = member_tier_table.c
        chosen = select(columns.member_id).filter_by(ladder_code=rules.policy.code)
        chosen = chosen.where(columns.member_id.in_(left[first : first + BATCH_MEMBERS])).order_by(columns.member_id)
        members = (await connection.scalars(chosen.with_for_update())).all()
        bulk = Bulk(rules, occasion="start", moment=moment, members=f"m.member_id = ANY ({_ids(members)})")
        batch = await _write_decided(connection, rules, bulk.decided(), cause=cause)
        await connection.commit()
        done += batch.kinds + Counter(reviewed=batch.reviewed)
    return done


_LEFT: Final = text("""
    SELECT p.member_id FROM tier_proposal p
    JOIN member_tier m ON m.member_id = p.member_id AND m.ladder_code = :code
    WHERE p.run_id = :run_id AND p.kind IS NOT NULL AND m.change_sequence = p.was_sequence
    ORDER BY p.member_id
""")

_IN_GRACE: Final = text("""
    SELECT EXISTS (SELECT FROM member_tier WHERE programme_id = :programme_id AND grace_until IS NOT NULL)
""")


async def _write_decided(
    connection: AsyncConnection, rules: Rules, decided: str, *, cause: str, unless_since: str | None = None
) -> ReviewBatch:
    """Write the decisions that a query has as rows, where nothing was decided about the member since.

    With `unless_since` the decisions are proposals: members who did anything since that day are left to a review.
    """
    code, programme = quote(rules.policy.code), quote(str(rules.version.programme_id))
    state = ", ".join(f"{name} = d.{name}" for name in STATE)
    busy = ""
    if unless_since is not None:
        metrics = ", ".join(quote(metric) for metric in rules.metrics) or "''"
        busy = f"""
            AND NOT EXISTS (SELECT FROM tier_activity a WHERE a.member_id = m.member_id
                AND a.metric IN ({metrics}) AND a.day >= {quote(unless_since)})
        """
    statement = f"""
        WITH decided AS MATERIALIZED ({decided}), moved AS (
            UPDATE member_tier m SET {state} FROM decided d
            WHERE m.member_id = d.member_id AND m.ladder_code = {code} AND m.programme_id = {programme}
                AND m.change_sequence = d.was_sequence {busy}
            RETURNING m.member_id, d.kind, d.from_tier, d.reasons, m.change_sequence, m.ladder_version, m.tier_code,
                m.changed_at, m.valid_until, m.grace_until
        ), told AS (
            INSERT INTO tier_change (member_id, ladder_code, sequence, programme_id, kind, cause, ladder_version,
                from_tier, to_tier, reasons, at, valid_until, grace_until)
            -- Not joined with what was decided: nobody can estimate that, and a nested loop over it is ruinous.
            SELECT member_id, {code}, change_sequence, {programme}, kind, {quote(cause)}, ladder_version,
                from_tier, tier_code, reasons, changed_at, valid_until, grace_until
            FROM moved WHERE kind IS NOT NULL
        )
        SELECT kind, count(*) FROM moved GROUP BY kind
    """
    counted = await fetch(connection, statement)
    return ReviewBatch(
        reviewed=sum(number for _, number in counted),
        kinds=Counter({kind: number for kind, number in counted if kind is not None}),
    )


def _ids(members: Any) -> str:
    return quote("{" + ",".join(member.hex for member in members) + "}") + "::uuid[]"
