"""The connection is cut at the COMMIT: whoever repeats the request gets the answer that it had, or would have had."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.chaos.conftest import Behind
from tests.chaos.proxy import Cut
from tests.web.conftest import assert_problem

KINDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "earn": ("points/earn", {"amount": 10}),
    "spend": ("points/spend", {"amount": 10}),
    "adjust": ("points/adjust", {"amount": 10, "reason": "a mistake", "actor": "stf_1"}),
    "hold": ("holds", {"amount": 10, "expires_in_seconds": 900}),
}


@pytest.mark.parametrize("cut", list(Cut), ids=lambda cut: cut.name.lower())
@pytest.mark.parametrize("kind", list(KINDS))
async def test_a_request_whose_commit_was_lost_is_answered_when_it_is_repeated(
    behind: Behind, kind: str, cut: Cut
) -> None:
    member = await behind.register()
    path, body = f"/members/{member}/{KINDS[kind][0]}", {**KINDS[kind][1], "source": "chaos"}
    key = uuid4().hex
    behind.proxy.cut(cut)

    lost = await behind.api.post(path, body, key=key)

    assert behind.proxy.all_cut
    assert_problem(lost, 503, "unavailable")
    assert lost.headers["retry-after"]
    posted = await _settled(behind, member)
    if cut is not Cut.DURING:
        assert len(posted) == (cut is Cut.AFTER)
    first = await behind.api.post(path, body, key=key)
    second = await behind.api.post(path, body, key=key)
    assert (first.status_code, second.status_code) == (201, 201), first.text
    assert first.headers.get("idempotent-replayed") == ("true" if posted else None)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.content == first.content
    assert await behind.entries(member) == [first.json()["sequence"]]
    await behind.check()


async def _settled(behind: Behind, member: str) -> list[int]:
    """What is committed, once the server has noticed that it was left."""
    await asyncio.sleep(0.2)
    return await behind.entries(member)


async def test_a_transfer_whose_commit_was_lost_happens_once_on_both_sides(behind: Behind) -> None:
    giver, receiver = await behind.register(), await behind.register()
    body, path, key = (
        {"amount": 7, "to_member_id": receiver, "source": "chaos"},
        f"/members/{giver}/points/transfer",
        "k",
    )
    for cut in Cut:
        behind.proxy.cut(cut)
        assert_problem(await behind.api.post(path, body, key=key), 503, "unavailable")
    assert (await behind.api.post(path, body, key=key)).status_code == 201
    spendable = [(await behind.api.get(f"/members/{each}/points")).json()["data"] for each in (giver, receiver)]
    points = [{each["unit"]: each["spendable"] for each in balances}["points"] for balances in spendable]
    assert points == [93, 107]
    await behind.check()


async def test_a_registration_whose_commit_was_lost_is_the_same_registration_again(behind: Behind) -> None:
    body = {"channel": "online", "identities": [{"kind": "phone", "value": "+8619900002000"}]}
    key = uuid4().hex
    behind.proxy.cut(Cut.AFTER)
    assert_problem(await behind.api.post("/members", body, key=key), 503, "unavailable")
    first = await behind.api.post("/members", body, key=key)
    assert (first.status_code, first.json()["created"]) == (201, True)
    assert first.headers["idempotent-replayed"] == "true"


async def test_many_clients_whose_commits_are_lost_again_and_again_lose_nothing(behind: Behind) -> None:
    members = [await behind.register() for _ in range(8)]
    told: Counter[int] = Counter()

    async def client(number: int) -> None:
        for turn in range(12):
            member = members[(number + turn) % len(members)]
            body: dict[str, Any] = {"amount": 1, "source": "chaos"}
            key = f"{number}-{turn}"
            while (
                answered := await behind.api.post(f"/members/{member}/points/earn", body, key=key)
            ).status_code != 201:
                assert_problem(answered, 503, "unavailable")
                told[503] += 1
            told[201] += 1

    behind.proxy.cut(*list(Cut) * 8)
    await asyncio.gather(*(client(number) for number in range(16)))
    assert behind.proxy.all_cut
    assert told[201] == 16 * 12
    assert told[503] >= 10
    entries = [len(await behind.entries(member)) for member in members]
    assert entries == [16 * 12 // 8] * 8
    await behind.check()
