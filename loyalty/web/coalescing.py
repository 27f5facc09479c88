"""Single postings that arrive while others are being committed go out together.

One posting in a transaction of its own costs this process ten times what it costs among others, and the server a flush
of its log. So each posting joins a line; whoever finds the line idle sets it going at once, and what queues up while a
batch is under way is the next batch. Nothing waits for a timer: on a quiet server a posting goes out alone, on a busy
one the batch is as large as the load makes it.

Every request gets its own answer. A batch that fails before its COMMIT has posted nothing. If the database is away,
everybody in it is told so (503). Otherwise - a member whom somebody else has locked, an error of our own - each
member's requests go out apart from the others', on a line of their own for as long as they last; so whoever stands in
the way delays a batch once, by BATCH_PATIENCE_MS, and after that only requests of the same member. A COMMIT whose
outcome is not known is answered 503 as well: repeated with its key, a posting is answered by what is in the ledger.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import psycopg
import psycopg.errors
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.posting import Posting
from loyalty.campaigns.requests import Request, Result, post_requests
from loyalty.kit.driver import Session
from loyalty.kit.errors import UnavailableError

T = TypeVar("T")

logger: Final = logging.getLogger("loyalty.web")

LINES: Final = 1
"""How many batches are under way at once, of different members. Two make batches half as large, and cost more CPU
than the time that they overlap is worth."""
MOST_TOGETHER: Final = 500
MOST_WAITING: Final = 2_000
"""Requests beyond these are refused at once with 503: they could only wait longer than their clients do."""
BATCH_PATIENCE_MS: Final = 200
"""How long a batch waits for a member whom somebody else has locked, before its members go apart."""
BULK_AT_ONCE: Final = 2
"""How many transactions of whole batches (`post_all`) are under way at once; single requests have their own lines."""
LONGEST_SECONDS: Final = 30
"""How long a request waits for its answer. It may be posted still; its key, repeated, says."""
LOOK_SECONDS: Final = 1
MOST_AT_ONCE: Final = 200
"""How many requests of a batch that failed stand in line at once, so that they do not take all of its room."""
APART_AT_ONCE: Final = 2
"""How many members' requests may try apart, and how many of those that still wait for a lock, at the same time."""

_AWAY: Final = "the database does not answer; repeat the request with the same idempotency key"
_FULL: Final = "too many requests are waiting already; repeat this one in a moment with the same idempotency key"
_STOPPED: Final = "the server is being stopped; repeat the request in a moment with the same idempotency key"
_SENTENCES: Final[dict[type[psycopg.Error], str]] = {
    psycopg.errors.QueryCanceled: "the request took too long and was given up; repeat it with the same idempotency key",
    psycopg.errors.DiskFull: "the database's disk is full and takes no writes until it has room; then repeat the "
    "request with the same idempotency key",
}
_UNKNOWN: Final = (
    "the database was lost while it confirmed; repeat the request with the same idempotency key to learn what happened"
)


class _Asked(NamedTuple):
    """A request, and the only programme that it may be about."""

    programme_id: UUID
    request: Request


class _Waiting(NamedTuple):
    """A request in a line, and where its answer goes."""

    asked: _Asked
    answer: asyncio.Future[Posting]

    @property
    def member_id(self) -> UUID:
        """Whom it is about."""
        return self.asked.request.member_id


class _UnknownOutcomeError(Exception):
    """The COMMIT failed, or its answer was lost."""


_CONTENTION: Final = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
_AWAY_STATES: Final = ("08", "53", "57", "58")
"""SQLSTATE classes of a server that cannot answer: connection, resources, operator intervention, system."""


