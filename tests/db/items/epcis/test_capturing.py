"""A document is captured whole, not at all, or as far as it is right; however often its worker dies over it."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.epcis.capturing import (
    MOST_ERRORS,
    PART_EVENTS,
    Capture,
    ErrorBehaviour,
    begin_capture,
    get_capture,
    receive_document,
    unfinished_captures,
    work_on_capture,
)
from loyalty.items.epcis.storing import store_events
from loyalty.items.keys import Master, MasterKeys
from loyalty.jobs.tasks import Parts
from loyalty.jobs.worker import work_on
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from loyalty.settings import Settings
from tests.epcis_examples import RECEIVED, changed, document, encoded
from tests.factories import make_product, make_programme

TABLES = ("epcis_event", "epcis_mention", "epcis_item", "epcis_value", "epcis_capture_part")


class Repository:
    """A programme's events, committed as production commits them."""

    def __init__(self, engine: AsyncEngine, programme: Programme, keys: MasterKeys) -> None:
        self.engine = engine
        self.programme = programme
        self.keys = keys

    async def begin(self, events: list[dict[str, Any]], behaviour: ErrorBehaviour = "rollback") -> UUID:
        async def chunks() -> AsyncIterator[bytes]:
            yield encoded(document(*events))

        received = await receive_document(chunks(), most_events=100_000, most_bytes=10**9)
        async with transaction(self.engine) as connection:
            identifier = await begin_capture(
                connection, received, programme_id=self.programme.id, error_behaviour=behaviour
            )
        received.close()
        return identifier

    async def work(self, capture_id: UUID) -> bool:
        return await work_on_capture(self.engine, capture_id, item_keys=self.keys)

    async def told(self, capture_id: UUID) -> Capture:
        async with transaction(self.engine) as connection:
            return await get_capture(connection, programme_id=self.programme.id, capture_id=capture_id)

    async def rows(self, table: str = "epcis_event") -> int:
        async with transaction(self.engine) as connection:
            return int(await connection.scalar(text(f"SELECT count(*) FROM {table}")))

    async def change(self, statement: str) -> None:
        async with transaction(self.engine) as connection:
            await connection.execute(text(statement))


@pytest.fixture
async def repository(committed_engine: AsyncEngine) -> Repository:
    async with transaction(committed_engine) as connection:
        programme = await make_programme(connection)
    keys = MasterKeys({1: Master(master=bytes(32), pin_master=bytes(32), created_at=utc_now())})
    return Repository(committed_engine, programme, keys)


def events(count: int, *, wrong: tuple[int, ...] = (), first: int = 0) -> list[dict[str, Any]]:
    """Events that differ, those counted in `wrong` with a business step that is none."""
    return [
        RECEIVED | {"example:number": number, "bizStep": "shiping" if number in wrong else "receiving"}
        for number in range(first, first + count)
    ]


class Killed(BaseException):
    """The worker's process ends."""


def kill_at(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """Let the worker die when it has written this part, counted from 0, and before it commits it."""
    calls = 0

    async def dying(*given: Any, **named: Any) -> Any:
        nonlocal calls
        outcomes = await store_events(*given, **named)
        calls += 1
        if calls == part + 1:
            raise Killed
        return outcomes

    monkeypatch.setattr("loyalty.items.epcis.capturing.store_events", dying)


async def test_a_document_is_captured_once_and_what_was_received_is_let_go(repository: Repository) -> None:
    count = 2 * PART_EVENTS + 7
    identifier = await repository.begin(events(count))
    assert await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.running, told.success, told.event_count, told.processed, told.captured) == (
        False, True, count, count, count,
    )  # fmt: skip
    assert [await repository.rows(table) for table in ("epcis_event", "epcis_capture_part")] == [count, 0]
    assert not await repository.work(identifier)


async def test_one_wrong_event_and_nothing_is_kept_though_all_faults_are_told(repository: Repository) -> None:
    wrong = (PART_EVENTS + 3, 2 * PART_EVENTS + 1)
    identifier = await repository.begin(events(2 * PART_EVENTS + 7, wrong=wrong))
    assert await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.running, told.success, told.captured, told.failed) == (False, False, 0, 2)
    assert told.processed == 2 * PART_EVENTS + 7
    assert [(error.event, error.faults[0].path) for error in told.errors] == [
        (number, f"$.epcisBody.eventList[{number}].bizStep") for number in wrong
    ]
    assert [await repository.rows(table) for table in TABLES] == [0] * len(TABLES)


