"""Benefits: what a limit costs those who take at once, and how fast an issue to many is against COPY of its rows."""

from __future__ import annotations

import asyncio
import io
import itertools
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Select, Uuid, column, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import create_engine, transaction
from loyalty.kit.programme import Programme, get_channel
from redemption import till
from redemption.benefits import bulk, stock
from redemption.benefits.bulk import Issue, work_on_issue
from redemption.benefits.definition import DaysFromIssue, Definition, MoneyOff
from redemption.benefits.issuing import issue
from redemption.benefits.templates import publish_definition
from tests.bench.report import Measure
from tests.factories import make_programme

MEMBERS = 1_000_000
HOLDERS = 40_000
"""Members with a coupon to use, for each of the two ways."""
CLIENTS = 8
SECONDS = 4.0
ROUNDS = 3
_PLENTY = 10**9
_PEOPLE = table("bench_person", column("member_id", Uuid))


def measure(url: str, *, members: int = MEMBERS) -> list[Measure]:
    """Capped over uncapped, given and used, and an issue over COPY."""
    return asyncio.run(_measure(url, members))


async def _measure(url: str, members: int) -> list[Measure]:
    engine = create_engine(url)
    async with transaction(engine) as connection:
        programme = await make_programme(connection)
        for code in ("free", "capped", "free-use", "capped-use", "bulk"):
            await _template(connection, programme, code)
        asked: dict[str, Any] = {"programme_id": programme.id, "actor": "bench"}
        await stock.set_stock(connection, code="capped", kind="counted", total=_PLENTY, **asked)
        await stock.set_budget(connection, code="capped-use", uses=_PLENTY, amount_minor=_PLENTY, **asked)
        store = await get_channel(connection, programme.id, "store-1")

    def given(code: str) -> Do:
        async def do(_number: int) -> None:
            await _give(engine, programme, code, uuid4())

        return do

    measures = [
        await _capped("benefits issued from a counted stock", "from an unlimited one", given("free"), given("capped")),
        await _capped(
            "coupons used under two budgets, at the till",
            "under none",
            await _uses(engine, programme, store.id, "free-use"),
            await _uses(engine, programme, store.id, "capped-use"),
        ),
        await _issue(engine, url, programme, members),
    ]
    await engine.dispose()
    return measures


async def _template(connection: AsyncConnection, programme: Programme, code: str) -> None:
    definition = Definition(
        name={"zh": "券", "en": "Five off"},
        gives=MoneyOff(amount_minor=500, currency="CNY"),
        validity=DaysFromIssue(days=30),
    )
    await publish_definition(connection, programme_id=programme.id, code=code, definition=definition, actor="bench")


Do = Callable[[int], Awaitable[None]]


