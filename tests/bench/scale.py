"""The ledger when it is large: posting, sweeping, its books, and one member with a very long history.

Two databases of one server, filled through the ledger's own batch function: a small one and a large one. `make bench`
measures a size that takes a minute or two; `python -m tests.bench scale --members 1000000` is the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import books, reading
from ledger.audit import verify_all
from ledger.closing import close_books
from ledger.sweep import Swept, sweep
from loyalty.kit.db import create_engine, libpq_address, transaction
from loyalty.kit.migrate import migrate
from tests.bench.pgbench import CLIENTS, SQL, Load, Run, load, run
from tests.bench.report import Measure
from tests.roles import application_login

PROGRAMME = UUID(int=0xF)
SMALL = 20_000
"""Enough that nobody has more than 16 lots by the end, which would be another case than the one that is measured."""
FULL = 1_000_000
EARNS = 4
ENTRIES = EARNS + 1
BATCH_MEMBERS = 1_000
POSTINGS = ("mixed_earn", "mixed_spend")
READS = 400
CLOSING_MARGIN_SECONDS = 61
PAGE = 50
TURN_SECONDS = 2

Session = psycopg.Connection[tuple[Any, ...]]


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is loaded and how long is measured. A fifth of the members have a lot that the sweep expires."""

    members: int
    seconds: int
    rounds: int
    turns: int
    warming: int

    @property
    def expiring(self) -> int:
        """How many lots the sweep expires."""
        return self.members // 5

    @property
    def long_history(self) -> int:
        """How many entries the one member has; it is member 0, whom no load touches."""
        return self.members


def measure(url: str, *, members: int = 50_000) -> list[Measure]:
    """Everything here at one size."""
    full = members >= FULL
    size = Size(members=members, seconds=10 if full else 4, rounds=3, turns=15, warming=120 if full else 4)
    with _database(url, members, size.expiring) as large:
        long, short = _long_history(large, size)
        loaded_at = time.time()
        with _database(url, SMALL, 0) as small:
            return [
                *_measures(small, large, (long, short), loaded_at, size),
                asyncio.run(_verifying(small)),
            ]


def _measures(small: str, large: str, members: tuple[UUID, UUID], loaded_at: float, size: Size) -> list[Measure]:
    return [
        *asyncio.run(_reading(large, members, loaded_at, size)),
        *_sweeping(large, size),
        *_posting(small, large, size),
        *_hot_member(large, size),
    ]


def say(words: str) -> None:
    """Tell whoever waits what is being done."""
    print(f"  {time.strftime('%H:%M:%S')} {words} ...", file=sys.stderr, flush=True)


@contextmanager
def _database(url: str, members: int, expiring: int) -> Iterator[str]:
    """A database with so many members and five times as many entries; the owner's address."""
    name = f"scale_{uuid4().hex[:8]}"
    address = libpq_address(make_url(url).set(database=name))
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    try:
        migrate(address, login=True)
        with psycopg.connect(address, autocommit=True) as owner:
            owner.execute((SQL / "scale.sql").read_bytes())
            started = time.perf_counter()
            _fill(address, members, expiring)
            taken = time.perf_counter() - started
            entries = members * ENTRIES
            say(f"loaded {members:,} members with {entries:,} entries, {entries / taken:,.0f} a second")
            owner.execute("VACUUM (ANALYZE) ledger.account, ledger.entry")
        yield address
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _fill(url: str, members: int, expiring: int) -> None:
    """Load from two connections over disjoint members: first what is earned, then what is spent."""

    def worker(part: int) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for kind, each in (("earn", EARNS), ("spend", 1)):
                for first in range(1 + part * BATCH_MEMBERS, members + 1, 2 * BATCH_MEMBERS):
                    last = min(first + BATCH_MEMBERS - 1, members)
                    connection.execute("SELECT bench_load(%s, %s, %s, %s, %s)", [first, last, kind, each, expiring])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(worker, range(2)))


