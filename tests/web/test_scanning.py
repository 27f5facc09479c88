"""The scan desk: scans that go out together are told apart, and nobody's trouble is anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.gtin import check_digit
from loyalty.items.keys import MasterKeys
from loyalty.items.products import LocalText, save_product
from loyalty.items.ranges import change_range_state, mint_range
from loyalty.items.scans import Scan, Scanned, scan_many
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.errors import InvalidInputError, TooManyAttemptsError, UnavailableError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from loyalty.web import scanning
from loyalty.web.scanning import ScanDesk
from tests.roles import as_owner


class Shelf:
    """Items of one product, on sale, and who scans them."""

    def __init__(self, engine: AsyncEngine, keys: MasterKeys, programme: Programme, gtin: str, lo: int) -> None:
        self.engine = engine
        self.keys = keys
        self.programme = programme
        self.gtin = gtin
        self.lo = lo

    def scan(self, number: int, *, device: str | None = None, **fields: Any) -> Scan:
        """A scan of the n-th item, by a new phone unless it is named."""
        serial = self.keys.for_product(self.gtin, self.keys.current_kid).mint(self.lo + number)
        asked: dict[str, Any] = {
            "programme_id": self.programme.id,
            "gtin": self.gtin,
            "serial": serial,
            "device": device or uuid4().hex,
        }
        return Scan(**asked | fields)

    async def counted(self) -> dict[int, tuple[int, int]]:
        """Of each item that was scanned: its count, and its lines in the log."""
        query = text(
            "SELECT index, scan_count, (SELECT count(*) FROM item_scan s WHERE s.gtin = i.gtin AND s.kid = i.kid "
            "AND s.index = i.index) FROM item i WHERE gtin = :gtin ORDER BY index"
        )
        async with self.engine.connect() as connection:
            rows = await connection.execute(query, {"gtin": self.gtin})
            return {row[0] - self.lo: (row[1], row[2]) for row in rows}

    @asynccontextmanager
    async def locked(self, number: int) -> AsyncIterator[None]:
        """Somebody else works on the n-th item, which was scanned before."""
        async with self.engine.connect() as connection, as_owner(connection):
            values = {"gtin": self.gtin, "index": self.lo + number}
            await connection.execute(
                text("SELECT 1 FROM item WHERE gtin = :gtin AND index = :index FOR UPDATE"), values
            )
            yield
            await connection.rollback()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> MasterKeys:
    return MasterKeys.load_or_create(tmp_path_factory.mktemp("keys") / "item-codes.json")


@pytest.fixture
async def shelf(engine: AsyncEngine, committed_programme: Programme, keys: MasterKeys) -> Shelf:
    digits = f"0690{uuid4().int % 10**9:09d}"
    gtin = digits + str(check_digit(digits))
    programme_id = committed_programme.id
    async with transaction(engine) as connection:
        await save_product(connection, programme_id=programme_id, gtin=gtin, names=LocalText(zh="春茶", en="Tea"))
        minted = await mint_range(
            connection, keys, programme_id=programme_id, gtin=gtin, count=1000, print_order="test"
        )
        await change_range_state(connection, programme_id=programme_id, range_id=minted.id, state="activated")
    return Shelf(engine, keys, committed_programme, gtin, minted.lo)


@pytest.fixture
async def desk(engine: AsyncEngine, keys: MasterKeys) -> AsyncIterator[ScanDesk]:
    opened = ScanDesk(engine, keys)
    yield opened
    await opened.drain()


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many scans each batch held, as they were sent."""
    sent: list[int] = []

    async def watched(connection: Any, keys: MasterKeys, scans: list[Scan]) -> Any:
        sent.append(len(scans))
        return await scan_many(connection, keys, scans)

    monkeypatch.setattr(scanning, "scan_many", watched)
    return sent


