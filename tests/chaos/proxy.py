"""A proxy before PostgreSQL that understands as much of its protocol as it takes to cut a connection at its COMMIT.

Protocol 3.0, <https://www.postgresql.org/docs/18/protocol.html>: after the start-up packets every message is one byte
of type, four of length, and a body.
"""

from __future__ import annotations

import asyncio
import enum
import re
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

_CHUNK_BYTES: Final = 65_536
_FIRST_VERSION: Final = 3 << 16
_LAST_VERSION: Final = 4 << 16
_WRITES: Final = re.compile(rb"ledger\.\w+\(|\bpost_to_active\(|\b(INSERT|UPDATE|DELETE)\b")


class Cut(enum.Enum):
    """At which moment a connection is cut."""

    BEFORE = "before the server sees the COMMIT"
    AFTER = "after the server has committed, before the client hears of it"
    DURING = "while the COMMIT is on its way"


def _messages(buffer: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Take whole messages out of a buffer: each one's type and body."""
    while len(buffer) > 4:
        length = 1 + struct.unpack_from(">i", buffer, 1)[0]
        if len(buffer) < length:
            return
        yield bytes(buffer[:1]), bytes(buffer[5:length])
        del buffer[:length]


@dataclass
class _Session:
    """What is known of one connection: its prepared statements, and whether its transaction writes."""

    started: bool = False
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    statements: dict[bytes, bytes] = field(default_factory=dict)
    status: bytes = b"I"
    writes: bool = False
    committing: bool = False

    def client_sends(self, data: bytes) -> None:
        """Note what the client asks; `committing` says whether its answer is that of a COMMIT of writes."""
        self.sent += data
        while not self.started and len(self.sent) >= 8:
            length, code = struct.unpack_from(">ii", self.sent)
            if len(self.sent) < length:
                return
            self.started = _FIRST_VERSION <= code < _LAST_VERSION  # before it, the client may ask for encryption
            del self.sent[:length]
        for kind, body in _messages(self.sent) if self.started else ():
            if kind == b"P":
                name, query, _ = body.split(b"\0", 2)
                self.statements[name] = query
                self._asks(query)
            elif kind == b"B":
                self._asks(self.statements.get(body.split(b"\0", 2)[1], b""))
            elif kind == b"Q":
                self._asks(body.rstrip(b"\0"))

    def _asks(self, query: bytes) -> None:
        writes = _WRITES.search(query) is not None
        alone = self.status == b"I" and not query.upper().startswith(b"BEGIN")
        self.writes = self.writes or writes
        self.committing = self.writes and (query.upper().startswith(b"COMMIT") or (alone and writes))

    def server_sends(self, data: bytes) -> None:
        """Note what the server answers; `done` says whether what was being committed is."""
        if self.received or data[:1] not in (b"N", b"S") or len(data) > 1:  # N and S answer a wish for encryption
            self.received += data
        for kind, body in _messages(self.received):
            if kind == b"Z":
                self.status = body

    @property
    def done(self) -> bool:
        return self.committing and self.status == b"I"


class Proxy:
    """Forwards connections, and cuts those that commit writes, as often as it is told to."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._cuts: list[Cut] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def cut(self, *cuts: Cut) -> None:
        """Cut the next commits, one after the other, at these moments."""
        self._cuts += cuts

    @property
    def all_cut(self) -> bool:
        """Whether every cut that was asked for has been made."""
        return not self._cuts

    async def open(self) -> None:
        """Let clients in, by the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut everybody off and let nobody in: the database is away."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError):
            behind_reader, behind = await asyncio.open_unix_connection(self._socket)
            session = _Session()
            self._writers |= {writer, behind}
            await asyncio.gather(
                self._to_server(session, reader, behind, writer),
                self._to_client(session, behind_reader, writer, behind),
            )
            self._writers -= {writer, behind}
        writer.close()

    async def _to_server(
        self,
        session: _Session,
        reader: asyncio.StreamReader,
        behind: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                session.client_sends(data)
                cut = self._cuts[0] if session.committing and self._cuts else None
                if cut is Cut.BEFORE:
                    self._cuts.pop(0)
                    writer.transport.abort()
                    break
                session.status = b"" if session.committing else session.status
                behind.write(data)
                await behind.drain()
                if cut is Cut.DURING:
                    self._cuts.pop(0)
                    writer.transport.abort()
                    break
        behind.transport.abort() if writer.transport.is_closing() else behind.close()

    async def _to_client(
        self,
        session: _Session,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        behind: asyncio.StreamWriter,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                session.server_sends(data)
                if session.done:
                    if self._cuts and self._cuts[0] is Cut.AFTER:
                        self._cuts.pop(0)
                        writer.transport.abort()
                        break
                    session.writes = session.committing = False
                writer.write(data)
                await writer.drain()
        behind.transport.abort()
        writer.close()


@asynccontextmanager
async def proxy_before(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before the server of an address that names a socket's folder, and the address that leads through it."""
    address = make_url(url)
    folder = address.query["host"]
    assert isinstance(folder, str)
    proxy = Proxy(Path(folder) / f".s.PGSQL.{address.port}")
    await proxy.open()
    through = address.set(host="127.0.0.1", port=proxy.port, query={})
    try:
        yield proxy, through.render_as_string(hide_password=False)
    finally:
        await proxy.close()
