"""Qualification: what a member does is rolled up by day, and reaching a threshold moves the member up at once."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import start_of_local_day, utc_now
from loyalty.kit.errors import InvalidInputError, NotFoundError
from tiers.changes import TierChange
from tiers.deciding import Measure, Rules, TierState, decide_upgrade, not_before
from tiers.ladders import DEFAULT_LADDER
from tiers.states import last_activity_day, lock, totals, write
from tiers.windows import span_on

MAX_CAUSE: Final = 200

_METRIC: Final = re.compile(r"points|growth|spend:[A-Z]{3}")

_RECORD: Final = text("""
    INSERT INTO tier_activity (member_id, metric, day, programme_id, amount)
    SELECT :member_id, :metric, (CAST(:at AS timestamptz) AT TIME ZONE time_zone)::date, id, :amount
    FROM programme WHERE id = :programme_id
    ON CONFLICT (member_id, metric, day) DO UPDATE SET amount = tier_activity.amount + excluded.amount
""")


async def record(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, metric: str, at: datetime, amount: int
) -> None:
    """Add to what a member did on one day: `points`, `growth`, or `spend:GBP` in minor units.

    `at` chooses the day, in the programme's time zone. A refund is a negative amount at the *order's* moment, so that
    it counts against the window the order counted in. Not idempotent: call it once for each posting, in the posting's
    transaction. Raises NotFoundError for an unknown programme, InvalidInputError for an unknown metric.
    """
    if not _METRIC.fullmatch(metric):
        message = f"{metric[:40]!r} is not a metric: points, growth, or spend: and a currency, such as spend:CNY"
        raise InvalidInputError(message, field="metric")
    bound = {"programme_id": programme_id, "member_id": member_id, "metric": metric, "at": at, "amount": amount}
    if (await connection.execute(_RECORD, bound)).rowcount == 0:
        raise NotFoundError("there is no such programme", field="programme")


async def evaluate(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    moment: datetime,
    cause: str,
    ladder_code: str = DEFAULT_LADDER,
) -> TierChange | None:
    """Move a member up at once where the ladder in force says so. Never moves anybody down: `review` does.

    Answers the upgrade, or None: nothing to do, or the programme has no ladder. Call it after every `record`, refunds
    included, in the same transaction. `cause` says what happened, such as `order:online/536381`. Evaluation never goes
    back behind the member's last change, nor behind what is rolled up already: an older moment counts as that one, so
    orders that arrive late or in disorder end in the tier of those that arrive in time.
    """
    if not 0 < len(cause) <= MAX_CAUSE:
        raise InvalidInputError(f"a cause has 1 to {MAX_CAUSE} characters", field="cause")
    found = await lock(
        connection, programme_id=programme_id, member_id=member_id, ladder_code=ladder_code, moment=moment
    )
    if found is None:
        return None
    rules, state = found
    as_of = await _latest(connection, rules, state, moment)
    span = span_on(rules.version.ladder.window, rules.day_of(as_of))
    measure = Measure(rules.value((await totals(connection, rules.metrics, [(member_id, span)]))[0]), span)
    decision = decide_upgrade(rules, state, measure, moment=as_of, cause=cause)
    if decision is None:
        return None
    await write(connection, [decision])
    return decision.change if decision.change is not None and decision.change.kind == "upgrade" else None


async def _latest(connection: AsyncConnection, rules: Rules, state: TierState, moment: datetime) -> datetime:
    """The moment, the last change, or the start of the last day with activity up to now, whichever is latest."""
    as_of, now = not_before(state, moment), utc_now()
    if as_of >= now:
        return as_of
    day = await last_activity_day(
        connection, rules.metrics, member_id=state.member_id, after=rules.day_of(as_of), until=rules.day_of(now)
    )
    return as_of if day is None else max(as_of, start_of_local_day(day, rules.time_zone))
