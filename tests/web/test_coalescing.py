"""Postings that go out together: as fast as one alone when it is quiet, and nobody's trouble is anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import reading
from ledger.errors import InsufficientBalanceError
from ledger.operations import Earn, Operation, Spend
from ledger.posting import Posting
from loyalty.campaigns import requests
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.driver import Session
from loyalty.kit.errors import InvalidInputError, NotFoundError, UnavailableError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from loyalty.members.merge import merge
from loyalty.members.tables import member_table
from loyalty.web import coalescing
from loyalty.web.coalescing import Coalescer
from loyalty.web.state import limit_waiting
from tests.factories import make_brand
from tests.roles import as_owner
from tiers.counting import Activity, count_activities
from tiers.reading import current_tier


@pytest.fixture
async def coalescer(engine: AsyncEngine) -> AsyncIterator[Coalescer]:
    opened = Coalescer(engine)
    yield opened
    await opened.drain()


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests each batch held, as they were sent."""
    sent: list[int] = []
    really = requests.post_requests

    async def watched(connection: Any, **asked: Any) -> Any:
        sent.append(len(asked["requests"]))
        return await really(connection, **asked)

    monkeypatch.setattr(coalescing, "post_requests", watched)
    return sent


async def join(engine: AsyncEngine, programme: Programme, count: int = 1) -> list[UUID]:
    """Members who are only an id, all on one line."""
    ids: list[UUID] = []
    while len(ids) < count:
        candidate = new_id()
        if candidate.int % coalescing.LINES == 0:
            ids.append(candidate)
    joined = {"programme_id": programme.id, "joined_at": utc_now(), "joined_channel": "online"}
    async with transaction(engine) as connection:
        await connection.execute(insert(member_table), [{"id": each, **joined} for each in ids])
    return ids


def earn(member_id: UUID, amount: int = 10, *, key: str | None = None) -> Earn:
    return Earn(member_id=member_id, amount=amount, key=key or uuid4().hex, source="test")


async def balance(engine: AsyncEngine, member_id: UUID) -> int:
    async with engine.connect() as connection:
        return (await reading.balance(connection, member_id=member_id)).spendable


@asynccontextmanager
async def locked(engine: AsyncEngine, member_id: UUID) -> AsyncIterator[None]:
    """Somebody else works on the member, who has an account."""
    async with engine.connect() as connection, as_owner(connection):
        await connection.execute(
            text("SELECT 1 FROM ledger.account WHERE member_id = :member FOR UPDATE"), {"member": member_id}
        )
        yield
        await connection.rollback()


async def have(engine: AsyncEngine, members: Sequence[UUID], points: int) -> None:
    for _ in range(500):
        if {await balance(engine, member) for member in members} == {points}:
            return
        await asyncio.sleep(0.01)
    pytest.fail("they did not within five seconds")


async def until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen within five seconds")


async def test_a_request_to_an_idle_server_is_sent_at_once_and_those_that_come_meanwhile_go_together(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, sizes: list[int]
) -> None:
    members = await join(engine, brand, 21)
    first = asyncio.create_task(coalescer.post(brand.id, earn(members[0])))
    await until(lambda: sizes)
    assert sizes == [1]  # nothing else came: it did not wait for company
    rest = [asyncio.create_task(coalescer.post(brand.id, earn(member))) for member in members[1:]]
    posted = await asyncio.gather(first, *rest)
    assert sizes == [1, 20]
    assert [each.posted for each in posted] == [10] * 21


