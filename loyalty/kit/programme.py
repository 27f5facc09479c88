"""The tenant: a brand's loyalty programme, and the channels (online shops, stores) it is made of.

They are in the kernel because every noun needs the programme's time zone and currency and none of them owns it.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from sqlalchemy import Column, DateTime, Row, Table, Text, UniqueConstraint, Uuid, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.db import metadata
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, parse_public_id

programme_table: Final = Table(
    "programme",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

channel_table: Final = Table(
    "channel",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "code"),
)

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """A brand's loyalty scheme. `currency` is ISO 4217, `time_zone` an IANA name, `locale` `zh` or `en`."""

    id: UUID
    code: str
    name: str
    time_zone: str
    currency: str
    locale: str

    @property
    def zone(self) -> ZoneInfo:
        """The programme's time zone, which calendar rules use."""
        return ZoneInfo(self.time_zone)


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """An online shop or a store till system. Its orders come in its own currency and local time."""

    id: UUID
    programme_id: UUID
    code: str
    name: str
    kind: Literal["online", "store"]
    currency: str
    time_zone: str


def _check(*, code: str, name: str, time_zone: str, currency: str) -> None:
    if not _CODE.fullmatch(code):
        message = f"{code!r} is not a code: lower-case letters, digits and hyphens, at most 40"
        raise InvalidInputError(message, field="code")
    if not name.strip():
        raise InvalidInputError("a name is needed", field="name")
    if time_zone not in available_timezones():
        message = f"{time_zone!r} is not an IANA time zone, such as Asia/Shanghai"
        raise InvalidInputError(message, field="time_zone")
    if not _CURRENCY.fullmatch(currency):
        message = f"{currency!r} is not an ISO 4217 currency code, such as CNY"
        raise InvalidInputError(message, field="currency")


def _programme(row: Row[Any]) -> Programme:
    return Programme(
        id=row.id,
        code=row.code,
        name=row.name,
        time_zone=row.time_zone,
        currency=row.currency,
        locale=row.locale,
    )


def _channel(row: Row[Any]) -> Channel:
    return Channel(
        id=row.id,
        programme_id=row.programme_id,
        code=row.code,
        name=row.name,
        kind=row.kind,
        currency=row.currency,
        time_zone=row.time_zone,
    )


async def create_programme(
    connection: AsyncConnection,
    *,
    code: str,
    name: str,
    time_zone: str = "UTC",
    currency: str = "USD",
    locale: str = "en",
) -> Programme:
    """Create a programme. Raises ConflictError where the code is taken, InvalidInputError naming a bad field."""
    _check(code=code, name=name, time_zone=time_zone, currency=currency)
    if locale not in ("zh", "en"):
        raise InvalidInputError("zh or en", field="locale")
    if await _find_programme(connection, code) is not None:
        message = f"there is a programme {code!r} already"
        raise ConflictError(message, field="code")
    programme = Programme(
        id=new_id(), code=code, name=name.strip(), time_zone=time_zone, currency=currency, locale=locale
    )
    await connection.execute(insert(programme_table).values(msgspec.structs.asdict(programme)))
    return programme


async def _find_programme(connection: AsyncConnection, code: str) -> Programme | None:
    row = (await connection.execute(select(programme_table).where(programme_table.c.code == code))).first()
    return _programme(row) if row else None


async def get_programme(connection: AsyncConnection, reference: str | UUID) -> Programme:
    """Find a programme by its code, `prg_` id or UUID. Raises NotFoundError."""
    if isinstance(reference, str) and not reference.startswith("prg_"):
        found = await _find_programme(connection, reference)
    else:
        identifier = parse_public_id("prg", reference) if isinstance(reference, str) else reference
        row = (await connection.execute(select(programme_table).where(programme_table.c.id == identifier))).first()
        found = _programme(row) if row else None
    if found is None:
        message = f"there is no programme {reference}"
        raise NotFoundError(message, field="programme")
    return found


async def list_programmes(connection: AsyncConnection) -> list[Programme]:
    """All programmes, oldest first."""
    rows = await connection.execute(select(programme_table).order_by(programme_table.c.id))
    return [_programme(row) for row in rows]


async def create_channel(
    connection: AsyncConnection,
    programme: Programme,
    *,
    code: str,
    name: str,
    kind: Literal["online", "store"],
    currency: str | None = None,
    time_zone: str | None = None,
) -> Channel:
    """Create a channel; currency and time zone are the programme's unless given. Raises as create_programme."""
    channel = Channel(
        id=new_id(),
        programme_id=programme.id,
        code=code,
        name=name.strip(),
        kind=kind,
        currency=currency or programme.currency,
        time_zone=time_zone or programme.time_zone,
    )
    _check(code=code, name=name, time_zone=channel.time_zone, currency=channel.currency)
    if await _find_channel(connection, programme.id, code) is not None:
        message = f"there is a channel {code!r} already"
        raise ConflictError(message, field="code")
    await connection.execute(insert(channel_table).values(msgspec.structs.asdict(channel)))
    return channel


async def _find_channel(connection: AsyncConnection, programme_id: UUID, code: str) -> Channel | None:
    query = select(channel_table).where(channel_table.c.programme_id == programme_id, channel_table.c.code == code)
    row = (await connection.execute(query)).first()
    return _channel(row) if row else None


async def get_channel(connection: AsyncConnection, programme_id: UUID, code: str) -> Channel:
    """Find a programme's channel by its code. Raises NotFoundError."""
    found = await _find_channel(connection, programme_id, code)
    if found is None:
        message = f"there is no channel {code!r} in this programme"
        raise NotFoundError(message, field="channel")
    return found


async def get_channel_by_id(connection: AsyncConnection, channel_id: UUID) -> Channel:
    """Find a channel by its UUID. Raises NotFoundError."""
    row = (await connection.execute(select(channel_table).where(channel_table.c.id == channel_id))).first()
    if row is None:
        raise NotFoundError("there is no such channel", field="channel")
    return _channel(row)


async def list_channels(connection: AsyncConnection, programme_id: UUID) -> list[Channel]:
    """A programme's channels in the order in which they were made."""
    query = select(channel_table).where(channel_table.c.programme_id == programme_id).order_by(channel_table.c.id)
    return [_channel(row) for row in await connection.execute(query)]
