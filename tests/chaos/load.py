"""Clients that post without pause, repeat what was not answered, and remember what was."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Self
from uuid import uuid4

import httpx
import msgspec

from tests.chaos.installation import Installation

PATIENCE_SECONDS: Final = 120
"""How long one request is repeated before it counts as lost."""
_PAUSE_SECONDS: Final = 0.05
_REFUSALS: Final = ("/problems/insufficient-balance", "/problems/hold-closed", "/problems/more-than-left")
"""What a request may be refused for; whatever else is not 201 is repeated or is a fault."""


@dataclass
class Deed:
    """One request, with the key that makes it one. `effects` is what it does to whose spendable points."""

    path: str
    body: dict[str, Any]
    effects: dict[str, int]
    key: str = field(default_factory=lambda: uuid4().hex)
    answer: bytes | None = None
    refused: bool = False
    tries: int = 0


@dataclass
class Load:
    """Clients over HTTP, each with a connection of its own, over a few members; all that happened, by key."""

    installation: Installation
    clients: int = 16
    members: list[str] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    repeated: int = 0
    unavailable: int = 0
    _ended: bool = False

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(
            base_url=f"{self.installation.url}/v1",
            headers=self.installation.headers,
            timeout=30,
            limits=httpx.Limits(max_connections=self.clients + 4),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        await self._http.aclose()

    async def join(self, count: int) -> None:
        """New members, with some points each."""
        for number in range(count):
            body = {"channel": "online", "identities": [{"kind": "phone", "value": f"+8619900001{number:03d}"}]}
            answered = await self._http.post("/members", json=body, headers={"Idempotency-Key": uuid4().hex})
            self.members.append(answered.json()["member"]["id"])
        for member in self.members:
            await self.carry_out(earn(member, 500))

    async def run(self) -> None:
        """Post until `end`: every request that was begun is answered when this returns."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self._client(random.Random(number)))  # noqa: S311  (a repeatable story)

    def end(self) -> None:
        self._ended = True

    async def _client(self, chance: random.Random) -> None:
        while not self._ended:
            member, other = chance.sample(self.members, 2)
            amount = chance.randint(1, 20)
            kind = chance.choice(("earn", "earn", "spend", "transfer", "hold"))
            if kind == "earn":
                await self.carry_out(earn(member, amount))
            elif kind == "spend":
                await self.carry_out(_deed(member, "points/spend", {"amount": amount}, {member: -amount}))
            elif kind == "transfer":
                body = {"amount": amount, "to_member_id": other}
                await self.carry_out(_deed(member, "points/transfer", body, {member: -amount, other: amount}))
            else:
                await self._hold(chance, member, amount)

    async def _hold(self, chance: random.Random, member: str, amount: int) -> None:
        body = {"amount": amount, "expires_in_seconds": 86_400}
        held = _deed(member, "holds", body, {member: -amount})
        await self.carry_out(held)
        if held.answer is not None:
            hold_id = msgspec.json.decode(held.answer)["hold_id"]
            what, effects = chance.choice((("capture", {}), ("release", {member: amount})))
            await self.carry_out(_deed(member, f"holds/{hold_id}/{what}", {}, effects))

    async def carry_out(self, deed: Deed) -> None:
        """Send the request until it is answered: 201, or a refusal that the books explain."""
        self.deeds.append(deed)
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while deed.answer is None and not deed.refused:
            assert asyncio.get_running_loop().time() < deadline, f"no answer to {deed.path} after {deed.tries} tries"
            deed.tries += 1
            self.repeated += deed.tries > 1
            answered = await self._send(deed)
            if answered is None:
                await asyncio.sleep(_PAUSE_SECONDS)
            elif answered.status_code == HTTPStatus.CREATED:
                deed.answer = answered.content
            elif answered.status_code == HTTPStatus.SERVICE_UNAVAILABLE or _is(answered, "/problems/busy"):
                assert answered.headers["retry-after"]
                self.unavailable += 1
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                assert _is(answered, *_REFUSALS), f"{answered.text}\n{self.installation.said(_instance(answered))}"
                deed.refused = True

    async def _send(self, deed: Deed) -> httpx.Response | None:
        """The answer; None where the connection was lost first."""
        try:
            return await self._http.post(deed.path, json=deed.body, headers={"Idempotency-Key": deed.key})
        except httpx.TransportError:
            return None

    async def check_repeats(self, most: int) -> int:
        """Send answered requests again, the latest first: each gets its first answer; answers how many."""
        answered = [deed for deed in self.deeds if deed.answer is not None][-most:]
        for deed in answered:
            again = await self._send(deed)
            assert again is not None
            assert (again.status_code, again.content) == (HTTPStatus.CREATED, deed.answer), deed
            assert again.headers["idempotent-replayed"] == "true"
        return len(answered)

    async def check_balances(self) -> None:
        """Every answered request has had its effect once, and no other has had any."""
        expected = dict.fromkeys(self.members, 0)
        for deed in self.deeds:
            for member, change in deed.effects.items() if deed.answer is not None else ():
                expected[member] += change
        for member, points in expected.items():
            balances = (await self._http.get(f"/members/{member}/points")).json()["data"]
            assert {each["unit"]: each["spendable"] for each in balances}["points"] == points, member


def earn(member: str, amount: int) -> Deed:
    return _deed(member, "points/earn", {"amount": amount}, {member: amount})


def _deed(member: str, path: str, body: dict[str, Any], effects: dict[str, int]) -> Deed:
    return Deed(f"/members/{member}/{path}", {**body, "source": "chaos"}, effects)


def _is(answered: httpx.Response, *kinds: str) -> bool:
    return answered.headers.get("content-type") == "application/problem+json" and answered.json()["type"] in kinds


def _instance(answered: httpx.Response) -> str:
    return str(answered.json().get("instance", "")) or answered.text
