"""The product as it is run, and a load for it that costs little: what benchmarks over HTTP stand on."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import msgspec

CONNECTIONS = 32
SECONDS = 4.0
SERVE = ("loyalty.cli", "serve", "--no-jobs")

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


@asynccontextmanager
async def server(url: str, home: Path, *, words: Sequence[str] = SERVE, **settings: str) -> AsyncIterator[int]:
    """The product as it is run, one worker, on a free port; ended when the block ends. `settings` are its variables."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings |= {"DATABASE_URL": url, "TALLYSTAR_HOME": str(home), "TALLYSTAR_PORT": str(port)}
    command = [sys.executable, "-m", *words]
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
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


async def load(port: int, request: Request, expected: bytes, *, connections: int = CONNECTIONS) -> Load:
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
