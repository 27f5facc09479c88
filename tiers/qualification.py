"""Qualification: what a member does is rolled up by day, and reaching a threshold moves the member up at once."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError, NotFoundError
from tiers.changes import TierChange
from tiers.counting import latest
from tiers.deciding import decide_activity
from tiers.policies import DEFAULT_LADDER
from tiers.rules import ROLLED_UP
from tiers.states import lock, roll_up, write

MAX_CAUSE: Final = 200

_RECORD: Final = text("""
    INSERT INTO tier_activity (member_id, metric, day, programme_id, amount)
    SELECT :member_id, :metric, (CAST(:at AS timestamptz) AT TIME ZONE time_zone)::date, id, :amount
    FROM programme WHERE id = :programme_id
    ON CONFLICT (member_id, metric, day) DO UPDATE SET amount = tier_activity.amount + excluded.amount
""")


async def record(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, metric: str, at: datetime, amount: int
) -> None:
    """Add to what a member did on one day: `points`, `growth`, `orders`, `checkins`, `scans`, or `spend:GBP` in minor
    units.

    `at` chooses the day, in the programme's time zone. A refund is a negative amount at the *order's* moment, so that
    it counts against the window the order counted in. Not idempotent: call it once for each posting, in the posting's
    transaction. Raises NotFoundError for an unknown programme, InvalidInputError for an unknown metric.
    """
    if not ROLLED_UP.fullmatch(metric):
        message = f"{metric[:40]!r} is not a metric: points, growth, orders, checkins, scans, or spend: and a currency"
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
    """Move a member up at once where the policy in force says so, and down where a refund undid the tier and the policy
    rechecks at once; otherwise only `review` moves anybody down.

    Answers the change, or None: nothing to do, or the programme has no ladder. Call it after every `record`, refunds
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
    done = await roll_up(connection, rules.metrics, member_id)
    as_of = latest(rules, state, done, moment)
    decision = decide_activity(rules, state, done, moment=as_of, cause=cause)
    if decision is None:
        return None
    await write(connection, [decision])
    return decision.change
