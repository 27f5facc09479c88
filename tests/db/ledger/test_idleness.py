"""Points that expire when a member has done nothing for too long."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from ledger import posting, reading
from ledger.posting import Posting
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book

LONG_AFTER = NEW_YEAR + 60 * A_DAY


@pytest.fixture
async def idle(book: Book, member: UUID) -> tuple[Posting, Posting]:
    """The member earned 20 points, held 5 and spent 5 of them, and has lost the other 10 since; hold and spend."""
    await book.unit(expiry_kind="after_activity", expiry_months=1)
    await book.earn(member, 20)
    held = await book.hold(member, 5, expires_at=NEW_YEAR + 300 * A_DAY)
    spent = await book.spend(member, 5)
    await book.at(LONG_AFTER)
    assert await book.spendable(member) == 0
    return held, spent


async def test_points_on_hold_that_are_freed_are_as_idle_as_the_rest(
    book: Book, member: UUID, idle: tuple[Posting, Posting]
) -> None:
    await book.release(member, idle[0].hold_id)
    assert await book.spendable(member) == 0


async def test_spent_points_that_are_given_back_are_as_idle_as_the_rest(
    book: Book, member: UUID, idle: tuple[Posting, Posting]
) -> None:
    await book.reverse(member, idle[1].sequence)
    assert await book.spendable(member) == 0


async def test_what_comes_back_before_the_moment_goes_with_it(book: Book, member: UUID) -> None:
    await book.unit(expiry_kind="after_activity", expiry_months=1)
    await book.earn(member, 5)
    held = await book.hold(member, 5, expires_at=NEW_YEAR + 10 * A_DAY)
    await book.at(NEW_YEAR + 10 * A_DAY)
    assert (await book.spendable(member), held.posted) == (5, 0)
    await book.at(LONG_AFTER)
    assert await book.spendable(member) == 0


@pytest.mark.usefixtures("idle")
async def test_what_staff_give_an_idle_member_lasts_as_long_as_if_the_member_had_done_something(
    book: Book, member: UUID
) -> None:
    await book.adjust(member, 7)
    assert await book.spendable(member) == 7
    await book.at(datetime(2026, 4, 2, tzinfo=UTC))
    assert await book.spendable(member) == 7
    await book.at(datetime(2026, 4, 3, tzinfo=UTC))
    assert await book.spendable(member) == 0


@pytest.mark.usefixtures("idle")
async def test_what_is_reinstated_lasts_as_long_as_if_the_member_had_done_something(book: Book, member: UUID) -> None:
    history = await reading.history(book.connection, member_ids=[member])
    expired = next(entry for entry in history if entry.kind == "expire")
    await posting.reinstate(
        book.connection, member_id=member, sequence=expired.sequence, expires_at=None, key=book.key(), source="test"
    )
    assert await book.spendable(member) == 10
    await book.at(datetime(2026, 4, 3, tzinfo=UTC))
    assert await book.spendable(member) == 0
