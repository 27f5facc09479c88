"""Deciding about many members in one pass, and writing what was decided in small transactions.

The pass reads all activity once, without a lock, and proposes what becomes of each member. Each batch then writes the
proposals of those to whom nothing happened since; everybody else is decided again, under lock. Two sessions share the
work, each with a part of the members of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import msgspec
from psycopg.sql import quote
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.driver import fetch, uuid_array
from tiers.bulk import HALVES, Bulk, Occasion
from tiers.bulk_dates import SharedDates
from tiers.bulk_states import DECIDED, STATE
from tiers.deciding import Rules
from tiers.tables import member_tier_table

WRITTEN_AT_ONCE: Final = 10_000
LOCKED_AT_ONCE: Final = 2_000
_LATE_DAYS: Final = 2
"""How many days back a posting may still have changed what was proposed seconds ago; see docs/decisions/tiers.md."""
_LISTED: Final = ", ".join(DECIDED)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """How many members were written, and what was decided, by kind.

    Members of whom only a date was set are in `members` and in no kind.
    """

    members: int
    kinds: Counter[str]

    @property
    def counted(self) -> Counter[str]:
        """All of it as one count, members as `reviewed`."""
        return self.kinds + Counter(reviewed=self.members)


async def pass_over(
    engine: AsyncEngine,
    rules: Rules,
    occasion: Occasion,
    moment: datetime,
    *,
    cause: str,
    members: str,
    dates: SharedDates | None = None,
) -> Counter[str]:
    """Decide about the members of `member_tier m` whom a condition names, and write it; counts as `Written` has them.

    With `dates` only those are decided about whose days they are.
    """
    async with transaction(engine) as connection:
        in_grace = await connection.scalar(_IN_GRACE, {"programme_id": rules.version.programme_id})
    graced = bool(in_grace) or rules.policy.grace_days > 0
    async with asyncio.TaskGroup() as group:
        halves = [
            group.create_task(
                _Pass(
                    rules,
                    Bulk(
                        rules,
                        occasion=occasion,
                        moment=moment,
                        members=members,
                        graced=graced,
                        dates=dates,
                        half=half,
                    ),
                    moment,
                    cause,
                ).run(engine)
            )
            for half in HALVES
        ]
    return sum((half.result() for half in halves), Counter[str]())


_IN_GRACE: Final = text("""
    SELECT EXISTS (SELECT FROM member_tier WHERE programme_id = :programme_id AND grace_until IS NOT NULL)
""")


class _Pass:
    """One session's half of a pass."""

    def __init__(self, rules: Rules, bulk: Bulk, moment: datetime, cause: str) -> None:
        self.rules, self.bulk, self.moment, self.cause = rules, bulk, moment, cause
        self.run_id = uuid4()

    async def run(self, engine: AsyncEngine) -> Counter[str]:
        async with engine.connect() as connection:
            proposed = await self._propose(connection)
            await connection.commit()
            done = Counter[str]()
            for first in range(1, proposed + 1, WRITTEN_AT_ONCE):
                done += await self._write(connection, first)
                await connection.commit()
            if self.bulk.occasion == "start":
                done += await self._start_the_rest(connection)
            await connection.execute(_FORGET, {"run_id": self.run_id})
            await connection.commit()
        return done

    async def _propose(self, connection: AsyncConnection) -> int:
        """Write proposals down in the order of members: so they lie in every index, and so postings lock them."""
        await connection.execute(text("SET LOCAL work_mem = '256MB'"))
        # Most rows are read, and in the order in which they lie that takes a fraction of what an index's order takes.
        await connection.execute(text("SET LOCAL enable_indexscan = off"))
        made = await connection.exec_driver_sql(f"""
            INSERT INTO tier_proposal (run_id, number, {_LISTED})
            SELECT {quote(str(self.run_id))}::uuid, row_number() OVER (ORDER BY member_id), {_LISTED}
            FROM ({self.bulk.decided()}) d
        """)
        return made.rowcount

    async def _write(self, connection: AsyncConnection, first: int) -> Counter[str]:
        # A promise and no memory: whoever did anything lately is then looked up in a hash, however little is known of
        # how many they are. It takes tens of bytes for each of them.
        await connection.execute(text("SET LOCAL work_mem = '1GB'"))
        # What a crash takes back of the last batches is still due, or was not started, and is decided again.
        await connection.execute(text("SET LOCAL synchronous_commit = off"))
        since = (self.rules.day_of(self.moment) - timedelta(days=_LATE_DAYS)).isoformat()
        metrics = ", ".join(quote(metric) for metric in self.rules.metrics) or "''"
        written = await write_decided(
            connection,
            self.rules,
            f"""SELECT {_LISTED} FROM tier_proposal
                WHERE run_id = {quote(str(self.run_id))} AND number BETWEEN {first} AND {first + WRITTEN_AT_ONCE - 1}
            """,
            cause=self.cause,
            only=f"""m.member_id NOT IN (
                SELECT a.member_id FROM tier_activity a WHERE a.metric IN ({metrics}) AND a.day >= {quote(since)})
            """,
        )
        return written.counted

    async def _start_the_rest(self, connection: AsyncConnection) -> Counter[str]:
        """Decide again, under lock, about those to whom something happened since it was proposed.

        Reviews need no such thing: who was not written is still due.
        """
        left = (await connection.scalars(_LEFT, {"run_id": self.run_id, "code": self.rules.policy.code})).all()
        done = Counter[str]()
        for first in range(0, len(left), LOCKED_AT_ONCE):
            columns = member_tier_table.c
            chosen = select(columns.member_id).filter_by(ladder_code=self.rules.policy.code)
            chosen = chosen.where(columns.member_id.in_(left[first : first + LOCKED_AT_ONCE])).order_by("member_id")
            members = (await connection.scalars(chosen.with_for_update())).all()
            bulk = Bulk(self.rules, occasion="start", moment=self.moment, members=among(members))
            done += (await write_decided(connection, self.rules, bulk.decided(), cause=self.cause)).counted
            await connection.commit()
        return done


_LEFT: Final = text("""
    SELECT p.member_id FROM tier_proposal p
    JOIN member_tier m ON m.member_id = p.member_id AND m.ladder_code = :code
    WHERE p.run_id = :run_id AND p.kind IS NOT NULL AND m.change_sequence = p.was_sequence
    ORDER BY p.member_id
""")

_FORGET: Final = text("DELETE FROM tier_proposal WHERE run_id = :run_id")


async def write_decided(
    connection: AsyncConnection, rules: Rules, decided: str, *, cause: str, only: str = "true"
) -> Written:
    """Write the decisions that a query has as rows, where nothing was decided about the member since.

    `only` is a condition on `member_tier m` besides.
    """
    code, programme = quote(rules.policy.code), quote(str(rules.version.programme_id))
    state = ", ".join(f"{name} = d.{name}" for name in STATE)
    statement = f"""
        WITH decided AS MATERIALIZED ({decided}), moved AS (
            UPDATE member_tier m SET {state} FROM decided d
            WHERE m.member_id = d.member_id AND m.ladder_code = {code} AND m.programme_id = {programme}
                AND m.change_sequence = d.was_sequence AND {only}
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
    return Written(
        members=sum(number for _, number in counted),
        kinds=Counter({kind: number for kind, number in counted if kind is not None}),
    )


def among(members: Any) -> str:
    """Members as a condition on `member_tier m`."""
    return f"m.member_id = ANY ({quote(uuid_array(members))}::uuid[])"
