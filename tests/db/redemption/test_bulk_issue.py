"""Issuing to many: everybody once, whatever happens to who does it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError
from redemption.benefits import bulk, stock
from redemption.benefits.bulk import Issue, work_on_issue
from redemption.benefits.definition import DaysFromIssue, Definition, MoneyOff
from redemption.benefits.wallet import find_benefit
from tests.db.redemption.conftest import Till, make_till
from tests.db.redemption.issue_process import find_audience
from tests.factories import make_programme

ROOT = Path(__file__).parents[3]
MEMBERS = 3_000
GIVES = MoneyOff(amount_minor=500, currency="CNY")
DEFINITION = Definition(name={"zh": "券", "en": "Five off"}, gives=GIVES, validity=DaysFromIssue(days=7))


@pytest.fixture
async def shop(committed_engine: AsyncEngine, fresh_database_url: str) -> Till:
    """A programme with a template, and a table of people to give it to."""
    async with transaction(committed_engine) as connection:
        till = await make_till(connection, await make_programme(connection))
        await till.publish("five", DEFINITION)
    with psycopg.connect(fresh_database_url) as owner:
        owner.execute("CREATE TABLE test_person (member_id uuid PRIMARY KEY)")
        owner.execute("INSERT INTO test_person SELECT gen_random_uuid() FROM generate_series(1, %s)", [MEMBERS])
        owner.execute("GRANT SELECT ON test_person TO PUBLIC")
    return till


async def _begin(engine: AsyncEngine, till: Till, **fields: Any) -> Issue:
    usual: dict[str, Any] = {"audience": {"kind": "everybody"}, "name": "May", "actor": "li", "campaign": "may"}
    async with transaction(engine) as connection:
        programme_id = till.programme.id
        return await bulk.begin_issue(connection, programme_id=programme_id, template_code="five", **(usual | fields))


async def _count(engine: AsyncEngine, query: str) -> int:
    async with transaction(engine) as connection:
        return int((await connection.execute(text(query))).scalar_one())


async def test_everybody_has_one_after_processes_were_killed_at_it(committed_engine: AsyncEngine, shop: Till) -> None:
    issue = await _begin(committed_engine, shop)
    url = committed_engine.url.render_as_string(hide_password=False)
    seen = 0
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.db.redemption.issue_process",
            url,
            str(issue.id),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if int(line) > seen:
                seen = int(line)
                break
        process.kill()
        await process.wait()
    assert 0 < seen < MEMBERS
    done = None
    while done is None:  # until the server has noticed that the last of them is gone
        done = await work_on_issue(committed_engine, issue.id, find_audience=find_audience, chunk=700)
    assert (done.state, done.total, done.done, done.issued) == ("done", MEMBERS, MEMBERS, MEMBERS)
    assert await _count(committed_engine, "SELECT count(*) FROM benefit") == MEMBERS
    assert await _count(committed_engine, "SELECT count(DISTINCT (member_id, code)) FROM benefit") == MEMBERS
    assert await _count(committed_engine, "SELECT count(*) FROM benefit_event WHERE kind = 'issued'") == MEMBERS
    assert await _count(committed_engine, "SELECT count(*) FROM benefit_issue_member") == 0


async def test_an_issue_stops_where_stock_ends_and_goes_on_when_there_is_more(
    committed_engine: AsyncEngine, shop: Till
) -> None:
    asked: dict[str, Any] = {"programme_id": shop.programme.id, "code": "five", "actor": "li", "kind": "counted"}
    async with transaction(committed_engine) as connection:
        await stock.set_stock(connection, total=1_234, **asked)
    issue = await _begin(committed_engine, shop)
    short = await work_on_issue(committed_engine, issue.id, find_audience=find_audience, chunk=500)
    assert short is not None
    assert (short.state, short.reason, short.issued) == ("stopped", "stock", 1_234)
    async with transaction(committed_engine) as connection:
        await stock.set_stock(connection, total=10_000, **asked)
        await bulk.resume_issue(connection, programme_id=shop.programme.id, issue_id=issue.id, actor="li")
    done = await work_on_issue(committed_engine, issue.id, find_audience=find_audience, chunk=500)
    assert done is not None
    assert (done.state, done.issued) == ("done", MEMBERS)
    assert await _count(committed_engine, "SELECT sum(remaining) FROM quota_part") == 10_000 - MEMBERS


async def test_a_list_is_given_imported_codes_and_who_has_enough_gets_none(
    committed_engine: AsyncEngine, shop: Till
) -> None:
    people = [uuid4() for _ in range(5)]
    async with transaction(committed_engine) as connection:
        shop.connection = connection
        await shop.issue("five", member_id=people[0])
        once = Definition(name=DEFINITION.name, gives=GIVES, validity=DEFINITION.validity, per_member=1)
        await shop.publish("five", once)

    async def lines() -> Any:
        for number in range(10):
            yield f"CODE-{number}"

    await stock.import_codes(committed_engine, programme_id=shop.programme.id, code="five", lines=lines(), actor="li")
    issue = await _begin(committed_engine, shop, audience={"kind": "list"}, members=people)
    done = await work_on_issue(committed_engine, issue.id, find_audience=find_audience, chunk=2)
    assert done is not None
    assert (done.state, done.done, done.issued) == ("done", 5, 4)
    assert await _count(committed_engine, "SELECT count(*) FROM benefit_code WHERE NOT free") == 4
    async with transaction(committed_engine) as connection:
        found = await find_benefit(connection, programme_id=shop.programme.id, code="CODE-0", person_ids=people)
    assert (found.source, found.campaign) == (f"issue:{issue.id}", "may")
    with pytest.raises(InvalidInputError):
        await _begin(committed_engine, shop, audience={"kind": "list"})


async def test_an_issue_that_was_a_mistake_is_taken_back_but_for_what_was_used(
    committed_engine: AsyncEngine, shop: Till
) -> None:
    """Given an issue from a counted stock of which one was used and one is locked, when it is revoked by a worker that
    is stopped half way, then the next one takes back all the others, stock has them again, and it cannot go on."""
    people = [uuid4() for _ in range(10)]
    asked: dict[str, Any] = {"programme_id": shop.programme.id, "code": "five", "actor": "li"}
    async with transaction(committed_engine) as connection:
        await stock.set_stock(connection, kind="counted", total=100, **asked)
    issue = await _begin(committed_engine, shop, audience={"kind": "list"}, members=people)
    assert await work_on_issue(committed_engine, issue.id, find_audience=find_audience) is not None
    async with transaction(committed_engine) as connection:
        shop.connection = connection
        codes: dict[UUID, str] = dict((await connection.execute(text("SELECT member_id, code FROM benefit"))).all())
        await shop.capture(await shop.begin(member_id=people[0], coupon=codes[people[0]]))
        await shop.begin(member_id=people[1], coupon=codes[people[1]])
        act: dict[str, Any] = {"programme_id": shop.programme.id, "issue_id": issue.id, "actor": "zhao"}
        await bulk.revoke_issue(connection, **act)
        assert (await bulk.stop_issue(connection, **act)).state == "running"

    with pytest.raises(KeyboardInterrupt):
        await work_on_issue(committed_engine, issue.id, find_audience=find_audience, chunk=4, progress=_interrupt)
    over = await work_on_issue(committed_engine, issue.id, find_audience=find_audience, chunk=4)

    assert over is not None
    assert (over.state, over.reason, over.issued) == ("stopped", "revoked", 2)
    async with transaction(committed_engine) as connection:
        states = await connection.execute(text("SELECT state, count(*) FROM benefit GROUP BY state"))
        assert dict(states.all()) == {"locked": 1, "revoked": 8, "used": 1}
        for step in (bulk.resume_issue, bulk.revoke_issue):
            assert (await step(connection, **act)).state == "stopped"
    assert await _count(committed_engine, "SELECT sum(remaining) FROM quota_part") == 98
    assert await _count(committed_engine, "SELECT count(*) FROM benefit_event WHERE kind = 'revoked'") == 8


def _interrupt(_issue: Issue) -> None:
    raise KeyboardInterrupt


async def test_an_issue_that_is_begun_twice_under_one_id_is_one(committed_engine: AsyncEngine, shop: Till) -> None:
    fields: dict[str, Any] = {"audience": {"kind": "list"}, "members": [uuid4()], "issue_id": uuid4()}
    assert await _begin(committed_engine, shop, **fields) == await _begin(committed_engine, shop, **fields)
    assert await _count(committed_engine, "SELECT count(*) FROM benefit_issue") == 1
