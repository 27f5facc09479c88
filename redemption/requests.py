"""Idempotency: one key of one member is one request, and asked again it is answered as it was at first.

The key's row is written before anything else and in the same transaction as the work: the same key sent many times at
once waits for the first to commit and then reads its answer, and a request that was refused leaves its key free.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import IdempotencyMismatchError, InvalidInputError
from redemption.checks import check_text
from redemption.record import Redemption
from redemption.tables import redemption_request_table

Answer = TypeVar("Answer", bound=msgspec.Struct)


async def first_answer(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    key: str,
    request: tuple[Any, ...],
) -> Redemption | None:
    """The answer this request had before, or None where it comes for the first time.

    Raises IdempotencyMismatchError where the key came with another request.
    """
    known = await first_document(connection, programme_id=programme_id, member_id=member_id, key=key, request=request)
    return None if known is None else msgspec.convert(known, Redemption)


async def first_document(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    key: str,
    request: tuple[Any, ...],
) -> Any | None:
    """The answer as it was kept, for answers of any shape; otherwise as `first_answer`.

    Raises IdempotencyMismatchError where the key came with another request.
    """
    check_text(key, "key")
    request_hash = hashlib.sha256(msgspec.json.encode(request)).digest()
    values = {"member_id": member_id, "key": key, "programme_id": programme_id, "request_hash": request_hash}
    query = insert(redemption_request_table).values(values).on_conflict_do_nothing()
    if (await connection.execute(query.returning(redemption_request_table.c.key))).first() is not None:
        return None
    row = (await connection.execute(select(redemption_request_table).filter_by(member_id=member_id, key=key))).one()
    if row.request_hash != request_hash:
        raise IdempotencyMismatchError("this key was used for another request", field="key")
    if row.answer is None:
        raise InvalidInputError("this key was used by an earlier step of the same transaction", field="key")
    return row.answer


async def keep_answer(connection: AsyncConnection, *, member_id: UUID, key: str, answer: Answer) -> Answer:
    """Keep what is answered for whoever asks again."""
    query = update(redemption_request_table).filter_by(member_id=member_id, key=key)
    await connection.execute(query.values(answer=answer))
    return answer
