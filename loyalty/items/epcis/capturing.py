"""Capturing documents: received at once, checked and kept by a worker, all or nothing or as much as is right.

A document is cut into parts of some hundred events while it arrives. Its job goes from part to part, so that memory
does not grow with the document. With `rollback` all parts are one transaction: one event that is wrong, and none is
kept, yet all faults are told. With `proceed` each part is a transaction, and the next to do is written with it; a job
that was killed goes on there.

Two captures of the same events wait for each other. So that neither waits for one that waits for it, all lock in one
order: the turn of their programme (whoever writes one part in a transaction shares it, whoever writes several has it
alone), then events by their keys, then values. Single events lock one key only, and need no turn.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import IO, Any, Final, Literal
from uuid import UUID

import msgspec
from psycopg.errors import DeadlockDetected
from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.items.epcis.checking import check_event
from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.documents import DocumentReader, check_envelope
from loyalty.items.epcis.faults import EventExistsError, Fault, InvalidEventError
from loyalty.items.epcis.storing import KnownValue, NewEvent, keep_values, prepare, store_events
from loyalty.items.epcis.tables import (
    epcis_capture_part_table,
    epcis_capture_progress_table,
    epcis_capture_table,
)
from loyalty.items.keys import MasterKeys
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.errors import DomainError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.queue import defer

logger = logging.getLogger(__name__)
ErrorBehaviour = Literal["rollback", "proceed"]

CAPTURE_TASK: Final = "capture_epcis"
"""The task that works on a capture; its argument is the capture's id."""
MOST_ERRORS: Final = 100
"""Events that are told of as wrong, of one document."""
PART_EVENTS: Final = 200
PART_BYTES: Final = 500_000
_MEMORY_BYTES: Final = 1_000_000
_CHUNK_BYTES: Final = 65_536
_STALE: Final = timedelta(minutes=1)
_TRIES: Final = 5
_TURN: Final = "SELECT {lock}(hashtextextended('epcis-capture/' || CAST(:programme AS text), 0))"
_ALONE: Final = text(_TURN.format(lock="pg_advisory_xact_lock"))
_SHARED: Final = text(_TURN.format(lock="pg_advisory_xact_lock_shared"))


class CaptureLimitError(DomainError):
    """A document with more events, or more bytes, than this server takes at once."""

    status = 413
    type = "epcis-capture-limit"
    title = "The document is larger than is captured at once"


