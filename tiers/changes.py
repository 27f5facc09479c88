"""What happened to a member's tier, and why: the structure that pages make a sentence of."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row

ChangeKind = Literal["upgrade", "downgrade", "kept", "grace", "merge", "unmerge"]


class TierChange(msgspec.Struct, frozen=True, kw_only=True):
    """One decision about a member's tier.

    `value` is what the metric came to between `window_first_day` (None: since ever) and `window_last_day`, both
    included; `threshold` is what was asked: of the tier reached for an upgrade, of the tier at stake otherwise.
    `kept` and `grace` leave the tier as it is: a review confirmed it, or gave days to make up for what is missing.
    `cause` is what made it be looked at, such as `order:online/536381` or `review`.
    """

    member_id: UUID
    ladder_code: str
    sequence: int
    kind: ChangeKind
    cause: str
    ladder_version: int
    from_tier: str
    to_tier: str
    metric: str
    value: int
    threshold: int
    window_kind: str
    window_first_day: date | None
    window_last_day: date
    at: datetime
    valid_until: datetime | None
    grace_until: datetime | None


def read_change(row: Row[Any]) -> TierChange:
    """Read a row of `tier_change`."""
    return TierChange(**{field: getattr(row, field) for field in TierChange.__struct_fields__})
