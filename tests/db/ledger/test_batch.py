from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from ledger import posting, reading
from ledger.batch import MOST_ITEMS, earn_many, post_many
from ledger.errors import ApprovalNeededError, HoldNotFoundError, InsufficientBalanceError
from ledger.operations import (
    Adjust,
    Capture,
    ClawBack,
    Confirm,
    Earn,
    Hold,
    Operation,
    Release,
    Reverse,
    Spend,
)
from ledger.posting import Posting
from loyalty.kit.errors import DomainError, IdempotencyMismatchError, InvalidInputError, NotFoundError
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book


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


async def post(book: Book, *postings: Operation) -> list[Posting | DomainError]:
    return await post_many(book.connection, programme_id=book.programme_id, postings=postings)


def balances(answers: list[Posting | DomainError]) -> list[tuple[int, int, int, int] | type[DomainError]]:
    return [
        type(answer) if isinstance(answer, DomainError) else (answer.posted, answer.pending, answer.held, answer.debt)
        for answer in answers
    ]


async def test_every_kind_of_posting_can_stand_in_a_batch_and_follows_those_before_it(book: Book, member: UUID) -> None:
    await book.unit(adjust_limit=10)
    one, other = uuid4(), uuid4()
    own: dict[str, Any] = {"member_id": member, "source": "test"}
    answers = await post(
        book,
        Earn(**own, key="1", amount=100),
        Earn(**own, key="2", amount=20, available_at=NEW_YEAR + A_DAY),
        Spend(**own, key="3", amount=30),
        Hold(**own, key="4", amount=40, hold_id=one, expires_at=NEW_YEAR + A_DAY),
        Hold(**own, key="5", amount=5, hold_id=other, expires_at=NEW_YEAR + A_DAY),
        Capture(**own, key="6", hold_id=one, amount=15),
        Release(**own, key="7", hold_id=one),
        Reverse(**own, key="8", sequence=3, amount=10),
        Confirm(**own, key="9", sequence=2),
        Adjust(**own, key="10", amount=-7, reason="a mistake", actor="stf_1"),
        Adjust(**own, key="11", amount=3, reason="an apology", actor="stf_1"),
        ClawBack(**own, key="12", amount=200),
    )
    assert balances(answers) == [
        (100, 0, 0, 0),
        (100, 20, 0, 0),
        (70, 20, 0, 0),
        (30, 20, 40, 0),
        (25, 20, 45, 0),
        (25, 20, 30, 0),
        (50, 20, 5, 0),
        (60, 20, 5, 0),
        (80, 0, 5, 0),
        (73, 0, 5, 0),
        (76, 0, 5, 0),
        (0, 0, 5, 124),
    ]


async def test_what_is_refused_is_undone_alone(book: Book, member: UUID) -> None:
    await book.unit(adjust_limit=10)
    stranger = uuid4()
    own: dict[str, Any] = {"member_id": member, "source": "test"}
    answers = await post(
        book,
        Earn(**own, key="1", amount=100),
        Spend(**own, key="2", amount=101),
        Spend(**own, key="3", amount=60),
        Earn(**own, key="1", amount=99),
        Earn(**own, key="4", amount=0),
        Earn(**own, key="5", amount=1, unit="miles"),
        Earn(**own, key="", amount=1),
        Capture(**own, key="6", hold_id=uuid4()),
        Adjust(**own, key="7", amount=11, reason="too much", actor="stf_1"),
        Spend(member_id=stranger, source="test", key="8", amount=1),
        Earn(**own, key="9", amount=5),
    )
    assert balances(answers) == [
        (100, 0, 0, 0),
        InsufficientBalanceError,
        (40, 0, 0, 0),
        IdempotencyMismatchError,
        InvalidInputError,
        NotFoundError,
        InvalidInputError,
        HoldNotFoundError,
        ApprovalNeededError,
        InsufficientBalanceError,
        (45, 0, 0, 0),
    ]
    refused = answers[1]
    assert isinstance(refused, InsufficientBalanceError)
    assert (refused.field, refused.members["available"], refused.members["requested"]) == ("amount", 100, 101)


