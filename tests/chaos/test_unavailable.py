"""The pool is empty, the database is slow, blocked or away: a clear answer, nothing half done, and then it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from loyalty.web import state
from loyalty.web.api.people import member_uuid
from tests.chaos.conftest import Behind
from tests.web.conftest import assert_problem

Trouble = Callable[[Behind, str], Any]


@asynccontextmanager
async def all_connections_taken(behind: Behind, _member: str) -> AsyncIterator[None]:
    pool: Any = behind.through.sync_engine.pool
    patience, pool._timeout = pool._timeout, 0.3
    async with AsyncExitStack() as stack:
        for _ in range(pool.size()):
            await stack.enter_async_context(behind.through.connect())
        yield
    pool._timeout = patience


@asynccontextmanager
async def account_held(behind: Behind, member: str) -> AsyncIterator[None]:
    """Somebody else's transaction holds the account and does not end."""
    async with behind.direct.connect() as holder:
        lock = text("SELECT FROM ledger.account WHERE member_id = :member FOR UPDATE")
        await holder.execute(lock, {"member": member_uuid(member)})
        yield
        await holder.rollback()


@asynccontextmanager
async def limits(behind: Behind, **seconds: float) -> AsyncIterator[None]:
    """Other limits than a web process has, for connections that are opened from now on."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in seconds.items():
            patch.setattr(state, name, value)
        await behind.through.dispose()
        yield
    await behind.through.dispose()


@asynccontextmanager
async def account_held_longer_than_a_statement_may_take(behind: Behind, member: str) -> AsyncIterator[None]:
    async with limits(behind, STATEMENT_TIMEOUT_SECONDS=0.3), account_held(behind, member):
        yield


@asynccontextmanager
async def account_held_longer_than_a_request_waits(behind: Behind, member: str) -> AsyncIterator[None]:
    async with limits(behind, LOCK_TIMEOUT_SECONDS=0.3), account_held(behind, member):
        yield


@asynccontextmanager
async def database_away(behind: Behind, _member: str) -> AsyncIterator[None]:
    await behind.proxy.close()
    yield
    await behind.proxy.open()


TROUBLES = [
    (all_connections_taken, 503, "unavailable", "all database connections are busy"),
    (account_held_longer_than_a_statement_may_take, 503, "unavailable", "took too long"),
    (account_held_longer_than_a_request_waits, 409, "busy", "did not finish in time"),
    (database_away, 503, "unavailable", "the database does not answer"),
]


@pytest.fixture
async def member(behind: Behind) -> str:
    return await behind.register()


@pytest.mark.parametrize(
    ("trouble", "status", "kind", "word"), TROUBLES, ids=[trouble.__name__ for trouble, *_ in TROUBLES]
)
@pytest.mark.parametrize("path", ["points/earn", "points/spend"])
async def test_a_posting_in_trouble_is_refused_clearly_and_done_once_when_it_is_over(
    behind: Behind, member: str, path: str, trouble: Trouble, status: int, kind: str, word: str
) -> None:
    body, key = {"amount": 10, "source": "chaos"}, uuid4().hex
    before = await behind.entries(member)
    async with trouble(behind, member):
        answered = await behind.api.post(f"/members/{member}/{path}", body, key=key)
        assert await behind.entries(member) == before
    problem = assert_problem(answered, status, kind)
    assert word in problem["detail"]
    assert "repeat" in problem["detail"]
    assert int(answered.headers["retry-after"]) > 0
    again = await behind.api.post(f"/members/{member}/{path}", body, key=key)
    assert again.status_code == httpx.codes.CREATED, again.text
    assert "idempotent-replayed" not in again.headers
    assert len(await behind.entries(member)) == 1
    await behind.check()


async def test_everybody_who_waits_when_the_database_goes_away_is_told_so_and_can_repeat(behind: Behind) -> None:
    members = [await behind.register() for _ in range(4)]

    async def post(number: int) -> httpx.Response:
        path = f"/members/{members[number % 4]}/points/earn"
        return await behind.api.post(path, {"amount": 1, "source": "chaos"}, key=f"away-{number}")

    asking = asyncio.gather(*(post(number) for number in range(200)))
    await asyncio.sleep(0.01)
    await behind.proxy.close()
    answers = await asking
    for answered in answers:
        if answered.status_code != httpx.codes.CREATED:
            assert_problem(answered, 503, "unavailable")
    assert any(answered.status_code == httpx.codes.SERVICE_UNAVAILABLE for answered in answers)
    assert (await behind.api.client.get("/healthz")).status_code == httpx.codes.SERVICE_UNAVAILABLE
    await behind.proxy.open()
    again = await asyncio.gather(*(post(number) for number in range(200)))
    assert [answered.status_code for answered in again] == [httpx.codes.CREATED] * 200
    for first, second in zip(answers, again, strict=True):
        assert first.status_code == httpx.codes.SERVICE_UNAVAILABLE or first.content == second.content
    assert [len(await behind.entries(member)) for member in members] == [50] * 4
    await behind.check()
