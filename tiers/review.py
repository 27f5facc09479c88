"""Review: the way down. A tier whose time is over is confirmed, given grace, or lowered, as its policy says.

One member is reviewed by `tiers.deciding`, many by the same rules as SQL, in batches whose members are locked first
(`tiers.bulk_batches`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Self
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tiers.bulk_batches import BATCH_SIZE, Walk, Written, work_through, write_batch
from tiers.bulk_dates import moment_sql
from tiers.changes import TierChange
from tiers.deciding import decide_review, not_before
from tiers.policies import DEFAULT_LADDER
from tiers.states import load_rules, lock, roll_up, write

REVIEW_CAUSE: Final = "review"


class ReviewTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole review decided, by kind. A member whose several periods are over is decided about several times."""

    reviewed: int = 0
    kept: int = 0
    soft_landing: int = 0
    grace: int = 0
    upgrade: int = 0
    downgrade: int = 0
    grant_ended: int = 0

    @classmethod
    def of(cls, counted: Counter[str]) -> Self:
        """From counts as `Written` has them."""
        return cls(**{field: counted[field] for field in cls.__struct_fields__})


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
    limit: int = BATCH_SIZE,
    ladder_code: str = DEFAULT_LADDER,
) -> Written:
    """Review up to `limit` members due at `moment`, those due longest first, in the caller's transaction.

    No member written means that nobody is due any more, or that another reviewer has them.

    Who is due is written in the member's own row, so a review that stops half way goes on where it stopped, and two
    at once share the work (rows that another one holds are skipped).
    """
    step = _step(_walk(moment, limit), programme_id, ladder_code)
    return await step(connection) or Written()


async def review_all(
    engine: AsyncEngine,
    *,
    programme_id: UUID,
    moment: datetime,
    batch_size: int = BATCH_SIZE,
    ladder_code: str = DEFAULT_LADDER,
) -> ReviewTotals:
    """Review everybody due at `moment`, one transaction a batch.

    It walks along all who are due until it reviews nobody: the second time it meets those whom a posting held the first
    time, and those who have missed several reviews. Whoever is held then too is still due.
    """
    done = Counter[str]()
    while True:
        counted = await work_through(engine, _step(_walk(moment, batch_size), programme_id, ladder_code))
        done += counted
        if not counted["reviewed"]:
            return ReviewTotals.of(done)


def _walk(moment: datetime, limit: int) -> Walk:
    """Along those who are due; whoever is held by others is passed by."""
    due = f"m.review_at <= {moment_sql(moment)}"
    return Walk("due", moment, where=due, choice=f"LIMIT {limit} FOR UPDATE SKIP LOCKED")


def _step(walk: Walk, programme_id: UUID, ladder_code: str) -> Callable[[AsyncConnection], Awaitable[Written | None]]:
    async def step(connection: AsyncConnection) -> Written | None:
        """Review the next ones in the caller's transaction; None where there are none."""
        rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=walk.moment)
        batch = await walk.next_batch(connection, rules) if rules is not None else None
        if rules is None or batch is None:
            return None
        return await write_batch(connection, rules, "due", walk.moment, batch, cause=REVIEW_CAUSE)

    return step