async def test_a_scan_goes_out_at_once_and_those_that_come_meanwhile_go_together(
    shelf: Shelf, desk: ScanDesk, sizes: list[int]
) -> None:
    answers = await asyncio.gather(*(desk.scan(shelf.scan(number)) for number in range(100)))

    assert sum(sizes) == 100
    assert max(sizes) == scanning.MOST_TOGETHER
    assert {answer.verdict.kind for answer in answers} == {"first_scan"}
    assert await shelf.counted() == dict.fromkeys(range(100), (1, 1))


async def test_of_phones_that_race_for_an_item_one_is_first_whichever_process_they_come_to(
    shelf: Shelf, desk: ScanDesk
) -> None:
    other = ScanDesk(shelf.engine, shelf.keys)
    desks = [desk, other]
    answers = await asyncio.gather(*(desks[place % 2].scan(shelf.scan(place % 5)) for place in range(50)))
    await other.drain()

    firsts = [answer.verdict.serial for answer in answers if answer.verdict.kind == "first_scan"]
    assert len(firsts) == len({*firsts}) == 5
    assert await shelf.counted() == dict.fromkeys(range(5), (10, 10))


async def test_what_one_scan_is_refused_for_touches_no_other(shelf: Shelf, desk: ScanDesk) -> None:
    async with shelf.engine.connect() as connection:
        scans = [shelf.scan(0, device="guesser", serial="0000000000000000") for _ in range(60)]
        assert isinstance((await scan_many(connection, shelf.keys, scans))[-1], TooManyAttemptsError)
        await connection.commit()

    asked = [shelf.scan(number) for number in range(12)]
    asked[3] = shelf.scan(3, device="guesser")
    asked[5] = shelf.scan(5, serial="not ours")
    asked[7] = shelf.scan(7, device="x" * 501)
    asked[9] = shelf.scan(9, gtin="06901234567890")
    answers = await asyncio.gather(*(desk.scan(each) for each in asked), return_exceptions=True)

    told = {place: answer.verdict.kind for place, answer in enumerate(answers) if isinstance(answer, Scanned)}
    assert told == {place: "unknown" if place in (5, 9) else "first_scan" for place in range(12) if place not in (3, 7)}
    assert [type(answers[place]) for place in (3, 7)] == [TooManyAttemptsError, InvalidInputError]
    assert await shelf.counted() == dict.fromkeys({0, 1, 2, 4, 6, 8, 10, 11}, (1, 1))


