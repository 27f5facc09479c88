"""HTTP: one earn a request over the same server's empty JSON endpoint, with the same client and connections."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from ledger.units import Unit, define_unit
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.ids import public_id
from loyalty.kit.programme import create_channel, create_programme
from loyalty.members.identity import Record, channel_identity, register_many
from loyalty.runtime import KEYRING_FILE
from loyalty.web.security.api_keys import SCOPES, create_api_key
from tests.bench.report import Measure

CONNECTIONS = 32
SECONDS = 4.0
ROUNDS = 3
MEMBERS = 500

Request = Callable[[], bytes]


def measure(url: str) -> list[Measure]:
    """The rate of earns and of empty answers, in alternating rounds."""
    return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Measure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        token, members = await _prepare(url, home)
        async with _server(url, home) as port:
            numbers = count()

            def earn() -> bytes:
                number = next(numbers)
                body = b'{"amount":10,"source":"bench"}'
                return (
                    f"POST /v1/members/{members[number % MEMBERS]}/points/earn HTTP/1.1\r\nHost: bench\r\n"
                    f"Authorization: Bearer {token}\r\nIdempotency-Key: b{number}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                ).encode() + body

            def ping() -> bytes:
                return b"GET /v1/ping HTTP/1.1\r\nHost: bench\r\n\r\n"

            rates: dict[str, list[tuple[float, list[float]]]] = {"ping": [], "earn": []}
            for _ in range(ROUNDS):
                rates["ping"].append(await _load(port, ping, b"HTTP/1.1 200"))
                rates["earn"].append(await _load(port, earn, b"HTTP/1.1 201"))
    empty, _ = sorted(rates["ping"])[ROUNDS // 2]
    rate, latencies = sorted(rates["earn"])[ROUNDS // 2]
    latencies.sort()
    return [
        Measure(
            name=f"HTTP earn, one a request, {CONNECTIONS} connections",
            rate=rate,
            baseline="empty JSON endpoint",
            baseline_rate=empty,
            goal=0.6,
            notes={
                "p50 ms": f"{latencies[len(latencies) // 2] * 1000:.1f}",
                "p99 ms": f"{latencies[len(latencies) * 99 // 100] * 1000:.1f}",
            },
        )
    ]


async def _prepare(url: str, home: Path) -> tuple[str, list[str]]:
    """A programme with members, and a key that may post."""
    engine = create_engine(url)
    keyring = Keyring.open(home / "keys" / KEYRING_FILE)
    async with transaction(engine) as connection:
        programme = await create_programme(connection, code="bench-http", name="Bench")
        channel = await create_channel(connection, programme, code="online", name="Online", kind="online")
        await define_unit(connection, Unit(programme_id=programme.id, expiry_kind="end_of_month", expiry_months=24))
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
    return key.token, members


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


async def _load(port: int, request: Request, expected: bytes) -> tuple[float, list[float]]:
    """Requests a second over all connections, one at a time on each, and how long each took in seconds."""
    end = time.perf_counter() + SECONDS
    start = time.perf_counter()
    latencies: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (sent := time.perf_counter()) < end:
            writer.write(request())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(expected):
                raise RuntimeError(head.decode())
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            latencies.append(time.perf_counter() - sent)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(client())
    return len(latencies) / (time.perf_counter() - start), latencies
