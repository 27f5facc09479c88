"""What state an item is in, where it, its range, its lot and its key each say something. Pure.

There are two kinds of state. On the road (issued, printed, activated, shipped, sold) an item is as far as it or its
range has come: selling one piece of a range that was shipped does not depend on who writes it down. Exceptions
(recalled, retired, honey) go the other way: the nearest word counts, item before range before lot before key, and an
item or a range may be exempt from what was said further out, because somebody looked at these and found them good.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

RangeState = Literal["issued", "printed", "activated", "shipped", "sold", "recalled", "retired"]
"""The state of a range of codes."""

NextState = Literal["printed", "activated", "shipped", "sold", "recalled", "retired"]
"""A state that codes are moved to; they are born as issued."""

RoadState = Literal["issued", "printed", "activated", "shipped", "sold"]
ExceptionState = Literal["recalled", "retired"]
"""What can be said of a whole lot, or of a key."""

ItemState = RangeState | Literal["honey"]
"""The state of an item. Honey: exported to a printer, never sold, so a scan is a leak."""

ROAD: Final[tuple[RoadState, ...]] = ("issued", "printed", "activated", "shipped", "sold")
LIVE_STATES: Final[frozenset[ItemState]] = frozenset({"activated", "shipped", "sold"})
"""The states in which an item is on its way to a shopper or in their hands, and can be claimed."""


class Word(NamedTuple):
    """What is said of a range, a lot or a key, and when it was said."""

    state: RangeState
    at: datetime


def effective_state(
    *,
    item: ItemState | None,
    code_range: Word,
    lot: Word | None = None,
    key: Word | None = None,
    item_exempt_at: datetime | None = None,
    range_exempt_at: datetime | None = None,
) -> ItemState:
    """The state of an item; `item` is its own state, where it has one.

    An exemption holds against what was said of a whole by then: a later recall reaches what an earlier one did not.
    """
    if item is not None and item not in ROAD:
        return item
    words = (
        (code_range, [item_exempt_at]),
        (lot, [item_exempt_at, range_exempt_at]),
        (key, [item_exempt_at, range_exempt_at]),
    )
    for word, exempt_at in words:
        excepted = word is not None and any(at is not None and word.at <= at for at in exempt_at)
        if word is not None and word.state not in ROAD and not excepted:
            return word.state
    road = [state for state in ROAD if state in (item, code_range.state)]
    return road[-1] if road else code_range.state


def may_go(present: RangeState, wanted: NextState) -> bool:
    """Whether codes in a state can be moved to another one.

    Steps of the road may be left out, none goes back. Any code can be recalled or retired; a recall is lifted by naming
    the live state to return to; retired is the end.
    """
    if present == wanted:
        return True
    if present == "retired":
        return False
    if wanted in ("recalled", "retired"):
        return True
    if present == "recalled":
        return wanted in LIVE_STATES
    return ROAD.index(wanted) > ROAD.index(present)
