"""Requests that may be repeated: the same key and request get the same answer, whatever broke in between.

The `Idempotency-Key` header is that of draft-ietf-httpapi-idempotency-key-header-07: a quoted structured string; a
bare one is accepted too. Keys belong to the API key that sends them.

| the key                                   | the answer                                                        |
|-------------------------------------------|-------------------------------------------------------------------|
| is missing                                | 400                                                               |
| came before with another request          | 422                                                               |
| came before, and that request has ended   | its answer, byte for byte, with `Idempotent-Replayed: true`       |
| came before, and that request still runs  | waits for it, then its answer; 409 when it takes over five seconds |

A request that was refused wrote nothing and is not remembered: it is judged anew. Postings on points are kept by the
ledger itself for ever; other writes are kept in this module's table, in the same transaction as what they changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from litestar import Response
from sqlalchemy import Column, DateTime, Index, LargeBinary, SmallInteger, Table, Text, Uuid, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.db import metadata
from loyalty.kit.errors import IdempotencyMismatchError, InvalidInputError
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotent-Replayed"
KEY_LENGTH: Final = 128
KEPT_DAYS: Final = 30
"""How long the answers of writes other than postings are kept. A key repeated later is a new request."""

_QUOTED: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE: Final = re.compile(r"[\x21\x23-\x7e][\x21-\x7e]*")

idempotency_table: Final = Table(
    "idempotency",
    metadata,
    Column("client_id", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger),
    Column("body", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index(None, "created_at"),
)


def read_key(header: str) -> str:
    """The key in the header, without its quotes. Raises InvalidInputError."""
    text = header.strip()
    if quoted := _QUOTED.fullmatch(text):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        key = text
    else:
        raise InvalidInputError('is not a string such as "8e03978e-40d5-43e8-bc93-6894a57f9324"', field=HEADER)
    if not 1 <= len(key) <= KEY_LENGTH:
        message = f"has {len(key)} characters; from 1 to {KEY_LENGTH} are taken"
        raise InvalidInputError(message, field=HEADER)
    return key


def ledger_key(caller: Caller, header: str) -> str:
    """The ledger's key for a posting: the caller's own, so that two programs never meet on one. Raises as read_key."""
    return f"{caller.key.prefix}:{read_key(header)}"


def answer(body: Any, *, status: int, replayed: bool = False) -> Response[Any]:
    """A JSON answer; one that is given again says so in a header and is otherwise the same."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    headers = {REPLAYED_HEADER: "true"} if replayed else {}
    return Response(content, status_code=status, media_type="application/json", headers=headers)


async def once(
    services: Services,
    caller: Caller,
    header: str,
    *,
    operation: str,
    request: Any,
    status: int,
    work: Callable[[AsyncConnection], Awaitable[Any]],
) -> Response[Any]:
    """Carry out a write that is not a posting, once for its key, and answer with what it answered.

    `operation` and `request` are what makes two requests the same: the operation's name and its parameters and body.
    `work` gets the transaction and returns what the answer's body is made of. Raises InvalidInputError for a bad key,
    IdempotencyMismatchError for a used one, and whatever `work` raises; nothing is written then.
    """
    key = read_key(header)
    fingerprint = hashlib.sha256(msgspec.json.encode([operation, request], order="deterministic")).digest()
    table = idempotency_table
    this = (table.c.client_id == caller.key.id, table.c.key == key)
    claim = (
        insert(table)
        .values(client_id=caller.key.id, key=key, request_hash=fingerprint)
        .on_conflict_do_nothing(index_elements=[table.c.client_id, table.c.key])
        .returning(table.c.key)
    )
    async with services.transaction() as connection:
        # The insert waits for a transaction that holds the same key: afterwards that one has answered, or is undone.
        claimed = (await connection.execute(claim)).first()
        if claimed is not None:
            body = msgspec.json.encode(await work(connection))
            await connection.execute(update(table).where(*this).values(status=status, body=body))
            kept = None
        else:
            kept = (await connection.execute(select(table).where(*this))).one()
    if kept is None:
        return answer(body, status=status)
    if kept.request_hash != fingerprint:
        raise IdempotencyMismatchError("this key was used for another request", field=HEADER)
    return answer(kept.body, status=kept.status, replayed=True)
