"""kill -9 of a program that posts by itself, one by one and in batches, of its backends, and of the postmaster."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import psycopg
import pytest
from sqlalchemy import text

from ledger import audit, reading
from ledger.batch import post_many
from ledger.posting import Posting
from ledger.units import Unit, define_unit
from loyalty.kit.db import transaction
from loyalty.kit.embedded import EmbeddedPostgres
from loyalty.runtime import open_engine
from loyalty.settings import Settings
from tests.chaos.installation import wait_until
from tests.chaos.ledger_client import MEMBERS, PROGRAMME, Story, member, read

ROOT: Final = Path(__file__).parents[2]
SIGN: Final = {"earn": 1, "spend": -1, "claw_back": -1}
KEYS: Final = text("SELECT idem_key FROM ledger.entry WHERE member_id = :member AND idem_key IS NOT NULL")


class Program:
    """The program, started again each time it is killed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.journal = home / "journal"
        self._process: subprocess.Popen[bytes] | None = None
        self._read = self._acknowledged = 0

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.chaos.ledger_client", str(self.home), str(self.journal)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self.start()

    def end(self) -> None:
        """Let it finish what it has begun."""
        assert self._process is not None
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        if (self.home / "postgres").exists():
            EmbeddedPostgres(self.home).stop()

    def works_again(self, acknowledged: int) -> bool:
        """Whether so many are acknowledged by now; it is started again where it gave up because its database died."""
        assert self._process is not None
        if self._process.poll() is not None:
            self.start()
        return self.acknowledged() > acknowledged

    def acknowledged(self) -> int:
        """How many postings have been acknowledged so far."""
        if self.journal.exists():
            with self.journal.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
            self._read += len(fresh)
            self._acknowledged += fresh.count(b'"answer"')
        return self._acknowledged


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)

    async def prepare() -> None:
        async with open_engine(Settings(home=tmp_path)) as engine, transaction(engine) as connection:
            await define_unit(connection, Unit(programme_id=PROGRAMME))

    asyncio.run(prepare())
    yield made
    made.stop()


def kill_backend(home: Path, chance: random.Random) -> None:
    with psycopg.connect(EmbeddedPostgres(home).status().url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    if rows:
        os.kill(chance.choice(rows)[0], signal.SIGKILL)


def kill_postmaster(home: Path) -> None:
    pid = EmbeddedPostgres(home).status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def live_through(program: Program, rounds: int) -> None:
    chance = random.Random(rounds)  # noqa: S311  (a repeatable story)
    program.start()
    wait_until(lambda: program.acknowledged() > 100, "the program works")
    began = time.monotonic()
    kills = (program.kill, lambda: kill_backend(program.home, chance), lambda: kill_postmaster(program.home))
    for number in range(rounds):
        time.sleep(chance.uniform(0.05, 1.0))
        kills[number % len(kills)]()
        acknowledged = program.acknowledged()
        wait_until(lambda before=acknowledged: program.works_again(before + 100), "the program works again")
    program.end()
    story = read(program.journal)
    assert story.open == []
    repeats = asyncio.run(check(program.home, story))
    refused = sum(bool(line.refused) for line in story.ended.values())
    replayed = sum(line.answer is not None and line.answer.replayed for line in story.ended.values())
    print(
        f"{rounds} kills in {time.monotonic() - began:.0f} s: {len(story.ended) - refused} postings acknowledged and "
        f"there once, {refused} refused; {replayed} had been made, and were answered only when asked for again; "
        f"{repeats} repeated afterwards had their first answer."
    )


def test_what_a_program_was_acknowledged_outlives_kill_9(program: Program) -> None:
    live_through(program, rounds=3)


@pytest.mark.long
def test_what_a_program_was_acknowledged_outlives_a_hundred_kills(program: Program) -> None:
    live_through(program, rounds=100)


async def check(home: Path, story: Story) -> int:
    """Each acknowledged posting is there once, nothing else is, the books balance, and repeats are answered alike."""
    acknowledged = {key: line.answer for key, line in story.ended.items() if line.answer is not None}
    async with open_engine(Settings(home=home)) as engine:
        async with transaction(engine) as connection:
            for number in range(MEMBERS):
                keys = list((await connection.execute(KEYS, {"member": member(number)})).scalars())
                own = {key for key in acknowledged if story.begun[key].member_id == member(number)}
                assert len(keys) == len(set(keys))
                assert set(keys) == own
                balance = await reading.balance(connection, member_id=member(number))
                assert balance.spendable - balance.debt == sum(
                    SIGN[story.begun[key].kind] * story.begun[key].amount for key in own
                )
            assert (await audit.verify(connection)).findings == []
        again = list(acknowledged)[-2000:]
        async with transaction(engine) as connection:
            postings = [story.begun[key].wanted for key in again]
            answers = await post_many(connection, programme_id=PROGRAMME, postings=postings)
    for key, answer in zip(again, answers, strict=True):
        first = acknowledged[key]
        assert isinstance(answer, Posting)
        assert answer.replayed
        assert answer == msgspec.structs.replace(first, replayed=True)
    return len(again)
