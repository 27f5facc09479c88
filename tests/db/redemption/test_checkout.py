"""A checkout: one quote, locked as one, used once, and given back as one, whatever the channel."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loyalty.kit.errors import IdempotencyMismatchError, InvalidInputError
from loyalty.kit.programme import get_channel
from redemption.basket import Line, Member
from redemption.benefits.definition import DaysFromIssue, Definition, Gift
from redemption.benefits.errors import UnknownBenefitError
from redemption.benefits.wallet import find_benefit
from redemption.checkout import errors
from redemption.checkout.finishing import refund, release, use
from redemption.checkout.locking import lock
from redemption.checkout.quoting import Quote, Wish, quote
from redemption.checkout.record import Checkout, find_by_order, get_checkout, parts_of
from redemption.terms import Audience, FixedOff, FreeShipping, Places, Stacking
from tests.db.redemption.conftest import Till

LINES = (Line(sku="tea", quantity=2, amount_minor=8_000), Line(sku="cup", quantity=1, amount_minor=4_000))


class Desk:
    """A till or a shop that checks baskets out."""

    def __init__(self, till: Till, channel: str = "store-1", **facts: Any) -> None:
        self.till, self.channel, self.facts = till, channel, Member(**facts)

    async def asked(self, **wish: Any) -> dict[str, Any]:
        usual: dict[str, Any] = {"currency": "CNY", "lines": LINES}
        return {
            "channel": await get_channel(self.till.connection, self.till.programme.id, self.channel),
            "member_id": self.till.member_id,
            "facts": self.facts,
            "wish": Wish(**(usual | wish)),
        }

    async def quote(self, **wish: Any) -> Quote:
        return (await quote(self.till.connection, **await self.asked(**wish))).quote

    async def lock(self, *, key: str | None = None, hold_seconds: int = 900, **wish: Any) -> Checkout:
        asked = await self.asked(**wish)
        return await lock(self.till.connection, **asked, key=key or self.till.key(), hold_seconds=hold_seconds)

    async def step(self, step: Any, checkout: Checkout, **fields: Any) -> Checkout:
        usual: dict[str, Any] = {"programme_id": self.till.programme.id, "key": self.till.key()}
        answer: Checkout = await step(self.till.connection, checkout_id=checkout.id, **(usual | fields))
        return answer

    async def state(self, code: str) -> str:
        return (await find_benefit(self.till.connection, programme_id=self.till.programme.id, code=code)).state


@pytest.fixture
async def shop(desk: Till) -> Desk:
    """A member with 10,000 points and a policy that lets points pay half."""
    await desk.policy()
    await desk.earn(10_000)
    return Desk(desk)


async def test_coupons_and_points_are_quoted_by_line_the_same_on_both_channels(shop: Desk, desk: Till) -> None:
    await desk.template(effect=FixedOff(amount_minor=3_000))
    await desk.template("free", effect=FreeShipping())
    codes = ((await desk.issue()).code, (await desk.issue("free")).code)
    wish: dict[str, Any] = {"coupons": codes, "points": "most", "shipping_minor": 600}
    told = await shop.quote(**wish)
    assert [(line.discount_minor, line.points_minor, line.payable_minor) for line in told.lines] == [
        (2_000, 3_000, 3_000),
        (1_000, 1_500, 1_500),
    ]
    assert told.points is not None
    assert (told.points.points, told.discount_minor, told.shipping_discount_minor) == (4_500, 3_600, 600)
    assert told.payable_minor == 4_500
    assert await Desk(desk, "online").quote(**wish) == told
    assert await shop.quote(coupons=tuple(reversed(codes)), points="most", shipping_minor=600) == told


async def test_it_is_locked_used_and_found_as_one(shop: Desk, desk: Till) -> None:
    await desk.template()
    code = (await desk.issue()).code
    held = await shop.lock(key="one", coupons=(code,), points=1_000)
    assert await shop.lock(key="one", coupons=(code,), points=1_000) == held
    with pytest.raises(IdempotencyMismatchError):
        await shop.lock(key="one", coupons=(code,), points=1_100)
    assert (await shop.state(code), await desk.spendable()) == ("locked", 9_000)
    parts = await parts_of(desk.connection, held.id)
    assert [(part.kind, part.points, part.amount_minor) for part in parts] == [
        ("money_off", 1_000, 1_000),
        ("coupon", 0, 1_000),
    ]

    used = await shop.step(use, held, order_number="R-1")
    assert await shop.step(use, held, order_number="R-1") == used
    assert (used.state, await shop.state(code), (await desk.balance()).held) == ("used", "used", 0)
    assert await find_by_order(desk.connection, channel_id=held.channel_id, order_number="R-1") == [used]
    for step, fields in ((use, {"order_number": "R-2"}), (release, {})):
        with pytest.raises(errors.CheckoutStateError):
            async with desk.connection.begin_nested():
                await shop.step(step, held, **fields)


async def test_one_that_does_not_apply_stops_the_whole(shop: Desk, desk: Till) -> None:
    await desk.template()
    await desk.template("gold", terms={"audience": Audience(tiers=("gold",))})
    await desk.template("online", terms={"places": Places(kinds=("online",))})
    good, gold, online = [(await desk.issue(code)).code for code in ("ten-off", "gold", "online")]
    with pytest.raises(errors.CheckoutRefusedError) as refused:
        async with desk.connection.begin_nested():
            await shop.lock(coupons=(good, gold, online))
    reasons = {each["code"]: each["reason"] for each in refused.value.members["refused"]}
    assert reasons == {gold: "wrong_tier", online: "wrong_channel_kind"}
    assert await shop.state(good) == "issued"
    assert (await Desk(desk, "online", tier="gold").lock(coupons=(good, gold, online))).state == "locked"
    with pytest.raises(errors.CheckoutRefusedError) as refused:
        await shop.lock(points=50)
    assert refused.value.members["refused"][0]["code"] == "below_minimum"
    with pytest.raises(UnknownBenefitError):
        await shop.quote(coupons=("NOTHING",))
    with pytest.raises(InvalidInputError):
        await shop.quote(coupons=(good, good.lower()))


async def test_the_best_of_the_wallet_is_chosen_when_asked(shop: Desk, desk: Till) -> None:
    await desk.template("small", effect=FixedOff(amount_minor=500))
    alone = {"stacking": Stacking(exclusive=True)}
    await desk.template("alone", effect=FixedOff(amount_minor=2_000), terms=alone)
    await desk.template("large", effect=FixedOff(amount_minor=1_000))
    codes = {code: (await desk.issue(code)).code for code in ("small", "alone", "large")}
    held = await shop.lock(best=True)
    assert [coupon.code for coupon in held.quote.coupons] == [codes["alone"]]
    second = await shop.lock(best=True)
    assert {coupon.code for coupon in second.quote.coupons} == {codes["small"], codes["large"]}


async def test_released_or_run_out_it_is_free_as_if_nothing_had_been(shop: Desk, desk: Till) -> None:
    await desk.template()
    code = (await desk.issue()).code
    held = await shop.lock(coupons=(code,), points=1_000)
    released = await shop.step(release, held)
    assert (released.state, await shop.state(code), await desk.spendable()) == ("released", "issued", 10_000)

    slow = await shop.lock(coupons=(code,), points=1_000, hold_seconds=60)
    await desk.pass_time(seconds=60)
    found = await get_checkout(desk.connection, programme_id=desk.programme.id, checkout_id=slow.id)
    assert (found.state, await shop.state(code)) == ("expired", "issued")
    quick = await shop.lock(coupons=(code,))
    with pytest.raises(errors.CheckoutExpiredError):
        async with desk.connection.begin_nested():
            await shop.step(use, slow, order_number="R-1")
    assert (await shop.step(release, slow)).state == "expired"
    assert (await shop.step(use, quick, order_number="R-2")).state == "used"
    assert await desk.spendable() == 10_000


async def test_lines_are_refunded_one_by_one_and_the_coupon_with_the_last(shop: Desk, desk: Till) -> None:
    await desk.template(effect=FixedOff(amount_minor=3_000))
    code = (await desk.issue()).code
    held = await shop.lock(coupons=(code,), points=4_500)
    await shop.step(use, held, order_number="R-1")
    part = await shop.step(refund, held, lines=[1])
    assert (part.state, part.refunded_lines) == ("used", (1,))
    assert (await shop.state(code), await desk.spendable()) == ("used", 5_500 + 1_500)
    for lines in ([1], [2]):
        with pytest.raises(InvalidInputError):
            async with desk.connection.begin_nested():
                await shop.step(refund, held, lines=lines)
    whole = await shop.step(refund, held)
    assert (whole.state, whole.refunded_lines) == ("refunded", (0, 1))
    assert (await shop.state(code), await desk.spendable()) == ("returned", 10_000)


async def test_a_gift_goes_with_the_basket(shop: Desk, desk: Till) -> None:
    gift = Gift(item={"zh": "马克杯", "en": "A mug"})
    await desk.publish("mug", Definition(name=gift.item, gives=gift, validity=DaysFromIssue(days=7)))
    code = (await desk.issue("mug")).code
    held = await shop.lock(coupons=(code,))
    assert [(coupon.kind, coupon.amount_minor) for coupon in held.quote.coupons] == [("gift", 0)]
    assert held.payable_minor == 12_000
    await shop.step(use, held, order_number="R-1")
    assert await shop.state(code) == "used"


def test_a_quote_is_read_back_as_it_was_written() -> None:
    told = Quote(
        currency="CNY",
        lines=(),
        coupons=(),
        refused=(),
        points=None,
        policy_version=None,
        total_minor=0,
        goods_discount_minor=0,
        shipping_discount_minor=0,
        discount_minor=0,
        payable_minor=0,
    )
    assert msgspec.convert(msgspec.to_builtins(told), Quote) == told