class EventError(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a document that was not captured, counted from 0, and why."""

    event: int
    kind: Literal["invalid", "exists"]
    faults: list[Fault]


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a document so far. `captured` are the events that are kept, those that were there among them."""

    id: UUID
    created_at: datetime
    finished_at: datetime | None
    error_behaviour: ErrorBehaviour
    event_count: int
    processed: int
    captured: int
    failed: int
    errors: list[EventError]

    @property
    def running(self) -> bool:
        """Whether it is still worked on, or waits for that."""
        return self.finished_at is None

    @property
    def success(self) -> bool:
        """Whether nothing was wrong so far."""
        return self.failed == 0


class ReceivedDocument:
    """A document that has arrived: its envelope, and its events in parts, kept outside memory when they are many."""

    def __init__(self) -> None:
        self.envelope = b""
        self.event_count = 0
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
        self._parts: list[tuple[int, int]] = []
        self._events: list[bytes] = []
        self._size = 0

    def add(self, event: bytes) -> None:
        """Take one more event."""
        self._events.append(event)
        self._size += len(event)
        self.event_count += 1
        if len(self._events) >= PART_EVENTS or self._size >= PART_BYTES:
            self.close_part()

    def close_part(self) -> None:
        """End the part that is being filled."""
        if self._events:
            content = b"[" + b",".join(self._events) + b"]"
            self._file.write(content)
            self._parts.append((self.event_count - len(self._events), len(content)))
            self._events, self._size = [], 0

    @property
    def part_count(self) -> int:
        """How many parts there are."""
        return len(self._parts)

    def close(self) -> None:
        """Let go of the events."""
        self._file.close()

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Each part: the number of its first event, and its events as a JSON array."""
        self._file.seek(0)
        for first_event, size in self._parts:
            yield first_event, self._file.read(size)


async def receive_document(chunks: AsyncIterator[bytes], *, most_events: int, most_bytes: int) -> ReceivedDocument:
    """Read a document as it arrives. That each event is JSON is checked here, what it says when it is captured.

    Who asked for it closes it. Raises InvalidEventError where it is not a document, CaptureLimitError where it is too
    large.
    """
    document = ReceivedDocument()
    try:
        await _receive(document, chunks, most_events=most_events, most_bytes=most_bytes)
    except BaseException:
        document.close()
        raise
    return document


async def _receive(
    document: ReceivedDocument, chunks: AsyncIterator[bytes], *, most_events: int, most_bytes: int
) -> None:
    reader = DocumentReader()
    async for chunk in _gathered(chunks, most_bytes=most_bytes):
        for event in reader.feed(chunk):
            if document.event_count >= most_events:
                raise CaptureLimitError(f"at most {most_events} events are captured at once", field=reader.list_path)
            _check_json(event, f"{reader.list_path}[{document.event_count}]")
            document.add(event)
    document.close_part()
    document.envelope = reader.finish()
    head = check_envelope(document.envelope)
    if head.list_path != reader.list_path:
        raise InvalidEventError([Fault(head.list_path, "is required")])


async def _gathered(chunks: AsyncIterator[bytes], *, most_bytes: int) -> AsyncIterator[bytes]:
    """The same bytes in larger chunks: a string that is not at its end yet is looked at again with each."""
    gathered, size = bytearray(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most_bytes:
            raise CaptureLimitError(f"at most {most_bytes} bytes are captured at once", field="$")
        gathered += chunk
        if len(gathered) >= _CHUNK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


def _check_json(event: bytes, path: str) -> None:
    try:
        msgspec.json.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError([Fault(path, f"is not JSON: {error}")]) from error
    except RecursionError as error:
        raise InvalidEventError([Fault(path, "is nested too deeply")]) from error


async def begin_capture(
    connection: AsyncConnection,
    document: ReceivedDocument,
    *,
    programme_id: UUID,
    error_behaviour: ErrorBehaviour = "rollback",
    actor: str | None = None,
) -> UUID:
    """Keep a received document until a worker captures it, and put that into the queue. Answers the capture's id."""
    identifier = new_id()
    for number, (first_event, events) in enumerate(document.parts()):
        part = {"capture_id": identifier, "number": number, "first_event": first_event, "events": events}
        await connection.execute(insert(epcis_capture_part_table).values(part))
    values = {
        "id": identifier,
        "programme_id": programme_id,
        "error_behaviour": error_behaviour,
        "event_count": document.event_count,
        "part_count": document.part_count,
        "envelope": msgspec.json.decode(document.envelope),
        "actor": actor,
    }
    await connection.execute(insert(epcis_capture_table).values(values))
    await connection.execute(insert(epcis_capture_progress_table).values(capture_id=identifier))
    await defer(connection, CAPTURE_TASK, capture_id=identifier)
    return identifier


async def capture_event(
    connection: AsyncConnection,
    raw: bytes,
    *,
    programme_id: UUID,
    item_keys: MasterKeys | None = None,
    actor: str | None = None,
) -> NewEvent:
    """Check and keep one event that brings its own context.

    An event without an eventID that was captured before is answered as it was then. Raises InvalidEventError, and
    EventExistsError where its eventID is taken.
    """
    nothing = Context()
    event = prepare(raw, check_event(raw, nothing, alone=True), nothing, programme_id=programme_id)
    (outcome,) = await store_events(
        connection, [event], programme_id=programme_id, record_time=utc_now(), item_keys=item_keys, actor=actor
    )
    if outcome == "other" or (outcome == "same" and event.id_was_given and not event.is_declaration):
        raise EventExistsError(_taken(event), field="$.eventID")
    return event


def _taken(event: NewEvent) -> str:
    if event.is_declaration:
        return f"{event.event_id} is there and says something else; an error declaration repeats its event as it was"
    return f"{event.event_id} was captured before"


async def get_capture(connection: AsyncConnection, *, programme_id: UUID, capture_id: UUID) -> Capture:
    """What became of a document. Raises NotFoundError."""
    query = _captures(programme_id).where(epcis_capture_table.c.id == capture_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFoundError("there is no such capture job", field="captureID")
    return _capture(row)


async def list_captures(
    connection: AsyncConnection, *, programme_id: UUID, before: UUID | None = None, limit: int = 30
) -> list[Capture]:
    """A programme's documents, newest first, those before `before`."""
    query = _captures(programme_id).order_by(epcis_capture_table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(epcis_capture_table.c.id < before)
    return [_capture(row) for row in await connection.execute(query)]


def _captures(programme_id: UUID) -> Any:
    capture, progress = epcis_capture_table.c, epcis_capture_progress_table.c
    columns = (capture.id, capture.created_at, capture.finished_at, capture.error_behaviour, capture.event_count)
    return (
        select(*columns, progress.processed, progress.captured, progress.failed, progress.errors)
        .join(epcis_capture_progress_table, progress.capture_id == capture.id)
        .where(capture.programme_id == programme_id)
    )


def _capture(row: Row[Any]) -> Capture:
    fields = {name: getattr(row, name) for name in Capture.__struct_fields__}
    return Capture(**fields | {"errors": msgspec.convert(row.errors, list[EventError])})


async def unfinished_captures(engine: AsyncEngine) -> list[UUID]:
    """Captures that wait for longer than a minute: their job was lost with its worker, or is at work on them."""
    capture = epcis_capture_table.c
    query = select(capture.id).where(capture.finished_at.is_(None), capture.created_at < utc_now() - _STALE)
    async with transaction(engine) as connection:
        return [row.id for row in await connection.execute(query.order_by(capture.created_at).limit(100))]


async def work_on_capture(engine: AsyncEngine, capture_id: UUID, *, item_keys: MasterKeys) -> bool:
    """Capture a received document; may be repeated and run twice at once. Whether there was anything to do.

    What the database gives up so that others may go on is done again.
    """
    for _ in range(_TRIES):
        try:
            return await _work_through(engine, capture_id, item_keys)
        except OperationalError as error:
            if not isinstance(error.orig, DeadlockDetected):
                raise
            logger.warning("the capture of document %s is done again: %s", capture_id, error.orig)
    return await _work_through(engine, capture_id, item_keys)


async def _work_through(engine: AsyncEngine, capture_id: UUID, item_keys: MasterKeys) -> bool:
    work = _Work(engine, capture_id, item_keys)
    try:
        async with transaction(engine) as connection:
            row = await _lock(connection, capture_id)
            if row is None:
                return False
            if row.error_behaviour == "rollback":
                await work.all_or_nothing(connection, row)
                return True
    except _UndoneError:
        await work.give_up()
        return True
    while await work.one_part():
        pass
    return True


class _UndoneError(Exception):
    """Something is wrong with a document that is captured whole or not at all."""


async def _lock(connection: AsyncConnection, capture_id: UUID) -> Row[Any] | None:
    """The capture, held until the transaction ends; None where it is finished, or somebody else is at work on it."""
    capture = epcis_capture_table.c
    query = select(epcis_capture_table).where(capture.id == capture_id, capture.finished_at.is_(None))
    return (await connection.execute(query.with_for_update(skip_locked=True))).first()


class _Work:
    """The work on one capture: counts and faults so far."""

    def __init__(self, engine: AsyncEngine, capture_id: UUID, item_keys: MasterKeys) -> None:
        self._engine = engine
        self._id = capture_id
        self._item_keys = item_keys
        self.processed = self.captured = self.failed = 0
        self.errors: list[EventError] = []
        self._known: set[KnownValue] = set()

    async def all_or_nothing(self, connection: AsyncConnection, row: Row[Any]) -> None:
        """All parts in this transaction. Once an event is wrong nothing more is written, but all is checked.

        Raises _UndoneError at the end where something was wrong.
        """
        alone = row.part_count > 1
        await connection.execute(_ALONE if alone else _SHARED, {"programme": row.programme_id})
        for number in range(row.part_count):
            await self._part(connection, row, number, write=not self.failed)
            async with transaction(self._engine) as aside:
                await self._tell(aside)
        if self.failed:
            raise _UndoneError
        await keep_values(connection, self._known, programme_id=row.programme_id)
        await self._finish(connection)

    async def give_up(self) -> None:
        """End a capture of which nothing is kept."""
        async with transaction(self._engine) as connection:
            if await _lock(connection, self._id) is not None:
                self.captured = 0
                await self._tell(connection)
                await self._finish(connection)

    async def one_part(self) -> bool:
        """The next part in a transaction of its own; whether there may be more."""
        async with transaction(self._engine) as connection:
            row = await _lock(connection, self._id)
            if row is None:
                return False
            await self._resume(connection)
            if row.next_part < row.part_count:
                await connection.execute(_SHARED, {"programme": row.programme_id})
                await self._part(connection, row, row.next_part, write=True)
                await keep_values(connection, self._known, programme_id=row.programme_id)
                self._known.clear()
                done = update(epcis_capture_table).where(epcis_capture_table.c.id == self._id)
                await connection.execute(done.values(next_part=row.next_part + 1))
                await self._tell(connection)
            if row.next_part + 1 >= row.part_count:
                await self._finish(connection)
        return True

    async def _part(self, connection: AsyncConnection, row: Row[Any], number: int, *, write: bool) -> None:
        """Check the events of a part, and keep those that are right where they are to be written."""
        part = epcis_capture_part_table.c
        query = select(part.first_event, part.events).where(part.capture_id == self._id, part.number == number)
        first_event, content = (await connection.execute(query)).one()
        head = check_envelope(msgspec.json.encode(row.envelope))
        events: list[tuple[int, NewEvent]] = []
        given = msgspec.json.decode(content, type=list[msgspec.Raw])
        for at, raw in enumerate(map(bytes, given), start=first_event):
            try:
                checked = check_event(raw, head.context, path=f"{head.list_path}[{at}]")
            except InvalidEventError as error:
                self._fault(EventError(event=at, kind="invalid", faults=error.faults))
            else:
                events.append((at, prepare(raw, checked, head.context, programme_id=row.programme_id)))
        self.processed = first_event + len(given)
        if not write:
            return
        outcomes = await store_events(
            connection,
            [event for _, event in events],
            programme_id=row.programme_id,
            record_time=utc_now(),
            item_keys=self._item_keys,
            capture_id=row.id,
            actor=row.actor,
            known=self._known,
        )
        for (at, event), outcome in zip(events, outcomes, strict=True):
            if outcome == "other":
                fault = Fault(f"{head.list_path}[{at}].eventID", _taken(event))
                self._fault(EventError(event=at, kind="exists", faults=[fault]))
            else:
                self.captured += 1

    def _fault(self, error: EventError) -> None:
        self.failed += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(error)

    async def _resume(self, connection: AsyncConnection) -> None:
        """Count on from what was told last."""
        progress = epcis_capture_progress_table
        row = (await connection.execute(select(progress).where(progress.c.capture_id == self._id))).one()
        self.processed, self.captured, self.failed = row.processed, row.captured, row.failed
        self.errors = msgspec.convert(row.errors, list[EventError])

    async def _tell(self, connection: AsyncConnection) -> None:
        values = {
            "processed": self.processed,
            "captured": self.captured,
            "failed": self.failed,
            "errors": self.errors,
        }
        progress = epcis_capture_progress_table
        await connection.execute(update(progress).where(progress.c.capture_id == self._id).values(values))

    async def _finish(self, connection: AsyncConnection) -> None:
        """Close the capture in this transaction, and let go of what was received."""
        await connection.execute(
            update(epcis_capture_table).where(epcis_capture_table.c.id == self._id).values(finished_at=utc_now())
        )
        await connection.execute(
            text("DELETE FROM epcis_capture_part WHERE capture_id = :capture"), {"capture": self._id}
        )