async def _capped(name: str, baseline: str, free: Do, capped: Do) -> Measure:
    """Rounds of the two in turn, so that a machine that grows slower is so for both."""
    rates: tuple[list[float], list[float]] = ([], [])
    numbers = (itertools.count(), itertools.count())
    for _ in range(ROUNDS):
        for measured, do, number in zip(rates, (free, capped), numbers, strict=True):
            measured.append(await _rate(do, number))
    rate, baseline_rate = (sorted(measured)[ROUNDS // 2] for measured in reversed(rates))
    return Measure(
        name=f"{name}, {CLIENTS} clients", rate=rate, baseline=baseline, baseline_rate=baseline_rate, goal=0.7
    )


async def _rate(do: Do, numbers: itertools.count[int]) -> float:
    """How often clients that do something one after the other get it done in a second, together."""
    until = time.perf_counter() + SECONDS
    count = 0

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await do(next(numbers))
            count += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return count / SECONDS


async def _give(engine: AsyncEngine, programme: Programme, code: str, member_id: UUID) -> None:
    async with transaction(engine) as connection:
        await issue(
            connection,
            programme_id=programme.id,
            member_id=member_id,
            template_code=code,
            key="bench",
            source="bench",
        )


async def _uses(engine: AsyncEngine, programme: Programme, channel_id: UUID, code: str) -> Do:
    """Locking and using a coupon of its own each time, in two transactions as a till does."""
    people = [uuid4() for _ in range(HOLDERS)]
    async with transaction(engine) as connection:
        begun = await bulk.begin_issue(
            connection,
            programme_id=programme.id,
            template_code=code,
            name="bench",
            audience={"kind": "list"},
            members=people,
            actor="bench",
        )
    await work_on_issue(engine, begun.id, find_audience=_find)
    async with transaction(engine) as connection:
        query = text("SELECT member_id, code FROM benefit WHERE issue_key = :key")
        held = [tuple(row) for row in await connection.execute(query, {"key": f"issue:{begun.id}"})]

    async def do(number: int) -> None:
        member_id, coupon = held[number]
        asked: dict[str, Any] = {"programme_id": programme.id}
        async with transaction(engine) as connection:
            begun = await till.begin(
                connection,
                member_id=member_id,
                channel_id=channel_id,
                key="begin",
                basket_minor=9_000,
                currency="CNY",
                coupon=coupon,
                **asked,
            )
        async with transaction(engine) as connection:
            await till.capture(connection, redemption_id=begun.id, receipt_number=f"R-{number}", key="capture", **asked)

    return do


async def _find(_connection: AsyncConnection, _issue: Issue) -> Select[Any]:
    return select(_PEOPLE.c.member_id).order_by(_PEOPLE.c.member_id)


async def _issue(engine: AsyncEngine, url: str, programme: Programme, members: int) -> Measure:
    async with transaction(engine) as connection:
        await connection.execute(text("CREATE TABLE bench_person (member_id uuid PRIMARY KEY)"))
        await connection.execute(
            text("INSERT INTO bench_person SELECT gen_random_uuid() FROM generate_series(1, :n)"), {"n": members}
        )
    async with transaction(engine) as connection:
        begun = await bulk.begin_issue(
            connection,
            programme_id=programme.id,
            template_code="bulk",
            name="bench",
            audience={"kind": "everybody"},
            actor="bench",
        )
    before_kb, seen_kb = _peak_kb(), 0

    def watch(issue_: Issue) -> None:
        nonlocal seen_kb
        seen_kb = max(seen_kb, _largest_backend_kb())
        if issue_.done % (members // 10) == 0:
            print(f"  {issue_.done:,} of {members:,}", file=sys.stderr, flush=True)

    started = time.perf_counter()
    done = await work_on_issue(engine, begun.id, find_audience=_find, progress=watch)
    issued = members / (time.perf_counter() - started)
    after_kb = _peak_kb()
    assert done is not None
    assert done.issued == members
    copied = await asyncio.to_thread(_copy, url, begun.id, members)
    return Measure(
        name=f"an issue to {members:,} members",
        rate=issued,
        baseline="COPY of its rows, same indexes",
        baseline_rate=copied,
        goal=0.3,
        notes={
            "peak memory of the worker": f"{_megabytes(before_kb)} before, {_megabytes(after_kb)} after",
            "of a database process": _megabytes(seen_kb),
        },
    )


def _peak_kb() -> int:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _largest_backend_kb() -> int:
    """The memory of its own that the largest process of the database has now; 0 where /proc does not tell."""
    sizes = [0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if fields["Name"].strip() == "postgres":
            sizes.append(int(fields.get("RssAnon", "0").split()[0]))
    return max(sizes)


def _megabytes(kilobytes: int) -> str:
    return f"{kilobytes // 1024:,} MB"


def _copy(url: str, issue_id: UUID, members: int) -> float:
    """COPY of the rows that the issue wrote, into empty tables with the same indexes; both tables in one commit."""
    files: dict[str, io.BytesIO] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for name, condition in (
            ("benefit", f"issue_key = 'issue:{issue_id}'"),
            ("benefit_event", f"benefit_id IN (SELECT id FROM benefit WHERE issue_key = 'issue:{issue_id}')"),
        ):
            connection.execute(f"CREATE TABLE bench_{name} (LIKE {name} INCLUDING ALL)".encode())
            files[name] = io.BytesIO()
            query = f"COPY (SELECT * FROM {name} WHERE {condition}) TO STDOUT (FORMAT binary)"
            with connection.cursor().copy(query.encode()) as copy:
                for block in copy:
                    files[name].write(block)
        started = time.perf_counter()
        with connection.transaction():
            for name, content in files.items():
                with connection.cursor().copy(f"COPY bench_{name} FROM STDIN (FORMAT binary)".encode()) as copy:
                    copy.write(content.getbuffer())
        return members / (time.perf_counter() - started)
