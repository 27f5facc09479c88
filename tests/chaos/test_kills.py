"""kill -9 at any moment: what was acknowledged is there once, nothing is there twice, and a repeated request is
answered as it was at first.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import psycopg
import pytest

from tests.chaos.installation import Installation, installed
from tests.chaos.load import Load

MEMBERS = 24


async def kill_in_rounds(installation: Installation, load: Load, rounds: int) -> None:
    """In turn the application, one backend and the postmaster, each at a random moment of the load."""
    chance = random.Random(rounds)  # noqa: S311  (a repeatable story)
    kills = (installation.kill_application, lambda: installation.kill_backend(chance), installation.kill_postmaster)
    for number in range(rounds):
        await asyncio.sleep(chance.uniform(0.05, 1.5))
        await asyncio.to_thread(kills[number % len(kills)])
        answered = _answered(load)
        await asyncio.to_thread(installation.start)
        await _wait_for_more(load, answered + 4 * load.clients)


def _answered(load: Load) -> int:
    return sum(deed.answer is not None for deed in load.deeds)


async def _wait_for_more(load: Load, count: int) -> None:
    """Everybody is back at work before the next blow falls."""
    deadline = time.monotonic() + 60
    while _answered(load) < count:
        assert time.monotonic() < deadline, "the clients did not come back to work"
        await asyncio.sleep(0.02)


def check_entries(installation: Installation, load: Load) -> None:
    """The keys in the ledger are those of the answered requests, each once."""
    with psycopg.connect(installation.database_url) as connection:
        query = "SELECT idem_key FROM ledger.entry WHERE source = 'chaos' AND idem_key IS NOT NULL AND unit = 'points'"
        found = [key.rpartition(":")[2] for (key,) in connection.execute(query)]
    assert len(found) == len(set(found))
    assert set(found) == {deed.key for deed in load.deeds if deed.answer is not None}


async def live_through(installation: Installation, rounds: int) -> None:
    installation.start()
    async with Load(installation) as load:
        await load.join(MEMBERS)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await kill_in_rounds(installation, load, rounds)
            load.end()
        seconds = time.monotonic() - began
        repeats = await load.check_repeats(most=500)
        await load.check_balances()
        await asyncio.to_thread(check_entries, installation, load)
    said = await asyncio.to_thread(installation.verify)
    print(
        f"{rounds} kills in {seconds:.0f} s: {_answered(load)} requests answered and there once, "
        f"{sum(deed.refused for deed in load.deeds)} refused; {load.repeated} repeated because no answer came, "
        f"{load.unavailable} of them told to; {repeats} repeated afterwards had their first answer. {said}"
    )


def test_what_was_acknowledged_outlives_kill_9(tmp_path: Path) -> None:
    with installed(tmp_path) as installation:
        asyncio.run(live_through(installation, rounds=3))


@pytest.mark.long
def test_what_was_acknowledged_outlives_a_hundred_kills(tmp_path: Path) -> None:
    with installed(tmp_path) as installation:
        asyncio.run(live_through(installation, rounds=100))
