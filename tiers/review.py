"""Review: the only way down. A tier whose time is over is confirmed, given grace, or lowered by the ladder's policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from tiers.changes import TierChange
from tiers.deciding import Decision, Measure, Rules, TierState, decide_review, not_before, review_spans
from tiers.ladders import DEFAULT_LADDER
from tiers.states import load_rules, read_state, totals, write
from tiers.tables import member_tier_table

REVIEW_CAUSE: Final = "review"
BATCH_MEMBERS: Final = 500


class ReviewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch decided; `reviewed` 0 means that nobody is due any more (or another reviewer has them)."""

    reviewed: int
    changes: list[TierChange]


class ReviewTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole review decided, by kind. A member whose several periods are over is decided about several times."""

    reviewed: int
    kept: int
    graced: int
    upgraded: int
    downgraded: int


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
    while True:
        batch = await _review(
            connection,
            programme_id=programme_id,
            moment=moment,
            ladder_code=ladder_code,
            limit=1,
            member_id=member_id,
        )
        changes += batch.changes
        if batch.reviewed == 0:
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
    return await _review(
        connection, programme_id=programme_id, moment=moment, ladder_code=ladder_code, limit=limit, member_id=None
    )


async def review_all(
    engine: AsyncEngine,
    *,
    programme_id: UUID,
    moment: datetime,
    batch_size: int = BATCH_MEMBERS,
    ladder_code: str = DEFAULT_LADDER,
) -> ReviewTotals:
    """Review everybody due at `moment`, one transaction a batch."""
    reviewed, kinds = 0, Counter[str]()
    while True:
        async with transaction(engine) as connection:
            batch = await review_due(
                connection, programme_id=programme_id, moment=moment, limit=batch_size, ladder_code=ladder_code
            )
        reviewed += batch.reviewed
        kinds.update(change.kind for change in batch.changes)
        if batch.reviewed == 0:
            return ReviewTotals(
                reviewed=reviewed,
                kept=kinds["kept"],
                graced=kinds["grace"],
                upgraded=kinds["upgrade"],
                downgraded=kinds["downgrade"],
            )


async def _review(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    moment: datetime,
    ladder_code: str,
    limit: int,
    member_id: UUID | None,
) -> ReviewBatch:
    rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
    if rules is None:
        return ReviewBatch(reviewed=0, changes=[])
    table = member_tier_table
    due = select(table).filter_by(programme_id=programme_id, ladder_code=ladder_code).where(table.c.review_at <= moment)
    if member_id is None:
        due = due.order_by(table.c.review_at, table.c.member_id).limit(limit).with_for_update(skip_locked=True)
    else:
        due = due.where(table.c.member_id == member_id).with_for_update()
    states = [read_state(row) for row in await connection.execute(due)]
    decisions = await _decide(connection, rules, states, moment)
    await write(connection, decisions)
    return ReviewBatch(
        reviewed=len(decisions), changes=[decision.change for decision in decisions if decision.change is not None]
    )


async def _decide(
    connection: AsyncConnection, rules: Rules, states: Sequence[TierState], moment: datetime
) -> list[Decision]:
    moments = [not_before(state, moment) for state in states]
    spans = [review_spans(rules, state, moment=at) for state, at in zip(states, moments, strict=True)]
    wanted = [(state.member_id, span) for state, own in zip(states, spans, strict=True) for span in own]
    sums = iter(await totals(connection, rules.metrics, wanted)) if wanted else iter(())
    decisions = []
    for state, at, own in zip(states, moments, spans, strict=True):
        measures = [Measure(rules.value(next(sums)), span) for span in own]
        decision = decide_review(rules, state, measures, moment=at, cause=REVIEW_CAUSE)
        if decision is not None:
            decisions.append(decision)
    return decisions
