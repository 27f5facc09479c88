"""Taking part in a draw: bought with points, or given by a mission. Each entry gets the next number, and a ticket."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from loyalty.campaigns.draws.draw import Draw, get_draw, lock_draw
from loyalty.campaigns.draws.tables import draw_table, entry_table
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError
from loyalty.kit.ids import encode_base32
from loyalty.members.member import person_ids

TICKET_CHARACTERS: Final = 12
"""60 random bits: a published list says nothing of who is on it, and whoever has a ticket finds it there."""
_BITS: Final = 5
BOUGHT: Final = "points"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: its number in the list, its ticket, how it came about, and, once it was drawn, what it won.

    `given_at` is when the prize was given; `problem` says why it waits.
    """

    member_id: UUID
    draw_id: UUID
    number: int
    ticket: str
    source: str
    points: int
    entered_at: datetime
    prize: str | None
    given_at: datetime | None
    given_to: UUID | None
    problem: str | None


class DrawNotOpenError(ConflictError):
    """A draw has not opened yet, is closed, or all its places are taken: `state` (`scheduled`, `closed`, `full`)."""

    type = "draw-not-open"
    title = "Nobody can enter this draw now"


class EntryLimitError(ConflictError):
    """A member has as many entries as one may: `limit`."""

    type = "entry-limit-reached"
    title = "This member has as many entries as one may"


class EntryNotForSaleError(ConflictError):
    """Entries of this draw are given by missions alone."""

    type = "entry-not-for-sale"
    title = "Entries of this draw cannot be bought"


async def buy_entry(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, draw_id: UUID, key: str
) -> Entry:
    """Enter for the draw's price; the same key answers the same entry.

    Raises DrawNotOpenError, EntryLimitError, EntryNotForSaleError, InsufficientBalanceError, NotFoundError; then the
    caller rolls back.
    """
    draw = await get_draw(connection, programme_id=programme_id, draw_id=draw_id)
    known = await _known(connection, member_id, draw_id, key)
    if known is not None:
        return known
    if draw.terms.price_points is None:
        raise EntryNotForSaleError("entries of this draw cannot be bought", field="draw")
    _check_open(draw)
    if draw.terms.price_points:
        # The account is locked first, and the draw's row, from which everybody takes a number, last.
        await posting.spend(
            connection,
            programme_id=programme_id,
            member_id=member_id,
            amount=draw.terms.price_points,
            key=f"draw:{draw_id}:{key}",
            source=f"draw:{draw.code}",
        )
    return await _enter(connection, draw, member_id, key, source=BOUGHT, points=draw.terms.price_points)


async def give_entry(connection: AsyncConnection, draw: Draw, *, member_id: UUID, key: str, source: str) -> Entry:
    """Enter somebody for nothing, as a mission does; otherwise as `buy_entry`."""
    known = await _known(connection, member_id, draw.id, key)
    if known is not None:
        return known
    _check_open(draw)
    return await _enter(connection, draw, member_id, key, source=source, points=0)


def _check_open(draw: Draw) -> None:
    state = draw.state(utc_now())
    if state != "open":
        raise DrawNotOpenError(f"the draw is {state}", field="draw", state=state)


async def _known(connection: AsyncConnection, member_id: UUID, draw_id: UUID, key: str) -> Entry | None:
    query = select(entry_table).filter_by(member_id=member_id, draw_id=draw_id, entry_key=key)
    row = (await connection.execute(query)).first()
    return read_entry(row) if row is not None else None


async def _enter(
    connection: AsyncConnection, draw: Draw, member_id: UUID, key: str, *, source: str, points: int
) -> Entry:
    held = await lock_draw(connection, programme_id=draw.programme_id, draw_id=draw.id)
    # The same request may have come twice at once: then the other has entered by now.
    known = await _known(connection, member_id, draw.id, key)
    if known is not None:
        return known
    columns = draw_table.c
    numbered = (
        update(draw_table)
        .where(columns.id == draw.id, columns.entries < draw.terms.places)
        .where(columns.drawn_at.is_(None), columns.withdrawn_at.is_(None), columns.closes_at > func.clock_timestamp())
        .values(entries=columns.entries + 1)
        .returning(columns.entries)
    )
    number = (await connection.execute(numbered)).scalar()
    if number is None:
        state = "full" if held.entries >= draw.terms.places else "closed"
        raise DrawNotOpenError(f"the draw is {state}", field="draw", state=state)
    # Counted while nobody else can enter, so that two entries at once are one after the other.
    people = await person_ids(connection, member_id=member_id)
    have = select(func.count()).where(entry_table.c.member_id.in_(people), entry_table.c.draw_id == draw.id)
    if int(await connection.scalar(have) or 0) >= draw.terms.per_member:
        message = f"a member has at most {draw.terms.per_member} entries"
        raise EntryLimitError(message, field="draw", limit=draw.terms.per_member)
    values = {
        "member_id": member_id,
        "draw_id": draw.id,
        "number": number,
        "programme_id": draw.programme_id,
        "ticket": encode_base32(secrets.randbits(TICKET_CHARACTERS * _BITS), TICKET_CHARACTERS),
        "entry_key": key,
        "source": source,
        "points": points,
        "entered_at": func.clock_timestamp(),
    }
    made = insert(entry_table).values(values).returning(entry_table)
    return read_entry((await connection.execute(made)).one())


async def entries_of(
    connection: AsyncConnection, *, member_ids: Sequence[UUID], draw_ids: Sequence[UUID]
) -> list[Entry]:
    """The entries of a person in some draws, in the order of their numbers."""
    columns = entry_table.c
    query = select(entry_table).where(columns.member_id.in_(member_ids), columns.draw_id.in_(draw_ids))
    return [read_entry(row) for row in await connection.execute(query.order_by(columns.draw_id, columns.number))]


def read_entry(row: Row[Any]) -> Entry:
    """Read a row of the table."""
    return Entry(**{name: getattr(row, name) for name in Entry.__struct_fields__})