@pytest.mark.parametrize("size", [1, 8, 9, 200])
async def test_posted_again_a_batch_answers_what_it_answered_first(book: Book, size: int) -> None:
    await book.unit()
    members = [uuid4() for _ in range(max(1, size // 3))]
    batch: list[Operation] = [
        Earn(member_id=members[number % len(members)], key=f"k{number}", source="test", amount=number + 1)
        for number in range(size)
    ]
    first = await post(book, *batch)
    again = await post(book, *batch)
    assert [answer.replayed for answer in again if isinstance(answer, Posting)] == [True] * size
    assert [(answer.sequence, answer.posted) for answer in first if isinstance(answer, Posting)] == [
        (answer.sequence, answer.posted) for answer in again if isinstance(answer, Posting)
    ]


async def lots_of(book: Book, member: UUID) -> list[tuple[int, int, datetime | None]]:
    found = await reading.lots(book.connection, member_id=member, only_open=False)
    return [(lot.sequence, lot.remaining, lot.expires_at) for lot in found]


async def test_a_batch_posts_what_single_postings_would(book: Book) -> None:
    """Many lots on one member, some on others, spends between: the same balances, lots and entries either way."""
    await book.unit(expiry_kind="end_of_month", expiry_months=1)
    pairs = [(uuid4(), uuid4()) for _ in range(6)]
    moments = [NEW_YEAR - A_DAY * (number * 7 % 25) for number in range(120)]

    def earn_of(place: int, number: int, moment: datetime) -> Earn:
        # The first pair gets half of all, more than an account's row holds; its moments are not in order.
        pair = pairs[0 if number % 2 else number // 2 % 6]
        amount = number % 9 + 1
        return Earn(member_id=pair[place], key=f"k{number}", source="test", amount=amount, effective_at=moment)

    together = [earn_of(0, number, moment) for number, moment in enumerate(moments)]
    await post(book, *together[:70])
    await post(book, *together[70:])
    for number, moment in enumerate(moments):
        each = earn_of(1, number, moment)
        await book.earn(each.member_id, each.amount, key=each.key, effective_at=each.effective_at)
    for ours, theirs in pairs:
        left = await book.spendable(theirs)
        await post(book, Spend(member_id=ours, key="spend", source="test", amount=left // 2))
        await book.spend(theirs, left // 2, key="spend")
        assert await book.kinds(ours) == await book.kinds(theirs)
        assert await lots_of(book, ours) == await lots_of(book, theirs)


async def test_a_batch_and_every_single_posting_know_each_others_keys(book: Book, member: UUID) -> None:
    await book.unit()
    own: dict[str, Any] = {"member_id": member, "source": "test"}
    earned = await book.earn(member, 100, key="e")
    spent = await book.spend(member, 10, key="s")
    held = await book.hold(member, 20, key="h", expires_at=NEW_YEAR + A_DAY)
    assert held.hold_id is not None
    await book.capture(member, held.hold_id, 5, key="c")
    await book.release(member, held.hold_id, 5, key="r")
    await book.reverse(member, spent.sequence, 3, key="v")
    await book.adjust(member, 3, key="a", reason="apology")
    await posting.claw_back(
        book.connection, programme_id=book.programme_id, member_id=member, amount=1, key="b", source="test"
    )
    answers = await post(
        book,
        Earn(**own, key="e", amount=100),
        Spend(**own, key="s", amount=10),
        Hold(**own, key="h", amount=20, hold_id=uuid4(), expires_at=NEW_YEAR + A_DAY),
        Capture(**own, key="c", hold_id=held.hold_id, amount=5),
        Release(**own, key="r", hold_id=held.hold_id, amount=5),
        Reverse(**own, key="v", sequence=spent.sequence, amount=3),
        Adjust(**own, key="a", amount=3, reason="apology", actor="stf_1"),
        ClawBack(**own, key="b", amount=1),
    )
    assert [isinstance(answer, Posting) and answer.replayed for answer in answers] == [True] * 8
    assert isinstance(answers[2], Posting)
    assert answers[2].hold_id == held.hold_id
    assert earned.sequence == 1


async def test_a_batch_has_a_limit(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 1)
    too_many = [asked(member, 1, f"k{number}") for number in range(MOST_ITEMS + 1)]
    with pytest.raises(InvalidInputError, match="at most 10000"):
        await post(book, *too_many)
