"""Many postings in one round trip, each with an answer of its own.

A batch is one call of `ledger.post_items`: `ledger.post_batch` (`migrations/sql/0002_ledger_batch.sql`) of items in one
JSON text. Plain earns are posted set-based, the rest one after the other. Batches lock accounts in the order of their
ids, so they never wait in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import named_refusal, refusals
from ledger.operations import Earn, Operation
from ledger.posting import Posting
from loyalty.kit.db import to_json
from loyalty.kit.driver import fetch
from loyalty.kit.errors import DomainError, InvalidInputError

MOST_ITEMS: Final = 10_000
"""How many postings one batch takes: its accounts stay locked until the transaction ends."""

_POST: Final = "SELECT place, refusal, figures, (answer).* FROM ledger.post_items(%s, %s::json)"


class _Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    kind: str
    member: UUID
    unit: str
    amount: int | None = None
    key: str
    hash: str
    source: str
    rule: str | None = None
    effective: datetime | None = None
    more: Mapping[str, Any] | None = None


class Batch:
    """Postings as the database takes them in one statement, and its rows as the answers to them.

    The statement answers of each item its place, refusal, figures and the ledger's answer, column by column.
    """

    def __init__(self, postings: Sequence[Operation]) -> None:
        """Raises InvalidInputError for more than MOST_ITEMS items."""
        if len(postings) > MOST_ITEMS:
            message = f"a batch has at most {MOST_ITEMS} postings, not {len(postings)}"
            raise InvalidInputError(message, field="postings")
        self._answers: list[Posting | DomainError | None] = [_fault(each) for each in postings]
        self._asked = [place for place, fault in enumerate(self._answers) if fault is None]
        self.items = to_json([_item(postings[place]) for place in self._asked])

    async def fetch(
        self, connection: AsyncConnection, statement: LiteralString, parameters: Sequence[Any]
    ) -> list[Posting | DomainError] | None:
        """Post by a statement, and answer each item in its place; None where the statement answered no rows.

        Raises UnavailableError where an account stays locked by somebody else.
        """
        if self._asked:
            with refusals():
                rows = await fetch(connection, statement, parameters)
            if not rows:
                return None
            for row in rows:
                self._answers[self._asked[row[0] - 1]] = _answer(row)
        return [answer for answer in self._answers if answer is not None]


async def post_many(
    connection: AsyncConnection, *, programme_id: UUID, postings: Sequence[Operation]
) -> list[Posting | DomainError]:
    """Post each item, those of one account in their order, and answer each: its posting, or why it was refused.

    What is refused is undone alone. Every item is idempotent by its own key, as a posting by itself is. It is
    committed with the connection's transaction, whole. Raises UnavailableError where an account stays locked by
    somebody else, and InvalidInputError for more than MOST_ITEMS items.
    """
    batch = Batch(postings)
    answers = await batch.fetch(connection, _POST, (programme_id, batch.items))
    assert answers is not None  # noqa: S101  (the ledger answers every item)
    return answers


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


def _item(each: Operation) -> _Item:
    return _Item(
        kind=each.kind,
        member=each.member_id,
        unit=each.unit,
        amount=getattr(each, "amount", None),
        key=each.key,
        hash=each.request_hash.hex(),
        source=each.source,
        rule=getattr(each, "rule_version", None),
        effective=getattr(each, "effective_at", None),
        more=each.more,
    )


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
