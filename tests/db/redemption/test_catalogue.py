"""Points for things: items from a counted stock, and coupons."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loyalty.kit.errors import InvalidInputError, NotFoundError
from redemption import errors
from redemption.benefits.errors import BenefitUsedError
from redemption.benefits.wallet import wallet
from redemption.catalogue import get_item, list_items
from redemption.stale import sweep
from redemption.terms import Minimum
from tests.db.redemption.conftest import Till


async def _stock(desk: Till, code: str = "mug") -> int | None:
    return (await get_item(desk.connection, programme_id=desk.programme.id, code=code)).stock


async def test_an_item_costs_its_points_and_leaves_the_stock(desk: Till) -> None:
    item = await desk.item(stock=2)
    await desk.earn(1_000)
    held = await desk.begin(catalogue_item="mug")
    assert (held.kind, held.points, held.amount_minor, held.name) == ("catalogue", 300, 0, item.name)
    assert held.catalogue_item_id == item.id
    assert await _stock(desk) == 1

    captured = await desk.capture(held)

    assert (captured.state, captured.benefit_id) == ("captured", None)
    assert (await _stock(desk), await desk.spendable()) == (1, 700)


async def test_away_from_a_till_no_receipt_is_needed(desk: Till) -> None:
    await desk.item()
    await desk.earn(300)
    captured = await desk.capture(await desk.begin(catalogue_item="mug"), None)
    assert (captured.state, captured.receipt_number) == ("captured", None)
    assert await desk.capture(captured, None) == captured


@pytest.mark.parametrize("captured", [False, True])
async def test_a_void_puts_the_item_back_on_the_shelf(desk: Till, *, captured: bool) -> None:
    await desk.item(stock=1)
    await desk.earn(300)
    held = await desk.begin(catalogue_item="mug")
    if captured:
        await desk.capture(held)
    await desk.void(held)
    assert (await _stock(desk), await desk.spendable()) == (1, 300)


async def test_a_refund_takes_the_item_back_whole_or_not_at_all(desk: Till) -> None:
    await desk.item(stock=1)
    await desk.earn(300)
    held = await desk.begin(catalogue_item="mug")
    await desk.capture(held)
    with pytest.raises(InvalidInputError):
        await desk.refund(held, points=100)
    refunded = await desk.refund(held)
    assert (refunded.state, refunded.refunded_points) == ("refunded", 300)
    assert (await _stock(desk), await desk.spendable()) == (1, 300)


async def test_what_is_sold_out_is_refused_and_no_points_are_held(desk: Till) -> None:
    await desk.item(stock=0)
    await desk.earn(300)
    with pytest.raises(errors.OutOfStockError):
        async with desk.connection.begin_nested():
            await desk.begin(catalogue_item="mug")
    assert await desk.spendable() == 300


async def test_what_a_till_let_run_out_is_back_on_the_shelf_for_the_next(desk: Till) -> None:
    await desk.item(stock=1)
    await desk.earn(600)
    await desk.begin(catalogue_item="mug", hold_seconds=60)
    await desk.pass_time(seconds=60)
    assert (await desk.begin(catalogue_item="mug")).state == "held"
    assert await _stock(desk) == 0


async def test_the_sweep_puts_it_back_too_and_once(desk: Till) -> None:
    await desk.item(stock=1)
    await desk.earn(300)
    await desk.begin(catalogue_item="mug", hold_seconds=60)
    assert await sweep(desk.connection) == 0
    await desk.pass_time(seconds=60)
    assert [await sweep(desk.connection), await sweep(desk.connection)] == [1, 0]
    assert await _stock(desk) == 1


async def test_too_few_points_are_refused_with_figures(desk: Till) -> None:
    await desk.item()
    await desk.earn(299)
    with pytest.raises(errors.NotEnoughPointsError) as refused:
        async with desk.connection.begin_nested():
            await desk.begin(catalogue_item="mug")
    assert refused.value.members == {"available": 299, "requested": 300}


async def test_what_is_not_offered_any_more_is_not_redeemed(desk: Till) -> None:
    await desk.item(active=False)
    await desk.earn(300)
    for code in ("mug", "unknown"):
        with pytest.raises(NotFoundError) as refused:
            await desk.begin(catalogue_item=code)
        assert refused.value.field == "catalogue_item"


async def test_a_coupon_bought_is_in_the_wallet_at_capture(desk: Till) -> None:
    await desk.template()
    await desk.item(code="ten-off", coupon_template_code="ten-off")
    await desk.earn(300)
    held = await desk.begin(catalogue_item="ten-off")
    assert await wallet(desk.connection, member_id=desk.member_id) == []

    captured = await desk.capture(held)

    (coupon,) = await wallet(desk.connection, member_id=desk.member_id)
    assert (coupon.id, coupon.state, coupon.template_code) == (captured.benefit_id, "issued", "ten-off")


async def test_a_coupon_bought_has_the_terms_it_had_when_the_till_began(desk: Till) -> None:
    first = await desk.template()
    await desk.item(code="ten-off", coupon_template_code="ten-off")
    await desk.earn(300)
    held = await desk.begin(catalogue_item="ten-off")
    await desk.template(terms={"minimum": Minimum(amount_minor=9_900)})
    await desk.capture(held)
    (coupon,) = await wallet(desk.connection, member_id=desk.member_id)
    assert coupon.definition == first.definition


async def test_voiding_takes_the_coupon_back(desk: Till) -> None:
    await desk.template()
    await desk.item(code="ten-off", coupon_template_code="ten-off", stock=5)
    await desk.earn(300)
    held = await desk.begin(catalogue_item="ten-off")
    await desk.capture(held)
    await desk.void(held)
    assert await wallet(desk.connection, member_id=desk.member_id) == []
    assert (await desk.spendable(), await _stock(desk, "ten-off")) == (300, 5)


async def test_unless_it_was_used_meanwhile(desk: Till) -> None:
    await desk.template()
    await desk.item(code="ten-off", coupon_template_code="ten-off")
    await desk.earn(300)
    bought = await desk.begin(catalogue_item="ten-off")
    await desk.capture(bought)
    (coupon,) = await wallet(desk.connection, member_id=desk.member_id)
    used = await desk.begin(coupon=coupon.code)
    await desk.capture(used, "R-2")

    for step in (desk.void, desk.refund):
        with pytest.raises(BenefitUsedError):
            async with desk.connection.begin_nested():
                await step(bought)
    assert await desk.spendable() == 0


async def test_the_catalogue_is_listed_cheapest_first(desk: Till) -> None:
    await desk.item(code="mug", points_cost=300)
    await desk.item(code="pen", points_cost=100)
    await desk.item(code="old", points_cost=50, active=False)
    listed = await list_items(desk.connection, programme_id=desk.programme.id)
    assert [item.code for item in listed] == ["pen", "mug"]
    assert len(await list_items(desk.connection, programme_id=desk.programme.id, active_only=False)) == 3


async def test_saving_again_changes_the_item_and_keeps_its_id(desk: Till) -> None:
    first = await desk.item(stock=3)
    second = await desk.item(points_cost=400, stock=9)
    assert second == msgspec.structs.replace(first, points_cost=400, stock=9)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": "Mug!"}, "code"),
        ({"points_cost": 0}, "points_cost"),
        ({"stock": -1}, "stock"),
    ],
)
async def test_an_item_that_makes_no_sense_is_refused(desk: Till, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await desk.item(**fields)
    assert refused.value.field == field


async def test_a_coupon_item_needs_a_known_template(desk: Till) -> None:
    with pytest.raises(NotFoundError):
        await desk.item(coupon_template_code="unknown")
