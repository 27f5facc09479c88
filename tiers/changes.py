"""What happened to a member's tier, and why: the structure that pages make a sentence of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row

ChangeKind = Literal[
    "upgrade",
    "downgrade",
    "kept",
    "soft_landing",
    "grace",
    "undone",
    "grant",
    "grant_ended",
    "merge",
    "unmerge",
]
"""`undone`: a refund undid the qualification. `soft_landing`: kept for another period though the rule was missed."""


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that was asked, and what its metric came to.

    `value` is the sum between `first_day` (None: since ever) and `last_day`, both included; `metric` is named as in
    the roll-up, such as `spend:GBP` in minor units.
    """

    metric: str
    window: str
    at_least: int
    value: int
    first_day: date | None
    last_day: date

    @property
    def missing(self) -> int:
        """What was short of it."""
        return max(0, self.at_least - self.value)


class TierChange(msgspec.Struct, frozen=True, kw_only=True):
    """One decision about a member's tier.

    `reasons` are the conditions of the tier that was asked about: of the one reached for an upgrade, of the one at
    stake otherwise. `kept`, `soft_landing` and `grace` leave the tier as it is. `cause` is what made it be looked at,
    such as `order:online/536381` or `review`.
    """

    member_id: UUID
    ladder_code: str
    sequence: int
    kind: ChangeKind
    cause: str
    ladder_version: int
    from_tier: str
    to_tier: str
    reasons: Sequence[Reason]
    at: datetime
    valid_until: datetime | None
    grace_until: datetime | None


def read_change(row: Row[Any]) -> TierChange:
    """Read a row of `tier_change`."""
    fields = {field: getattr(row, field) for field in TierChange.__struct_fields__}
    return TierChange(**fields | {"reasons": msgspec.convert(row.reasons, list[Reason])})
