"""The bank test: while many move points among members, every snapshot adds up, and nobody is below zero in any."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import text

from ledger.errors import InsufficientBalanceError
from loyalty.kit.errors import UnavailableError
from tests.db.ledger.racing import CLIENTS, Race, race_on

MEMBERS: Final = 50
POINTS: Final = 100
READERS: Final = 3

SNAPSHOT: Final = text("""
    SELECT sum(posted)::bigint AS points, min(posted) AS least,
        (SELECT sum(remaining)::bigint FROM ledger.lot WHERE member_id = ANY (:members)) AS in_lots,
        (SELECT sum(amount * ((credit = 'member')::int - (debit = 'member')::int))::bigint
         FROM ledger.entry WHERE member_id = ANY (:members)) AS in_entries,
        (SELECT sum(amount * ((credit = 'transfer')::int - (debit = 'transfer')::int))::bigint
         FROM ledger.entry WHERE member_id = ANY (:members)) AS on_the_way
    FROM ledger.account WHERE member_id = ANY (:members)
""")
"""What members have by their accounts' rows, by their lots and by their entries; and what left and did not arrive."""


async def work(race: Race, number: int, until: float, did: Counter[str]) -> None:
    chance = random.Random(number)  # noqa: S311  (a load, not a secret)
    while time.monotonic() < until:
        giver, receiver = chance.sample(race.members, 2)
        try:
            await race.transfer(giver, receiver, chance.randint(1, POINTS))
            did["moved"] += 1
        except InsufficientBalanceError:
            did["refused"] += 1
        except UnavailableError as error:
            did["deadlock" if "each other" in error.detail else "busy"] += 1


async def look(race: Race, until: float, members: list[UUID], did: Counter[str]) -> None:
    while time.monotonic() < until:
        async with race.snapshot() as connection:
            seen = (await connection.execute(SNAPSHOT, {"members": members})).one()
        total = MEMBERS * POINTS
        assert (seen.points, seen.in_lots, seen.in_entries, seen.on_the_way) == (total, total, total, 0)
        assert seen.least >= 0
        did["looked"] += 1
        await asyncio.sleep(0.02)


async def run_bank(database_url: str, *, seconds: float) -> None:
    async with race_on(database_url) as race:
        await race.begin(MEMBERS, points=POINTS)
        did: Counter[str] = Counter()
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(work(race, number, until, did))
            for _ in range(READERS):
                group.create_task(look(race, until, race.members, did))
        await race.check()
    print(f"{seconds:.0f} s: {did['moved']} moves, {did['refused']} refused, {did['looked']} snapshots that add up")
    assert did["moved"] > CLIENTS
    assert did["looked"] > READERS
    assert did["deadlock"] == 0, "both accounts are locked in one order, so nobody waits in a circle"
    assert did["busy"] == 0


async def test_points_that_move_among_members_add_up_in_every_snapshot(fresh_database_url: str) -> None:
    await run_bank(fresh_database_url, seconds=5)


@pytest.mark.long
async def test_points_that_move_for_a_minute_add_up_in_every_snapshot(fresh_database_url: str) -> None:
    await run_bank(fresh_database_url, seconds=60)
