"""Beside what a coupon applies, and on which amounts it is reckoned."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from loyalty.kit.errors import InvalidInputError
from redemption.checks import check_range

MAX_PRIORITY: Final = 1_000

_GROUP: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Stacking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a coupon goes together with others and with points.

    Coupons are applied by rising `priority`; the order in which they were given never matters, because those of equal
    priority are taken by their reference. Of the coupons of one `group` one applies: with `choice` "first" the first
    that can, with "best" the one that by itself takes most off the basket (the group's first coupon says which). An
    `exclusive` coupon applies alone: where another one applies already it is refused, and where it applies all others
    are. `with_points` says whether points may pay beside it.

    `base` says what it is reckoned on, minimum included. "remaining": what the coupons before it left. "list": the
    basket's own amounts, whatever else applies; then the whole discount does not depend on priorities.
    """

    priority: int = 100
    group: str | None = None
    choice: Literal["first", "best"] = "best"
    exclusive: bool = False
    with_points: bool = True
    base: Literal["remaining", "list"] = "remaining"


def check_stacking(stacking: Stacking, field: str) -> None:
    """Refuse a priority out of range and a group that is no code. Raises InvalidInputError below `field`."""
    check_range(stacking.priority, f"{field}.priority", least=0, most=MAX_PRIORITY)
    if stacking.group is not None and not _GROUP.fullmatch(stacking.group):
        raise InvalidInputError("is not a code: lower-case letters, digits, - and _", field=f"{field}.group")
