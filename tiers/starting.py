"""A version that takes force meets the members, once, as its `at_start` says."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.sql import quote
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.driver import fetch, uuid_array
from tiers.bulk_batches import BATCH_SIZE, Walk, Written, bulks, read_batch, work_through, write_batch
from tiers.bulk_dates import moment_sql
from tiers.deciding import Rules
from tiers.policies import DEFAULT_LADDER
from tiers.review import ReviewTotals
from tiers.states import load_rules
from tiers.versions import get_version, list_versions, note


async def start_versions(
    engine: AsyncEngine, *, programme_id: UUID, moment: datetime, ladder_code: str = DEFAULT_LADDER
) -> ReviewTotals | None:
    """Let a version that took force meet the members, once, as its `at_start` says. None where none is waiting.

    A start that is broken off, or runs twice, passes by whom the version has decided about already.
    """
    async with transaction(engine) as connection:
        versions = await list_versions(connection, programme_id=programme_id, ladder_code=ladder_code)
        new = next((each for each in versions if each.state == "in_force" and each.started_at is None), None)
        if new is None or new.effective_at is None or new.effective_at > moment:
            return None
        rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
        assert rules is not None  # noqa: S101  (one is in force)
        await connection.execute(_BEGIN, _beginning(rules))
    done = await work_through(engine, _Start(rules, moment, cause=f"policy:{new.version}").step)
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
    return ReviewTotals.of(done)


class _Start:
    """A walk along all members. Only those whom the version moves are locked, and decided about again."""

    def __init__(self, rules: Rules, moment: datetime, *, cause: str) -> None:
        self._rules, self._moment, self._cause = rules, moment, cause
        self._unmet = _not_met(rules)
        self._walk = Walk("start", moment, where=self._unmet, choice=f"LIMIT {BATCH_SIZE}")

    async def step(self, connection: AsyncConnection) -> Written | None:
        """Start the next members; None where there are none."""
        batch = await self._walk.next_batch(connection, self._rules)
        if batch is None:
            return None
        moved: list[UUID] = []
        for bulk in bulks(self._rules, "start", self._moment, batch):
            rows = await fetch(connection, f"SELECT d.member_id FROM ({bulk.decided()}) d", once=True)
            moved += [member_id for (member_id,) in rows]
        if not moved:
            return Written()
        unmet = f"{self._unmet} AND m.member_id = ANY ({quote(uuid_array(moved))}::uuid[])"
        locked = await read_batch(connection, self._rules, "start", self._moment, where=unmet, choice="FOR UPDATE")
        return await write_batch(connection, self._rules, "start", self._moment, locked, cause=self._cause)


def _not_met(rules: Rules) -> str:
    """A condition on `member_tier m`: the version has not decided about them. By steps, twice would be two."""
    version = rules.version
    decided = f"m.ladder_version = {version.version} AND m.changed_at >= {moment_sql(version.effective_at)}"
    return f"NOT coalesce({decided}, false)"


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