class Coalescer:
    """Posts what is asked for over HTTP, many requests in one transaction. One for a process; see the module."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._lines: list[deque[_Waiting]] = [deque() for _ in range(LINES)]
        self._moving: set[int] = set()
        self._apart: dict[UUID, deque[_Waiting]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._limited: list[tuple[float, asyncio.Future[Posting]]] = []
        self._waiting = 0
        self._closed = False
        self._in_bulk = asyncio.Semaphore(BULK_AT_ONCE)
        self._trying = asyncio.Semaphore(APART_AT_ONCE)
        self._patient = asyncio.Semaphore(APART_AT_ONCE)

    async def post(self, programme_id: UUID, request: Request) -> Posting:
        """Post and answer once it is committed. Raises what refuses it, and UnavailableError (see the module).

        If the caller is cancelled, what is under way is not.
        """
        if self._closed or self._waiting >= MOST_WAITING:
            raise UnavailableError(_STOPPED if self._closed else _FULL)
        answer: asyncio.Future[Posting] = asyncio.get_running_loop().create_future()
        self._waiting += 1
        self._limit(answer)
        try:
            self._join(_Waiting(_Asked(programme_id, request), answer))
            return await answer
        finally:
            self._waiting -= 1

    async def post_all(self, programme_id: UUID, requests: Sequence[Request]) -> Sequence[Posting | Exception]:
        """Post many requests of one caller in a transaction of their own, and answer each when it is committed.

        If that is not possible, they go out as single requests do. Where the database is away, or what became of the
        COMMIT is not known, all are answered UnavailableError.
        """
        if self._closed:
            return [UnavailableError(_STOPPED) for _ in requests]
        # Whoever asked may be gone before it is done; `drain` is not.
        return await asyncio.shield(self._start(self._post_all(programme_id, requests)))

    async def _post_all(self, programme_id: UUID, requests: Sequence[Request]) -> Sequence[Posting | Exception]:
        batch = [_Asked(programme_id, request) for request in requests]
        try:
            async with self._in_bulk, Session(self._engine) as session:
                return await self._commit(session, batch, patience_ms=BATCH_PATIENCE_MS)
        except Exception as error:  # noqa: BLE001  (whatever it is, everybody in the batch is owed an answer)
            away = why_away(error)
            if away is not None:
                return [UnavailableError(away) for _ in requests]
            self._report(batch, error)
        answers: list[Posting | BaseException] = []
        for first in range(0, len(requests), MOST_AT_ONCE):
            together = requests[first : first + MOST_AT_ONCE]
            answers += await asyncio.gather(
                *(self.post(programme_id, request) for request in together), return_exceptions=True
            )
        return [answer if isinstance(answer, Posting | Exception) else UnavailableError(_STOPPED) for answer in answers]

    async def drain(self) -> None:
        """Refuse further requests, and return when all that were taken have been answered."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _limit(self, answer: asyncio.Future[Posting]) -> None:
        """Give the answer up after LONGEST_SECONDS. One timer for all: one each costs more than standing in line."""
        loop = answer.get_loop()
        if not self._limited:
            loop.call_later(LOOK_SECONDS, self._give_up, loop)
        self._limited.append((loop.time() + LONGEST_SECONDS, answer))

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse those whose time is over."""
        now = loop.time()
        waiting = [(until, answer) for until, answer in self._limited if not answer.done()]
        self._limited = [(until, answer) for until, answer in waiting if until > now]
        for until, answer in waiting:
            if until <= now:
                answer.set_exception(UnavailableError(_SENTENCES[psycopg.errors.QueryCanceled]))
        if self._limited:
            loop.call_later(LOOK_SECONDS, self._give_up, loop)

    def _join(self, waiting: _Waiting) -> None:
        member_id = waiting.member_id
        apart = self._apart.get(member_id)
        if apart is not None:
            apart.append(waiting)  # behind the member's requests that are under way there
            return
        number = member_id.int % LINES
        self._lines[number].append(waiting)
        if number not in self._moving:
            self._moving.add(number)
            self._start(self._move(number))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _move(self, number: int) -> None:
        """Send batch after batch until the line is empty."""
        line = self._lines[number]
        try:
            while batch := _take(line):
                try:
                    async with Session(self._engine) as session:
                        while batch:
                            results = await self._commit(
                                session, [waiting.asked for waiting in batch], patience_ms=BATCH_PATIENCE_MS
                            )
                            _tell(batch, results)
                            batch = _take(line)
                except Exception as error:  # noqa: BLE001  (whatever it is, everybody in the batch is owed an answer)
                    self._fail(batch, error)
        finally:
            self._moving.discard(number)

    def _fail(self, batch: Sequence[_Waiting], error: Exception) -> None:
        """Tell everybody in a batch that the database is away, or have its members go apart."""
        away = why_away(error)
        if away is None:
            self._report(batch, error)
        for waiting in batch:
            if away is not None:
                _refuse(waiting, UnavailableError(away))
            else:
                self._part(waiting)

    def _report(self, batch: Sequence[object], error: Exception) -> None:
        if not is_contention(error):
            logger.warning("a batch of %d postings failed, each goes alone", len(batch), exc_info=error)

    def _part(self, waiting: _Waiting) -> None:
        """Put a request on its member's own line."""
        member_id = waiting.member_id
        apart = self._apart.get(member_id)
        if apart is None:
            self._apart[member_id] = deque([waiting])
            self._start(self._move_apart(member_id))
        else:
            apart.append(waiting)

    async def _move_apart(self, member_id: UUID) -> None:
        """Send one member's requests until there are none left, each in a transaction of its own."""
        line = self._apart[member_id]
        try:
            while line:
                await self._send_apart(line.popleft())
        finally:
            del self._apart[member_id]

    async def _send_apart(self, waiting: _Waiting) -> None:
        if waiting.answer.done():
            return
        try:
            async with self._trying:
                await self._send_alone(waiting, patience_ms=BATCH_PATIENCE_MS)
        except Exception as error:  # noqa: BLE001  (as above)
            if not is_contention(error):
                _refuse(waiting, _told(error))
                return
        else:
            return
        try:
            async with self._patient:
                await self._send_alone(waiting, patience_ms=None)
        except Exception as error:  # noqa: BLE001  (as above)
            _refuse(waiting, _told(error))

    async def _send_alone(self, waiting: _Waiting, *, patience_ms: int | None) -> None:
        async with Session(self._engine) as session:
            _tell([waiting], await self._commit(session, [waiting.asked], patience_ms=patience_ms))

    async def _commit(self, session: Session, batch: Sequence[_Asked], *, patience_ms: int | None) -> list[Result]:
        """One transaction: each programme's requests, those of each member in their order."""
        programmes: dict[UUID, list[int]] = {}
        for place, asked in enumerate(batch):
            programmes.setdefault(asked.programme_id, []).append(place)
        results: dict[int, Result] = {}
        for programme_id in sorted(programmes):  # in one order, as members are, so that batches cannot deadlock
            places = programmes[programme_id]
            posted = await post_requests(
                session.connection,
                programme_id=programme_id,
                requests=[batch[place].request for place in places],
                lock_patience_ms=patience_ms,
            )
            results |= dict(zip(places, posted, strict=True))
        try:
            await session.commit()
        except Exception as error:
            raise _UnknownOutcomeError from error
        return [results[place] for place in range(len(batch))]


