"""Single items that are not as their range says: sold one by one, returned, stolen, or out to catch a leak."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.events import record_event
from loyalty.items.lookup import load_item
from loyalty.items.precedence import LIVE_STATES, ItemState, NextState, may_go
from loyalty.items.products import LocalText
from loyalty.items.ranges import RangeStateError
from loyalty.items.tables import item_table
from loyalty.items.verdicts import Item
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError, NotFoundError


async def change_item(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    code: ItemCode,
    state: NextState,
    exempt: bool = False,
    at: datetime | None = None,
    places: LocalText | None = None,
    public: bool | None = None,
    actor: str | None = None,
) -> Item:
    """Move one item to a state and record it as an event; its range stays whole. Said again, nothing changes.

    The road is that of `precedence.may_go`, from where the item stands with all that is said of it. With `exempt`, it
    stands in the live state named whatever was said of its range, lot or key by now: somebody looked at this one.

    Raises NotFoundError where it was never minted in this programme, RangeStateError where it cannot go there.
    """
    if exempt and state not in LIVE_STATES:
        raise InvalidInputError("what is exempt from a recall is activated, shipped or sold", field="state")
    found = await load_item(connection, programme_id=programme_id, code=code)
    if not isinstance(found, Item):
        raise NotFoundError("this item was never minted in this programme", field="serial")
    present = found.state
    if present == "honey" or found.record.state == "retired" or not (exempt or may_go(present, state)):
        message = f"this item is {present} and cannot become {state}"
        raise RangeStateError(message, field="state", state=present)
    if present == state and not exempt:
        return found
    if present == "recalled" and not exempt and found.record.state != "recalled":
        message = "its range, its lot or its key was recalled; find this one good (exempt) to take it out"
        raise RangeStateError(message, field="exempt", state=present)
    own: dict[str, Any] = {"state": state}
    own |= {"exempt_at": func.clock_timestamp()} if exempt else {}
    await _write(connection, programme_id=programme_id, code=code, values=own)
    await record_event(
        connection,
        programme_id=programme_id,
        gtin=code.gtin,
        kid=code.kid,
        lo=code.index,
        hi=code.index,
        kind="released" if exempt else state,
        at=at,
        places=places,
        public=public,
        actor=actor,
    )
    changed = await load_item(connection, programme_id=programme_id, code=code)
    assert isinstance(changed, Item)  # noqa: S101  (it was one, and no state of the road makes it another)
    return changed


async def set_item_state(
    connection: AsyncConnection, *, programme_id: UUID, code: ItemCode, state: ItemState | None
) -> None:
    """Give one item a state of its own without a word in its story; None gives it back to its range.

    Raises NotFoundError where it was never minted in this programme.
    """
    found = await load_item(connection, programme_id=programme_id, code=code)
    if not isinstance(found, Item) and found != "honey":
        raise NotFoundError("this item was never minted in this programme", field="index")
    await _write(connection, programme_id=programme_id, code=code, values={"state": state})


async def _write(connection: AsyncConnection, *, programme_id: UUID, code: ItemCode, values: dict[str, Any]) -> None:
    own = upsert(item_table).values(gtin=code.gtin, kid=code.kid, index=code.index, programme_id=programme_id, **values)
    changed = {name: own.excluded[name] for name in values}
    await connection.execute(own.on_conflict_do_update(index_elements=["gtin", "kid", "index"], set_=changed))


async def clear_suspicion(
    connection: AsyncConnection, *, programme_id: UUID, code: ItemCode, at: datetime | None = None
) -> None:
    """Say that a brand has looked at an item and found nothing wrong: it can be claimed, and its PIN tried, again."""
    item = item_table.c
    await connection.execute(
        update(item_table)
        .where(
            item.gtin == code.gtin, item.kid == code.kid, item.index == code.index, item.programme_id == programme_id
        )
        .values(suspected_at=None, cleared_at=at or utc_now(), pin_failures=0)
    )
