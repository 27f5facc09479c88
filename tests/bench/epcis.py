"""EPCIS: a document of 10,000 events received and captured, in what memory, and events found by an EPC."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.epcis.capturing import ErrorBehaviour, begin_capture, receive_document, work_on_capture
from loyalty.items.epcis.own_events import OwnEvents
from loyalty.items.epcis.parameters import read_query
from loyalty.items.epcis.queries import find_events
from loyalty.items.keys import Master, MasterKeys
from loyalty.kit.clock import utc_now
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.programme import Programme
from tests.bench.report import Measure
from tests.epcis_examples import CONTEXT, PREFIXES, RECEIVED, document, encoded
from tests.factories import make_programme
from tests.roles import application_login

EVENTS = 10_000
FEWER = 1_000
CHUNK = 65_536
QUERIES = 500
MEBIBYTE = 2**20


def measure(url: str) -> list[Measure]:
    """Events a second at each step, and the peak of what Python allocates for it."""
    return asyncio.run(_measure(application_login(url)))


async def _measure(url: str) -> list[Measure]:
    engine = create_engine(url)
    try:
        async with transaction(engine) as connection:
            programme = await make_programme(connection)
        keys = MasterKeys({1: Master(master=bytes(32), pin_master=bytes(32), created_at=utc_now())})
        bench = _Bench(engine, programme, keys)
        measures = [await bench.receiving()]
        rates: dict[ErrorBehaviour, float] = {}
        for behaviour in ("rollback", "proceed"):
            rates[behaviour], measured = await bench.capturing(behaviour)
            measures.append(measured)
        return [*measures, await bench.again(rates["proceed"]), await bench.finding()]
    finally:
        await engine.dispose()


class _Bench:
    """One programme to capture into."""

    def __init__(self, engine: AsyncEngine, programme: Programme, keys: MasterKeys) -> None:
        self.engine = engine
        self.programme = programme
        self.keys = keys
        self.own = OwnEvents(programme, keys, "https://t.example")

    async def receive(self, body: bytes) -> None:
        received = await receive_document(_chunks(body), most_events=EVENTS, most_bytes=10**9)
        received.close()

    async def begin(self, body: bytes, behaviour: ErrorBehaviour) -> UUID:
        received = await receive_document(_chunks(body), most_events=EVENTS, most_bytes=10**9)
        async with transaction(self.engine) as connection:
            capture = await begin_capture(
                connection, received, programme_id=self.programme.id, error_behaviour=behaviour
            )
        received.close()
        return capture

    async def work(self, capture: UUID) -> None:
        await work_on_capture(self.engine, capture, item_keys=self.keys)

    async def receiving(self) -> Measure:
        body = _document("received", EVENTS)
        seconds = await _seconds(lambda: self.receive(body))
        started = time.perf_counter()
        msgspec.json.decode(body)
        whole = time.perf_counter() - started
        few = _document("few", FEWER)
        peaks = [await _peak(lambda: self.receive(few)), await _peak(lambda: self.receive(body))]
        return Measure(
            name="EPCIS events received, cut apart as they arrive",
            rate=EVENTS / seconds,
            baseline="the document decoded at once",
            baseline_rate=EVENTS / whole,
            notes={"document": f"{len(body) / MEBIBYTE:.1f} MiB", **_memory(peaks)},
        )

    async def capturing(self, behaviour: ErrorBehaviour) -> tuple[float, Measure]:
        capture = await self.begin(_document(behaviour, EVENTS), behaviour)
        rate = EVENTS / await _seconds(lambda: self.work(capture))
        peaks = []
        for count in (FEWER, EVENTS):
            traced = await self.begin(_document(f"{behaviour} traced {count}", count), behaviour)
            peaks.append(await _peak(lambda traced=traced: self.work(traced)))  # type: ignore[misc]
        name = f"EPCIS events captured from one document of {EVENTS:,}, {behaviour}"
        return rate, Measure(name=name, rate=rate, notes=_memory(peaks))

    async def again(self, first: float) -> Measure:
        capture = await self.begin(_document("proceed", EVENTS), "proceed")
        rate = EVENTS / await _seconds(lambda: self.work(capture))
        return Measure(
            name="the same document captured again", rate=rate, baseline="the first time", baseline_rate=first
        )

    async def finding(self) -> Measure:
        names = [f"urn:epc:id:sgtin:0614141.107346.{number}" for number in range(QUERIES)]
        async with transaction(self.engine) as connection:
            started = time.perf_counter()
            for name in names:
                query = read_query({"MATCH_anyEPC": [name]})
                page = await find_events(connection, query, programme_id=self.programme.id, own=self.own)
                assert page.events
            finding = QUERIES / (time.perf_counter() - started)
            started = time.perf_counter()
            for _ in range(3 * QUERIES):
                await connection.execute(text("SELECT 1"))
            nothing = QUERIES / (time.perf_counter() - started)
            stored = await connection.scalar(text("SELECT count(*) FROM epcis_event"))
        return Measure(
            name="EPCIS queries by one EPC",
            rate=finding,
            baseline="three statements that ask nothing",
            baseline_rate=nothing,
            notes={"events kept": f"{stored:,}"},
        )


def _document(name: str, count: int) -> bytes:
    """A document of events like those of the standard's examples, which occur in no other of another name."""
    whole = document() | {"@context": [CONTEXT, PREFIXES]}
    events = (
        RECEIVED
        | {
            "epcList": [
                f"urn:epc:id:sgtin:0614141.107346.{number}",
                f"urn:epc:id:sgtin:0614141.107346.{name[0]}{number}",
            ],
            "example:document": name,
        }
        for number in range(count)
    )
    return encoded(whole).replace(b'"eventList":[]', b'"eventList":[' + b",".join(map(encoded, events)) + b"]")


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


async def _seconds(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def _peak(work: Callable[[], Awaitable[object]]) -> int:
    """The most bytes that Python had allocated for it at once."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    await work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - before


def _memory(peaks: list[int]) -> dict[str, str]:
    few, many = (f"{peak / MEBIBYTE:.1f} MiB" for peak in peaks)
    return {f"peak for {FEWER:,} events": few, f"for {EVENTS:,}": many}
