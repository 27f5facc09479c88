"""Members who are found to be one, and parted again: books that verify, and points that find their way home."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from ledger.batch import post_many
from ledger.operations import Earn
from loyalty.kit.errors import InvalidInputError
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book


@pytest.fixture
def other() -> UUID:
    return uuid4()


async def accounts(book: Book) -> set[UUID]:
    query = text("SELECT member_id FROM ledger.account WHERE programme_id = :programme")
    rows = await book.connection.execute(query, {"programme": book.programme_id})
    return set(rows.scalars())


async def test_points_come_home_to_the_lot_they_left_not_to_an_older_one_of_the_same_origin(
    book: Book, member: UUID, other: UUID
) -> None:
    await book.unit()
    survivor = uuid4()
    await book.earn(member, 10)
    await book.merge(member, other, "merge:1")
    await book.unmerge(member, other, "merge:1")
    await book.merge(member, other, "merge:2")  # the same points, in a new lot beside the one they were in before
    await book.merge(other, survivor, "merge:3")

    await book.unmerge(other, survivor, "merge:3")
    await book.unmerge(member, other, "merge:2")

    left = [await book.spendable(each) for each in (member, other, survivor)]
    assert left == [10, 0, 0], "the points stayed with the wrong member"


async def test_a_gift_that_was_spent_returns_to_the_giver_who_is_found_to_be_the_same_person(
    book: Book, member: UUID, other: UUID
) -> None:
    await book.unit()
    await book.earn(member, 3)
    await book.transfer(member, other, 1)
    spent = await book.spend(other, 1)
    await book.merge(other, member)
    await book.reverse(member, spent.sequence, origin_member_id=other, accounts=[member, other])
    assert [remaining for remaining, _ in await book.open_lots(member)] == [3], "it is not the lot that it came from"


async def test_points_that_come_back_to_who_has_been_idle_for_too_long_expire_at_once(
    book: Book, member: UUID, other: UUID
) -> None:
    await book.unit(expiry_kind="after_activity", expiry_months=0)
    await book.claw_back(member, 1)
    await book.merge(member, other)
    await book.earn(other, 1, effective_at=NEW_YEAR - 2 * A_DAY)  # repays the debt that was taken over
    await book.unmerge(member, other)
    assert [kind for kind, *_ in await book.kinds(other)][-1] == "expire"
    assert await book.spendable(other) == 0


async def test_a_merger_that_moves_nothing_leaves_no_account_without_entries(
    book: Book, member: UUID, other: UUID
) -> None:
    await book.unit()
    await book.earn(member, 10)
    await book.spend(member, 10)
    await book.merge(member, other)
    assert await accounts(book) == {member}
    await book.unmerge(member, other)
    assert await accounts(book) == {member}


async def test_a_merger_that_finds_all_points_expired_books_that(book: Book, member: UUID, other: UUID) -> None:
    await book.unit()
    await book.earn(member, 10, expires_at=NEW_YEAR + A_DAY)
    await book.earn(other, 5, expires_at=NEW_YEAR + A_DAY)
    await book.at(NEW_YEAR + 2 * A_DAY)
    await book.merge(member, other)
    assert [kind for kind, *_ in await book.kinds(member)] == ["earn", "expire"]
    assert [kind for kind, *_ in await book.kinds(other)] == ["earn", "expire"]
    assert await book.verified()


async def test_a_merger_that_moves_nothing_does_not_move_the_accounts_clocks(
    book: Book, member: UUID, other: UUID
) -> None:
    await book.unit()
    for each in (member, other):
        await book.earn(each, 10)
        await book.spend(each, 10)
    await book.at(NEW_YEAR + A_DAY)
    await book.merge(member, other)
    assert await book.verified(), "an account's clock moves with its entries alone"


async def test_an_earn_that_is_refused_in_a_batch_leaves_no_account_without_entries(book: Book, member: UUID) -> None:
    await book.unit()
    tomorrow = Earn(member_id=member, amount=5, key="tomorrow", source="test", effective_at=NEW_YEAR + A_DAY)
    (refused,) = await post_many(book.connection, programme_id=book.programme_id, postings=[tomorrow])
    assert isinstance(refused, InvalidInputError)
    assert await accounts(book) == set()
    await book.earn(uuid4(), 1)
