"""Many postings in one round trip, each with an answer of its own.

A batch is one call of `ledger.post_batch` (`migrations/sql/0002_ledger_batch.sql`): plain earns are posted set-based,
the rest one after the other. Batches lock accounts in the order of their ids, so they never wait in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import named_refusal, refusals
from ledger.operations import Earn, Operation
from ledger.posting import Posting
from loyalty.kit.errors import DomainError, InvalidInputError

MOST_ITEMS: Final = 10_000
"""How many postings one batch takes: its accounts stay locked until the transaction ends."""

_POST: Final = """
    SELECT b.place, b.refusal, b.figures, (b.answer).* FROM ledger.post_batch(
        %s::uuid, %s::text[], %s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::bytea[], %s::text[], %s::text[],
        %s::timestamptz[], %s::jsonb[]
    ) AS b
"""

_to_json: Final = msgspec.json.Encoder().encode


async def post_many(
    connection: AsyncConnection, *, programme_id: UUID, postings: Sequence[Operation]
) -> list[Posting | DomainError]:
    """Post each item, those of one account in their order, and answer each: its posting, or why it was refused.

    What is refused is undone alone. Every item is idempotent by its own key, as a posting by itself is. It is
    committed with the connection's transaction, whole. Raises UnavailableError where an account stays locked by
    somebody else, and InvalidInputError for more than MOST_ITEMS items.
    """
    if len(postings) > MOST_ITEMS:
        message = f"a batch has at most {MOST_ITEMS} postings, not {len(postings)}"
        raise InvalidInputError(message, field="postings")
    answers: list[Posting | DomainError | None] = [_fault(each) for each in postings]
    asked = [place for place, fault in enumerate(answers) if fault is None]
    if asked:
        rows = await _post(connection, programme_id, [postings[place] for place in asked])
        for row in rows:
            answers[asked[row[0] - 1]] = _answer(row)
    return [answer for answer in answers if answer is not None]


async def earn_many(connection: AsyncConnection, *, programme_id: UUID, earns: Sequence[Earn]) -> list[Posting]:
    """Post earns as `post_many` does, all or none: raises the first refusal, and the caller rolls back."""
    postings: list[Posting] = []
    for answer in await post_many(connection, programme_id=programme_id, postings=earns):
        if isinstance(answer, DomainError):
            raise answer
        postings.append(answer)
    return postings


def _fault(operation: Operation) -> DomainError | None:
    try:
        operation.check()
    except InvalidInputError as error:
        return error
    return None


async def _post(connection: AsyncConnection, programme_id: UUID, postings: Sequence[Operation]) -> list[Any]:
    """Call the function on the driver's own connection: arrays of thousands need no statement of SQLAlchemy's."""
    more = [each.more for each in postings]
    arguments = [
        programme_id,
        [each.kind for each in postings],
        [each.member_id for each in postings],
        [each.unit for each in postings],
        [getattr(each, "amount", None) for each in postings],
        [each.key for each in postings],
        [each.request_hash for each in postings],
        [each.source for each in postings],
        [getattr(each, "rule_version", None) for each in postings],
        [getattr(each, "effective_at", None) for each in postings],
        [None if each is None else _to_json(each).decode() for each in more] if any(more) else None,
    ]
    if not connection.in_transaction():
        await connection.begin()  # SQLAlchemy begins with its own first statement, and this is the driver's
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)  # noqa: S101  (`kit.db` opens no other)
    with refusals():
        cursor = await driver.execute(_POST, arguments, prepare=True)
        return await cursor.fetchall()


def _answer(row: Sequence[Any]) -> Posting | DomainError:
    _, refusal, figures, member_id, unit, seq, last_seq, posted, pending, held, debt, at, hold_id, replayed = row
    if refusal is not None:
        return named_refusal(refusal, figures)
    return Posting(
        member_id=member_id,
        unit=unit,
        sequence=seq or 0,
        last_sequence=last_seq,
        posted=posted,
        pending=pending,
        held=held,
        debt=debt,
        recorded_at=at,
        hold_id=hold_id,
        replayed=replayed,
    )