def _posting(small: str, large: str, size: Size) -> list[Measure]:
    """Earns and spends of one each, in turns against the small and the large database.

    The sessions stay, as those of a pool do, and have a while to get to know their database. Turns are short and many,
    since a machine with neighbours has slow moments that last longer than they do.
    """
    say(f"posting against {SMALL:,} and {size.members:,} members")
    urls = {small: SMALL, large: size.members}
    turns: dict[str, list[tuple[float, float]]] = {small: [], large: []}
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(psycopg.connect(small, autocommit=True))
        other = stack.enter_context(psycopg.connect(large, autocommit=True))
        loads: dict[str, Load] = {}
        for url, members in urls.items():
            running = load(application_login(url), *POSTINGS, clients=CLIENTS, variables={"members": members})
            loads[url] = stack.enter_context(running)
            time.sleep(size.warming if url == large else TURN_SECONDS)
            loads[url].pause()
        before, wal_bytes = _Counters.of(other), 0
        for _ in range(size.turns):
            for url in urls:
                started = _wal_position(one)
                turns[url].append(_turn(loads[url]))
                wal_bytes += _wal_position(one) - started if url == large else 0
        after = _Counters.of(other)
    runs = {url: [loads[url].window(*turn) for turn in turns[url]] for url in urls}
    posted = sum(len(each.latencies_ms) for each in runs[large])
    baseline, measured = _median_pair(runs[small], runs[large])
    return [
        Measure(
            name=f"one posting among {size.members:,} members, 16 clients",
            rate=measured.rate,
            baseline=f"{SMALL:,} members",
            baseline_rate=baseline.rate,
            goal=0.8,
            notes={
                "entries": f"{size.members * ENTRIES:,}",
                "turns": _spread([big.rate / few.rate for few, big in zip(runs[small], runs[large], strict=True)]),
                "p50 ms": f"{measured.percentile(0.5):.1f}",
                "p99 ms": f"{measured.percentile(0.99):.1f}",
                "WAL bytes": f"{wal_bytes / posted:,.0f}",
                "HOT updates of accounts": after.hot_share(before),
                "rows of lots written beside accounts, a posting": f"{(after.filed - before.filed) / posted:.2f}",
            },
        )
    ]


def _turn(clients: Load) -> tuple[float, float]:
    """Let clients post for a turn: from when those have ended that waited since the last one, until it ends."""
    clients.resume()
    time.sleep(0.25)
    started = time.time()
    time.sleep(TURN_SECONDS)
    ended = time.time()
    clients.pause()
    time.sleep(0.1)
    return started, ended


