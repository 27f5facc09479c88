"""Each member's history could have happened one call after the other, however many clients called at once."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final
from uuid import UUID, uuid4

from ledger import reading
from ledger.batch import post_many
from ledger.errors import InsufficientBalanceError
from ledger.operations import Earn, Spend
from ledger.posting import Posting
from loyalty.kit.db import transaction
from tests.db.ledger.racing import Race, race_on
from tests.linearizability import Call, is_linearizable

CLIENTS: Final = 8
TURNS: Final = 40
MEMBERS: Final = 3

Ask = tuple[str, int]
History = dict[UUID, list[Call[Ask, int | None]]]


def account(points: int, ask: Ask) -> tuple[int, int | None]:
    """Every call answers the points that there are after it; None is a refusal."""
    kind, amount = ask
    if kind == "earn":
        return points + amount, points + amount
    if kind == "spend":
        return (points - amount, points - amount) if points >= amount else (points, None)
    return points, points


async def ask_alone(race: Race, member: UUID, ask: Ask) -> int | None:
    kind, amount = ask
    if kind == "read":
        async with transaction(race.engine) as connection:
            return (await reading.balance(connection, member_id=member)).spendable
    try:
        return (await (race.earn if kind == "earn" else race.spend)(member, amount)).posted
    except InsufficientBalanceError:
        return None


async def ask_in_a_batch(race: Race, member: UUID, ask: Ask, others: list[UUID]) -> int | None:
    """The same in a batch that posts nothing of weight to other members of the race beside it."""
    kind, amount = ask
    if kind == "read":
        return await ask_alone(race, member, ask)
    made = (Earn if kind == "earn" else Spend)(member_id=member, amount=amount, key=uuid4().hex, source="race")
    idle = [Spend(member_id=other, amount=10**6, key=uuid4().hex, source="race") for other in others]
    async with transaction(race.engine) as connection:
        answers = await post_many(connection, programme_id=race.programme_id, postings=[*idle, made])
    return answers[-1].posted if isinstance(answers[-1], Posting) else None


async def work(race: Race, number: int, history: History) -> None:
    chance = random.Random(number)  # noqa: S311  (a load, not a secret)
    for _ in range(TURNS):
        member = chance.choice(race.members)
        ask = (chance.choice(("earn", "spend", "spend", "read")), chance.randint(1, 20))
        begun = time.monotonic_ns()
        if number % 2:
            answer = await ask_alone(race, member, ask)
        else:
            answer = await ask_in_a_batch(race, member, ask, race.members)
        history[member].append(Call(begun, time.monotonic_ns(), ask, answer))


async def test_each_members_history_is_linearizable(fresh_database_url: str) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(MEMBERS)
        history: History = {member: [] for member in race.members}
        await asyncio.gather(*(work(race, number, history) for number in range(CLIENTS)))
        await race.check()
    for calls in history.values():
        assert is_linearizable(calls, 0, account)
        overlapping = sum(a.begun < b.ended and b.begun < a.ended for a in calls for b in calls) - len(calls)
        assert overlapping > CLIENTS, "nobody was in anybody's way: this shows nothing"
        assert any(call.answer is None for call in calls)
