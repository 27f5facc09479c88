"""The life of a prize draw: published with what it commits to, open, closed, drawn; withdrawn while nobody entered."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.draws.definition import DrawTerms, parse_draw
from loyalty.campaigns.draws.drawing import SEED_BYTES, commitment
from loyalty.campaigns.draws.tables import draw_table
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, parse_public_id, public_id
from redemption.benefits.stock import left_of
from redemption.benefits.templates import get_published
from redemption.checks import check_code

DRAW_PREFIX: Final = "prz"
SEED_FIELD: Final = "draw_seed"
"""What a sealed seed is bound to, beside its draw."""

DrawState = Literal["scheduled", "open", "closed", "drawn", "withdrawn"]


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """A draw as published. `commitment` is known from the start, `seed` and `beacon` once it is drawn.

    `entries` is how many there are, and the number of the last one.
    """

    id: UUID
    programme_id: UUID
    code: str
    terms: DrawTerms
    opens_at: datetime
    closes_at: datetime
    commitment: bytes
    entries: int
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    seed: bytes | None
    beacon: str | None
    drawn_at: datetime | None
    drawn_by: str | None
    published_by: str
    published_at: datetime

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id(DRAW_PREFIX, self.id)

    def state(self, moment: datetime) -> DrawState:
        """What a list says of it."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if self.drawn_at is not None:
            return "drawn"
        if moment < self.opens_at:
            return "scheduled"
        return "open" if moment < self.closes_at else "closed"


def draw_uuid(text: str) -> UUID:
    """Read a `prz_` id. Raises NotFoundError (`draw_id`)."""
    return parse_public_id(DRAW_PREFIX, text, field="draw_id")


async def publish_draw(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    code: str,
    definition: Any,
    closes_at: datetime,
    published_by: str,
    opens_at: datetime | None = None,
) -> Draw:
    """Publish a draw, and with it what it commits to: its seed is made here, and sealed until it is drawn.

    `definition` is decoded JSON. Raises InvalidInputError naming the field, ConflictError (`code` is taken; fewer of a
    benefit are left than are to be won), UnknownTemplateError, NotPublishedError.
    """
    check_code(code)
    terms = parse_draw(definition)
    now = utc_now()
    start = opens_at or now
    if start < now:
        raise InvalidInputError("a draw cannot open in the past", field="opens_at")
    if closes_at <= start:
        raise InvalidInputError("it closes before it opens", field="closes_at")
    await _check_stock(connection, programme_id, terms)
    draw_id, seed = new_id(), secrets.token_bytes(SEED_BYTES)
    values = {
        "id": draw_id,
        "programme_id": programme_id,
        "code": code,
        "definition": msgspec.to_builtins(terms),
        "opens_at": start,
        "closes_at": closes_at,
        "commitment": commitment(seed, draw=public_id(DRAW_PREFIX, draw_id), places=terms.places, prizes=terms.counted),
        "sealed_seed": keyring.encrypt(seed.hex(), owner=draw_id, field=SEED_FIELD),
        "published_by": published_by,
    }
    made = insert(draw_table).values(values).on_conflict_do_nothing().returning(draw_table)
    row = (await connection.execute(made)).first()
    if row is None:
        raise ConflictError(f"there is a draw {code!r} already", field="code")
    return read_draw(row)


async def _check_stock(connection: AsyncConnection, programme_id: UUID, terms: DrawTerms) -> None:
    """Prizes of one benefit draw on one stock, so they are held against it together; the last of them is at fault."""
    wanted: Counter[str] = Counter()
    places: dict[str, int] = {}
    for place, prize in enumerate(terms.prizes):
        if prize.benefit is not None:
            wanted[prize.benefit] += prize.count
            places[prize.benefit] = place
    for code, count in wanted.items():
        left = await left_of(connection, await get_published(connection, programme_id=programme_id, code=code))
        if left is not None and left < count:
            message = f"{left} of {code!r} are left, and {count} are to be won"
            raise ConflictError(message, field=f"prizes[{places[code]}].count", left=left)


async def withdraw_draw(connection: AsyncConnection, *, programme_id: UUID, draw_id: UUID, withdrawn_by: str) -> Draw:
    """Take a draw back that nobody has entered; taken back again, it is the same answer.

    Raises ConflictError where somebody takes part, NotFoundError.
    """
    draw = await lock_draw(connection, programme_id=programme_id, draw_id=draw_id)
    if draw.withdrawn_at is not None:
        return draw
    if draw.entries or draw.drawn_at is not None:
        raise ConflictError("members take part already", field="draw", entries=draw.entries)
    withdrawn = {"withdrawn_at": utc_now(), "withdrawn_by": withdrawn_by}
    changed = update(draw_table).where(draw_table.c.id == draw_id).values(withdrawn).returning(draw_table)
    return read_draw((await connection.execute(changed)).one())


async def lock_draw(connection: AsyncConnection, *, programme_id: UUID, draw_id: UUID) -> Draw:
    """A draw, which nobody enters or draws until the transaction ends. Raises NotFoundError."""
    columns = draw_table.c
    query = select(draw_table).where(columns.id == draw_id, columns.programme_id == programme_id).with_for_update()
    return _found((await connection.execute(query)).first())


async def get_draw(connection: AsyncConnection, *, programme_id: UUID, draw_id: UUID) -> Draw:
    """A draw by its id. Raises NotFoundError."""
    columns = draw_table.c
    query = select(draw_table).where(columns.id == draw_id, columns.programme_id == programme_id)
    return _found((await connection.execute(query)).first())


async def find_draw(connection: AsyncConnection, *, programme_id: UUID, code: str) -> Draw:
    """A draw by its code. Raises NotFoundError."""
    columns = draw_table.c
    query = select(draw_table).where(columns.code == code, columns.programme_id == programme_id)
    return _found((await connection.execute(query)).first())


async def list_draws(
    connection: AsyncConnection, *, programme_id: UUID, closing_after: datetime | None = None
) -> list[Draw]:
    """A programme's draws, newest first; with a moment, only those that were not withdrawn and not closed by then."""
    columns = draw_table.c
    query = select(draw_table).where(columns.programme_id == programme_id).order_by(columns.id.desc())
    if closing_after is not None:
        query = query.where(columns.withdrawn_at.is_(None), columns.closes_at > closing_after)
    return [read_draw(row) for row in await connection.execute(query)]


def _found(row: Row[Any] | None) -> Draw:
    if row is None:
        raise NotFoundError("there is no such draw in this programme", field="draw_id")
    return read_draw(row)


def read_draw(row: Row[Any]) -> Draw:
    """Read a row of the table."""
    given = {name: getattr(row, name) for name in Draw.__struct_fields__ if name != "terms"}
    return Draw(terms=msgspec.convert(row.definition, DrawTerms), **given)
