"""HTTP: single postings over the same server's empty JSON endpoint, and whole batches over the same at SQL level.

The load comes from one process on the same machine; what a request costs it is among the notes. With two cores that is
time which the database does not get.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import cast
from uuid import UUID

import msgspec
import uvloop

from ledger.batch import post_many
from ledger.operations import Earn
from ledger.units import Unit, define_unit
from loyalty.campaigns.awards import award
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.kit.programme import create_channel, create_programme
from loyalty.members.identity import Record, channel_identity, register_many
from loyalty.runtime import KEYRING_FILE
from loyalty.web.security.api_keys import SCOPES, create_api_key
from tests.bench.report import Measure
from tiers.ladders import Ladder, PointsMetric, RollingMonthsWindow, TierStep, publish_ladder

CONNECTIONS = 32
SECONDS = 4.0
ROUNDS = 3
MEMBERS = 1_000
BULK = 1_000
BULKS = 10
TIERS = (("leaf", 0), ("peak", 10**9))

Request = Callable[[], bytes]


class Load(msgspec.Struct, frozen=True):
    """What a load came to: requests a second, each one's seconds in order, and what the client's side of one took."""

    rate: float
    latencies: list[float]
    client_us: float

    @property
    def notes(self) -> dict[str, str]:
        """The figures that stand beside the rate."""
        number = len(self.latencies)
        return {
            "p50 ms": f"{self.latencies[number // 2] * 1000:.1f}",
            "p99 ms": f"{self.latencies[number * 99 // 100] * 1000:.1f}",
            "client µs a request": f"{self.client_us:.0f}",
        }


def measure(url: str) -> list[Measure]:
    """Single earns, whole batches and one client alone, each against what it is measured by, in alternating rounds."""
    return uvloop.run(_measure(url))


async def _measure(url: str) -> list[Measure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        shop = await _prepare(url, home)
        async with _server(url, home) as port:
            alone = await _load(port, shop.earn, b"HTTP/1.1 201", connections=1)
            rounds = [
                (await _load(port, _ping, b"HTTP/1.1 200"), await _load(port, shop.earn, b"HTTP/1.1 201"))
                for _ in range(ROUNDS)
            ]
            bulks = [(await _bulk_at_sql_level(url, shop), await _bulk(port, shop)) for _ in range(ROUNDS)]
        direct = await _direct(url, shop)
    empty = _median([ping.rate for ping, _ in rounds])
    earns = sorted((earn for _, earn in rounds), key=lambda load: load.rate)[ROUNDS // 2]
    return [
        Measure(
            name=f"HTTP earn, one a request, {CONNECTIONS} connections",
            rate=earns.rate,
            baseline="empty JSON endpoint",
            baseline_rate=empty,
            goal=0.6,
            notes=earns.notes,
        ),
        Measure(
            name=f"HTTP earns, {BULK:,} a request, postings",
            rate=_median([over_http for _, over_http in bulks]),
            baseline="a batch at SQL level",
            baseline_rate=_median([at_sql_level for at_sql_level, _ in bulks]),
            goal=0.5,
        ),
        Measure(
            name="HTTP earn, one client alone",
            rate=alone.rate,
            baseline="an award in a transaction of its own, without HTTP",
            baseline_rate=direct,
            notes=alone.notes,
        ),
    ]


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _ping() -> bytes:
    return b"GET /v1/ping HTTP/1.1\r\nHost: bench\r\n\r\n"


class Shop:
    """A programme with a ladder and members, and a key that may post."""

    def __init__(self, programme_id: UUID, token: str, members: Sequence[str]) -> None:
        self.programme_id = programme_id
        self.members = members
        self.ids = [parse_public_id("mem", member) for member in members]
        self._token = token
        self._numbers = count()

    def key(self) -> tuple[int, str]:
        """A member's place and a key that was never used."""
        number = next(self._numbers)
        return number % len(self.members), f"b{number}"

    def earn(self) -> bytes:
        """A request for one earn of the next member."""
        place, key = self.key()
        body = b'{"amount":10,"source":"bench"}'
        return self._request(f"/v1/members/{self.members[place]}/points/earn", body, f"Idempotency-Key: {key}\r\n")

    def batch(self) -> bytes:
        """A request for an earn of each of BULK members."""
        items = []
        for _ in range(BULK):
            place, key = self.key()
            items.append(
                {
                    "kind": "earn",
                    "member_id": self.members[place],
                    "idempotency_key": key,
                    "amount": 10,
                    "source": "bench",
                }
            )
        return self._request("/v1/ledger/batch", msgspec.json.encode({"items": items}), "")

    def _request(self, path: str, body: bytes, headers: str) -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._token}\r\n{headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


async def _bulk(port: int, shop: Shop) -> float:
    """Postings a second by batches over HTTP, one after the other."""
    requests = [shop.batch() for _ in range(BULKS)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    started = time.perf_counter()
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.split(b":")[1]))
        if b'"refused":0,' not in body[:100]:
            raise RuntimeError(body[:1000].decode())
    taken = time.perf_counter() - started
    writer.close()
    return BULK * BULKS / taken


