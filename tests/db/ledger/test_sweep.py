"""The sweep writes what settling one account after the other writes, shares its work, and waits for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import audit, posting
from ledger.batch import post_many
from ledger.operations import Earn
from ledger.sweep import FEWEST_ACCOUNTS, MOST_ACCOUNTS, TARGET_SECONDS, Swept, count_due, fitting, sweep
from loyalty.kit.db import create_engine, transaction
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book
from tests.roles import APPLICATION, application_login

HOUR = timedelta(hours=1)


class World:
    """A database of the test's own whose clock all its connections share."""

    def __init__(self, owner: psycopg.Connection[Any], engine: AsyncEngine) -> None:
        self.owner = owner
        self.engine = engine

    def at(self, moment: datetime) -> None:
        self.owner.execute("UPDATE public.test_clock SET now = %s", [moment])

    async def verified(self) -> bool:
        async with self.engine.connect() as connection:
            result = await audit.verify(connection)
        assert result.findings == []
        return result.passed

    async def entries(self, member: UUID) -> list[dict[str, Any]]:
        """A member's entries without what names the member or follows from that."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(
                text("SELECT * FROM ledger.entry WHERE member_id = :member ORDER BY seq"), {"member": member}
            )
            own = ("member_id", "hash", "hold_id", "idem_key")
            return [{name: value for name, value in row.items() if name not in own} for row in rows.mappings()]


@pytest.fixture
def owner(fresh_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.test_clock AS SELECT '2026-01-01T12:00Z'::timestamptz AS now")
        connection.execute(f"GRANT SELECT ON public.test_clock TO {APPLICATION}")
        connection.execute(
            "CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql STABLE AS "
            "'SELECT now FROM public.test_clock'"
        )
        yield connection


@pytest.fixture
async def world(owner: psycopg.Connection[Any], fresh_database_url: str) -> AsyncIterator[World]:
    engine = create_engine(application_login(fresh_database_url))
    yield World(owner, engine)
    await engine.dispose()


async def nothing(_book: Book, _member: UUID) -> None:
    """A member with one lot that expires."""


async def half_spent(book: Book, member: UUID) -> None:
    await book.earn(member, 50, expires_at=NEW_YEAR + 2 * HOUR)
    await book.earn(member, 70, expires_at=NEW_YEAR + 3 * HOUR)
    await book.earn(member, 5, expires_at=None)
    await book.spend(member, 30)


async def spent_already(book: Book, member: UUID) -> None:
    await book.spend(member, 10)


async def held(book: Book, member: UUID) -> None:
    await book.earn(member, 40, expires_at=NEW_YEAR + 3 * HOUR)
    await book.hold(member, 45, expires_at=NEW_YEAR + 2 * HOUR)


async def waiting(book: Book, member: UUID) -> None:
    await book.earn(member, 40, available_at=NEW_YEAR + 2 * HOUR, expires_at=NEW_YEAR + 4 * A_DAY)
    await book.earn(member, 20, available_at=NEW_YEAR + 2 * HOUR, expires_at=NEW_YEAR + 3 * HOUR)


async def owing(book: Book, member: UUID) -> None:
    await book.claw_back(member, 100)
    await book.earn(member, 300, available_at=NEW_YEAR + 2 * HOUR, expires_at=NEW_YEAR + 3 * HOUR)


async def many_lots(book: Book, member: UUID) -> None:
    for hours in range(1, 22):
        await book.earn(member, hours, expires_at=NEW_YEAR + hours * HOUR)


STORIES = [nothing, half_spent, spent_already, held, waiting, owing, many_lots]


@pytest.mark.parametrize("story", STORIES)
async def test_together_it_writes_what_one_by_one_it_would(world: World, story: Any) -> None:
    swept, alone = uuid4(), uuid4()
    async with transaction(world.engine) as connection:
        book = Book(connection)
        await book.unit()
        for member in (swept, alone):
            await book.earn(member, 10, expires_at=NEW_YEAR + HOUR)
            await story(book, member)
    world.at(NEW_YEAR + A_DAY)
    async with transaction(world.engine) as connection:
        await posting.settle(connection, member_id=alone)
    result = await sweep(world.engine)
    assert result.accounts == 1
    assert await world.entries(swept) == await world.entries(alone)
    assert await sweep(world.engine) == Swept()
    assert await world.verified()


async def test_points_that_expire_by_idleness_are_swept_too(world: World) -> None:
    members = [uuid4() for _ in range(3)]
    async with transaction(world.engine) as connection:
        book = Book(connection)
        await book.unit(expiry_kind="after_activity", expiry_months=1)
        for member in members:
            await book.earn(member, 10)
    world.at(NEW_YEAR + 40 * A_DAY)
    assert await sweep(world.engine) == Swept(accounts=3, entries=3)
    assert await world.verified()


async def test_an_account_on_which_nothing_is_due_after_all_is_left_as_it_is(world: World) -> None:
    """What was due was spent: the account is looked at once and has no new entry."""
    member = uuid4()
    async with transaction(world.engine) as connection:
        book = Book(connection)
        await book.unit()
        await book.earn(member, 10, expires_at=NEW_YEAR + HOUR)
        await book.earn(member, 10, expires_at=NEW_YEAR + 5 * A_DAY)
        await book.spend(member, 10)
    before = await world.entries(member)
    world.at(NEW_YEAR + A_DAY)
    assert await sweep(world.engine) == Swept(accounts=1, entries=0)
    assert await world.entries(member) == before
    world.at(NEW_YEAR + 6 * A_DAY)
    assert await sweep(world.engine) == Swept(accounts=1, entries=1)
    assert await world.verified()


async def crowd(world: World, count: int) -> list[UUID]:
    members = [uuid4() for _ in range(count)]
    async with transaction(world.engine) as connection:
        book = Book(connection)
        await book.unit()
        for member in members:
            await book.earn(member, 10, expires_at=NEW_YEAR + HOUR)
    world.at(NEW_YEAR + A_DAY)
    return members


async def test_a_member_who_owns_nearly_all_filed_lots_makes_nobody_elses_account_slow(world: World) -> None:
    """The statistics then say that members have thousands of lots each; settling must not believe it."""
    rich, *others = [uuid4() for _ in range(21)]
    async with transaction(world.engine) as connection:
        book = Book(connection)
        await book.unit()
        postings = [
            Earn(member_id=rich, unit="points", amount=1, key=f"k{number}", source="test") for number in range(8_000)
        ]
        await post_many(connection, programme_id=book.programme_id, postings=postings)
        for member in others:
            await book.earn(member, 10, expires_at=NEW_YEAR + HOUR)
    world.owner.execute("ANALYZE ledger.filed_lot")
    world.at(NEW_YEAR + A_DAY)
    async with transaction(world.engine) as connection:
        later = Book(connection)
        later.programme_id = book.programme_id
        for number, member in enumerate(others):  # often enough for plans that serve every member
            await later.earn(member, 1, key=f"later-{number}")
        scanned = await connection.scalar(
            text("SELECT seq_tup_read FROM pg_stat_xact_all_tables WHERE relid = 'ledger.filed_lot'::regclass")
        )
    assert scanned == 0
    assert await world.verified()


async def test_two_sweeps_at_once_share_the_work_and_expire_each_lot_once(world: World) -> None:
    await crowd(world, 400)
    one, other = await asyncio.gather(sweep(world.engine), sweep(world.engine))
    assert one.accounts + other.accounts == one.entries + other.entries == 400
    async with transaction(world.engine) as connection:
        assert await count_due(connection) == 0
        assert await connection.scalar(text("SELECT count(*) FROM ledger.entry WHERE kind = 'expire'")) == 400
    assert await world.verified()


async def test_an_account_that_somebody_holds_is_not_waited_for(world: World) -> None:
    held_member, *_ = await crowd(world, 20)
    with world.owner.transaction():
        world.owner.execute("SELECT 1 FROM ledger.account WHERE member_id = %s FOR NO KEY UPDATE", [held_member])
        assert await asyncio.wait_for(sweep(world.engine), timeout=10) == Swept(accounts=19, entries=19)
    assert await sweep(world.engine) == Swept(accounts=1, entries=1)
    assert await world.verified()


async def test_what_a_stopped_sweep_has_done_is_done_and_the_next_goes_on(world: World) -> None:
    await crowd(world, 300)

    class StoppedError(Exception):
        pass

    def stop(swept: Swept) -> None:
        raise StoppedError(swept)

    with pytest.raises(StoppedError) as stopped:
        await sweep(world.engine, progress=stop)
    (done,) = stopped.value.args
    assert 0 < done.accounts < 300
    seen: list[Swept] = []
    rest = await sweep(world.engine, progress=seen.append)
    assert done + rest == Swept(accounts=300, entries=300)
    assert seen[-1] == rest
    assert len(seen) > 1
    assert await world.verified()


@pytest.mark.parametrize(
    ("accounts", "seconds", "next_accounts"),
    [
        (100, TARGET_SECONDS, 100),
        (100, TARGET_SECONDS / 1.5, 150),
        (100, TARGET_SECONDS / 100, 200),
        (100, TARGET_SECONDS * 1.25, 80),
        (100, TARGET_SECONDS * 100, 50),
        (FEWEST_ACCOUNTS, 60, FEWEST_ACCOUNTS),
        (MOST_ACCOUNTS, 0, MOST_ACCOUNTS),
    ],
)
def test_a_transaction_takes_as_many_accounts_as_fit_into_its_time(
    accounts: int, seconds: float, next_accounts: int
) -> None:
    assert fitting(accounts, seconds) == next_accounts
