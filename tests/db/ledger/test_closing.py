"""Closing the books: every account that moved is taken, and none twice."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.books import trial_balance
from ledger.closing import close_books, close_books_on, last_closing, roll_up_anew
from ledger.errors import AppendOnlyError, InsufficientBalanceError, refusal
from ledger.past import as_of
from ledger.posting import earn, spend
from ledger.units import Unit, define_unit
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.embedded import binaries
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book
from tests.property.ledger.plain_flow import NEVER, NO_LOT, PlainBooks
from tests.roles import application_login, as_owner

CLIENTS = 8
ROUNDS = 25


class Shop:
    """A programme whose postings are committed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.programme_id = uuid4()

    async def open(self) -> None:
        async with transaction(self.engine) as connection:
            await define_unit(connection, Unit(programme_id=self.programme_id))

    async def earn(self, member: UUID, amount: int = 1, connection: AsyncConnection | None = None) -> None:
        to: dict[str, Any] = {"programme_id": self.programme_id, "key": str(uuid4()), "source": "test"}
        if connection is not None:
            await earn(connection, member_id=member, amount=amount, **to)
            return
        async with transaction(self.engine) as own:
            await earn(own, member_id=member, amount=amount, **to)

    async def spend(self, member: UUID, amount: int) -> None:
        to: dict[str, Any] = {"programme_id": self.programme_id, "key": str(uuid4()), "source": "test"}
        async with transaction(self.engine) as own:
            await spend(own, member_id=member, amount=amount, **to)


@pytest.fixture
async def shop(committed_engine: AsyncEngine) -> Shop:
    made = Shop(committed_engine)
    await made.open()
    return made


