from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from ledger.batch import Earn, earn_many
from loyalty.kit.errors import IdempotencyMismatchError, InvalidInputError
from tests.db.ledger.conftest import Book


def asked(member: UUID, amount: int, key: str, **fields: Any) -> Earn:
    return Earn(member_id=member, unit="points", amount=amount, key=key, source="test", **fields)


async def test_a_batch_answers_each_earn_in_its_place(book: Book) -> None:
    await book.unit()
    ann, bob = sorted([uuid4(), uuid4()])
    postings = await earn_many(
        book.connection,
        programme_id=book.programme_id,
        earns=[asked(ann, 10, "a1"), asked(ann, 5, "a2"), asked(bob, 7, "b1")],
    )
    assert [(posted.member_id, posted.sequence, posted.posted) for posted in postings] == [
        (ann, 1, 10),
        (ann, 2, 15),
        (bob, 1, 7),
    ]


async def test_a_batch_and_single_earns_know_each_others_keys(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 10, key="k")
    (posted,) = await earn_many(book.connection, programme_id=book.programme_id, earns=[asked(member, 10, "k")])
    assert posted.replayed
    assert (await book.earn(member, 10, key="k")).replayed
    assert await book.spendable(member) == 10


async def test_one_key_twice_in_a_batch_posts_once(book: Book, member: UUID) -> None:
    await book.unit()
    twice = [asked(member, 10, "k"), asked(member, 10, "k")]
    postings = await earn_many(book.connection, programme_id=book.programme_id, earns=twice)
    assert [posted.replayed for posted in postings] == [False, True]
    assert await book.spendable(member) == 10


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"amount": 0, "key": "new"}, InvalidInputError),
        ({"amount": 99, "key": "k"}, IdempotencyMismatchError),
        ({"amount": 1, "key": ""}, InvalidInputError),
    ],
)
async def test_one_earn_that_is_refused_undoes_the_batch(
    book: Book, member: UUID, wrong: dict[str, Any], error: type[Exception]
) -> None:
    await book.unit()
    await book.earn(member, 10, key="k")
    earns = [asked(member, 5, "fine"), asked(member, **wrong)]
    with pytest.raises(error):
        async with book.connection.begin_nested():
            await earn_many(book.connection, programme_id=book.programme_id, earns=earns)
    assert await book.spendable(member) == 10


async def test_an_empty_batch_is_nothing(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 10)
    assert await earn_many(book.connection, programme_id=book.programme_id, earns=[]) == []
    assert await book.spendable(member) == 10
