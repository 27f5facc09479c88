"""Lines of JSON (NDJSON) in and out of one request, in step: neither side is ever held in memory as a whole.

Results are written while items are still being read. A client that sends everything before it reads anything must not
be made to wait for itself, so reading never waits for writing: results that the client does not take yet are kept, and
there are no more of them than a batch has items. Items are not read ahead by more than one transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from loyalty.kit.errors import InvalidInputError
from loyalty.web.api.batches_schemas import MOST_ITEMS, BatchAnswer, BatchResult
from loyalty.web.api.batching import ITEM_BYTES_LIMIT, MOST_TOGETHER, BatchRun
from loyalty.web.problems import TooLargeError

NDJSON: Final = "application/x-ndjson"
IDLE_SECONDS: Final = 0.05
"""When a client sends nothing for so long, what it has sent is posted: it may be waiting for the results."""

_encoder: Final = msgspec.json.Encoder()


class _GoneError(Exception):
    """The client closed the connection before it had sent everything."""


class LinesResponse(Response[BatchAnswer]):
    """Answers a batch that comes as lines, with a line for each item, in their order."""

    def __init__(self, run: BatchRun) -> None:
        super().__init__(BatchAnswer(posted=0, replayed=0, refused=0, results=[]), media_type=NDJSON)
        self._run = run

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """What Litestar calls when the handler has returned."""
        return _Lines(self._run)


class _Lines(ASGIResponse):
    def __init__(self, run: BatchRun) -> None:
        super().__init__(media_type=NDJSON)
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  (ASGI's)
        """Post and answer as lines come.

        Raises UnavailableError and InvalidInputError as long as nothing was posted and so nothing is answered. Where
        the client goes away, what was posted stays posted: repeated with its keys, it is answered.
        """
        run, writer = self._run, _Writer(send)
        try:
            async with aclosing(_parts(receive)) as parts:
                async for lines in parts:
                    room = MOST_ITEMS - run.items
                    writer.write(await run.post(lines[:room]))
                    if len(lines) > room:
                        message = f"a batch has at most {MOST_ITEMS} items; what follows was not read"
                        writer.write([run.refuse(TooLargeError(message, field="items"))])
                        break
        except _GoneError:
            return
        except InvalidInputError as error:
            if not run.items:
                raise
            writer.write([run.refuse(error)])
        if not run.items:
            raise InvalidInputError("holds no item", field="body")
        await writer.finish()


async def _parts(receive: Receive) -> AsyncGenerator[list[bytes], None]:
    """The lines of a body as they come, as many as fit a transaction. Raises _GoneError, InvalidInputError."""
    lines: list[bytes] = []
    rest, more = b"", True
    receiving: asyncio.Future[Any] | None = None
    try:
        while more:
            receiving = receiving or asyncio.ensure_future(receive())
            await asyncio.wait([receiving], timeout=IDLE_SECONDS if lines else None)
            if not receiving.done():
                yield lines
                lines = []
                continue
            message, receiving = receiving.result(), None
            if message["type"] == "http.disconnect":
                raise _GoneError
            *whole, rest = (rest + message.get("body", b"")).split(b"\n")
            more = message.get("more_body", False)
            lines += [line for line in whole if line.strip()]
            while len(lines) >= MOST_TOGETHER:
                yield lines[:MOST_TOGETHER]
                lines = lines[MOST_TOGETHER:]
            if len(rest) > ITEM_BYTES_LIMIT:
                break
        if rest.strip() and len(rest) <= ITEM_BYTES_LIMIT:
            lines.append(rest)
        if lines:
            yield lines
        if len(rest) > ITEM_BYTES_LIMIT:
            message = f"a line has more than {ITEM_BYTES_LIMIT} bytes; it and what follows was not read"
            raise InvalidInputError(message, field="body")
    finally:
        if receiving is not None:
            receiving.cancel()


class _Writer:
    """Sends results as fast as the client takes them, from a task of its own that begins with the first."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._finished = False
        self._task: asyncio.Task[None] | None = None

    def write(self, results: Sequence[BatchResult]) -> None:
        self._waiting.append(_encoder.encode_lines(results))
        self._more.set()
        self._task = self._task or asyncio.create_task(self._run())

    async def finish(self) -> None:
        """Return when all has been sent."""
        self._finished = True
        self._more.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        headers = [(b"content-type", NDJSON.encode())]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        while self._waiting or not self._finished:
            if self._waiting:
                body = self._waiting.popleft()
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
            else:
                self._more.clear()
                await self._more.wait()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
