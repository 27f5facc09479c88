"""API keys: a channel's programs, and what each may do.

`Authorization: Bearer tsk_{prefix}_{secret}`. The prefix finds the row, the secret's hash proves the key; the secret
is shown once, when the key is made. A key belongs to one channel and acts for it alone, or, without a channel, for
the whole programme.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from typing import Any, Final, Literal, get_args
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import AuthenticationError, InvalidInputError, NotFoundError, PermissionDeniedError
from loyalty.kit.ids import encode_base32, new_id
from loyalty.kit.programme import Channel, Programme, get_channel_by_id, get_programme
from loyalty.web.security.tables import api_key_table

Scope = Literal[
    "members:read",
    "members:write",
    "points:read",
    "points:write",
    "orders:read",
    "orders:write",
    "tiers:read",
    "tiers:write",
    "redemptions:read",
    "redemptions:write",
    "benefits:write",
    "campaigns:read",
    "campaigns:write",
    "items:read",
    "items:write",
    "codes:export",
    "epcis:read",
    "epcis:write",
    "reports:read",
]
"""What a key may do: read or write one noun. Writing does not include reading. Who may export codes can print them."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_KEY: Final = re.compile(r"tsk_([0-9A-Z]{10})_([0-9A-Z]{32})")
_REMEMBERED_SECONDS: Final = 5.0
_REMEMBERED_KEYS: Final = 10_000


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown: everything but its secret."""

    id: UUID
    programme_id: UUID
    channel_id: UUID | None
    name: str
    prefix: str
    scopes: frozenset[Scope]
    revoked: bool


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made. `token` is never to be had again."""

    key: ApiKey
    token: str


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls the API: a key, its programme, and the channel it acts for (None: the whole programme)."""

    key: ApiKey
    programme: Programme
    channel: Channel | None

    @property
    def programme_id(self) -> UUID:
        """The only programme that this caller sees."""
        return self.programme.id

    def demand(self, scope: Scope) -> None:
        """Raises PermissionDeniedError unless the key has the scope."""
        if scope not in self.key.scopes:
            message = f"this key does not have the scope {scope}"
            raise PermissionDeniedError(message, scope=scope)


def _api_key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        programme_id=row.programme_id,
        channel_id=row.channel_id,
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(row.scopes),
        revoked=row.revoked_at is not None,
    )


def _hash(secret: str) -> bytes:
    # 160 random bits: no slow hash is needed, and none would be affordable on every request.
    return hashlib.sha256(secret.encode()).digest()


async def create_api_key(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    name: str,
    scopes: Iterable[Scope],
    channel_id: UUID | None = None,
) -> NewApiKey:
    """Make a key. Raises InvalidInputError naming the field."""
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        message = f"{', '.join(unknown) or 'nothing'}: scopes are {', '.join(SCOPES)}"
        raise InvalidInputError(message, field="scopes")
    if not name.strip():
        raise InvalidInputError("a name is needed, such as the till system it is for", field="name")
    prefix, secret = encode_base32(secrets.randbits(50), 10), encode_base32(secrets.randbits(160), 32)
    row = {
        "id": new_id(),
        "programme_id": programme_id,
        "channel_id": channel_id,
        "name": name.strip(),
        "prefix": prefix,
        "scopes": wanted,
    }
    statement = insert(api_key_table).values(secret_hash=_hash(secret), **row).returning(api_key_table)
    made = (await connection.execute(statement)).one()
    return NewApiKey(key=_api_key(made), token=f"tsk_{prefix}_{secret}")


async def list_api_keys(connection: AsyncConnection, *, programme_id: UUID) -> list[ApiKey]:
    """A programme's keys in the order in which they were made, revoked ones included."""
    query = select(api_key_table).where(api_key_table.c.programme_id == programme_id).order_by(api_key_table.c.id)
    return [_api_key(row) for row in await connection.execute(query)]


async def revoke_api_key(connection: AsyncConnection, *, programme_id: UUID, key_id: UUID) -> ApiKey:
    """Withdraw a key for good; within five seconds no process takes it any more. Raises NotFoundError."""
    statement = (
        update(api_key_table)
        .where(api_key_table.c.id == key_id, api_key_table.c.programme_id == programme_id)
        .values(revoked_at=func.coalesce(api_key_table.c.revoked_at, func.now()))
        .returning(api_key_table)
    )
    row = (await connection.execute(statement)).first()
    if row is None:
        raise NotFoundError("there is no such key", field="key")
    return _api_key(row)


def token_of(authorization: str | None) -> tuple[str, str]:
    """The prefix and secret in an Authorization header. Raises AuthenticationError."""
    if not authorization:
        raise AuthenticationError("send an API key: Authorization: Bearer tsk_...", field="Authorization")
    scheme, _, token = authorization.partition(" ")
    match = _KEY.fullmatch(token.strip())
    if scheme.lower() != "bearer" or match is None:
        raise AuthenticationError("this is not an API key: Bearer, then tsk_...", field="Authorization")
    return match[1], match[2]


def _digest(authorization: str | None) -> bytes:
    """What a header is remembered by: not the secret itself, and not to be found by timing comparisons of it."""
    return hashlib.sha256((authorization or "").encode()).digest()


class Callers:
    """Recognises callers, and remembers each for five seconds so that a posting costs no second round trip.

    A key that was revoked, or whose scopes changed, is therefore known as such within five seconds.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: dict[bytes, tuple[float, Caller]] = {}

    async def recognise(self, authorization: str | None) -> Caller:
        """The caller of an Authorization header. Raises AuthenticationError."""
        remembered = self.remembered(authorization)
        if remembered is not None:
            return remembered
        prefix, secret = token_of(authorization)
        secret_hash = _hash(secret)
        caller = await self._look_up(prefix, secret_hash)
        if len(self._known) >= _REMEMBERED_KEYS:
            self._known.clear()
        self._known[_digest(authorization)] = (time.monotonic() + _REMEMBERED_SECONDS, caller)
        return caller

    def remembered(self, authorization: str | None) -> Caller | None:
        """The caller of an Authorization header that was recognised in the last five seconds."""
        known = self._known.get(_digest(authorization))
        return known[1] if known is not None and known[0] > time.monotonic() else None

    async def _look_up(self, prefix: str, secret_hash: bytes) -> Caller:
        async with transaction(self._engine) as connection:
            query = select(api_key_table).where(api_key_table.c.prefix == prefix, api_key_table.c.revoked_at.is_(None))
            row = (await connection.execute(query)).first()
            if row is None or not hmac.compare_digest(row.secret_hash, secret_hash):
                raise AuthenticationError("this API key is unknown or was revoked", field="Authorization")
            return Caller(
                key=_api_key(row),
                programme=await get_programme(connection, row.programme_id),
                channel=await get_channel_by_id(connection, row.channel_id) if row.channel_id else None,
            )
