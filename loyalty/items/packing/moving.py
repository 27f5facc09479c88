"""Moving all that lies in a case or on a pallet: activated, shipped, sold, recalled in one go."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.packing import lock_items
from loyalty.items.packing.reading import all_items
from loyalty.items.packing.sscc import normalise_sscc
from loyalty.items.precedence import NextState
from loyalty.items.products import LocalText
from loyalty.items.ranges import change_state
from loyalty.kit.errors import ConflictError, NotFoundError


class MovedUnit(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a unit, and of the units in it, that were moved to a state."""

    sscc: str
    state: NextState
    items: list[Interval]

    @property
    def count(self) -> int:
        """How many items these are."""
        return sum(each.count for each in self.items)


async def move_unit(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    sscc: str,
    state: NextState,
    exempt: bool = False,
    at: datetime | None = None,
    places: LocalText | None = None,
    public: bool | None = None,
    actor: str | None = None,
) -> MovedUnit:
    """Move everything in a case or pallet to a state, as `change_state` does: all of it or nothing.

    Only what lies in it now is moved; what is put in later is not. Raises NotFoundError where there is no such unit or
    nothing lies in it, RangeStateError where an item cannot go there, ConflictError where it is being repacked.
    """
    digits = normalise_sscc(sscc)
    items = await all_items(connection, programme_id=programme_id, sscc=digits)
    await lock_items(connection, programme_id, items)
    held = {(each.gtin, each.kid) for each in items}
    items = await all_items(connection, programme_id=programme_id, sscc=digits)  # somebody may have repacked it
    if not items:
        raise NotFoundError("nothing lies in this unit", field="sscc")
    if not {(each.gtin, each.kid) for each in items} <= held:
        raise ConflictError("this unit is being repacked; try again", field="sscc")
    for each in items:
        await change_state(
            connection,
            programme_id=programme_id,
            gtin=each.gtin,
            kid=each.kid,
            lo=each.lo,
            hi=each.hi,
            state=state,
            exempt=exempt,
            at=at,
            places=places,
            public=public,
            actor=actor,
        )
    return MovedUnit(sscc=digits, state=state, items=items)
