"""Lots: goods made together. One row says what holds for all of them, so that a recall of a million is one row.

Steps of the road (activated, shipped, sold) are taken by the ranges of a lot, because each has come as far as it has; a
recall is said of the lot itself and read at the next scan, whatever the codes of the lot are in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import lot_table
from loyalty.items.events import EventKind, record_event
from loyalty.items.precedence import ExceptionState, RoadState, may_go
from loyalty.items.products import LocalText, get_product
from loyalty.items.ranges import CodeRange, RangeStateError, change_state, clean_text
from loyalty.items.tables import code_range_table
from loyalty.kit.errors import InvalidInputError, NotFoundError

_NOTE_LIMIT: Final = 2000


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """Goods made together under a GTIN (14 digits). `state` is what is said of all of them."""

    programme_id: UUID
    gtin: str
    code: str
    made_on: date | None = None
    expires_on: date | None = None
    region: str | None = None
    note: str = ""
    state: ExceptionState | None = None
    state_at: datetime | None = None
    state_by: str | None = None
    created_at: datetime


class LotCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many codes of a lot are in a state of the road, or out of it."""

    state: str
    codes: int


async def save_lot(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    code: str,
    made_on: date | None = None,
    expires_on: date | None = None,
    region: str | None = None,
    note: str = "",
) -> Lot:
    """Create a lot of a product, or say anew when it was made, how long it is good and where it is sold.

    Raises InvalidInputError naming the field, NotFoundError where the programme has no such product.
    """
    product = await get_product(connection, programme_id=programme_id, gtin=gtin)
    name = clean_text(code, field="lot")
    if not name:
        raise InvalidInputError("a lot needs a name", field="lot")
    if made_on is not None and expires_on is not None and expires_on < made_on:
        raise InvalidInputError("the last good day lies before the day it was made", field="expires_on")
    if len(note) > _NOTE_LIMIT:
        raise InvalidInputError(f"a note has at most {_NOTE_LIMIT} characters", field="note")
    values = {
        "gtin": product.gtin,
        "code": name,
        "programme_id": programme_id,
        "made_on": made_on,
        "expires_on": expires_on,
        "region": clean_text(region, field="region") or None,
        "note": note.strip(),
    }
    saved = insert(lot_table).values(values)
    changed = {field: saved.excluded[field] for field in ("made_on", "expires_on", "region", "note")}
    saved = saved.on_conflict_do_update(index_elements=["gtin", "code"], set_=changed)
    return _lot((await connection.execute(saved.returning(lot_table))).mappings().one())


async def get_lot(connection: AsyncConnection, *, programme_id: UUID, gtin: str, code: str) -> Lot:
    """A lot of a product (14 digits). Raises NotFoundError."""
    lot = lot_table.c
    query = select(lot_table).where(lot.gtin == gtin, lot.code == code, lot.programme_id == programme_id)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        message = f"there is no lot {code[:60]!r} of {gtin}"
        raise NotFoundError(message, field="lot")
    return _lot(row)


async def list_lots(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str | None = None,
    after: tuple[str, str] = ("", ""),
    limit: int = 100,
) -> list[Lot]:
    """A programme's lots by GTIN and code, those after (gtin, code); of one product if asked."""
    lot = lot_table.c
    place = func.row(lot.gtin, lot.code) > func.row(*after)
    query = select(lot_table).where(lot.programme_id == programme_id, place)
    if gtin is not None:
        query = query.where(lot.gtin == gtin)
    rows = await connection.execute(query.order_by(lot.gtin, lot.code).limit(limit))
    return [_lot(row) for row in rows.mappings()]


async def count_lot(connection: AsyncConnection, *, gtin: str, code: str) -> list[LotCount]:
    """How many codes of a lot its ranges hold, by their states."""
    found = code_range_table.c
    query = (
        select(found.state, func.sum(found.hi - found.lo + 1).label("codes"))
        .where(found.gtin == gtin, found.lot == code)
        .group_by(found.state)
        .order_by(found.state)
    )
    return [LotCount(state=row.state, codes=int(row.codes)) for row in await connection.execute(query)]


async def set_lot_state(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    code: str,
    state: ExceptionState | None,
    at: datetime | None = None,
    places: LocalText | None = None,
    public: bool | None = None,
    actor: str | None = None,
) -> Lot:
    """Recall or retire all of a lot from the next scan on, or take that back (None). No range and no item is written.

    It reaches what was found good before, and not what is found good from now on. Recorded as an event of each interval
    of the lot's codes. Said again, nothing changes. Raises NotFoundError where there is no such lot, RangeStateError
    where a retired one is to come back.
    """
    before = await get_lot(connection, programme_id=programme_id, gtin=gtin, code=code)
    if before.state == state:
        return before
    if before.state == "retired":
        raise RangeStateError("a retired lot stays retired", field="state", state="retired")
    lot = lot_table.c
    said = update(lot_table).where(lot.gtin == gtin, lot.code == code)
    said = said.values(state=state, state_at=func.clock_timestamp(), state_by=actor)
    saved = _lot((await connection.execute(said.returning(lot_table))).mappings().one())
    kind: EventKind = state or "released"
    for kid, lo, hi in await _intervals(connection, gtin=gtin, code=code):
        await record_event(
            connection,
            programme_id=programme_id,
            gtin=gtin,
            kid=kid,
            lo=lo,
            hi=hi,
            kind=kind,
            at=at,
            places=places,
            public=public,
            actor=actor,
        )
    return saved


async def move_lot(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    code: str,
    state: RoadState,
    at: datetime | None = None,
    places: LocalText | None = None,
    public: bool | None = None,
    actor: str | None = None,
) -> list[CodeRange]:
    """Move every range of a lot that can go there to a state of the road; those further along stay where they are.

    Raises NotFoundError where there is no such lot, InvalidInputError where the state is `issued`.
    """
    if state == "issued":
        raise InvalidInputError("codes are born as issued", field="state")
    await get_lot(connection, programme_id=programme_id, gtin=gtin, code=code)
    found = code_range_table.c
    query = select(found.kid, found.lo, found.hi, found.state).where(found.gtin == gtin, found.lot == code)
    moved: list[CodeRange] = []
    # In one order, so that two who move lots at once wait for each other and not in a circle.
    for row in (await connection.execute(query.order_by(found.kid, found.lo))).all():
        if row.state not in (state, "recalled") and may_go(row.state, state):
            moved += await change_state(
                connection,
                programme_id=programme_id,
                gtin=gtin,
                kid=row.kid,
                lo=row.lo,
                hi=row.hi,
                state=state,
                at=at,
                places=places,
                public=public,
                actor=actor,
            )
    return moved


async def _intervals(connection: AsyncConnection, *, gtin: str, code: str) -> list[tuple[int, int, int]]:
    """The codes of a lot as (kid, lo, hi), neighbours made one."""
    found = code_range_table.c
    query = select(found.kid, found.lo, found.hi).where(found.gtin == gtin, found.lot == code)
    joined: list[tuple[int, int, int]] = []
    for kid, lo, hi in (await connection.execute(query.order_by(found.kid, found.lo))).all():
        if joined and joined[-1][0] == kid and joined[-1][2] + 1 == lo:
            joined[-1] = (kid, joined[-1][1], hi)
        else:
            joined.append((kid, lo, hi))
    return joined


def _lot(values: RowMapping | Mapping[str, Any]) -> Lot:
    return Lot(**{name: values[name] for name in Lot.__struct_fields__})
