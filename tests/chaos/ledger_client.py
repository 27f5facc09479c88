"""A program that posts to the ledger without pause, and writes down what it asks for and what it is answered.

Run as `python -m tests.chaos.ledger_client HOME JOURNAL`; it ends when its standard input does. What it had asked for
when it was killed, and not heard of, it asks for again, with the same keys, before anything else.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

import msgspec
import psycopg
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.batch import post_many
from ledger.operations import ClawBack, Earn, Spend
from ledger.posting import Posting
from loyalty.kit.db import transaction
from loyalty.kit.errors import DomainError, UnavailableError
from loyalty.runtime import open_engine
from loyalty.settings import Settings

CLIENTS: Final = 16
MEMBERS: Final = 24
PROGRAMME: Final = UUID("00000000-0000-4000-8000-000000000001")
_PAUSE_SECONDS: Final = 0.05

Wanted = Earn | Spend | ClawBack
_KINDS: Final[dict[str, type[Earn | Spend | ClawBack]]] = {kind.kind: kind for kind in (Earn, Spend, ClawBack)}


def member(number: int) -> UUID:
    return uuid5(PROGRAMME, f"member {number}")


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the journal: a request that was begun, or what became of it."""

    key: str
    kind: str = ""
    member_id: UUID | None = None
    amount: int = 0
    answer: Posting | None = None
    refused: str = ""

    @property
    def wanted(self) -> Wanted:
        assert self.member_id is not None
        return _KINDS[self.kind](member_id=self.member_id, key=self.key, amount=self.amount, source="chaos")


class Story(msgspec.Struct):
    """A journal, read: what was asked for, and what came of it, by key."""

    begun: dict[str, Line] = {}
    ended: dict[str, Line] = {}

    @property
    def open(self) -> list[Line]:
        """What was asked for and not heard of."""
        return [line for key, line in self.begun.items() if key not in self.ended]


def read(journal: Path) -> Story:
    """Read a journal; a last line that was cut off was never acknowledged by anybody."""
    story = Story(begun={}, ended={})
    text = journal.read_bytes() if journal.exists() else b""
    for written in text[: text.rfind(b"\n") + 1].splitlines():
        line = msgspec.json.decode(written, type=Line)
        (story.begun if line.kind else story.ended)[line.key] = line
    return story


class Client:
    """The tasks of one process; what they write is in the journal before they go on."""

    def __init__(self, engine: AsyncEngine, journal: Path) -> None:
        self._engine = engine
        self._story = read(journal)
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.ended = False

    async def run(self) -> None:
        open_lines = self._story.open
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._work(open_lines[number::CLIENTS]))

    async def _work(self, first: Sequence[Line]) -> None:
        chance = random.Random()  # noqa: S311  (a load, not a secret)
        for line in first:
            await self._carry_out([line])
        while not self.ended:
            lines = [self._next(chance) for _ in range(chance.choice((1, 1, 1, 12)))]
            self._write(lines)
            await self._carry_out(lines)

    @staticmethod
    def _next(chance: random.Random) -> Line:
        kind = chance.choice(("earn", "earn", "earn", "spend", "spend", "claw_back"))
        whose = member(chance.randrange(MEMBERS))
        return Line(key=uuid4().hex, kind=kind, member_id=whose, amount=chance.randint(1, 20))

    async def _carry_out(self, lines: Sequence[Line]) -> None:
        """Ask until there is an answer, whatever is killed meanwhile."""
        while True:
            try:
                async with transaction(self._engine) as connection:
                    answers = await post_many(
                        connection, programme_id=PROGRAMME, postings=[line.wanted for line in lines]
                    )
            except (OperationalError, PoolTimeoutError, UnavailableError, psycopg.OperationalError):
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._write([_ended(line, answer) for line, answer in zip(lines, answers, strict=True)])
            return

    def _write(self, lines: Sequence[Line]) -> None:
        os.write(self._journal, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def _ended(line: Line, answer: Posting | DomainError) -> Line:
    if isinstance(answer, Posting):
        return Line(key=line.key, answer=answer)
    return Line(key=line.key, refused=answer.type)


async def main(home: Path, journal: Path) -> None:
    async with open_engine(Settings(home=home)) as engine:
        client = Client(engine, journal)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        working: asyncio.Task[Any] = asyncio.create_task(client.run())
        await reader.read()
        client.ended = True
        await working


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