async def test_to_proceed_is_to_keep_what_is_right(repository: Repository) -> None:
    wrong = (0, PART_EVENTS)
    identifier = await repository.begin(events(PART_EVENTS + 7, wrong=wrong), "proceed")
    assert await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.running, told.success, told.failed) == (False, False, 2)
    assert told.captured == await repository.rows() == PART_EVENTS + 5
    assert await repository.rows("epcis_capture_part") == 0


@pytest.mark.long
@pytest.mark.parametrize("behaviour", ["rollback", "proceed"])
async def test_ten_thousand_events_take_the_memory_of_a_thousand(
    repository: Repository, behaviour: ErrorBehaviour
) -> None:
    """And one wrong event of them takes all others along, or none."""
    peaks = {}
    for count in (1_000, 10_000):
        wrong = count - 7
        identifier = await repository.begin(events(count, wrong=(wrong,)), behaviour)
        tracemalloc.start()
        assert await repository.work(identifier)
        _, peaks[count] = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        told = await repository.told(identifier)
        kept = count - 1 if behaviour == "proceed" else 0
        assert (told.running, told.success, told.captured, told.failed) == (False, False, kept, 1)
        assert told.errors[0].faults[0].path == f"$.epcisBody.eventList[{wrong}].bizStep"
    print(f"{behaviour}: " + ", ".join(f"{peak / 2**20:.1f} MiB for {count:,}" for count, peak in peaks.items()))
    assert peaks[10_000] < 1.5 * peaks[1_000]


async def test_an_event_id_that_is_taken_is_a_fault_of_that_event(repository: Repository) -> None:
    named = {"eventID": "urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"}
    await repository.work(await repository.begin([RECEIVED | named]))
    identifier = await repository.begin(
        [changed(RECEIVED, "eventTime", "2020-01-01T00:00:00Z") | named, *events(1)], "proceed"
    )
    await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.captured, told.failed) == (1, 1)
    assert [(error.event, error.kind, error.faults[0].path) for error in told.errors] == [
        (0, "exists", "$.epcisBody.eventList[0].eventID")
    ]


async def test_no_more_errors_are_told_than_are_read(repository: Repository) -> None:
    identifier = await repository.begin(events(MOST_ERRORS + 5, wrong=tuple(range(MOST_ERRORS + 5))), "proceed")
    await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.failed, len(told.errors), told.captured) == (MOST_ERRORS + 5, MOST_ERRORS, 0)


async def test_a_worker_that_dies_over_all_or_nothing_leaves_nothing(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 2 * PART_EVENTS + 7
    identifier = await repository.begin(events(count))
    with monkeypatch.context() as patch:
        kill_at(patch, 1)
        with pytest.raises(Killed):
            await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.running, told.processed) == (True, PART_EVENTS)  # how far it was is known meanwhile
    assert await repository.rows() == 0
    assert await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.running, told.captured, await repository.rows()) == (False, count, count)


async def test_a_worker_that_dies_on_the_way_is_gone_on_from_where_it_was(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 3 * PART_EVENTS + 7
    identifier = await repository.begin(events(count, wrong=(1,)), "proceed")
    for _ in range(3):
        with monkeypatch.context() as patch:
            kill_at(patch, 1)
            with pytest.raises(Killed):
                await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.running, told.processed, told.captured, told.failed) == (
        True, 3 * PART_EVENTS, 3 * PART_EVENTS - 1, 1,
    )  # fmt: skip
    assert await repository.rows() == 3 * PART_EVENTS - 1
    assert await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.running, told.captured, told.failed) == (False, count - 1, 1)
    assert await repository.rows() == count - 1


async def test_what_a_dead_worker_left_is_found_after_a_minute(repository: Repository) -> None:
    identifier = await repository.begin(events(1))
    assert await unfinished_captures(repository.engine) == []  # its job may still come
    await repository.change("UPDATE epcis_capture SET created_at = created_at - interval '2 minutes'")
    assert await unfinished_captures(repository.engine) == [identifier]
    await repository.work(identifier)
    assert await unfinished_captures(repository.engine) == []


