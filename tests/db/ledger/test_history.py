"""The history of a person: every entry once, newest first, and a page costs what it shows."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from ledger import reading
from ledger.reading import Entry, Place, read_place, write_place
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book


async def pages(book: Book, members: list[UUID], limit: int) -> list[Entry]:
    """The whole history, page by page, each place written into an address and read from it."""
    found: list[Entry] = []
    before: Place | None = None
    while True:
        page = await reading.history(book.connection, member_ids=members, before=before, limit=limit)
        assert len(page) <= limit
        found += page
        if len(page) < limit:
            return found
        before = read_place(write_place(page[-1].place))
        assert before == page[-1].place


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_of_merged_members_have_every_entry_once(book: Book, limit: int) -> None:
    """Both sides of a transfer bear one moment, and here one number: no page's end may lose one of them."""
    one, other = uuid4(), uuid4()
    await book.unit()
    for day in range(3):
        await book.at(NEW_YEAR + day * A_DAY)
        await book.earn(one, 10)
        await book.earn(other, 20)
        await book.transfer(one, other, 5)
    await book.merge(other, one)
    newest = await pages(book, [one, other], 200)
    assert len(newest) == len({(entry.member_id, entry.sequence) for entry in newest}) >= 14
    moments = [(entry.recorded_at, entry.sequence) for entry in newest]
    assert moments == sorted(moments, reverse=True)
    assert len(set(moments)) < len(moments)
    assert await pages(book, [one, other], limit) == newest
    assert await pages(book, [one, other, one], limit) == newest
    assert await pages(book, [one], limit) == [entry for entry in newest if entry.member_id == one]


async def test_a_page_and_a_posting_deep_in_a_long_history_are_read_without_the_rest(book: Book, member: UUID) -> None:
    await book.unit()
    for day in range(300):
        await book.at(NEW_YEAR + day * A_DAY)
        await book.earn(member, 10)
    counted = text("SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_all_tables WHERE relid = 'ledger.entry'::regclass")
    (middle,) = await reading.posting_entries(book.connection, member_id=member, sequence=150)
    before = (await book.connection.execute(counted)).one()
    await reading.history(book.connection, member_ids=[member, uuid4()], limit=5)
    await reading.history(book.connection, member_ids=[member, uuid4()], before=middle.place, limit=5)
    await reading.posting_entries(book.connection, member_id=member, sequence=10)
    after = (await book.connection.execute(counted)).one()
    assert after.seq_scan == before.seq_scan
    assert after.idx_tup_fetch - before.idx_tup_fetch < 60


async def test_a_posting_of_several_entries_is_found_whole(book: Book, member: UUID) -> None:
    await book.unit()
    await book.claw_back(member, 30)
    repaying = await book.earn(member, 100)
    await book.earn(member, 1)
    found = await reading.posting_entries(book.connection, member_id=member, sequence=repaying.sequence)
    assert [(entry.credit, entry.amount) for entry in found] == [("debt", 30), ("member", 70)]


@given(st.text() | st.from_regex(r"2026-01-01T00:00:00\+00:00~-?\d{1,25}~[0-9a-f]{30,34}", fullmatch=True))
def test_a_word_that_is_no_place_begins_at_the_newest_page(word: str) -> None:
    place = read_place(word)
    assert place is None or read_place(write_place(place)) == place


async def test_open_lots_are_those_of_all_lots_that_are_open_wherever_they_stand(book: Book, member: UUID) -> None:
    """A few in the account's row, a few filed: with a priority, waiting, more than the row holds."""
    await book.unit()
    for day in range(1, 20):
        await book.earn(member, day, expires_at=NEW_YEAR + day * A_DAY)
    await book.earn(member, 50, expires_at=None)
    await book.earn(member, 60, priority=-1)
    await book.earn(member, 70, available_at=NEW_YEAR + 9 * A_DAY, expires_at=NEW_YEAR + 99 * A_DAY)
    await book.spend(member, 65)
    await book.earn(member, 5, expires_at=None)
    every = await reading.lots(book.connection, member_id=member, only_open=False)
    shown = await reading.lots(book.connection, member_id=member)
    assert len(every) == 23
    assert shown == [lot for lot in every if lot.remaining > 0]
    assert len(shown) > 16
    assert await reading.lots(book.connection, member_id=member, limit=3) == shown[:3]