async def test_no_timer_stands_between_a_request_and_its_batch(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (member,) = await join(engine, brand)
    begun: list[Session] = []

    class Watched(Session):
        async def __aenter__(self) -> Self:
            begun.append(self)
            return await super().__aenter__()

    monkeypatch.setattr(coalescing, "Session", Watched)
    asked = asyncio.create_task(coalescer.post(brand.id, earn(member)))
    for _ in range(3):  # turns of the loop, which take no time
        await asyncio.sleep(0)
    assert begun
    assert (await asked).posted == 10


async def test_what_one_request_is_refused_for_touches_no_other(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, sizes: list[int]
) -> None:
    members = await join(engine, brand, 30)
    asked: list[Operation] = [earn(member) for member in members]
    asked[7] = Spend(member_id=members[7], amount=5, key="k", source="test")
    asked[11] = earn(new_id())
    asked[13] = earn(members[13], amount=10**13)
    asked[17] = msgspec.structs.replace(earn(members[17]), unit="nothing")
    answers = await asyncio.gather(*(coalescer.post(brand.id, each) for each in asked), return_exceptions=True)
    assert max(sizes) > 20
    refused = {place: type(answer) for place, answer in enumerate(answers) if not isinstance(answer, Posting)}
    assert refused == {7: InsufficientBalanceError, 11: NotFoundError, 13: InvalidInputError, 17: NotFoundError}
    for place, member in enumerate(members):
        assert await balance(engine, member) == (0 if place in refused else 10)


async def test_one_key_that_comes_a_hundred_times_in_a_batch_is_posted_once(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, sizes: list[int]
) -> None:
    first, member = await join(engine, brand, 2)
    same = earn(member, key="same")
    answers = await asyncio.gather(
        coalescer.post(brand.id, earn(first)), *(coalescer.post(brand.id, same) for _ in range(100))
    )
    assert 100 <= sum(sizes) <= 101
    assert len({answer.sequence for answer in answers[1:]}) == 1
    assert [answer.replayed for answer in answers[1:]].count(False) == 1
    assert await balance(engine, member) == 10


async def test_requests_of_several_programmes_go_together_and_none_finds_the_others_members(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer
) -> None:
    async with transaction(engine) as connection:
        other = await make_brand(connection)
    (ours,), (theirs,) = await join(engine, brand), await join(engine, other)
    answers = await asyncio.gather(
        coalescer.post(brand.id, earn(ours)),
        coalescer.post(other.id, earn(theirs)),
        coalescer.post(brand.id, earn(theirs)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Posting, Posting, NotFoundError]


async def test_a_member_whom_somebody_else_has_locked_delays_nobody_but_itself(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer
) -> None:
    members = await join(engine, brand, 20)
    await asyncio.gather(*(coalescer.post(brand.id, earn(member)) for member in members))
    stuck = members[3]
    async with locked(engine, stuck):
        waiting = [asyncio.create_task(coalescer.post(brand.id, earn(stuck))) for _ in range(5)]
        others = [member for member in members if member != stuck]
        for _ in range(10):  # the batch that meets the lock, and those after it
            await asyncio.gather(*(coalescer.post(brand.id, earn(member, 1)) for member in others))
        # Nobody here waits for the lock for good, or all would still be waiting.
        assert not any(task.done() for task in waiting)
    assert sorted(answer.posted for answer in await asyncio.gather(*waiting)) == [20, 30, 40, 50, 60]
    assert {await balance(engine, member) for member in others} == {20}


async def test_who_stays_locked_is_refused_after_the_requests_own_patience(
    database_url: str, engine: AsyncEngine, brand: Programme
) -> None:
    own = create_engine(database_url)
    limit_waiting(own)
    coalescer = Coalescer(own)
    (member,) = await join(engine, brand)
    await coalescer.post(brand.id, earn(member))
    async with locked(engine, member):
        with pytest.raises(UnavailableError, match="busy"):
            await coalescer.post(brand.id, earn(member, key="again"))
    assert (await coalescer.post(brand.id, earn(member, key="again"))).posted == 20
    await coalescer.drain()
    await own.dispose()


async def test_who_waits_too_long_is_told_so_and_its_key_repeated_is_posted_once(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (member,) = await join(engine, brand)
    await coalescer.post(brand.id, earn(member))
    async with locked(engine, member):
        with monkeypatch.context() as impatient:
            impatient.setattr(coalescing, "LONGEST_SECONDS", 0.1)
            with pytest.raises(UnavailableError, match="took too long"):
                await coalescer.post(brand.id, earn(member, key="late"))
    assert (await coalescer.post(brand.id, earn(member, key="late"))).posted == 20
    assert await balance(engine, member) == 20


async def test_an_error_of_our_own_about_one_member_leaves_the_others_their_postings(
    engine: AsyncEngine,
    brand: Programme,
    coalescer: Coalescer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    members = await join(engine, brand, 10)

    async def count_or_fail(connection: Any, *, activities: Sequence[Activity], **given: Any) -> None:
        if any(activity.member_id == members[4] for activity in activities):
            message = "a fault in counting"
            raise ZeroDivisionError(message)
        await count_activities(connection, activities=activities, **given)

    monkeypatch.setattr(requests, "count_activities", count_or_fail)
    answers = await asyncio.gather(
        *(coalescer.post(brand.id, earn(member)) for member in members), return_exceptions=True
    )
    assert [place for place, answer in enumerate(answers) if not isinstance(answer, Posting)] == [4]
    assert isinstance(answers[4], ZeroDivisionError)
    assert [await balance(engine, member) for member in members] == [10, 10, 10, 10, 0, 10, 10, 10, 10, 10]
    assert "each goes alone" in caplog.text


async def test_a_database_lost_in_the_middle_of_a_batch_is_told_to_all_and_repeated_keys_get_the_right_answer(
    database_url: str, engine: AsyncEngine, brand: Programme
) -> None:
    own = create_engine(database_url)
    coalescer = Coalescer(own)
    members = await join(engine, brand, 10)
    await asyncio.gather(*(coalescer.post(brand.id, earn(member, 1)) for member in members))
    asked = [earn(member, key="repeated") for member in members]
    async with locked(engine, members[0]):
        tasks = [asyncio.create_task(coalescer.post(brand.id, each)) for each in asked]
        await _kill_who_waits(engine)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {UnavailableError}
    assert all("repeat the request" in str(answer) for answer in answers)
    repeated = await asyncio.gather(*(coalescer.post(brand.id, each) for each in asked))
    assert [(answer.posted, answer.replayed) for answer in repeated] == [(11, False)] * 10
    await coalescer.drain()
    await own.dispose()


async def _kill_who_waits(engine: AsyncEngine) -> None:
    async with engine.connect() as connection, as_owner(connection):
        for _ in range(500):
            killed = await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                    "AND datname = current_database()"
                )
            )
            if killed.all():
                return
            await asyncio.sleep(0.005)
    pytest.fail("nobody waited")


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_whose_outcome_is_unknown_is_no_answer_and_repeated_keys_are_answered_by_the_ledger(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    members = await join(engine, brand, 10)
    asked = [earn(member, key="repeated") for member in members]
    really = psycopg.AsyncConnection.commit

    async def lose(connection: psycopg.AsyncConnection[Any]) -> None:
        if committed:
            await really(connection)
        message = "the connection was lost"
        raise psycopg.OperationalError(message)

    with monkeypatch.context() as broken:
        broken.setattr(psycopg.AsyncConnection, "commit", lose)
        answers = await asyncio.gather(*(coalescer.post(brand.id, each) for each in asked), return_exceptions=True)
    assert {type(answer) for answer in answers} == {UnavailableError}
    repeated = await asyncio.gather(*(coalescer.post(brand.id, each) for each in asked))
    assert [(answer.posted, answer.replayed) for answer in repeated] == [(10, committed)] * 10


async def test_a_database_that_is_away_is_told_to_everybody_at_once() -> None:
    nowhere = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    coalescer = Coalescer(nowhere)
    answers = await asyncio.gather(
        *(coalescer.post(new_id(), earn(new_id())) for _ in range(50)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {UnavailableError}
    await coalescer.drain()
    await nowhere.dispose()


async def test_beyond_what_the_queue_holds_requests_are_refused_at_once(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coalescing, "MOST_WAITING", 3)
    (member,) = await join(engine, brand)
    await coalescer.post(brand.id, earn(member))
    async with locked(engine, member):
        taken = [asyncio.create_task(coalescer.post(brand.id, earn(member))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="too many"):
            await coalescer.post(brand.id, earn(member))
    assert sorted(answer.posted for answer in await asyncio.gather(*taken)) == [20, 30, 40]
    assert (await coalescer.post(brand.id, earn(member))).posted == 50


async def test_a_client_who_goes_away_disturbs_nobody(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer
) -> None:
    members = await join(engine, brand, 12)
    await coalescer.post(brand.id, earn(members[0]))
    async with locked(engine, members[0]):
        asked = [asyncio.create_task(coalescer.post(brand.id, earn(member))) for member in members]
        await asyncio.sleep(coalescing.BATCH_PATIENCE_MS / 4000)  # the batch is under way and waits for the lock
        for gone in (asked[0], asked[5]):
            gone.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [place for place, answer in enumerate(answers) if not isinstance(answer, Posting)] == [0, 5]
    assert all(isinstance(answers[place], asyncio.CancelledError) for place in (0, 5))


async def test_a_server_that_is_stopped_answers_what_it_took_and_takes_no_more(
    engine: AsyncEngine, brand: Programme
) -> None:
    coalescer = Coalescer(engine)
    members = await join(engine, brand, 10)
    asked = [asyncio.create_task(coalescer.post(brand.id, earn(member))) for member in members]
    await asyncio.sleep(0)
    await coalescer.drain()
    assert all(task.done() for task in asked)
    assert [task.result().posted for task in asked] == [10] * 10
    with pytest.raises(UnavailableError, match="stopped"):
        await coalescer.post(brand.id, earn(members[0]))


async def test_requests_to_a_merged_member_reach_the_survivor_and_repeated_ones_their_first_answer(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, tmp_path: Path
) -> None:
    survivor, absorbed, other = await join(engine, brand, 3)
    await coalescer.post(brand.id, earn(absorbed, 30, key="before"))
    async with transaction(engine) as connection:
        await merge(
            connection,
            Keyring.open(tmp_path / "keys.json"),
            programme_id=brand.id,
            survivor_id=survivor,
            absorbed_id=absorbed,
            reason="one person",
            actor="test",
            key=uuid4().hex,
        )
    repeated, fresh, unrelated = await asyncio.gather(
        coalescer.post(brand.id, earn(absorbed, 30, key="before")),
        coalescer.post(brand.id, earn(absorbed, 5, key="after")),
        coalescer.post(brand.id, earn(other)),
    )
    assert (repeated.member_id, repeated.posted, repeated.replayed) == (absorbed, 30, True)
    assert (fresh.member_id, fresh.posted, fresh.replayed) == (survivor, 35, False)
    assert unrelated.posted == 10


async def test_tiers_rise_with_the_batch_that_reaches_them(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, sizes: list[int]
) -> None:
    members = await join(engine, brand, 20)
    points = [999 if place % 2 else 1000 for place in range(20)]
    await asyncio.gather(
        *(coalescer.post(brand.id, earn(member, amount)) for member, amount in zip(members, points, strict=True))
    )
    assert max(sizes) > 10
    async with engine.connect() as connection:
        tiers = [await current_tier(connection, programme_id=brand.id, member_id=member) for member in members]
    assert tiers == ["silver" if place % 2 else "gold" for place in range(20)]


async def test_a_whole_batch_is_one_transaction_and_what_one_item_is_refused_for_touches_no_other(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer, sizes: list[int]
) -> None:
    members = await join(engine, brand, 5)
    asked = [*(earn(member) for member in members), earn(new_id())]
    answers = await coalescer.post_all(brand.id, asked)
    assert sizes == [6]
    assert [type(answer) for answer in answers] == [*[Posting] * 5, NotFoundError]


async def test_a_whole_batch_with_a_locked_member_goes_out_as_single_requests_do(
    engine: AsyncEngine, brand: Programme, coalescer: Coalescer
) -> None:
    members = await join(engine, brand, 5)
    await coalescer.post_all(brand.id, [earn(member) for member in members])
    async with locked(engine, members[2]):
        batch = asyncio.create_task(coalescer.post_all(brand.id, [earn(member) for member in members]))
        await have(engine, [member for member in members if member != members[2]], 20)
        assert not batch.done()  # it still waits for the one
    assert [answer.posted for answer in await batch if isinstance(answer, Posting)] == [20] * 5


async def test_a_whole_batch_learns_that_the_database_is_away() -> None:
    nowhere = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    coalescer = Coalescer(nowhere)
    answers = await coalescer.post_all(new_id(), [earn(new_id()) for _ in range(50)])
    assert [type(answer) for answer in answers] == [UnavailableError] * 50
    await coalescer.drain()
    await nowhere.dispose()
