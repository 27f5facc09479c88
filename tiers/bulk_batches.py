"""Batches of members: locked first, then decided about (`tiers.bulk`) and written, in one go.

What is read after the locks cannot be outdated: whatever is counted (`tiers.counting`) has its member's lock before.
Two sessions walk along the members together, so that none meets what the other one holds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from psycopg.sql import quote
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.driver import fetch
from tiers.bulk import Bulk, Occasion
from tiers.bulk_dates import SharedDates, moment_sql
from tiers.bulk_states import STATE
from tiers.deciding import Rules

BATCH_SIZE: Final = 2_000
"""How many members a transaction locks: it holds them for some tens of milliseconds."""
SESSIONS: Final = 2
"""How many batches are under way at once."""


_ORDERS: Final[Mapping[Occasion, Sequence[str]]] = {
    "due": ("review_at", "member_id"),
    "start": ("member_id",),
}
"""In which order members are read and locked."""


class Batch(msgspec.Struct, frozen=True):
    """Members, as the texts of two arrays: nothing but the database looks at them.

    `alike` are those to whom nothing happened that makes their days their own, and whose tier ends at `until`, the
    moment at which most tiers end; where a version takes force, whenever it ends. `last` is the member last in order,
    `reached` their time of review.
    """

    count: int
    alike_count: int
    until: datetime | None
    alike: str | None
    others: str | None
    reached: datetime | None
    last: UUID | None

    @property
    def members(self) -> str:
        """All of them."""
        listed = [each.strip("{}") for each in (self.alike, self.others) if each is not None]
        return f"{{{','.join(listed)}}}"


async def read_batch(
    connection: AsyncConnection, rules: Rules, occasion: Occasion, moment: datetime, *, where: str, choice: str
) -> Batch:
    """The members of `member_tier m` whom a condition names, in its order; `choice` limits and locks them."""
    code, programme = quote(rules.policy.code), quote(str(rules.version.programme_id))
    at = moment_sql(moment)
    # A version that takes force asks nobody when their tier would have ended.
    ends = at if occasion == "start" else "CASE WHEN m.grace_until IS NULL THEN m.valid_until END"
    order = _ORDERS[occasion]
    last_first = ", ".join(f"{column} DESC" for column in order)
    ((*columns,),) = await fetch(
        connection,
        f"""
        WITH batch AS MATERIALIZED (
            SELECT m.member_id, m.review_at,
                CASE WHEN m.changed_at IS NULL OR m.changed_at <= {at} THEN {ends} END AS ends
            FROM member_tier m WHERE m.programme_id = {programme} AND m.ladder_code = {code} AND {where}
            ORDER BY {", ".join(order)} {choice}
        ), most AS MATERIALIZED (SELECT mode() WITHIN GROUP (ORDER BY ends) AS until FROM batch)
        SELECT count(*), count(*) FILTER (WHERE ends = until), min(until),
            CAST(array_agg(member_id) FILTER (WHERE ends = until) AS text),
            CAST(array_agg(member_id) FILTER (WHERE ends IS DISTINCT FROM until OR ends IS NULL) AS text),
            max(review_at), (array_agg(member_id ORDER BY {last_first}))[1]
        FROM batch, most
        """,
        once=True,
    )
    return Batch(*columns)


class Walk:
    """A walk along members of `member_tier m`, batch by batch, for sessions that take turns.

    Each batch begins where the one before has ended. From the start each would pass all who were written, because an
    index keeps what was due until it is vacuumed.
    """

    def __init__(self, occasion: Occasion, moment: datetime, *, where: str, choice: str) -> None:
        self.occasion, self.moment = occasion, moment
        self._where, self._choice = where, choice
        self._beyond = "true"
        self._turn = asyncio.Lock()

    async def next_batch(self, connection: AsyncConnection, rules: Rules) -> Batch | None:
        """The next members, as `choice` limits and locks them; None where there are none."""
        async with self._turn:
            where = f"{self._where} AND {self._beyond}"
            batch = await read_batch(connection, rules, self.occasion, self.moment, where=where, choice=self._choice)
            if batch.last is None:
                return None
            self._beyond = f"m.member_id > '{batch.last}'"
            if self.occasion == "due" and batch.reached is not None:
                self._beyond = f"(m.review_at, m.member_id) > ({moment_sql(batch.reached)}, '{batch.last}')"
        return batch


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """How many members were written, and what was decided, by kind.

    Members of whom only a date was set are in `members` and in no kind.
    """

    members: int = 0
    kinds: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def counted(self) -> Counter[str]:
        """All of it as one count, members as `reviewed`."""
        return self.kinds + Counter(reviewed=self.members)

    def __add__(self, other: Written) -> Written:
        return Written(members=self.members + other.members, kinds=self.kinds + other.kinds)


def bulks(rules: Rules, occasion: Occasion, moment: datetime, batch: Batch) -> list[Bulk]:
    """The decisions about a batch: by the short form for those whose days are the same, if they are most of it."""
    dates = None
    if batch.until is not None and batch.until <= moment and 2 * batch.alike_count >= batch.count:
        dates = SharedDates.find(rules, moment=moment, valid_until=None if occasion == "start" else batch.until)
    if dates is None or batch.alike is None:
        return [Bulk(rules, occasion=occasion, moment=moment, listed=batch.members)]
    found = [Bulk(rules, occasion=occasion, moment=moment, listed=batch.alike, dates=dates)]
    if batch.others is not None:
        found.append(Bulk(rules, occasion=occasion, moment=moment, listed=batch.others))
    return found


async def write_batch(
    connection: AsyncConnection, rules: Rules, occasion: Occasion, moment: datetime, batch: Batch, *, cause: str
) -> Written:
    """Decide about members whom this transaction has locked, and write it."""
    written = Written()
    for bulk in bulks(rules, occasion, moment, batch):
        written += await _write(connection, rules, bulk.decided(), cause=cause)
    return written


async def _write(connection: AsyncConnection, rules: Rules, decided: str, *, cause: str) -> Written:
    code, programme = quote(rules.policy.code), quote(str(rules.version.programme_id))
    state = ", ".join(f"{name} = d.{name}" for name in STATE)
    statement = f"""
        WITH decided AS MATERIALIZED ({decided}), moved AS (
            UPDATE member_tier m SET {state} FROM decided d
            WHERE m.ctid = d.row_id  -- it is locked, and so stays where it lies
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
    counted = await fetch(connection, statement, once=True)
    return Written(
        members=sum(number for _, number in counted),
        kinds=Counter({kind: number for kind, number in counted if kind is not None}),
    )


_LATER: Final = text("SET LOCAL synchronous_commit = off")


async def work_through(
    engine: AsyncEngine, step: Callable[[AsyncConnection], Awaitable[Written | None]]
) -> Counter[str]:
    """Repeat a step in several sessions, one transaction each, until it has nothing left: counts as `Written` has them.

    The steps do not wait for the disk: what a crash takes back of the last ones has to be found undone, and done again.
    """

    async def work() -> Counter[str]:
        done = Counter[str]()
        async with engine.connect() as connection:
            while True:
                await connection.execute(_LATER)
                written = await step(connection)
                await connection.commit()
                if written is None:
                    return done
                done += written.counted

    async with asyncio.TaskGroup() as group:
        sessions = [group.create_task(work()) for _ in range(SESSIONS)]
    return sum((session.result() for session in sessions), Counter[str]())
