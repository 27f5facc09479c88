"""Minting into a pipe that counts and hashes, over a plain loop that writes as many bytes from one buffer of that size.

`python -m tests.bench.minting 100000000` measures an order of a hundred million codes.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import NamedTuple

from loyalty.items.codes import ItemKeys
from loyalty.items.press import BLOCK_LINES, PressFile, PressOrder
from loyalty.items.press_workers import pieces_by_workers
from tests.bench.report import Measure, table

CODES = 4_000_000
ROUNDS = 3
READ_BYTES = 1 << 20
MASTERS = (bytes(range(32)), bytes(range(32, 64)))


class Arrangement(NamedTuple):
    """How many cores the writer and the reader of the pipe share, and how many processes make the file."""

    name: str
    cores: int
    workers: int


ARRANGEMENTS = (
    Arrangement("one core for writer and reader", 1, 0),
    Arrangement("two cores, one process makes the file", 2, 0),
    Arrangement("two cores, two processes make the file", 2, 2),
)


class Written(NamedTuple):
    """What the far end of the pipe got, and how long it took until it had it."""

    seconds: float
    cpu_seconds: float
    size: int
    sha256: str


def measure(codes: int = CODES, rounds: int = ROUNDS) -> list[Measure]:
    """Codes a second in each arrangement; rounds alternate, so that a slow minute slows both sides."""
    order = PressOrder(
        gtin="06901234567892", kid=1, lo=0, hi=codes - 1, base_url="https://t.example", lot="L26", case_size=24
    )
    file = PressFile(ItemKeys(gtin=order.gtin, kid=1, master=MASTERS[0], pin_master=MASTERS[1]), order)
    lengths = [len(piece) for piece in file.pieces(1, min(codes, BLOCK_LINES))]
    measures: list[Measure] = []
    for arrangement in ARRANGEMENTS:

        def mint(workers: int = arrangement.workers) -> Iterable[memoryview]:
            return pieces_by_workers(MASTERS, order, workers=workers) if workers else file.pieces()

        def plain() -> Iterable[memoryview]:
            return _plain(file.size, max(lengths))

        rates: dict[str, list[float]] = {"mint": [], "plain": []}
        busy: dict[str, list[float]] = {"mint": [], "plain": []}
        hashes: set[str] = set()
        for _ in range(rounds):
            for name, make in (("mint", mint), ("plain", plain)):
                written = _through_a_pipe(make, cores=arrangement.cores)
                assert written.size == file.size
                rates[name].append(codes / written.seconds)
                busy[name].append(written.cpu_seconds)
                if name == "mint":
                    hashes.add(written.sha256)
        assert len(hashes) == 1
        measures.append(
            Measure(
                name=f"{codes:,} codes minted into a pipe, {arrangement.name}",
                rate=_median(rates["mint"]),
                baseline="a plain loop",
                baseline_rate=_median(rates["plain"]),
                goal=0.5,
                notes={
                    "GB": f"{file.size / 1e9:.2f}",
                    # Of a machine that others use as well, this says more than the clock does.
                    "by processor time": f"{_median(busy['plain']) / _median(busy['mint']):.2f}",
                    "peak MB": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}",
                },
            )
        )
    return measures


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _plain(size: int, buffer_size: int) -> Iterator[memoryview]:
    buffer = memoryview(os.urandom(buffer_size))
    for _ in range(size // buffer_size):
        yield buffer
    yield buffer[: size % buffer_size]


def _through_a_pipe(make: Callable[[], Iterable[memoryview]], *, cores: int) -> Written:
    """Write the pieces into a pipe, whose reader counts and hashes them. The first piece is made before the clock."""
    before = os.sched_getaffinity(0)
    chosen = sorted(before)[:cores]
    context = get_context("fork")
    ours, theirs = context.Pipe()
    read_end, write_end = os.pipe()
    reader = context.Process(target=_count_and_hash, args=(read_end, write_end, theirs, chosen[-1]))
    reader.start()
    os.close(read_end)
    # With a core each, the writer keeps to its own; worker processes may go where there is room.
    os.sched_setaffinity(0, chosen[:1])
    try:
        pieces = iter(make())
        first = next(pieces)
        started, busy = time.perf_counter(), _cpu_seconds()
        for piece in chain((first,), pieces):
            _write_all(write_end, piece)
    finally:
        os.sched_setaffinity(0, before)
        os.close(write_end)
    size, sha256 = ours.recv()
    seconds = time.perf_counter() - started
    reader.join()
    return Written(seconds, _cpu_seconds() - busy, size, sha256)


def _cpu_seconds() -> float:
    """What this process and those that it has waited for have used."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _write_all(descriptor: int, piece: memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _count_and_hash(read_end: int, write_end: int, answer: Connection, core: int) -> None:
    os.close(write_end)
    os.sched_setaffinity(0, {core})
    counted, digest, buffer = 0, hashlib.sha256(), bytearray(READ_BYTES)
    while size := os.readv(read_end, [buffer]):
        counted += size
        digest.update(memoryview(buffer)[:size])
    answer.send((counted, digest.hexdigest()))


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else CODES
    print(table(measure(wanted, rounds=1 if wanted > 10 * CODES else ROUNDS)))
