"""A coupon with a stock of 100, and a thousand clients at once, online and at the till."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import DomainError
from loyalty.kit.programme import get_channel
from redemption import till
from redemption.basket import Line, Member
from redemption.benefits import stock
from redemption.benefits.errors import OutOfBenefitsError
from redemption.benefits.issuing import issue
from redemption.benefits.wallet import wallet
from redemption.checkout.finishing import use
from redemption.checkout.locking import lock
from redemption.checkout.quoting import Wish
from redemption.stale import sweep_all
from tests.db.redemption.conftest import Till, make_till
from tests.factories import make_programme

ROOT = Path(__file__).parents[3]
CLIENTS = 1_000
STOCK = 100


async def _shop(engine: AsyncEngine) -> Till:
    async with transaction(engine) as connection:
        shop = await make_till(connection, await make_programme(connection))
        await shop.template()
    return shop


async def _online(engine: AsyncEngine, shop: Till, code: str, member_id: UUID, order: str) -> str:
    wish = Wish(currency="CNY", lines=(Line(sku="tea", quantity=1, amount_minor=9_000),), coupons=(code,))
    async with transaction(engine) as connection:
        channel = await get_channel(connection, shop.programme.id, "online")
        held = await lock(
            connection, channel=channel, member_id=member_id, wish=wish, facts=Member(), key=f"lock-{order}"
        )
    asked: dict[str, Any] = {"programme_id": shop.programme.id, "checkout_id": held.id}
    async with transaction(engine) as connection:
        return (await use(connection, order_number=order, key=f"use-{order}", **asked)).state


async def _at_the_till(engine: AsyncEngine, shop: Till, code: str, member_id: UUID, order: str) -> str:
    asked: dict[str, Any] = {"programme_id": shop.programme.id}
    async with transaction(engine) as connection:
        held = await till.begin(
            connection,
            member_id=member_id,
            channel_id=shop.channel_id,
            key=f"begin-{order}",
            basket_minor=9_000,
            currency="CNY",
            coupon=code,
            **asked,
        )
    async with transaction(engine) as connection:
        taken = await till.capture(
            connection, redemption_id=held.id, receipt_number=order, key=f"capture-{order}", **asked
        )
    return {"captured": "used"}.get(taken.state, taken.state)


async def test_of_a_stock_of_100_exactly_100_are_used(committed_engine: AsyncEngine) -> None:
    shop = await _shop(committed_engine)
    async with transaction(committed_engine) as connection:
        asked: dict[str, Any] = {"programme_id": shop.programme.id, "code": "ten-off", "actor": "li"}
        await stock.set_stock(connection, kind="counted", total=STOCK, **asked)

    async def client(number: int) -> str:
        member_id = uuid4()
        try:
            async with transaction(committed_engine) as connection:
                taken = await issue(
                    connection,
                    programme_id=shop.programme.id,
                    member_id=member_id,
                    template_code="ten-off",
                    key="claim",
                    source="claim",
                )
            buy = _online if number % 2 else _at_the_till
            return await buy(committed_engine, shop, taken.code, member_id, f"R-{number}")
        except DomainError as error:
            return error.type

    limit = asyncio.Semaphore(8)  # as many as there are connections: the others wait here and not for the pool

    async def in_turn(number: int) -> str:
        async with limit:
            return await client(number)

    answers = Counter(await asyncio.gather(*(in_turn(number) for number in range(CLIENTS))))
    assert answers == {"used": STOCK, "benefits-used-up": CLIENTS - STOCK}
    async with transaction(committed_engine) as connection:
        rows = await connection.execute(text("SELECT state, count(*) FROM benefit GROUP BY state"))
        assert dict(rows.all()) == {"used": STOCK}
        used = await connection.execute(text("SELECT count(*) FROM benefit_event WHERE kind = 'used'"))
        assert used.scalar_one() == STOCK


async def test_of_a_budget_of_10_uses_exactly_10_are_made_and_one_coupon_serves_one_order(
    committed_engine: AsyncEngine,
) -> None:
    """Everybody has a coupon, and tries it for two orders at once; only ten may be used in all."""
    shop = await _shop(committed_engine)
    people = [uuid4() for _ in range(20)]
    async with transaction(committed_engine) as connection:
        shop.connection = connection
        codes = [(await shop.issue(member_id=member_id)).code for member_id in people]
        asked: dict[str, Any] = {"programme_id": shop.programme.id, "code": "ten-off", "actor": "li"}
        await stock.set_budget(connection, uses=10, **asked)

    async def order(number: int) -> str:
        buy = _online if number % 2 else _at_the_till
        try:
            which = number // 2
            return await buy(committed_engine, shop, codes[which], people[which], f"R-{number}")
        except DomainError as error:
            return error.type

    answers = Counter(await asyncio.gather(*(order(number) for number in range(2 * len(people)))))
    assert answers["used"] == 10
    async with transaction(committed_engine) as connection:
        twice = "SELECT count(*) FROM (SELECT 1 FROM redemption WHERE state = 'captured' GROUP BY benefit_id"
        found = await connection.execute(text(f"{twice} HAVING count(*) > 1) d"))
        assert found.scalar_one() == 0


async def test_what_a_process_had_locked_that_was_killed_comes_back(committed_engine: AsyncEngine) -> None:
    """Given a till that is killed (kill -9) between lock and use, when its time is over, then both of its coupons are
    used elsewhere, under a budget that has room for just these two."""
    shop = await _shop(committed_engine)
    async with transaction(committed_engine) as connection:
        shop.connection = connection
        codes = [(await shop.issue()).code for _ in range(2)]
        asked: dict[str, Any] = {"programme_id": shop.programme.id, "code": "ten-off", "actor": "li"}
        await stock.set_budget(connection, uses=2, **asked)
    url = committed_engine.url.render_as_string(hide_password=False)
    people = map(str, (shop.programme.id, shop.channel_id, shop.member_id))
    command = [sys.executable, "-m", "tests.db.redemption.till_process", url, *people, *codes]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"both are locked\n"
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    async with transaction(committed_engine) as connection:
        written = await connection.execute(text("SELECT state FROM benefit ORDER BY state"))
        assert list(written.scalars()) == ["issued", "locked"]
    await asyncio.sleep(1)
    assert await _online(committed_engine, shop, codes[0], shop.member_id, "R-1") == "used"
    assert await _at_the_till(committed_engine, shop, codes[1], shop.member_id, "R-2") == "used"
    assert await sweep_all(committed_engine) == 0
    async with transaction(committed_engine) as connection:
        assert (await wallet(connection, member_id=shop.member_id)) == []
        shop.connection = connection
        third = (await shop.issue()).code
    with pytest.raises(OutOfBenefitsError):
        await _at_the_till(committed_engine, shop, third, shop.member_id, "R-3")
