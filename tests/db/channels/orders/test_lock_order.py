"""An order and whatever else posts to its member never wait for each other in a ring."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.tables import account_table
from loyalty.campaigns.awards import award
from loyalty.campaigns.bonus.definition import FixedBonus
from loyalty.campaigns.bonus.giving import give
from loyalty.channels.orders import accept_order
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from tests.db.campaigns.bonus.conftest import CampaignShop
from tests.db.channels.orders.conftest import line, open_shop
from tests.waiting import until_somebody_waits


async def test_a_campaign_gives_while_points_of_the_member_are_on_their_way(
    committed_engine: AsyncEngine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy gives nothing for an order of fifty fen, so that only the campaign posts to the member's account.

    Between the two somebody else posts to it, and then books what counts on the same day as the order.
    """
    async with committed_engine.begin() as connection:
        shop = CampaignShop(await open_shop(connection, keyring))
        await shop.run(FixedBonus(points=30), budget_points=500)
    between = asyncio.Event()

    async def give_later(*args: Any, **named: Any) -> Any:
        if not between.is_set():
            between.set()
            await until_somebody_waits(committed_engine)
        return await give(*args, **named)

    monkeypatch.setattr("loyalty.channels.orders.accepting.give", give_later)

    async def buy() -> int:
        async with committed_engine.begin() as connection:
            order = shop.shop.purchase("1", line(1, 50), placed_at=utc_now())
            result = await accept_order(connection, keyring, channel=shop.shop.channel, order=order)
        return result.earned["points"]

    async def thank() -> int:
        await between.wait()
        async with committed_engine.begin() as connection:
            await award(
                connection,
                programme_id=shop.programme_id,
                member_id=shop.shop.member_id,
                amount=1,
                key="first",
                source="test",
            )
            posted = await accept_order(
                connection,
                keyring,
                channel=shop.shop.channel,
                order=shop.shop.purchase("2", line(1, 0), placed_at=utc_now()),
            )
        return posted.earned.get("points", 0)

    bought, thanked = await asyncio.wait_for(asyncio.gather(buy(), thank()), timeout=20)
    assert (bought, thanked) == (30, 30)
    assert await _balance(committed_engine, shop) == 61


async def test_an_account_that_nothing_was_posted_to_is_not_kept(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with committed_engine.begin() as connection:
        shop = CampaignShop(await open_shop(connection, keyring))
        await shop.run(FixedBonus(points=30), minimum_minor=1_000, currency="CNY")
        assert await shop.order("1", line(1, 50)) == 0
    assert await _balance(committed_engine, shop) is None


async def _balance(engine: AsyncEngine, shop: CampaignShop) -> int | None:
    columns = account_table.c
    async with engine.connect() as connection:
        query = columns.posted.table.select().where(columns.member_id == shop.shop.member_id)
        row = (await connection.execute(query)).first()
        return row.posted if row else None