async def _bulk_at_sql_level(url: str, shop: Shop) -> float:
    """Postings a second by `post_many`, a batch a transaction, one after the other."""
    engine = create_engine(url)
    batches = []
    for _ in range(BULKS):
        asked = [shop.key() for _ in range(BULK)]
        batches.append(
            [Earn(member_id=shop.ids[place], amount=10, key=f"s:{key}", source="bench") for place, key in asked]
        )
    started = time.perf_counter()
    for batch in batches:
        async with transaction(engine) as connection:
            await post_many(connection, programme_id=shop.programme_id, postings=batch)
    taken = time.perf_counter() - started
    await engine.dispose()
    return BULK * BULKS / taken


async def _direct(url: str, shop: Shop) -> float:
    """Awards a second, one after the other, each in a transaction of its own."""
    engine = create_engine(url)
    done, end = 0, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        place, key = shop.key()
        async with transaction(engine) as connection:
            await award(
                connection,
                programme_id=shop.programme_id,
                member_id=shop.ids[place],
                amount=10,
                key=f"d:{key}",
                source="bench",
            )
        done += 1
    await engine.dispose()
    return done / SECONDS


async def _prepare(url: str, home: Path) -> Shop:
    engine = create_engine(url)
    keyring = Keyring.open(home / "keys" / KEYRING_FILE)
    async with transaction(engine) as connection:
        programme = await create_programme(connection, code="bench-http", name="Bench")
        channel = await create_channel(connection, programme, code="online", name="Online", kind="online")
        await define_unit(connection, Unit(programme_id=programme.id, expiry_kind="end_of_month", expiry_months=24))
        tiers = [
            TierStep(code=code, name={"zh": code, "en": code}, rank=rank, threshold=threshold)
            for rank, (code, threshold) in enumerate(TIERS)
        ]
        ladder = Ladder(metric=PointsMetric(), window=RollingMonthsWindow(months=12), tiers=tiers)
        await publish_ladder(connection, programme_id=programme.id, ladder=ladder)
        registered = await register_many(
            connection,
            keyring,
            programme_id=programme.id,
            channel_code=channel.code,
            records=[
                Record(
                    identities=[channel_identity("customer", f"c{number}", channel_code=channel.code)],
                    joined_at=datetime.now(UTC),
                )
                for number in range(MEMBERS)
            ],
        )
        key = await create_api_key(
            connection, programme_id=programme.id, name="bench", scopes=SCOPES, channel_id=channel.id
        )
    await engine.dispose()
    members = []
    for registration in registered:
        if isinstance(registration, Exception):
            raise registration
        members.append(public_id("mem", registration.member.id))
    return Shop(programme.id, key.token, members)


@asynccontextmanager
async def _server(url: str, home: Path) -> AsyncIterator[int]:
    """The product as it is run, one worker, on a free port; ended when the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {**os.environ, "DATABASE_URL": url, "TALLYSTAR_HOME": str(home), "TALLYSTAR_PORT": str(port)}
    command = [sys.executable, "-m", "loyalty.cli", "serve", "--no-jobs"]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await _until_it_answers(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _until_it_answers(port: int) -> None:
    for _ in range(300):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    message = "the server did not answer within 30 seconds"
    raise RuntimeError(message)


class _Client(asyncio.Protocol):
    """One connection, one request after the other, with as little Python as can be."""

    def __init__(self, request: Request, expected: bytes, end: float, latencies: list[float]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._expected, self._end, self._latencies = request, expected, end, latencies
        self._received = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        if self._sent < self._end:
            self._transport.write(self._request())
        else:
            self._transport.close()
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, mark, body = self._received.partition(b"\r\n\r\n")
        start = head.find(b"content-length: ") + 16
        if not mark or len(body) < int(head[start : (head + b"\r").find(b"\r", start)]):
            return
        if not head.startswith(self._expected):
            self.done.set_exception(RuntimeError(self._received.decode()))
            return
        self._latencies.append(time.perf_counter() - self._sent)
        self._received = b""
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or RuntimeError("the server closed the connection"))


async def _load(port: int, request: Request, expected: bytes, *, connections: int = CONNECTIONS) -> Load:
    """Requests over all connections, one at a time on each, for SECONDS."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: _Client(request, expected, started + SECONDS, latencies), "127.0.0.1", port
        )
        clients.append(client.done)
    await asyncio.gather(*clients)
    taken, using = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    client_us = (using.ru_utime - used.ru_utime + using.ru_stime - used.ru_stime) / len(latencies) * 1e6
    return Load(len(latencies) / taken, sorted(latencies), client_us)
