"""Many requests over HTTP at once: each member's history could have happened one by one, and a key counts once."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Final

import httpx

from tests.chaos.conftest import Behind
from tests.linearizability import Call, is_linearizable
from tests.web.conftest import assert_problem

CLIENTS: Final = 16
TURNS: Final = 15

Ask = tuple[str, int]


def account(points: int, ask: Ask) -> tuple[int, int | None]:
    """Every call answers the points that there are after it; None is a refusal."""
    kind, amount = ask
    if kind == "earn":
        return points + amount, points + amount
    if kind == "spend":
        return (points - amount, points - amount) if points >= amount else (points, None)
    return points, points


async def ask_for(behind: Behind, member: str, ask: Ask) -> int | None:
    kind, amount = ask
    if kind == "read":
        answered = await behind.api.get(f"/members/{member}/points")
        return {each["unit"]: int(each["spendable"]) for each in answered.json()["data"]}["points"]
    answered = await behind.api.post(f"/members/{member}/points/{kind}", {"amount": amount, "source": "chaos"})
    if answered.status_code == httpx.codes.CREATED:
        return int(answered.json()["balance"]["spendable"])
    assert_problem(answered, 409, "insufficient-balance")
    return None


async def test_each_members_history_is_linearizable_over_http(behind: Behind) -> None:
    members = [await behind.register() for _ in range(3)]
    history: dict[str, list[Call[Ask, int | None]]] = {member: [] for member in members}

    async def client(number: int) -> None:
        chance = random.Random(number)  # noqa: S311  (a load, not a secret)
        for _ in range(TURNS):
            member = chance.choice(members)
            ask = (chance.choice(("earn", "spend", "spend", "read")), chance.randint(1, 60))
            begun = time.monotonic_ns()
            answer = await ask_for(behind, member, ask)
            history[member].append(Call(begun, time.monotonic_ns(), ask, answer))

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    for calls in history.values():
        assert is_linearizable(calls, 100, account)
        assert any(call.answer is None for call in calls)
    await behind.check()


async def test_one_key_sent_a_hundred_times_at_once_has_one_effect_and_one_answer(behind: Behind) -> None:
    member = await behind.register()
    body: dict[str, Any] = {"amount": 10, "source": "chaos"}
    path = f"/members/{member}/points/spend"
    answers = await asyncio.gather(*(behind.api.post(path, body, key="the-same") for _ in range(100)))
    assert [answer.status_code for answer in answers] == [httpx.codes.CREATED] * 100
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len(await behind.entries(member)) == 1
    await behind.check()
