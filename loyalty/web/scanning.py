"""Scans that arrive while others are being committed go out together, as single postings do (see `coalescing`).

A scan in a transaction of its own costs this process five times what it costs among others. Nothing waits for a timer:
on a quiet server a scan goes out alone. A batch that fails has written nothing; its scans then go alone, so that
whoever stands in the way of one (a claim that holds an item's row) delays a batch once, by PATIENCE_MS.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.keys import MasterKeys
from loyalty.items.scans import Answer, Scan, Scanned, scan_many
from loyalty.kit.driver import Session, fetch
from loyalty.kit.errors import UnavailableError
from loyalty.web.coalescing import is_contention, why_away

logger: Final = logging.getLogger("loyalty.web")

MOST_TOGETHER: Final = 64
MOST_WAITING: Final = 2_000
"""Scans beyond these are refused at once with 503."""
LINES: Final = 1
"""How many batches are under way at once. Two make batches half as large, which costs more than it saves."""
PATIENCE_MS: Final = 200
ALONE_AT_ONCE: Final = 2

_PATIENCE: Final = "SELECT set_config('lock_timeout', %s, true)"
_AWAY: Final = "the scan could not be looked up; try again in a moment"


class _Waiting(NamedTuple):
    scan: Scan
    answer: asyncio.Future[Scanned]


class ScanDesk:
    """Judges and logs what is scanned at this process. One for a process; see the module."""

    def __init__(self, engine: AsyncEngine, keys: MasterKeys) -> None:
        self._engine = engine
        self._keys = keys
        self._line: deque[_Waiting] = deque()
        self._moving = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Semaphore(ALONE_AT_ONCE)
        self._closed = False

    async def scan(self, scan: Scan) -> Scanned:
        """Judge a scan, and answer once it is committed. Raises what refuses it, and UnavailableError."""
        if self._closed or len(self._line) >= MOST_WAITING:
            raise UnavailableError(_AWAY)
        answer: asyncio.Future[Scanned] = asyncio.get_running_loop().create_future()
        self._line.append(_Waiting(scan, answer))
        if self._moving < LINES:
            self._moving += 1
            self._start(self._move())
        return await answer

    async def drain(self) -> None:
        """Refuse further scans, and return when all that were taken have been answered."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _move(self) -> None:
        """Send batch after batch until the line is empty."""
        batch: list[_Waiting] = []
        try:
            while batch := self._take():
                try:
                    async with Session(self._engine) as session:
                        while batch:
                            await self._send(session, batch, patient=False)
                            batch = self._take()
                except Exception as error:  # noqa: BLE001  (whatever it is, everybody in the batch is owed an answer)
                    self._fail(batch, error)
        finally:
            self._moving -= 1

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._line and len(batch) < MOST_TOGETHER:
            waiting = self._line.popleft()
            if not waiting.answer.done():  # else its client has gone
                batch.append(waiting)
        return batch

    async def _send(self, session: Session, batch: list[_Waiting], *, patient: bool) -> None:
        if not patient:
            await fetch(session.connection, _PATIENCE, (f"{PATIENCE_MS}ms",))
        answers = await scan_many(session.connection, self._keys, [waiting.scan for waiting in batch])
        await session.commit()
        for waiting, answer in zip(batch, answers, strict=True):
            _tell(waiting, answer)

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        away = why_away(error)
        if away is None and not is_contention(error):
            logger.warning("a batch of %d scans failed, each goes alone", len(batch), exc_info=error)
        for waiting in batch:
            if away is not None:
                _tell(waiting, UnavailableError(_AWAY))
            else:
                self._start(self._send_alone(waiting))

    async def _send_alone(self, waiting: _Waiting) -> None:
        try:
            async with self._alone, Session(self._engine) as session:
                await self._send(session, [waiting], patient=True)
        except Exception as error:  # noqa: BLE001  (as above)
            _tell(waiting, error if why_away(error) is None else UnavailableError(_AWAY))


def _tell(waiting: _Waiting, answer: Answer | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(answer, Scanned):
        waiting.answer.set_result(answer)
    else:
        waiting.answer.set_exception(answer)