def as_the_owner(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


NO_MARGIN = (
    "CREATE OR REPLACE FUNCTION ledger.closing_margin() RETURNS interval LANGUAGE sql AS $$ SELECT interval '0' $$"
)


def clock_set(offset: str) -> str:
    return (
        "CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        f"$$SELECT clock_timestamp() + interval '{offset}'$$"
    )


async def check_books(engine: AsyncEngine) -> int:
    """Each account's closings follow each other to its last entry, and the roll-up is the sum of all entries."""
    async with transaction(engine) as connection:
        left = await connection.scalar(
            text(
                "SELECT count(*) FROM ledger.account AS a LEFT JOIN ("
                "  SELECT member_id, unit, max(seq) AS seq, count(*) AS closings, count(DISTINCT seq) AS heads"
                "  FROM ledger.closed_head GROUP BY member_id, unit) AS h USING (member_id, unit) "
                "WHERE h.seq IS DISTINCT FROM a.seq OR h.closings <> h.heads"
            )
        )
        wrong_heads = await connection.scalar(
            text(
                "SELECT count(*) FROM ledger.closed_head AS h LEFT JOIN ledger.entry AS e USING (member_id, unit, seq) "
                "WHERE e.hash IS DISTINCT FROM h.head"
            )
        )
        rows = (await connection.execute(text("SELECT * FROM ledger.entry"))).mappings().all()
        flows = await connection.execute(
            text(
                "SELECT unit, recorded_day, effective_day, cohort_month, "
                "CASE WHEN isfinite(expiry_month) THEN expiry_month END AS month, expiry_month = 'infinity' AS never, "
                "kind, debit, credit, amount, entries, opened FROM ledger.flow"
            )
        )
        kept = {
            (
                *(row.unit, row.recorded_day, row.effective_day, row.cohort_month),
                row.month or (NEVER if row.never else NO_LOT),
                *(row.kind, row.debit, row.credit),
            ): (row.amount, row.entries, row.opened)
            for row in flows
        }
        counted = (
            await connection.execute(
                text("SELECT sum(accounts) AS accounts, sum(entries) AS entries FROM ledger.closing")
            )
        ).one()
    entries = [dict(row) for row in rows]
    plain = PlainBooks(entries, {"points": "UTC"})
    everything = {(row["member_id"], row["unit"]): 10**9 for row in entries}
    assert (left, wrong_heads) == (0, 0)
    assert kept == plain.flow(everything)
    assert counted.entries == len(entries)
    return len(entries)


async def test_closings_among_postings_take_every_entry_once(shop: Shop) -> None:
    members = [uuid4() for _ in range(20)]
    done = asyncio.Event()

    async def client(number: int) -> None:
        for turn in range(ROUNDS):
            await shop.earn(members[(number * 7 + turn) % len(members)], amount=3)
            try:
                await shop.spend(members[(number * 3 + turn) % len(members)], 2)
            except InsufficientBalanceError:
                continue

    async def closer() -> int:
        closed = 0
        while not done.is_set():
            closed += await close_books(shop.engine) is not None
        return closed

    closers = [asyncio.create_task(closer()) for _ in range(3)]
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    done.set()
    assert sum(await asyncio.gather(*closers)) > 1
    await close_books(shop.engine)
    assert await check_books(shop.engine) >= CLIENTS * ROUNDS
    assert await close_books(shop.engine) is None


async def test_a_posting_that_commits_after_a_closing_is_in_the_next(shop: Shop, fresh_database_url: str) -> None:
    as_the_owner(fresh_database_url, NO_MARGIN)
    slow, quick = uuid4(), uuid4()
    await shop.earn(quick)
    await close_books(shop.engine)
    async with transaction(shop.engine) as connection:
        await shop.earn(slow, connection=connection)
        await shop.earn(quick)
        between = await close_books(shop.engine)
        assert between is not None
        assert between.accounts == 1
    after = await close_books(shop.engine)
    assert after is not None
    assert (after.accounts, after.entries) == (1, 1)
    await check_books(shop.engine)


async def test_a_closing_that_was_undone_is_made_again(shop: Shop) -> None:
    await shop.earn(uuid4())
    async with shop.engine.connect() as connection:
        undone = await close_books_on(connection)
        await connection.rollback()
    assert undone is not None
    again = await close_books(shop.engine)
    assert again is not None
    assert (again.number, again.entries) == (undone.number, undone.entries)
    await check_books(shop.engine)


async def test_of_two_closings_at_once_one_does_the_work(shop: Shop) -> None:
    await shop.earn(uuid4())
    async with transaction(shop.engine) as connection:
        assert await close_books_on(connection) is not None
        assert await close_books(shop.engine) is None
    await check_books(shop.engine)


async def test_a_clock_that_was_set_back_hides_nothing(shop: Shop, fresh_database_url: str) -> None:
    await shop.earn(uuid4())
    await close_books(shop.engine)
    as_the_owner(fresh_database_url, clock_set("-3 hours"))
    await shop.earn(uuid4())
    closing = await close_books(shop.engine)
    assert closing is not None
    assert closing.entries == 1
    await shop.earn(uuid4())
    await close_books(shop.engine)
    await check_books(shop.engine)


async def test_a_thorough_closing_trusts_no_clock(shop: Shop, fresh_database_url: str) -> None:
    await shop.earn(uuid4())
    await close_books(shop.engine)
    as_the_owner(fresh_database_url, clock_set("-3 hours"))
    await shop.earn(uuid4())
    as_the_owner(fresh_database_url, clock_set("0"))
    assert await close_books(shop.engine) is None
    closing = await close_books(shop.engine, thorough=True)
    assert closing is not None
    assert closing.entries == 1
    await check_books(shop.engine)


async def test_a_restored_dump_goes_on_where_it_was(shop: Shop, fresh_database_url: str, tmp_path: Any) -> None:
    members = [uuid4() for _ in range(5)]
    for member in members:
        await shop.earn(member, 10)
    await close_books(shop.engine)
    await shop.spend(members[0], 3)
    dump = tmp_path / "books.dump"
    tools = binaries()
    copy = make_url(fresh_database_url).set(database=f"restored_{uuid4().hex}").render_as_string(hide_password=False)
    as_the_owner(fresh_database_url, f"CREATE DATABASE {make_url(copy).database}")
    subprocess.run([tools / "pg_dump", "--format=custom", f"--file={dump}", fresh_database_url], check=True)  # noqa: ASYNC221
    subprocess.run([tools / "pg_restore", f"--dbname={copy}", dump], check=True)  # noqa: ASYNC221
    restored = create_engine(application_login(copy))
    closing = await close_books(restored)
    assert closing is not None
    assert (closing.number, closing.accounts, closing.entries) == (2, 1, 1)
    assert await close_books(restored, thorough=True) is None
    await check_books(restored)
    await restored.dispose()
    as_the_owner(fresh_database_url, f"DROP DATABASE {make_url(copy).database}")


async def test_books_are_closed_where_what_is_committed_is_seen(shop: Shop) -> None:
    async with shop.engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        with pytest.raises(DBAPIError, match="READ COMMITTED"):
            await close_books_on(connection)


@pytest.mark.parametrize("table", ["closing", "closed_head"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {}"])
async def test_closings_are_only_ever_added(book: Book, member: UUID, table: str, change: str) -> None:
    await book.unit()
    await book.earn(member, 1)
    await close_books_on(book.connection)
    with pytest.raises(DBAPIError) as refused:
        async with book.connection.begin_nested(), as_owner(book.connection):
            await book.connection.execute(text(change.format(f"ledger.{table}")))
    assert isinstance(refusal(refused.value.orig), AppendOnlyError)  # type: ignore[arg-type]


async def test_a_unit_whose_time_zone_was_changed_is_rolled_up_anew(book: Book, member: UUID) -> None:
    await book.unit(time_zone="Pacific/Kiritimati")
    await book.earn(member, 5, effective_at=datetime(2025, 12, 31, 20, tzinfo=UTC))
    await close_books_on(book.connection)

    async def days() -> list[Any]:
        query = (
            "SELECT effective_day, recorded_day FROM ledger.flow WHERE unit = 'points' AND programme_id = :programme"
        )
        rows = await book.connection.execute(text(query), {"programme": book.programme_id})
        return [(row.effective_day.isoformat(), row.recorded_day.isoformat()) for row in rows]

    assert await days() == [("2026-01-01", "2026-01-02")]
    await book.unit(time_zone="UTC")
    assert await days() == [("2026-01-01", "2026-01-02")]
    await close_books_on(book.connection)
    assert await days() == [("2025-12-31", "2026-01-01")]


async def test_a_roll_up_that_is_wrong_is_made_anew(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 5)
    await close_books_on(book.connection)
    await book.earn(member, 7)
    async with as_owner(book.connection):
        await book.connection.execute(text("UPDATE ledger.flow SET amount = amount + 1"))
    wrong = await trial_balance(book.connection, programme_id=book.programme_id)
    assert {line.account: line.balance for line in wrong} == {"issued": -13, "member": 13}
    await roll_up_anew(book.connection, programme_id=book.programme_id, unit="points")
    right = await trial_balance(book.connection, programme_id=book.programme_id)
    assert {line.account: line.balance for line in right} == {"issued": -12, "member": 12}


async def test_a_long_history_is_looked_back_at_from_checkpoints(book: Book, member: UUID) -> None:
    """Checkpoints lie 256 entries apart, or as many as lots were open."""
    await book.unit(expiry_kind="never")
    for number in range(700):
        await book.at(NEW_YEAR + number * timedelta(minutes=1))
        await (book.earn(member, 2) if number % 2 == 0 else book.spend(member, 2))
    await close_books_on(book.connection)
    rows = await book.connection.execute(
        text("SELECT seq, cardinality(lots) AS lots FROM ledger.checkpoint WHERE member_id = :member ORDER BY seq"),
        {"member": member},
    )
    assert [(row.seq, row.lots) for row in rows] == [(256, 0), (512, 0)]
    for number, holds in ((255, 0), (256, 2), (600, 2), (699, 0)):
        found = await as_of(book.connection, member_id=member, moment=NEW_YEAR + number * timedelta(minutes=1))
        assert (found.sequence, found.posted, [lot.sequence for lot in found.lots]) == (
            number + 1,
            holds,
            [number + 1] if holds else [],
        )


async def test_the_last_closing_is_told(book: Book, member: UUID) -> None:
    await book.unit()
    assert await last_closing(book.connection) is None
    await book.earn(member, 1)
    made = await close_books_on(book.connection)
    assert made is not None
    assert await last_closing(book.connection) == made
    assert made.complete_until <= made.closed_at == NEW_YEAR
    await book.at(NEW_YEAR + A_DAY)
    assert await close_books_on(book.connection) is None
