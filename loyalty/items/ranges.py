"""Ranges: consecutive codes of one print order, minted, cut and moved through their states as intervals.

Indexes of a (gtin, kid) are handed out in order and never again. Whoever takes or cuts an interval first locks the row
of its series, so that ranges neither overlap nor leave holes, whatever happens at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import lot_table
from loyalty.items.codes import INDEX_LIMIT
from loyalty.items.events import record_event
from loyalty.items.key_records import refuse_compromised
from loyalty.items.keys import MasterKeys
from loyalty.items.precedence import LIVE_STATES, NextState, RangeState, may_go
from loyalty.items.products import POINTS_LIMIT, LocalText, get_product
from loyalty.items.tables import code_range_table, code_series_table
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, public_id

__all__ = ["LIVE_STATES", "CodeRange", "NextState", "RangePolicy", "RangeState"]

MINT_LIMIT: Final = 1_000_000_000
"""The most codes of one print order."""
_TEXT_LIMIT: Final = 200
_range: Final = code_range_table.c


class RangeStateError(ConflictError):
    """A state that codes cannot go to from where they are."""

    type = "range-state"
    title = "These codes cannot go to that state"


class SeriesExhaustedError(ConflictError):
    """No indexes are left under this GTIN and key id; a new key id opens a new series."""

    type = "code-series-exhausted"
    title = "No codes are left in this series"


class RangePolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a print order says about claiming its items."""

    pin_required: bool = False
    """Claiming takes the code under the scratch-off."""
    points_on_claim: int | None = None
    """In place of the product's points."""


class CodeRange(msgspec.Struct, frozen=True, kw_only=True):
    """The codes from index `lo` to `hi`, ends included. `origin_id` is the range they were minted in.

    `exempt_at`: what was said of its lot or key by then does not hold for it. `honey_export_id`: codes that stand in
    the file of one export and are never sold. `dealer`: who these were sold to, to sell on.
    """

    id: UUID
    origin_id: UUID
    programme_id: UUID
    gtin: str
    kid: int
    lo: int
    hi: int
    state: RangeState
    print_order: str
    lot: str | None
    region: str | None
    expires_on: date | None
    policy: RangePolicy
    created_at: datetime
    state_at: datetime | None = None
    exempt_at: datetime | None = None
    honey_export_id: UUID | None = None
    dealer: str | None = None

    @property
    def count(self) -> int:
        """How many codes it holds."""
        return self.hi - self.lo + 1

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id("rng", self.id)


async def mint_range(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    gtin: str,
    count: int,
    print_order: str,
    kid: int | None = None,
    lot: str | None = None,
    region: str | None = None,
    expires_on: date | None = None,
    policy: RangePolicy | None = None,
    at: datetime | None = None,
    actor: str | None = None,
) -> CodeRange:
    """Take the next `count` codes of a product as a range in state `issued`; under the newest key unless one is named.

    Raises NotFoundError where the product or the key id is not known, InvalidInputError naming the field,
    KeyCompromisedError where the key has leaked, SeriesExhaustedError where the series has fewer codes left.
    """
    product = await get_product(connection, programme_id=programme_id, gtin=gtin)
    keys.refresh()
    kid = keys.current_kid if kid is None else kid
    keys.for_product(product.gtin, kid)
    await refuse_compromised(connection, programme_id=programme_id, kid=kid)
    return await open_range(
        connection,
        programme_id=programme_id,
        gtin=product.gtin,
        kid=kid,
        count=count,
        print_order=print_order,
        lot=lot,
        region=region,
        expires_on=expires_on,
        policy=policy,
        at=at,
        actor=actor,
    )