def _take(line: deque[_Waiting]) -> list[_Waiting]:
    """The next batch, without those whose clients have gone."""
    batch: list[_Waiting] = []
    while line and len(batch) < MOST_TOGETHER:
        waiting = line.popleft()
        if not waiting.answer.done():
            batch.append(waiting)
    return batch


def _tell(batch: Sequence[_Waiting], results: Sequence[Result]) -> None:
    for waiting, result in zip(batch, results, strict=True):
        if waiting.answer.done():
            continue  # its client has gone; repeated, it is answered by the ledger
        if isinstance(result, Posting):
            waiting.answer.set_result(result)
        else:
            waiting.answer.set_exception(result)


def _refuse(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


def _told(error: Exception) -> Exception:
    away = why_away(error)
    return error if away is None else UnavailableError(away)


def _cause(error: BaseException | None) -> BaseException | None:
    """What the database said, behind the errors that it was wrapped in."""
    while error is not None and not isinstance(error, psycopg.Error):
        error = error.orig if isinstance(error, DBAPIError) else error.__cause__
    return error


def is_contention(error: Exception) -> bool:
    """Whether somebody else stood in the way, who may be gone at the next try."""
    return isinstance(_cause(error), _CONTENTION)


def why_away(error: Exception) -> str | None:
    """Why nobody could be answered at the moment; None where the error is about what was asked, or contention."""
    if isinstance(error, _UnknownOutcomeError):
        return _UNKNOWN
    if isinstance(error, PoolTimeoutError):
        return "all database connections are busy; repeat the request in a moment"
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error):
        return None
    for kind, sentence in _SENTENCES.items():
        if isinstance(cause, kind):
            return sentence
    lost = cause.sqlstate is None and isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    return _AWAY if lost or (cause.sqlstate or "").startswith(_AWAY_STATES) else None
