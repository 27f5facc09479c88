"""Benefits: what a limit costs those who take at once, and how fast an issue to many is against COPY of its rows."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Select, Uuid, column, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import create_engine, transaction
from loyalty.kit.programme import Programme
from redemption.benefits import bulk, stock
from redemption.benefits.bulk import Issue, work_on_issue
from redemption.benefits.definition import DaysFromIssue, Definition, MoneyOff
from redemption.benefits.issuing import issue
from redemption.benefits.templates import publish_definition
from tests.bench.report import Measure
from tests.factories import make_programme

MEMBERS = 1_000_000
CLIENTS = 8
SECONDS = 4.0
ROUNDS = 3
_PEOPLE = table("bench_person", column("member_id", Uuid))


def measure(url: str) -> list[Measure]:
    """Capped over uncapped, and an issue over COPY."""
    return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Measure]:
    engine = create_engine(url)
    async with transaction(engine) as connection:
        programme = await make_programme(connection)
        for code in ("free", "capped", "bulk"):
            await _template(connection, programme, code)
        await stock.set_stock(
            connection, programme_id=programme.id, code="capped", kind="counted", total=10**9, actor="bench"
        )
    measures = [*await _limits(engine, programme), *await _issue(engine, url, programme)]
    await engine.dispose()
    return measures


async def _template(connection: AsyncConnection, programme: Programme, code: str) -> None:
    definition = Definition(
        name={"zh": "券", "en": "Five off"},
        gives=MoneyOff(amount_minor=500, currency="CNY"),
        validity=DaysFromIssue(days=30),
    )
    await publish_definition(connection, programme_id=programme.id, code=code, definition=definition, actor="bench")


async def _limits(engine: AsyncEngine, programme: Programme) -> list[Measure]:
    """Rounds of the two in turn, so that a machine that grows slower is so for both."""
    rates: dict[str, list[float]] = {"free": [], "capped": []}
    for _ in range(ROUNDS):
        for code, measured in rates.items():
            measured.append(await _claims(engine, programme, code))
    free, capped = (sorted(measured)[ROUNDS // 2] for measured in rates.values())
    return [
        Measure(
            name="benefits issued from a counted stock, 8 clients",
            rate=capped,
            baseline="from an unlimited one",
            baseline_rate=free,
            goal=0.7,
        ),
    ]


async def _claims(engine: AsyncEngine, programme: Programme, code: str) -> float:
    until = time.perf_counter() + SECONDS
    count = 0

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < until:
            async with transaction(engine) as connection:
                await issue(
                    connection,
                    programme_id=programme.id,
                    member_id=uuid4(),
                    template_code=code,
                    key="bench",
                    source="bench",
                )
            count += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return count / SECONDS


async def _find(_connection: AsyncConnection, _issue: Issue) -> Select[Any]:
    return select(_PEOPLE.c.member_id).order_by(_PEOPLE.c.member_id)


async def _issue(engine: AsyncEngine, url: str, programme: Programme) -> list[Measure]:
    async with transaction(engine) as connection:
        await connection.execute(text("CREATE TABLE bench_person (member_id uuid PRIMARY KEY)"))
        await connection.execute(
            text("INSERT INTO bench_person SELECT gen_random_uuid() FROM generate_series(1, :n)"), {"n": MEMBERS}
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
    started = time.perf_counter()
    done = await work_on_issue(engine, begun.id, find_audience=_find)
    issued = MEMBERS / (time.perf_counter() - started)
    assert done is not None
    assert done.issued == MEMBERS
    copied = await asyncio.to_thread(_copy, url, begun.id)
    return [
        Measure(
            name="an issue to 1,000,000 members",
            rate=issued,
            baseline="COPY of its rows, same indexes",
            baseline_rate=copied,
            goal=0.3,
        ),
    ]


def _copy(url: str, issue_id: UUID) -> float:
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
        return MEMBERS / (time.perf_counter() - started)