async def open_range(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    kid: int,
    count: int,
    print_order: str,
    lot: str | None = None,
    region: str | None = None,
    expires_on: date | None = None,
    policy: RangePolicy | None = None,
    honey_export_id: UUID | None = None,
    at: datetime | None = None,
    actor: str | None = None,
) -> CodeRange:
    """Take the next `count` indexes of a series as a range in state `issued`, whatever stands behind its codes.

    Raises InvalidInputError naming the field, SeriesExhaustedError where the series has fewer codes left.
    """
    if not 0 < count <= MINT_LIMIT:
        raise InvalidInputError(f"a print order has 1 to {MINT_LIMIT} codes, not {count}", field="count")
    name = clean_text(print_order, field="print_order")
    if not name:
        raise InvalidInputError("a print order needs a name", field="print_order")
    policy = policy or RangePolicy()
    if policy.points_on_claim is not None and not 0 <= policy.points_on_claim <= POINTS_LIMIT:
        raise InvalidInputError(f"points are from 0 to {POINTS_LIMIT}", field="policy.points_on_claim")
    lot = await _known_lot(connection, programme_id=programme_id, gtin=gtin, lot=lot)
    lo = await _take_indexes(connection, programme_id=programme_id, gtin=gtin, kid=kid, count=count)
    identifier = new_id()
    values = {
        "id": identifier,
        "origin_id": identifier,
        "programme_id": programme_id,
        "gtin": gtin,
        "kid": kid,
        "lo": lo,
        "hi": lo + count - 1,
        "state": "issued",
        "print_order": name,
        "lot": lot,
        "region": clean_text(region, field="region") or None,
        "expires_on": expires_on,
        "policy": policy,
        "honey_export_id": honey_export_id,
    }
    statement = insert(code_range_table).values(values).returning(code_range_table)
    opened = range_from_row((await connection.execute(statement)).mappings().one())
    if honey_export_id is None:
        await record_event(
            connection,
            programme_id=programme_id,
            gtin=gtin,
            kid=kid,
            lo=opened.lo,
            hi=opened.hi,
            kind="minted",
            at=at,
            actor=actor,
        )
    return opened


async def get_range(connection: AsyncConnection, *, programme_id: UUID, range_id: UUID) -> CodeRange:
    """Find a range of a programme by its id. Raises NotFoundError."""
    query = select(code_range_table).where(_range.id == range_id, _range.programme_id == programme_id)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NotFoundError("there is no such range of codes in this programme", field="range")
    return range_from_row(row)


async def list_ranges(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str | None = None,
    origin_id: UUID | None = None,
    lot: str | None = None,
    before: UUID | None = None,
    limit: int = 100,
) -> list[CodeRange]:
    """A programme's ranges made before the range `before`, newest first; of one product, print order or lot if asked.

    Honey is not among them: whoever may read ranges need not know which codes are out to catch a leak.
    """
    query = select(code_range_table).where(_range.programme_id == programme_id, _range.honey_export_id.is_(None))
    if gtin is not None:
        query = query.where(_range.gtin == gtin)
    if origin_id is not None:
        query = query.where(_range.origin_id == origin_id)
    if lot is not None:
        query = query.where(_range.lot == lot)
    if before is not None:
        query = query.where(_range.id < before)
    rows = await connection.execute(query.order_by(_range.id.desc()).limit(limit))
    return [range_from_row(row) for row in rows.mappings()]