def _spread(ratios: list[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{len(ratios)}, half of them between {low:.2f} and {high:.2f}"


def _wal_position(connection: Session) -> int:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _median_pair(baseline: list[Run], measured: list[Run]) -> tuple[Run, Run]:
    """Of rounds that alternated, the one with the median ratio: a slow minute slows both sides of a round."""
    rounds = sorted(zip(baseline, measured, strict=True), key=lambda pair: pair[1].rate / pair[0].rate)
    return rounds[len(rounds) // 2]


class _Counters(msgspec.Struct, frozen=True):
    """PostgreSQL's counters of a database."""

    updated: int
    hot: int
    filed: int

    @classmethod
    def of(cls, connection: Session) -> _Counters:
        time.sleep(1.5)  # sessions report what they did with some delay
        row = connection.execute("""
            SELECT sum(n_tup_upd) FILTER (WHERE relname = 'account'),
                sum(n_tup_hot_upd) FILTER (WHERE relname = 'account'),
                sum(n_tup_ins + n_tup_upd + n_tup_del) FILTER (WHERE relname = 'filed_lot')
            FROM pg_stat_user_tables WHERE schemaname = 'ledger'
        """).fetchone()
        assert row is not None
        return cls(*(int(value) for value in row))

    def hot_share(self, before: _Counters) -> str:
        return f"{100 * (self.hot - before.hot) / max(self.updated - before.updated, 1):.0f} %"


def _hot_member(url: str, size: Size) -> list[Measure]:
    """All clients on one account, against the same clients spread over all."""
    say("all clients on one member")
    login = application_login(url)
    rates: dict[int, list[Run]] = {1: [], size.members: []}
    for _ in range(size.rounds):
        for members, runs in rates.items():
            runs.append(run(login, *POSTINGS, seconds=size.seconds, variables={"members": members}))
    spread, hot = _median_pair(rates[size.members], rates[1])
    return [
        Measure(
            name="one posting, all 16 clients on one member",
            rate=hot.rate,
            baseline=f"spread over {size.members:,}",
            baseline_rate=spread.rate,
            notes={"p50 ms": f"{hot.percentile(0.5):.1f}", "p99 ms": f"{hot.percentile(0.99):.1f}"},
        )
    ]


def _long_history(url: str, size: Size) -> tuple[UUID, UUID]:
    """A member with a very long history, and one with a page of it."""
    say(f"loading one member with {size.long_history:,} entries")
    with psycopg.connect(url, autocommit=True) as owner:
        for first in range(1, size.long_history + 1, 10_000):
            count = min(10_000, size.long_history + 1 - first)
            owner.execute("SELECT bench_load_one(0, %s, %s)", [first, count])
        owner.execute("SELECT bench_load_one(-1, 1, %s)", [PAGE])
        owner.execute("VACUUM (ANALYZE) ledger.account, ledger.entry, ledger.filed_lot")
        row = owner.execute("SELECT bench_member(0), bench_member(-1)").fetchone()
    assert row is not None
    return row[0], row[1]


async def _reading(url: str, members: tuple[UUID, UUID], loaded_at: float, size: Size) -> list[Measure]:
    """The books, and the pages of one member with a very long history."""
    engine = create_engine(application_login(url), pool_size=2)
    measures = [await _trial_balance(engine, loaded_at, size), *await _member_pages(engine, *members, size)]
    await engine.dispose()
    return measures


async def _trial_balance(engine: AsyncEngine, loaded_at: float, size: Size) -> Measure:
    """A trial balance of books that were closed, with some seconds of postings that came in since."""
    # Closing leaves the last minute open, and here that would be much of what was loaded.
    await asyncio.sleep(max(0.0, loaded_at + CLOSING_MARGIN_SECONDS - time.time()))
    say("closing the books")
    started = time.perf_counter()
    closing = await close_books(engine)
    closed = time.perf_counter() - started
    assert closing is not None
    fresh = await asyncio.to_thread(
        run, libpq_address(engine.url), *POSTINGS, seconds=size.seconds, variables={"members": size.members}
    )
    taken = []
    for _ in range(5):
        async with transaction(engine) as connection:
            started = time.perf_counter()
            trial = await books.trial_balance(connection, programme_id=PROGRAMME)
            taken.append(1000 * (time.perf_counter() - started))
        assert sum(each.balance for each in trial) == 0
    return Measure(
        name=f"trial balance over {closing.entries:,} entries",
        rate=statistics.median(taken),
        baseline="a second",
        baseline_rate=1000,
        goal=1,
        at_most=True,
        notes={"not closed yet": f"{len(fresh.latencies_ms):,}", "the first closing s": f"{closed:.1f}"},
    )


async def _member_pages(engine: AsyncEngine, long: UUID, short: UUID, size: Size) -> list[Measure]:
    """Balance and newest page of the member with a long history, in turns with one who has nothing or a page."""
    nobody = uuid4()

    def balance(member: UUID) -> Callable[[AsyncConnection], Awaitable[object]]:
        return lambda connection: reading.balance(connection, member_id=member)

    def page(member: UUID) -> Callable[[AsyncConnection], Awaitable[object]]:
        return lambda connection: reading.history(connection, member_ids=[member], limit=PAGE)

    reads = {
        "balance": (balance(long), balance(nobody), "an empty member's"),
        f"page of {PAGE} entries": (page(long), page(short), "of a member with that one page"),
    }
    measures = []
    for name, (measured, against, words) in reads.items():
        taken, baseline = await _in_turns(engine, measured, against)
        measures.append(
            Measure(
                name=f"{name} of a member with {size.long_history:,} entries",
                rate=taken,
                baseline=words,
                baseline_rate=baseline,
                goal=1.2,
                at_most=True,
            )
        )
    return measures


async def _in_turns(
    engine: AsyncEngine,
    one: Callable[[AsyncConnection], Awaitable[object]],
    other: Callable[[AsyncConnection], Awaitable[object]],
) -> tuple[float, float]:
    """The median of each in milliseconds."""
    taken: tuple[list[float], list[float]] = ([], [])
    async with engine.connect() as connection:
        for _ in range(READS):
            for read, times in zip((one, other), taken, strict=True):
                started = time.perf_counter()
                await read(connection)
                times.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[0][READS // 10 :]), statistics.median(taken[1][READS // 10 :])


def _sweeping(url: str, size: Size) -> list[Measure]:
    """What a sweep of many lots does to eight clients that post meanwhile."""
    say(f"sweeping {size.expiring:,} lots while 8 clients post")
    with psycopg.connect(url, autocommit=True) as owner:
        # A month's end passes: the ledger's clock is the owner's to move. It goes on from there, as no account's clock
        # may step back.
        owner.execute("""
            CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql STABLE
            AS $$SELECT statement_timestamp() + interval '31 days'$$
        """)
        with load(application_login(url), *POSTINGS, clients=8, variables={"members": size.members}) as posting:
            time.sleep(2 * size.seconds)
            quiet = time.time()
            time.sleep(2 * size.seconds)
            started = time.time()
            swept, others = asyncio.run(_sweep(url))
            ended = time.time()
        row = owner.execute("SELECT count(*) FROM ledger.entry WHERE kind = 'expire'").fetchone()
    assert row is not None
    before, during = posting.window(quiet, started), posting.window(started, ended)
    return [
        Measure(
            name=f"p99 of 8 clients' postings while {size.expiring:,} lots expire",
            rate=during.percentile(0.99),
            baseline="p99 before",
            baseline_rate=before.percentile(0.99),
            goal=2,
            at_most=True,
            notes={
                "p50 ms": f"{before.percentile(0.5):.2f} before, {during.percentile(0.5):.2f} meanwhile",
                "postings a second": f"{before.rate:,.0f} before, {during.rate:,.0f} meanwhile",
            },
        ),
        Measure(
            name="lots expired by the sweep meanwhile",
            rate=swept.entries / (ended - started),
            notes={
                "lots": f"{swept.entries:,} and {row[0] - swept.entries:,} by postings on their accounts",
                "transactions": f"{others:,}",
            },
        ),
    ]


async def _verifying(url: str) -> Measure:
    """Verify the small database, whatever was posted to it meanwhile, in one process and in two, in turns."""
    say("verifying")
    engine = create_engine(application_login(url), pool_size=2)
    taken: dict[int, list[float]] = {1: [], 2: []}
    entries = 0
    for _ in range(3):
        for jobs, times in taken.items():
            started = time.perf_counter()
            found = await verify_all(engine, jobs=jobs)
            times.append(time.perf_counter() - started)
            assert not found.findings, found.findings[0]
            entries = found.entries
    await engine.dispose()
    one, two = (statistics.median(times) for times in taken.values())
    return Measure(
        name=f"verify {entries:,} entries in two processes",
        rate=entries / two,
        baseline="in one",
        baseline_rate=entries / one,
    )


async def _sweep(url: str) -> tuple[Swept, int]:
    """Sweep as the application's job does; answers in how many transactions as well."""
    engine = create_engine(application_login(url), pool_size=1)
    seen: list[Swept] = []
    swept = await sweep(engine, progress=seen.append)
    await engine.dispose()
    return swept, len(seen)
