"""Ladders: the simple policies, whose tiers each ask for one figure of one metric over one window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError
from tiers.policies import (
    DEFAULT_LADDER,
    DowngradePolicy,
    Keep,
    KeepForever,
    KeepMonths,
    KeepUntilNextYearEnd,
    PolicyVersion,
    Tier,
    TierPolicy,
)
from tiers.rules import Metric, Reach
from tiers.versions import SYSTEM, publish_policy
from tiers.windows import CalendarYearWindow, MembershipYearWindow, RollingMonthsWindow, Window

_A_YEAR: Final = 12


class TierStep(msgspec.Struct, frozen=True, kw_only=True):
    """One rung: its code, its name by locale (`zh` and `en`), its rank (higher is better) and its threshold."""

    code: str
    name: dict[str, str]
    rank: int
    threshold: int


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """A ladder as a brand says it in one breath. The first step's threshold is 0.

    A tier holds as long as the window is: N months, to the end of the next calendar year, or without end; in the last
    case a refund that uncovers it takes it away at once, because no review would.
    """

    code: str = DEFAULT_LADDER
    metric: Metric
    window: Window
    tiers: Sequence[TierStep]
    grace_days: int = 0
    downgrade: DowngradePolicy = "one_step"

    def policy(self) -> TierPolicy:
        """The same as a policy. Raises InvalidInputError where the first threshold is not 0."""
        if self.tiers and self.tiers[0].threshold != 0:
            raise InvalidInputError("the first tier is everybody's: its threshold is 0", field="tiers[0].threshold")
        keep = _keep(self.window)
        forever = isinstance(keep, KeepForever) and self.downgrade != "never"
        return TierPolicy(
            code=self.code,
            tiers=tuple(
                Tier(
                    code=step.code,
                    name=step.name,
                    rank=step.rank,
                    qualify=Reach(metric=self.metric, window=self.window, at_least=step.threshold) if place else None,
                )
                for place, step in enumerate(self.tiers)
            ),
            keep=keep,
            downgrade=self.downgrade,
            grace_days=self.grace_days,
            refunds="recheck_at_once" if forever else "keep_until_review",
        )


def _keep(window: Window) -> Keep:
    match window:
        case CalendarYearWindow():
            return KeepUntilNextYearEnd()
        case RollingMonthsWindow(months=months):
            return KeepMonths(months=months)
        case MembershipYearWindow():
            return KeepMonths(months=_A_YEAR)
        case _:
            return KeepForever()


async def publish_ladder(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    ladder: Ladder,
    effective_at: datetime | None = None,
    by: str = SYSTEM,
) -> PolicyVersion:
    """Publish a ladder as `publish_policy` does."""
    return await publish_policy(
        connection, programme_id=programme_id, policy=ladder.policy(), effective_at=effective_at, by=by
    )