async def find_range(connection: AsyncConnection, *, gtin: str, kid: int, index: int) -> CodeRange | None:
    """The range that holds an index; None where no print order took it."""
    # Ranges do not overlap, so only the one that starts last at or before the index can hold it.
    query = (
        select(code_range_table)
        .where(_range.gtin == gtin, _range.kid == kid, _range.lo <= index)
        .order_by(_range.lo.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).mappings().first()
    return None if row is None or row["hi"] < index else range_from_row(row)


async def change_state(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    kid: int,
    lo: int,
    hi: int,
    state: NextState,
    exempt: bool = False,
    at: datetime | None = None,
    places: LocalText | None = None,
    public: bool | None = None,
    actor: str | None = None,
) -> list[CodeRange]:
    """Move the codes from index `lo` to `hi` to a state, cutting ranges at the ends, and record it as an event.

    The road is that of `precedence.may_go`. With `exempt`, these codes stand in the live state named whatever is said
    of their lot or key: somebody looked at them and found them good. Codes that are in the state already stay as they
    are, and if all are, nothing is recorded. Answers the ranges of the interval.

    Raises NotFoundError where some code of the interval was never minted, RangeStateError where one cannot go there or
    is honey.
    """
    if exempt and state not in LIVE_STATES:
        raise InvalidInputError("what is exempt from a recall is activated, shipped or sold", field="state")
    await lock_series(connection, programme_id=programme_id, gtin=gtin, kid=kid)
    pieces = await _pieces(connection, gtin=gtin, kid=kid, lo=lo, hi=hi)
    _refuse_honey(pieces)
    for piece in pieces:
        if not may_go(piece.state, state):
            message = f"codes {piece.lo} to {piece.hi} are {piece.state} and cannot become {state}"
            raise RangeStateError(message, field="state", state=piece.state)
    changed = [
        (max(piece.lo, lo), min(piece.hi, hi))
        for piece in pieces
        if exempt or piece.state != state  # a repeated request finds nothing to do
    ]
    if not changed:
        return pieces
    await _cut(connection, gtin=gtin, kid=kid, lo=lo, hi=hi)
    moved = update(code_range_table).where(*_within(gtin, kid, lo, hi))
    # The clock's time, not the transaction's: an exemption and a recall in one transaction have an order.
    moved = moved.values(state=state, state_at=func.clock_timestamp())
    moved = moved.values(exempt_at=func.clock_timestamp()) if exempt else moved.where(_range.state != state)
    await connection.execute(moved)
    for first, last in _joined(changed):
        await record_event(
            connection,
            programme_id=programme_id,
            gtin=gtin,
            kid=kid,
            lo=first,
            hi=last,
            kind="released" if exempt else state,
            at=at,
            places=places,
            public=public,
            actor=actor,
        )
    return await _pieces(connection, gtin=gtin, kid=kid, lo=lo, hi=hi)


async def change_range_state(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    range_id: UUID,
    state: NextState,
    exempt: bool = False,
    at: datetime | None = None,
    places: LocalText | None = None,
    public: bool | None = None,
    actor: str | None = None,
) -> CodeRange:
    """Move a whole range to a state, as change_state does. Raises NotFoundError where there is no such range."""
    found = await get_range(connection, programme_id=programme_id, range_id=range_id)
    await lock_series(connection, programme_id=programme_id, gtin=found.gtin, kid=found.kid)
    found = await get_range(connection, programme_id=programme_id, range_id=range_id)  # somebody may have cut it
    changed = await change_state(
        connection,
        programme_id=programme_id,
        gtin=found.gtin,
        kid=found.kid,
        lo=found.lo,
        hi=found.hi,
        state=state,
        exempt=exempt,
        at=at,
        places=places,
        public=public,
        actor=actor,
    )
    return changed[0]


async def assign_lot(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    kid: int,
    lo: int,
    hi: int,
    lot: str,
    expires_on: date | None = None,
    region: str | None = None,
) -> list[CodeRange]:
    """Say which lot the codes from index `lo` to `hi` went onto, with its last good day and its region of sale.

    Codes are often printed before it is known what they will be stuck on. Raises as change_state does.
    """
    values: dict[str, Any] = {} if expires_on is None else {"expires_on": expires_on}
    values |= {} if region is None else {"region": clean_text(region, field="region") or None}
    await lock_series(connection, programme_id=programme_id, gtin=gtin, kid=kid)
    values["lot"] = await _known_lot(connection, programme_id=programme_id, gtin=gtin, lot=lot)
    return await _describe(connection, gtin=gtin, kid=kid, lo=lo, hi=hi, values=values)


async def assign_dealer(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    kid: int,
    lo: int,
    hi: int,
    dealer: str | None,
    region: str | None = None,
) -> list[CodeRange]:
    """Say which dealer the goods from index `lo` to `hi` were sold to, and the region that they may sell them in.

    None says that nobody has them any more. Raises as change_state does.
    """
    values: dict[str, Any] = {"dealer": clean_text(dealer, field="dealer") or None}
    values |= {} if region is None else {"region": clean_text(region, field="region") or None}
    await lock_series(connection, programme_id=programme_id, gtin=gtin, kid=kid)
    return await _describe(connection, gtin=gtin, kid=kid, lo=lo, hi=hi, values=values)


async def _describe(
    connection: AsyncConnection, *, gtin: str, kid: int, lo: int, hi: int, values: Mapping[str, Any]
) -> list[CodeRange]:
    """Write what is known of the codes of an interval of a locked series, cutting ranges at its ends."""
    _refuse_honey(await _pieces(connection, gtin=gtin, kid=kid, lo=lo, hi=hi))
    await _cut(connection, gtin=gtin, kid=kid, lo=lo, hi=hi)
    await connection.execute(update(code_range_table).where(*_within(gtin, kid, lo, hi)).values(values))
    return await _pieces(connection, gtin=gtin, kid=kid, lo=lo, hi=hi)


def range_from_row(values: RowMapping | Mapping[str, Any]) -> CodeRange:
    """Read the columns of the range table, by their names."""
    fields = {name: values[name] for name in CodeRange.__struct_fields__}
    return CodeRange(**fields | {"policy": msgspec.convert(values["policy"], RangePolicy)})


def _refuse_honey(pieces: list[CodeRange]) -> None:
    for piece in pieces:
        if piece.honey_export_id is not None:
            message = f"codes {piece.lo} to {piece.hi} are out to catch a leak and never sold"
            raise RangeStateError(message, field="lo", state="honey")


def _joined(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ordered intervals with neighbours made one."""
    starts = [intervals[0][0]] + [after[0] for before, after in pairwise(intervals) if before[1] + 1 != after[0]]
    ends = [before[1] for before, after in pairwise(intervals) if before[1] + 1 != after[0]] + [intervals[-1][1]]
    return list(zip(starts, ends, strict=True))


def clean_text(value: str | None, *, field: str) -> str:
    """The name of a lot, a region, a print order, without blanks at its ends. Raises InvalidInputError."""
    text = (value or "").strip()
    if len(text) > _TEXT_LIMIT or not text.isprintable():
        raise InvalidInputError(f"at most {_TEXT_LIMIT} printable characters", field=field)
    return text


def _within(gtin: str, kid: int, lo: int, hi: int) -> tuple[Any, ...]:
    return (_range.gtin == gtin, _range.kid == kid, _range.lo >= lo, _range.hi <= hi)


async def _known_lot(connection: AsyncConnection, *, programme_id: UUID, gtin: str, lot: str | None) -> str | None:
    """A lot's code, with a row of its own from the first time that codes name it."""
    code = clean_text(lot, field="lot") or None
    if code is not None:
        named = upsert(lot_table).values(gtin=gtin, code=code, programme_id=programme_id)
        await connection.execute(named.on_conflict_do_nothing(index_elements=["gtin", "code"]))
    return code


async def _take_indexes(connection: AsyncConnection, *, programme_id: UUID, gtin: str, kid: int, count: int) -> int:
    """Take the next `count` indexes of a series, which stays locked until the transaction ends; the first of them."""
    series = code_series_table
    fresh = upsert(series).values(gtin=gtin, kid=kid, programme_id=programme_id, next_index=count)
    taken = fresh.on_conflict_do_update(
        index_elements=["gtin", "kid"],
        set_={"next_index": series.c.next_index + fresh.excluded.next_index},
        where=series.c.next_index + fresh.excluded.next_index <= INDEX_LIMIT,
    )
    end = await connection.scalar(taken.returning(series.c.next_index))
    if end is None:
        raise SeriesExhaustedError(f"fewer than {count} codes are left under key {kid}", field="count")
    return int(end) - count


async def lock_series(connection: AsyncConnection, *, programme_id: UUID, gtin: str, kid: int) -> None:
    """Hold back whoever else takes or cuts intervals of a series until the transaction ends. Raises NotFoundError."""
    series = code_series_table.c
    query = (
        select(literal(1))
        .select_from(code_series_table)
        .where(series.gtin == gtin, series.kid == kid, series.programme_id == programme_id)
        .with_for_update()
    )
    if await connection.scalar(query) is None:
        raise NotFoundError(f"no codes of {gtin} were minted under key {kid}", field="gtin")


async def _pieces(connection: AsyncConnection, *, gtin: str, kid: int, lo: int, hi: int) -> list[CodeRange]:
    """The ranges that an interval lies in, in order. Raises where the interval is none, or holds an unminted code."""
    if lo > hi:
        raise InvalidInputError(f"the first index, {lo}, is after the last, {hi}", field="lo")
    query = (
        select(code_range_table)
        .where(_range.gtin == gtin, _range.kid == kid, _range.lo <= hi, _range.hi >= lo)
        .order_by(_range.lo)
    )
    pieces = [range_from_row(row) for row in (await connection.execute(query)).mappings()]
    # Ranges have no holes between them, so the ends tell whether all of the interval is minted.
    if not pieces or pieces[0].lo > lo or pieces[-1].hi < hi:
        raise NotFoundError(f"not all codes from {lo} to {hi} were minted", field="hi")
    return pieces


async def _cut(connection: AsyncConnection, *, gtin: str, kid: int, lo: int, hi: int) -> None:
    """Cut the ranges of a locked series so that one starts at `lo` and one ends at `hi`."""
    for start in (lo, hi + 1):
        found = await find_range(connection, gtin=gtin, kid=kid, index=start)
        if found is None or found.lo == start:
            continue
        head = update(code_range_table).where(_range.gtin == gtin, _range.kid == kid, _range.lo == found.lo)
        await connection.execute(head.values(hi=start - 1))
        tail = msgspec.structs.asdict(found) | {"id": new_id(), "lo": start}
        await connection.execute(insert(code_range_table).values(tail))
