"""An order's refund and a clerk who gives the same back at the till, at once: whoever comes second sees the first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import audit
from loyalty.channels.orders import OrderResult, RefundResult
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from redemption import till
from redemption.basket import Line, Member
from redemption.benefits.definition import DaysFromIssue, Definition, MoneyOff
from redemption.benefits.issuing import issue
from redemption.benefits.templates import publish_definition
from redemption.checkout.finishing import refund as refund_checkout
from redemption.checkout.finishing import use
from redemption.checkout.locking import lock
from redemption.checkout.quoting import Wish
from redemption.checkout.record import parts_of
from redemption.record import Redemption, lock_redemption
from tests.db.channels.orders.conftest import Shop, line, open_shop
from tests.waiting import until_somebody_waits


class Counter:
    """A shop whose clerk gives back while an order, or its refund, is booked by another transaction."""

    def __init__(self, engine: AsyncEngine, shop: Shop) -> None:
        self.engine, self.shop = engine, shop

    def at(self, connection: AsyncConnection) -> Shop:
        return Shop(connection, self.shop.keyring, self.shop.programme, self.shop.channel, self.shop.member_id)

    async def do(self, what: Callable[[Shop], Awaitable[Any]]) -> Any:
        """One transaction."""
        async with transaction(self.engine) as connection:
            return await what(self.at(connection))

    async def paid(self, number: str, *points: int) -> list[Redemption]:
        """Points taken at the till under a receipt's number; the order is not there yet."""
        async with transaction(self.engine) as connection:
            return [await self.at(connection).redeem(each, number) for each in points]

    async def ordered(self, number: str) -> OrderResult:
        result: OrderResult = await self.do(lambda shop: shop.order(number, line(1, 7_000)))
        return result

    async def refunded(self, number: str, amount_minor: int) -> RefundResult:
        result: RefundResult = await self.do(lambda shop: shop.refund(f"R-{number}", number, amount_minor))
        return result

    async def while_clerk_gives_back(
        self, redemption: Redemption, booking: Awaitable[Any], *, points: int | None = None, posts_first: bool = True
    ) -> Any:
        """What comes of `booking`, which begins when the clerk has the redemption, and before all is committed."""
        at: dict[str, Any] = {"programme_id": self.shop.programme.id, "redemption_id": redemption.id}
        back: dict[str, Any] = {"points": points, "key": f"clerk:{redemption.id}"}
        async with transaction(self.engine) as connection:
            if posts_first:
                await till.refund(connection, **at, **back)
            else:
                await lock_redemption(connection, **at)
            booked = asyncio.ensure_future(booking)
            await self._wait_for(booked)
            if not posts_first:
                await till.refund(connection, **at, **back)
        return await booked

    async def _wait_for(self, booked: asyncio.Future[Any]) -> None:
        """Until it waits for a lock."""
        await until_somebody_waits(self.engine, booked)

    async def assert_books(self, spendable: int) -> None:
        async with transaction(self.engine) as connection:
            assert await self.at(connection).balance() == (spendable, 0)
            assert (await audit.verify(connection)).findings == []


@pytest.fixture
async def counter(committed_engine: AsyncEngine, keyring: Keyring) -> Counter:
    async with transaction(committed_engine) as connection:
        shop = await open_shop(connection, keyring)
        await shop.give(300)
    return Counter(committed_engine, shop)


async def test_what_a_clerk_gives_back_meanwhile_already_counts(counter: Counter) -> None:
    """Half an order is refunded while 30 of its 100 points come back: 20 more; a whole one: 70 more."""
    (half,), (whole,), (awaited,) = [await counter.paid(number, 100) for number in ("half", "whole", "awaited")]
    for number in ("half", "whole"):
        await counter.ordered(number)
    await counter.refunded("awaited", 7_000)

    result = await counter.while_clerk_gives_back(half, counter.refunded("half", 3_500), points=30)
    assert result.given_back == {half.id: 20}
    result = await counter.while_clerk_gives_back(whole, counter.refunded("whole", 7_000))
    assert (result.state, result.given_back) == ("booked", {})
    result = await counter.while_clerk_gives_back(awaited, counter.ordered("awaited"), points=30)
    assert [(refund.state, refund.given_back) for refund in result.refunds] == [("booked", {awaited.id: 70})]
    # 50, 100 and 100 are back of 300; of what the orders earned, half of one 70 is left.
    await counter.assert_books(250 + 35)


@pytest.mark.parametrize("refunded", ["order", "checkout"])
async def test_a_coupon_that_a_clerk_gives_back_meanwhile_is_back_once(counter: Counter, refunded: str) -> None:
    gives = MoneyOff(amount_minor=1_000, currency="CNY")
    definition = Definition(name={"zh": "券", "en": "Off"}, gives=gives, validity=DaysFromIssue(days=9))

    async def pay(shop: Shop) -> list[Redemption]:
        mine: dict[str, Any] = {"programme_id": shop.programme.id}
        await publish_definition(shop.connection, **mine, code="off", definition=definition, actor="li")
        coupon = await issue(
            shop.connection, **mine, member_id=shop.member_id, template_code="off", key="1", source="test"
        )
        lines = (Line(sku="tea", quantity=1, amount_minor=9_000),)
        held = await lock(
            shop.connection,
            channel=shop.channel,
            member_id=shop.member_id,
            wish=Wish(currency="CNY", lines=lines, coupons=(coupon.code,), points=100),
            facts=Member(),
            key="lock",
        )
        await use(shop.connection, **mine, checkout_id=held.id, order_number="1", key="use")
        await shop.order("1", line(1, 7_900))
        return await parts_of(shop.connection, held.id)

    points, coupon = await counter.do(pay)
    if refunded == "order":
        result = await counter.while_clerk_gives_back(coupon, counter.refunded("1", 7_900))
        assert (result.state, result.given_back) == ("booked", {points.id: 100})
    else:
        checkout: dict[str, Any] = {
            "programme_id": coupon.programme_id,
            "checkout_id": coupon.checkout_id,
            "key": "refund",
        }
        result = await counter.while_clerk_gives_back(
            coupon, counter.do(lambda shop: refund_checkout(shop.connection, **checkout))
        )
        assert result.state == "refunded"
    await counter.assert_books(300 if refunded == "order" else 300 + 79)


@pytest.mark.parametrize("arrives", ["refund", "order"])
async def test_a_clerk_who_has_a_redemption_and_a_refund_that_posts_do_not_wait_in_a_ring(
    counter: Counter, arrives: str
) -> None:
    """The clerk has the older of two redemptions and posts to the account next, which the refund must not have yet."""
    older, newer = await counter.paid("1", 60, 40)
    if arrives == "refund":
        await counter.ordered("1")
        booking: Awaitable[Any] = counter.refunded("1", 7_000)
    else:
        await counter.refunded("1", 7_000)
        booking = counter.ordered("1")
    result = await counter.while_clerk_gives_back(older, booking, posts_first=False)
    refund = result if arrives == "refund" else result.refunds[0]
    assert (refund.state, refund.given_back) == ("booked", {newer.id: 40})
    await counter.assert_books(300)
