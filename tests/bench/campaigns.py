"""Earn campaigns: what budgets cost the orders that they limit, over a million members and many orders at once."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.bonus.campaign import create_campaign, publish
from loyalty.channels.orders import accept_order
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import create_engine, transaction
from tests.bench.report import Measure
from tests.db.channels.orders.conftest import Shop, line, open_shop

MEMBERS = 500_000
"""Of each of two programmes."""
CLIENTS = 8
SECONDS = 6.0
ROUNDS = 5
BUDGETS: dict[str, dict[str, int]] = {"free": {}, "capped": {"budget_points": 10**12, "day_points": 10**12}}

_MEMBERS = text("""
    INSERT INTO member (id, programme_id, state, joined_at, joined_channel)
    SELECT gen_random_uuid(), :programme, 'active', now(), 'online' FROM generate_series(1, :number)
""")


class _Side:
    """One programme with its members and its campaign, and orders that come to it."""

    def __init__(self, shop: Shop, members: list[UUID]) -> None:
        self.shop, self.members = shop, members
        self.number = 0
        self.rates: list[float] = []

    async def measure(self, engine: AsyncEngine) -> None:
        """Orders a second while all clients send them, one in a transaction each."""
        until = time.perf_counter() + SECONDS
        count = 0

        async def client() -> None:
            nonlocal count
            while time.perf_counter() < until:
                self.number += 1
                member_id = self.members[random.randrange(len(self.members))]  # noqa: S311  (any will do)
                order = self.shop.purchase(str(self.number), line(1, 10_000), member_id=member_id, placed_at=utc_now())
                async with transaction(engine) as connection:
                    booked = await accept_order(connection, self.shop.keyring, channel=self.shop.channel, order=order)
                assert booked.earned == {"points": 150}
                count += 1

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        self.rates.append(count / SECONDS)


def measure(url: str) -> list[Measure]:
    """Orders with a campaign that has budgets, over orders with one that has none."""
    return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Measure]:
    engine = create_engine(url)
    keyring = Keyring.generate()
    sides = {name: await _open(engine, keyring, budgets) for name, budgets in BUDGETS.items()}
    for _ in range(ROUNDS):
        # In turn, so that a machine that grows slower is so for both.
        for side in sides.values():
            await side.measure(engine)
    await engine.dispose()
    free, capped = (sorted(side.rates)[ROUNDS // 2] for side in sides.values())
    return [
        Measure(
            name="orders with a campaign that has a whole and a day's budget, 8 clients",
            rate=capped,
            baseline="one without budgets",
            baseline_rate=free,
            goal=0.7,
        )
    ]


async def _open(engine: AsyncEngine, keyring: Keyring, budgets: dict[str, int]) -> _Side:
    async with transaction(engine) as connection:
        shop = await open_shop(connection, keyring)
        programme_id = shop.programme.id
        draft: dict[str, Any] = {
            "name": {"zh": "活动", "en": "Campaign"},
            "reward": {"kind": "fixed", "points": 50},
            **budgets,
        }
        made = await create_campaign(connection, programme_id=programme_id, code="c", draft=draft, created_by="bench")
        await publish(connection, programme_id=programme_id, campaign_id=made.id, seen=made.changes, by="bench")
        await connection.execute(_MEMBERS, {"programme": programme_id, "number": MEMBERS})
        found = await connection.scalars(
            text("SELECT id FROM member WHERE programme_id = :programme"), {"programme": programme_id}
        )
        return _Side(shop, list(found))
