"""Sessions of people: a random token in a cookie, its hash in the database, so that one row signs somebody out."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from litestar.datastructures import Cookie
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from loyalty.web.security.tables import session_table

SessionKind = Literal["staff", "member"]

LIFETIMES: Final[dict[SessionKind, timedelta]] = {"staff": timedelta(hours=12), "member": timedelta(days=30)}
COOKIES: Final[dict[SessionKind, str]] = {"staff": "staff_session", "member": "member_session"}


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in. `subject_id` is the staff or member id."""

    kind: SessionKind
    programme_id: UUID
    subject_id: UUID
    expires_at: datetime


def _hash(token: str) -> bytes:
    # A token of 256 random bits needs no slow hash.
    return hashlib.sha256(token.encode()).digest()


async def open_session(connection: AsyncConnection, *, kind: SessionKind, programme_id: UUID, subject_id: UUID) -> str:
    """Sign somebody in; returns the token for the cookie. Nothing of it can be read back from the database."""
    token = secrets.token_urlsafe(32)
    await connection.execute(
        insert(session_table).values(
            token_hash=_hash(token),
            kind=kind,
            programme_id=programme_id,
            subject_id=subject_id,
            expires_at=utc_now() + LIFETIMES[kind],
        )
    )
    return token


async def read_session(connection: AsyncConnection, token: str | None, *, kind: SessionKind) -> Session | None:
    """The session of a cookie's token; None where it is unknown, closed or over."""
    if not token:
        return None
    query = select(session_table).where(
        session_table.c.token_hash == _hash(token),
        session_table.c.kind == kind,
        session_table.c.expires_at > func.now(),
    )
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    return Session(kind=kind, programme_id=row.programme_id, subject_id=row.subject_id, expires_at=row.expires_at)


async def close_session(connection: AsyncConnection, token: str | None) -> None:
    """Sign out here. An unknown token is signed out already."""
    if token:
        await connection.execute(delete(session_table).where(session_table.c.token_hash == _hash(token)))


async def close_sessions_of(connection: AsyncConnection, subject_id: UUID) -> None:
    """Sign a person out everywhere: a password changed, somebody left, a member was erased."""
    await connection.execute(delete(session_table).where(session_table.c.subject_id == subject_id))


def session_cookie(token: str, *, kind: SessionKind, https: bool) -> Cookie:
    """The cookie that carries a token: out of reach of scripts and of other sites' forms."""
    return Cookie(
        COOKIES[kind],
        value=token,
        max_age=int(LIFETIMES[kind].total_seconds()),
        httponly=True,
        secure=https,
        samesite="lax",
        path="/",
    )


def end_cookie(kind: SessionKind) -> Cookie:
    """The cookie that makes a browser forget the token."""
    return Cookie(COOKIES[kind], value="", max_age=0, httponly=True, samesite="lax", path="/")
