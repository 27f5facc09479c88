"""Clocks that are wrong: the server's that steps back, and a posting that was dated by somebody else's."""

from __future__ import annotations

from uuid import UUID

import pytest

from ledger.errors import HoldExpiredError
from loyalty.kit.errors import InvalidInputError
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book


async def test_entries_follow_each_other_in_time_when_the_servers_clock_steps_back(book: Book, member: UUID) -> None:
    await book.unit(expiry_kind="fixed_period", expiry_days=10)
    first = await book.earn(member, 10)
    await book.at(NEW_YEAR - A_DAY)
    second = await book.spend(member, 4)
    third = await book.earn(member, 1)
    assert first.recorded_at == second.recorded_at == third.recorded_at == NEW_YEAR
    await book.at(NEW_YEAR + A_DAY)
    assert (await book.spend(member, 1)).recorded_at == NEW_YEAR + A_DAY


async def test_what_has_expired_stays_expired_when_the_clock_steps_back(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 10, expires_at=NEW_YEAR + A_DAY)
    held = await book.hold(member, 3, expires_at=NEW_YEAR + A_DAY)
    await book.at(NEW_YEAR + 2 * A_DAY)
    assert await book.spendable(member) == 0
    await book.at(NEW_YEAR)
    assert await book.spendable(member) == 0
    with pytest.raises(HoldExpiredError):
        async with book.connection.begin_nested():
            await book.capture(member, held.hold_id)


async def test_a_posting_from_tomorrow_is_refused_and_one_from_a_little_ahead_is_not(book: Book, member: UUID) -> None:
    await book.unit()
    with pytest.raises(InvalidInputError):
        async with book.connection.begin_nested():
            await book.earn(member, 10, effective_at=NEW_YEAR + A_DAY)
    await book.earn(member, 10, effective_at=NEW_YEAR + A_DAY / 24 / 60)
    assert await book.spendable(member) == 10
