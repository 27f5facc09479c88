"""Points that expire while they are spent, held, captured and released: each point ends in one place, and in time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from ledger import posting
from ledger.batch import earn_many
from ledger.errors import HoldClosedError, HoldExpiredError, InsufficientBalanceError, OverReversalError
from ledger.operations import Earn
from ledger.sweep import sweep
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError
from tests.db.ledger.racing import Race, race_on

CLIENTS: Final = 8
MEMBERS: Final = 6
SECONDS: Final = 2.0
LOTS: Final = 12
REFUSALS: Final = (InsufficientBalanceError, HoldExpiredError, HoldClosedError, OverReversalError, InvalidInputError)
"""The last where a busy machine made the hold only when it was over."""

TOO_LATE: Final = """
    SELECT e.kind, e.recorded_at, l.lot_expires_at
    FROM ledger.entry AS e
    CROSS JOIN LATERAL unnest(e.lots) AS taken (seq)
    JOIN ledger.entry AS l ON l.member_id = e.member_id AND l.unit = e.unit AND l.seq = taken.seq
    WHERE e.debit = 'member' AND e.kind <> 'expire' AND l.lot_expires_at <= e.recorded_at
"""
"""Points that left a lot at or after the moment at which they expired."""

CAPTURED_TOO_LATE: Final = """
    SELECT e.recorded_at, h.hold_expires_at
    FROM ledger.entry AS e JOIN ledger.entry AS h ON h.hold_id = e.hold_id AND h.kind = 'hold'
    WHERE e.source <> 'time' AND e.kind IN ('capture', 'release') AND e.recorded_at >= h.hold_expires_at
"""

WENT: Final = """
    SELECT sum(amount) FILTER (WHERE debit = 'issued')::bigint AS came,
        sum(amount) FILTER (WHERE credit IN ('redeemed', 'expired'))::bigint AS went
    FROM ledger.entry
"""


async def give(race: Race, chance: random.Random) -> int:
    """Lots that expire one after the other while the race is on; answers how many points that is.

    In one posting: one after the other they would take a busy machine longer than they last.
    """
    now: datetime = (await race.rows("SELECT ledger.clock()"))[0][0]
    earns = [
        Earn(
            member_id=member,
            amount=chance.randint(1, 30),
            expires_at=now + timedelta(seconds=chance.uniform(0.3, 0.3 + SECONDS)),
            key=uuid4().hex,
            source="race",
        )
        for member in race.members
        for _ in range(LOTS)
    ]
    async with transaction(race.engine) as connection:
        await earn_many(connection, programme_id=race.programme_id, earns=earns)
    return sum(earn.amount for earn in earns)


async def work(race: Race, number: int, did: Counter[str]) -> None:
    chance = random.Random(number)  # noqa: S311  (a load, not a secret)
    until = asyncio.get_running_loop().time() + SECONDS + 0.5
    while asyncio.get_running_loop().time() < until:
        member, amount = chance.choice(race.members), chance.randint(1, 12)
        try:
            if chance.random() < 0.5:
                await race.spend(member, amount)
                did["spent"] += 1
            else:
                await hold_and_end(race, chance, member, amount)
                did["held"] += 1
        except REFUSALS as error:
            did[type(error).__name__] += 1


async def hold_and_end(race: Race, chance: random.Random, member: UUID, amount: int) -> None:
    """Hold, and capture or release: at about the moment at which the hold, or its points, expire, or long before."""
    hold_id = uuid4()
    seconds, parts = chance.choice(((0.15, (None, 1)), (30, (None,))))
    common: dict[str, Any] = {"member_id": member, "source": "race"}
    async with transaction(race.engine) as connection:
        await posting.hold(
            connection,
            programme_id=race.programme_id,
            amount=amount,
            hold_id=hold_id,
            expires_at=datetime.now(UTC) + timedelta(seconds=seconds),
            key=uuid4().hex,
            **common,
        )
    await asyncio.sleep(chance.uniform(0.08, 0.2))
    end = chance.choice((posting.capture, posting.release))
    async with transaction(race.engine) as connection:
        await end(connection, hold_id=hold_id, amount=chance.choice(parts), key=uuid4().hex, **common)


async def sweep_all_the_time(race: Race, ended: asyncio.Event) -> None:
    while not ended.is_set():
        await sweep(race.engine)
        await asyncio.sleep(0.01)


async def test_expiry_races_spending_holding_capturing_and_releasing(fresh_database_url: str) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(MEMBERS)
        given = await give(race, random.Random(1))  # noqa: S311  (a repeatable story)
        did: Counter[str] = Counter()
        ended = asyncio.Event()
        sweeps = [asyncio.create_task(sweep_all_the_time(race, ended)) for _ in range(2)]
        await asyncio.gather(*(work(race, number, did) for number in range(CLIENTS)))
        ended.set()
        await asyncio.gather(*sweeps)
        await asyncio.sleep(0.1)
        await sweep(race.engine)

        assert await race.rows(TOO_LATE) == []
        assert await race.rows(CAPTURED_TOO_LATE) == []
        left = await race.rows("SELECT sum(posted)::bigint, sum(held)::bigint, sum(debt)::bigint FROM ledger.account")
        went = (await race.rows(WENT))[0]
        assert left == [(0, 0, 0)]
        assert (went.came, went.went) == (given, given)
        await race.check()
    assert did["spent"] > 10
    assert did["held"] > 0
    assert did["HoldExpiredError"] > 0
