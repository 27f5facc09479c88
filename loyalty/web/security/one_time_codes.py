"""One-time codes: six digits to a phone, which prove that whoever types them holds it.

A code lives five minutes, bears five tries, works once, and dies when a newer one is sent. The database holds the
phone's blind index and a keyed hash of the code, so that neither can be read out of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError, TooManyAttemptsError
from loyalty.kit.ids import new_id
from loyalty.web.security.code_senders import CodeSender
from loyalty.web.security.tables import one_time_code_table as codes
from loyalty.web.security.throttle import Limit, count_attempt, throttle_subject

Purpose = Literal["sign-in"]
"""What a code is for. One that was sent for one purpose does not work for another."""

LIFETIME: Final = timedelta(minutes=5)
TRIES: Final = 5
DIGITS: Final = 6
PHONE_LIMIT: Final = Limit(5, timedelta(minutes=30))
ADDRESS_LIMIT: Final = Limit(100, timedelta(hours=1))
VERIFY_LIMIT: Final = Limit(25, timedelta(hours=1))
"""Wrong codes a phone may be tried with over all codes sent to it: a chance of 25 in a million an hour."""


class SentCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code is on its way. `shown_code` is set in a demo alone: the page shows it and says why."""

    id: UUID
    expires_at: datetime
    shown_code: str | None


def _phone_index(keyring: Keyring, programme_id: UUID, phone: str) -> bytes:
    return keyring.blind_index(str(programme_id), "one-time-code", value=phone)


def _code_hash(secret: bytes, code_id: UUID, code: str) -> bytes:
    # Keyed and bound to its row: a million guesses against a stolen table find nothing.
    return hmac.digest(secret, b"one-time-code\0" + code_id.bytes + code.encode(), hashlib.sha256)


async def send_code(
    engine: AsyncEngine,
    sender: CodeSender,
    *,
    keyring: Keyring,
    secret: bytes,
    programme_id: UUID,
    purpose: Purpose,
    phone: str,
    locale: str,
    address: str,
) -> SentCode:
    """Make a code for an E.164 phone and send it. Raises TooManyAttemptsError and, from the gateway, UnavailableError.

    Takes the engine: the code is committed before it is sent, and no transaction is open while the gateway works.
    `address` is the client's network address; `secret` is the session secret.
    """
    index = _phone_index(keyring, programme_id, phone)
    await count_attempt(engine, throttle_subject(secret, "code-address", address), ADDRESS_LIMIT)
    await count_attempt(engine, throttle_subject(secret, "code-phone", purpose, index.hex()), PHONE_LIMIT)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    code_id = new_id()
    expires_at = utc_now() + LIFETIME
    async with transaction(engine) as connection:
        same = (codes.c.programme_id == programme_id, codes.c.purpose == purpose, codes.c.phone_index == index)
        await connection.execute(delete(codes).where(*same))
        await connection.execute(
            insert(codes).values(
                id=code_id,
                programme_id=programme_id,
                purpose=purpose,
                phone_index=index,
                code_hash=_code_hash(secret, code_id, code),
                expires_at=expires_at,
            )
        )
    await sender.send(code_id=code_id, phone=phone, code=code, locale=locale)
    return SentCode(id=code_id, expires_at=expires_at, shown_code=code if sender.shows_on_screen else None)


async def verify_code(
    engine: AsyncEngine,
    *,
    keyring: Keyring,
    secret: bytes,
    programme_id: UUID,
    purpose: Purpose,
    phone: str,
    code: str,
) -> None:
    """Accept the code that was last sent to a phone, once. The phone is then proven to be the caller's.

    Raises InvalidInputError (field `code`; `tries_left` says how many remain) and TooManyAttemptsError. Takes the
    engine: a try is counted and committed before the code is looked at.
    """
    index = _phone_index(keyring, programme_id, phone)
    await count_attempt(engine, throttle_subject(secret, "code-verify", purpose, index.hex()), VERIFY_LIMIT)
    newest = (
        select(codes.c.id)
        .where(codes.c.programme_id == programme_id, codes.c.purpose == purpose, codes.c.phone_index == index)
        .order_by(codes.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    live = (codes.c.id == newest, codes.c.used_at.is_(None), codes.c.expires_at > func.now())
    counted = (
        update(codes)
        .where(*live, codes.c.tries <= TRIES)
        .values(tries=codes.c.tries + 1)
        .returning(codes.c.id, codes.c.code_hash, codes.c.tries)
    )
    async with transaction(engine) as connection:
        row = (await connection.execute(counted)).first()
    if row is None:
        raise InvalidInputError("this code is over; ask for a new one", field="code", tries_left=0)
    if row.tries > TRIES:
        raise TooManyAttemptsError("too many wrong codes; ask for a new one", field="code", tries_left=0)
    digits = "".join(character for character in code if not character.isspace())
    if not hmac.compare_digest(_code_hash(secret, row.id, digits), row.code_hash):
        raise InvalidInputError("this is not the code that was sent", field="code", tries_left=TRIES - row.tries)
    use = update(codes).where(codes.c.id == row.id, codes.c.used_at.is_(None)).values(used_at=func.now())
    async with transaction(engine) as connection:
        used = await connection.execute(use)
    if used.rowcount != 1:
        raise InvalidInputError("this code has been used", field="code", tries_left=0)
