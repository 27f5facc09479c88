"""Staff: who they are, what their role allows, and how they sign in with a password."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import AuthenticationError, ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.web.security.sessions import close_sessions_of
from loyalty.web.security.tables import staff_table
from loyalty.web.security.throttle import (
    Limit,
    count_attempt,
    forget_attempts,
    throttle_subject,
    uncount_attempt,
)

Role = Literal["clerk", "crm", "admin"]
"""clerk: the till of one store. crm: members, rules, reports. admin: all that, and staff, keys and item codes."""

_RANK: Final[dict[Role, int]] = {"clerk": 0, "crm": 1, "admin": 2}
_USERNAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,79}")
_PASSWORD_LENGTHS: Final = range(10, 201)

USERNAME_LIMIT: Final = Limit(10, timedelta(minutes=15))
ADDRESS_LIMIT: Final = Limit(100, timedelta(minutes=15))

_hasher: Final = PasswordHasher()  # argon2id with the parameters of RFC 9106 for less memory: 64 MiB
_hashing: Final = asyncio.Semaphore(4)
_NOBODY: Final = _hasher.hash("a password that nobody has")
"""Verified where the name is unknown, so that the time of the answer does not tell which names exist."""


class Staff(msgspec.Struct, frozen=True, kw_only=True):
    """One person of the brand. A clerk works in one channel (a store)."""

    id: UUID
    programme_id: UUID
    username: str
    name: str
    role: Role
    channel_id: UUID | None
    active: bool

    def may(self, role: Role) -> bool:
        """Whether this person's role is that one or a higher one."""
        return _RANK[self.role] >= _RANK[role]


def _staff(row: Row[Any]) -> Staff:
    return Staff(
        id=row.id,
        programme_id=row.programme_id,
        username=row.username,
        name=row.name,
        role=row.role,
        channel_id=row.channel_id,
        active=row.active,
    )


def _check_password(password: str) -> None:
    if len(password) not in _PASSWORD_LENGTHS:
        message = f"a password has {_PASSWORD_LENGTHS.start} to {_PASSWORD_LENGTHS.stop - 1} characters"
        raise InvalidInputError(message, field="password")


async def _hash(password: str) -> str:
    async with _hashing:
        return await asyncio.to_thread(_hasher.hash, password)


async def create_staff(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    username: str,
    name: str,
    role: Role,
    password: str,
    channel_id: UUID | None = None,
) -> Staff:
    """Add a person. Raises InvalidInputError naming the field, ConflictError where the username is taken."""
    username = username.strip().lower()
    if not _USERNAME.fullmatch(username):
        message = f"{username!r} is no username: letters, digits and . _ @ + -, from 2 to 80"
        raise InvalidInputError(message, field="username")
    if not name.strip():
        raise InvalidInputError("a name is needed", field="name")
    if role == "clerk" and channel_id is None:
        raise InvalidInputError("a clerk works in a channel; say which", field="channel")
    _check_password(password)
    taken = select(staff_table.c.id).where(
        staff_table.c.programme_id == programme_id, staff_table.c.username == username
    )
    if (await connection.execute(taken)).first():
        message = f"there is a {username!r} already"
        raise ConflictError(message, field="username")
    staff = Staff(
        id=new_id(),
        programme_id=programme_id,
        username=username,
        name=name.strip(),
        role=role,
        channel_id=channel_id,
        active=True,
    )
    password_hash = await _hash(password)
    await connection.execute(insert(staff_table).values(password_hash=password_hash, **msgspec.structs.asdict(staff)))
    return staff


async def get_staff(connection: AsyncConnection, staff_id: UUID) -> Staff:
    """One person by id. Raises NotFoundError."""
    row = (await connection.execute(select(staff_table).where(staff_table.c.id == staff_id))).first()
    if row is None:
        raise NotFoundError("there is no such person", field="staff")
    return _staff(row)


async def list_staff(connection: AsyncConnection, *, programme_id: UUID) -> list[Staff]:
    """A programme's people by username, those who have left included."""
    query = select(staff_table).where(staff_table.c.programme_id == programme_id).order_by(staff_table.c.username)
    return [_staff(row) for row in await connection.execute(query)]


async def set_password(connection: AsyncConnection, staff_id: UUID, password: str) -> None:
    """Change a password and sign the person out everywhere. Raises InvalidInputError and NotFoundError."""
    _check_password(password)
    await get_staff(connection, staff_id)
    password_hash = await _hash(password)
    await connection.execute(
        update(staff_table).where(staff_table.c.id == staff_id).values(password_hash=password_hash)
    )
    await close_sessions_of(connection, staff_id)


async def set_active(connection: AsyncConnection, staff_id: UUID, *, active: bool) -> Staff:
    """Let a person in, or shut them out everywhere at once. Raises NotFoundError."""
    await connection.execute(update(staff_table).where(staff_table.c.id == staff_id).values(active=active))
    if not active:
        await close_sessions_of(connection, staff_id)
    return await get_staff(connection, staff_id)


async def authenticate_staff(
    engine: AsyncEngine, *, secret: bytes, programme_id: UUID, username: str, password: str, address: str
) -> Staff:
    """Check a password. Raises AuthenticationError, the same for every reason, and TooManyAttemptsError.

    Takes the engine: attempts are counted by name and by address and kept although the sign-in fails, and no database
    connection waits while the password is hashed. `address` is the client's; `secret` is the session secret.
    """
    username = username.strip().lower()
    by_name = throttle_subject(secret, "staff", str(programme_id), username)
    by_address = throttle_subject(secret, "staff-address", address)
    await count_attempt(engine, by_address, ADDRESS_LIMIT)
    await count_attempt(engine, by_name, USERNAME_LIMIT)
    query = select(staff_table).where(
        staff_table.c.programme_id == programme_id, staff_table.c.username == username, staff_table.c.active
    )
    row = None
    if "\0" not in username:
        async with transaction(engine) as connection:
            row = (await connection.execute(query)).first()
    async with _hashing:
        right = await asyncio.to_thread(_verify, row.password_hash if row else _NOBODY, password)
    if row is None or not right:
        raise AuthenticationError("the username or the password is wrong")
    async with transaction(engine) as connection:
        await forget_attempts(connection, by_name)
        # A whole shopping centre may have one address: its clerks' sign-ins are no guesses at passwords.
        await uncount_attempt(connection, by_address)
        if _hasher.check_needs_rehash(row.password_hash):
            password_hash = await _hash(password)
            await connection.execute(
                update(staff_table).where(staff_table.c.id == row.id).values(password_hash=password_hash)
            )
    return _staff(row)


def _verify(password_hash: str, password: str) -> bool:
    if len(password) not in _PASSWORD_LENGTHS:
        return False
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