async def test_an_item_that_somebody_else_has_locked_delays_nobody_but_who_scans_it(
    shelf: Shelf, desk: ScanDesk, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.gather(*(desk.scan(shelf.scan(number)) for number in range(20)))
    async with shelf.locked(3):
        stuck = asyncio.create_task(desk.scan(shelf.scan(3)))
        others = [number for number in range(20) if number != 3]
        for _ in range(3):  # the batch that meets the lock, and those after it
            await asyncio.gather(*(desk.scan(shelf.scan(number)) for number in others))
        assert not stuck.done()
    assert (await stuck).verdict.scan_count == 2
    assert await shelf.counted() == {number: (2, 2) if number == 3 else (4, 4) for number in range(20)}
    assert caplog.text == "", "that is nobody's fault"


async def test_an_error_of_our_own_about_one_scan_leaves_the_others_theirs(
    shelf: Shelf, desk: ScanDesk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [shelf.scan(number) for number in range(10)]

    async def fail_at_one(connection: Any, keys: MasterKeys, scans: list[Scan]) -> Any:
        answers = await scan_many(connection, keys, scans)
        if asked[4] in scans:
            message = "a fault in judging"
            raise ZeroDivisionError(message)
        return answers

    monkeypatch.setattr(scanning, "scan_many", fail_at_one)
    answers = await asyncio.gather(*(desk.scan(each) for each in asked), return_exceptions=True)

    assert [place for place, answer in enumerate(answers) if not isinstance(answer, Scanned)] == [4]
    assert isinstance(answers[4], ZeroDivisionError)
    assert await shelf.counted() == {number: (1, 1) for number in range(10) if number != 4}
    assert "each goes alone" in caplog.text


async def test_a_commit_that_fails_is_never_answered_with_a_verdict(
    shelf: Shelf, desk: ScanDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(_connection: psycopg.AsyncConnection[Any]) -> None:
        message = "the connection was lost"
        raise psycopg.OperationalError(message)

    with monkeypatch.context() as broken:
        broken.setattr(psycopg.AsyncConnection, "commit", lose)
        answers = await asyncio.gather(*(desk.scan(shelf.scan(number)) for number in range(10)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {UnavailableError}
    assert await shelf.counted() == {}

    again = await asyncio.gather(*(desk.scan(shelf.scan(number)) for number in range(10)))
    assert {answer.verdict.kind for answer in again} == {"first_scan"}


async def test_a_database_that_is_away_is_told_to_everybody_at_once(keys: MasterKeys) -> None:
    nowhere = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    desk = ScanDesk(nowhere, keys)
    asked = Scan(programme_id=new_id(), gtin="06901234567892", serial="10Y7DJPF72MHRCYR", device="phone")

    answers = await asyncio.gather(*(desk.scan(asked) for _ in range(50)), return_exceptions=True)

    assert {type(answer) for answer in answers} == {UnavailableError}
    await desk.drain()
    await nowhere.dispose()


async def test_beyond_what_the_line_holds_scans_are_refused_at_once(
    shelf: Shelf, desk: ScanDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "MOST_WAITING", 3)
    await desk.scan(shelf.scan(0))
    async with shelf.locked(0):
        under_way = asyncio.create_task(desk.scan(shelf.scan(0)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(desk.scan(shelf.scan(number))) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await desk.scan(shelf.scan(4))
    assert [answer.verdict.scan_count for answer in await asyncio.gather(under_way, *waiting)] == [2, 1, 1, 1]
    assert (await desk.scan(shelf.scan(4))).verdict.kind == "first_scan"


async def test_who_goes_away_disturbs_nobody(shelf: Shelf, desk: ScanDesk) -> None:
    asked = [asyncio.create_task(desk.scan(shelf.scan(number))) for number in range(10)]
    await asyncio.sleep(0)
    for gone in (asked[0], asked[5]):
        gone.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [place for place, answer in enumerate(answers) if not isinstance(answer, Scanned)] == [0, 5]
    await desk.drain()
    assert {number for number, counts in (await shelf.counted()).items() if counts == (1, 1)} >= {
        1,
        2,
        3,
        4,
        6,
        7,
        8,
        9,
    }


async def test_a_server_that_is_stopped_answers_what_it_took_and_takes_no_more(shelf: Shelf) -> None:
    desk = ScanDesk(shelf.engine, shelf.keys)
    asked = [asyncio.create_task(desk.scan(shelf.scan(number))) for number in range(10)]
    await asyncio.sleep(0)
    await desk.drain()
    assert [task.result().verdict.kind for task in asked] == ["first_scan"] * 10
    with pytest.raises(UnavailableError):
        await desk.scan(shelf.scan(0))


async def test_scans_judged_together_are_told_what_they_would_be_one_after_the_other(
    shelf: Shelf, desk: ScanDesk
) -> None:
    at = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)
    phones = ["a", "b", "a", "c", "d", "b", "e"]
    together = await asyncio.gather(*(desk.scan(shelf.scan(0, device=phone, at=at)) for phone in phones))
    apart = [await desk.scan(shelf.scan(1, device=phone, at=at)) for phone in phones]

    def told(answers: list[Scanned]) -> list[tuple[str, int, int]]:
        return [(answer.verdict.kind, answer.verdict.scan_count, answer.verdict.recent_devices) for answer in answers]

    assert told(together) == told(apart)
