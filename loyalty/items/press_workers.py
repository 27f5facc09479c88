"""A press file made by several processes, and put together again in order.

Blocks are dealt to the workers in turn. Each worker has two buffers in shared memory: it fills one while the other is
written out, so that nothing is copied between processes and memory does not grow with the order.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Final

from loyalty.items.codes import ItemKeys
from loyalty.items.press import BLOCK_LINES, HEADER, PressFile, PressOrder
from loyalty.kit.errors import UnavailableError

_BUFFERS: Final = 2
_PATIENCE_SECONDS: Final = 10
_Masters = tuple[bytes, bytes]


def pieces_by_workers(
    masters: tuple[bytes, bytes], order: PressOrder, *, workers: int, packed: bool = False
) -> Iterator[memoryview]:
    """The file of an order, or the same as gzip, made by so many processes; the bytes are those of one process alone.

    `masters` are the two masters of the order's key id. A piece holds until the next one is asked for. Raises
    UnavailableError where a worker dies.
    """
    blocks = PressFile(_keys(masters, order), order).blocks
    with ExitStack() as stack:
        team = [stack.enter_context(_worker(masters, order, packed=packed)) for _ in range(min(workers, blocks))]
        for number in range(min(blocks, _BUFFERS * len(team))):
            team[number % len(team)].ask(number)
        for number in range(blocks):
            worker = team[number % len(team)]
            with worker.take(number) as piece:
                yield piece
            if number + _BUFFERS * len(team) < blocks:
                worker.ask(number + _BUFFERS * len(team))


class _Worker:
    """The parent's end of a worker: its buffers, and the pipe over which blocks are asked for and announced."""

    def __init__(self, connection: Connection, buffers: list[memoryview]) -> None:
        self._connection: Final = connection
        self._buffers: Final = buffers
        self._turn = 0

    def ask(self, number: int) -> None:
        """Let it make a block, into the buffer whose turn it is."""
        with suppress(OSError):  # a worker that is gone is noticed when its block is wanted
            self._connection.send(number)

    def take(self, number: int) -> memoryview:
        """The block asked for longest ago, which is this one."""
        try:
            made, size = self._connection.recv()
        except (EOFError, OSError) as error:
            message = f"a process that made block {number} ended before it was done"
            raise UnavailableError(message) from error
        assert made == number  # noqa: S101  (blocks are asked for and made in one order)
        buffer = self._buffers[self._turn]
        self._turn = (self._turn + 1) % _BUFFERS
        return buffer[:size]


@contextmanager
def _worker(masters: _Masters, order: PressOrder, *, packed: bool) -> Iterator[_Worker]:
    size = _largest_block(masters, order)
    context = multiprocessing.get_context("spawn")  # a fork would take the event loop and its threads along
    ours, theirs = context.Pipe()
    with ExitStack() as stack:
        stack.enter_context(closing(ours))
        shared = [stack.enter_context(_shared(size)) for _ in range(_BUFFERS)]
        process = context.Process(
            target=_work, args=(theirs, [each.name for each in shared], masters, order, packed), daemon=True
        )
        process.start()
        theirs.close()
        buffers = [_view(each)[:size] for each in shared]
        try:
            yield _Worker(ours, buffers)
        finally:
            ours.close()  # which ends the worker at its next block
            process.join(_PATIENCE_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            for buffer in buffers:
                buffer.release()


@contextmanager
def _shared(size: int) -> Iterator[SharedMemory]:
    memory = SharedMemory(create=True, size=size)
    try:
        yield memory
    finally:
        memory.close()
        memory.unlink()


def _view(memory: SharedMemory) -> memoryview:
    assert memory.buf is not None  # noqa: S101  (it is open)
    return memory.buf


def _largest_block(masters: _Masters, order: PressOrder) -> int:
    """Bytes enough for any block: the last is made of the longest lines. What gzip cannot pack grows by a little."""
    longest = PressFile(_keys(masters, order), order)
    plain = sum(len(piece) for piece in longest.pieces(max(1, order.lines), order.lines))
    return (plain + 1) * BLOCK_LINES + len(HEADER)


def _keys(masters: _Masters, order: PressOrder) -> ItemKeys:
    return ItemKeys(gtin=order.gtin, kid=order.kid, master=masters[0], pin_master=masters[1])


def _work(connection: Connection, names: list[str], masters: _Masters, order: PressOrder, packed: bool) -> None:  # noqa: FBT001
    """What a worker does: make each block that it is asked for, until the parent hangs up."""
    file = PressFile(_keys(masters, order), order)
    with ExitStack() as stack:
        shared = [stack.enter_context(closing(SharedMemory(name=name))) for name in names]
        turn = 0
        while True:
            try:
                number = connection.recv()
            except (EOFError, OSError):
                return
            buffer, size = _view(shared[turn]), 0
            for piece in (file.packed_block(number),) if packed else file.block(number):
                buffer[size : size + len(piece)] = piece
                size += len(piece)
            turn = (turn + 1) % len(shared)
            connection.send((number, size))