@pytest.mark.parametrize("behaviour", ["rollback", "proceed"])
async def test_two_workers_on_one_document_capture_it_once(repository: Repository, behaviour: ErrorBehaviour) -> None:
    count = 2 * PART_EVENTS
    identifier = await repository.begin(events(count), behaviour)
    await asyncio.gather(*(repository.work(identifier) for _ in range(3)))
    told = await repository.told(identifier)
    assert (told.running, told.processed, told.captured) == (False, count, count)
    assert await repository.rows() == count


@pytest.mark.parametrize("behaviours", [("rollback", "rollback"), ("rollback", "proceed"), ("proceed", "proceed")])
async def test_documents_that_overlap_are_captured_side_by_side(
    repository: Repository,
    behaviours: tuple[ErrorBehaviour, ErrorBehaviour],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither waits for one that waits for it, and what both have is there once."""

    async def slow(*given: Any, **named: Any) -> Any:
        outcomes = await store_events(*given, **named)
        await asyncio.sleep(0.2)  # the other one comes this far, too, where it may
        return outcomes

    monkeypatch.setattr("loyalty.items.epcis.capturing.store_events", slow)
    first, second = events(PART_EVENTS), events(PART_EVENTS, first=PART_EVENTS)
    one = await repository.begin(first + second, behaviours[0])
    other = await repository.begin(second + first, behaviours[1])
    await asyncio.gather(repository.work(one), repository.work(other))
    assert [(await repository.told(each)).captured for each in (one, other)] == [2 * PART_EVENTS] * 2
    assert await repository.rows() == 2 * PART_EVENTS
    assert caplog.messages == []  # of what was given up and done again


async def test_what_the_database_gave_up_for_others_is_done_again(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given_up = OperationalError("INSERT", {}, DeadlockDetected("deadlock detected"))
    calls = 0

    async def given_up_once(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        outcomes = await store_events(*given, **named)
        if calls == 2:
            raise given_up
        return outcomes

    monkeypatch.setattr("loyalty.items.epcis.capturing.store_events", given_up_once)
    identifier = await repository.begin(events(PART_EVENTS + 7))
    assert await repository.work(identifier)
    assert ((await repository.told(identifier)).captured, await repository.rows()) == (PART_EVENTS + 7,) * 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_an_event_twice_in_one_document_is_there_once(repository: Repository) -> None:
    identifier = await repository.begin([*events(2), *events(2)])
    await repository.work(identifier)
    told = await repository.told(identifier)
    assert (told.success, told.captured, await repository.rows()) == (True, 4, 2)


async def test_own_items_are_found_by_their_key_and_others_are_not_looked_at(repository: Repository) -> None:
    async with transaction(repository.engine) as connection:
        product = await make_product(connection, repository.programme)
    serial = repository.keys.for_product(product.gtin, 1).mint(77)
    epcs = [
        f"https://id.gs1.org/01/{product.gtin}/21/{serial}",
        f"https://id.gs1.org/01/{product.gtin}/21/NOTOURS",
        f"https://id.gs1.org/01/04012345123456/21/{repository.keys.for_product('04012345123456', 1).mint(77)}",
    ]
    await repository.work(await repository.begin([RECEIVED | {"epcList": epcs}]))
    async with transaction(repository.engine) as connection:
        rows = (await connection.execute(text("SELECT gtin, kid, index, programme_id FROM epcis_item"))).all()
    assert [tuple(row) for row in rows] == [(product.gtin, 1, 77, repository.programme.id)]


async def test_the_queue_captures_what_was_received(repository: Repository, tmp_path: Path) -> None:
    identifier = await repository.begin(events(3))
    parts = Parts(
        engine=repository.engine,
        keyring=Keyring.open(tmp_path / "keyring.json"),
        item_keys=repository.keys,
        settings=Settings(home=tmp_path),
    )
    await work_on(repository.engine, parts, wait=False)
    told = await repository.told(identifier)
    assert (told.running, told.captured) == (False, 3)


async def test_a_document_that_was_not_received_whole_is_not_in_the_queue(repository: Repository) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield encoded(document(*events(3)))

    received = await receive_document(chunks(), most_events=10, most_bytes=10**6)
    with pytest.raises(Killed):
        await die_before_commit(repository, received)
    received.close()
    assert [await repository.rows(table) for table in ("epcis_capture", "epcis_capture_part")] == [0, 0]
    assert await repository.rows("procrastinate_jobs") == 0


async def die_before_commit(repository: Repository, received: Any) -> None:
    async with transaction(repository.engine) as connection:
        await begin_capture(connection, received, programme_id=repository.programme.id)
        raise Killed
