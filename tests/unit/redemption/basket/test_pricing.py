from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from loyalty.kit.errors import InvalidInputError
from redemption.basket import Basket, Candidate, Gift, Line, Member, PointsWish, Priced, best_combination, price_basket
from redemption.money_off import RedemptionPolicy
from redemption.terms import (
    Audience,
    BuyGet,
    Effect,
    EveryOff,
    FixedOff,
    FreeShipping,
    GiftLine,
    Hours,
    ItemPrice,
    Items,
    Minimum,
    PercentOff,
    Places,
    Schedule,
    Stacking,
    Step,
    SteppedOff,
    Terms,
)

TEA = Line(sku="TEA", category="tea", quantity=3, amount_minor=10_000)
CUP = Line(sku="CUP", category="ware", quantity=1, amount_minor=4_500)
POT = Line(sku="POT", category="ware", quantity=2, amount_minor=25_500)
BASKET = Basket(
    currency="CNY",
    channel="shop",
    channel_kind="online",
    moment=datetime(2026, 11, 11, 15, 30, tzinfo=UTC),
    time_zone="Asia/Shanghai",
    lines=(TEA, CUP, POT),
    shipping_minor=1_200,
)
"""400.00 of goods on Wednesday, 11 November, at 23:30 in Shanghai."""
MEMBER = Member(tier="gold", tags=frozenset({"vip"}), spendable_points=10_000)
POLICY = RedemptionPolicy(
    programme_id=UUID(int=1),
    currency="CNY",
    version=1,
    step_points=100,
    step_amount_minor=100,
    minimum_points=200,
    max_share_bp=5_000,
)


def coupon(effect: Effect, reference: str = "C1", **terms: Any) -> Candidate:
    return Candidate(reference=reference, terms=Terms(currency="CNY", effect=effect, **terms))


def discounts(priced: Priced) -> list[int]:
    return [line.discount_minor for line in priced.lines]


WARE = Items(categories=("ware",))


@pytest.mark.parametrize(
    ("effect", "items", "line_minor"),
    [
        # Shared in proportion to what lines cost, to the cent.
        (FixedOff(amount_minor=1_000), Items(), [250, 113, 637]),
        (FixedOff(amount_minor=99_999), WARE, [0, 4_500, 25_500]),
        (PercentOff(percent_bp=1_000), Items(), [1_000, 450, 2_550]),
        (PercentOff(percent_bp=1_000, max_amount_minor=100), WARE, [0, 15, 85]),
        # 300.00 of ware are nine times 33.00.
        (EveryOff(every_minor=3_300, off_minor=100), WARE, [0, 135, 765]),
        (EveryOff(every_minor=3_300, off_minor=100, max_times=2), WARE, [0, 30, 170]),
        (
            SteppedOff(steps=(Step(from_minor=20_000, off_minor=2_000), Step(from_minor=30_000, off_minor=6_000))),
            WARE,
            [0, 900, 5_100],
        ),
        # A pot costs 127.50, a cup 45.00.
        (ItemPrice(price_minor=4_000), WARE, [0, 500, 17_500]),
        (ItemPrice(price_minor=4_000, max_quantity=1), WARE, [0, 0, 8_750]),
        # Six pieces, so two threes: the two cheapest are teas of 33.33.
        (BuyGet(buy=2, get=1), Items(), [6_666, 0, 0]),
        (BuyGet(buy=2, get=1, max_times=1, off_bp=5_000), Items(), [1_666, 0, 0]),
        # Three teas bring one thing of the ware: the cup, the cheapest.
        (BuyGet(buy=3, get=1, reward=WARE), Items(skus=("TEA",)), [0, 4_500, 0]),
        (BuyGet(buy=1, get=1, reward=WARE), Items(), [0, 4_500, 25_500]),
    ],
)
def test_what_each_kind_takes_off_which_line(effect: Effect, items: Items, line_minor: list[int]) -> None:
    priced = price_basket(BASKET, MEMBER, [coupon(effect, items=items)])
    assert discounts(priced) == line_minor
    assert priced.payable_minor == 41_200 - sum(line_minor)


def test_shipping_is_no_line_and_a_gift_costs_nothing() -> None:
    free = coupon(FreeShipping(max_amount_minor=1_000), "ship")
    gift = coupon(GiftLine(sku="BAG", quantity=2), "gift")
    priced = price_basket(BASKET, MEMBER, [free, gift])
    assert discounts(priced) == [0, 0, 0]
    assert (priced.shipping_discount_minor, priced.payable_minor) == (1_000, 40_200)
    assert priced.applied[0].gifts == (Gift(sku="BAG", quantity=2),)


OFF = FixedOff(amount_minor=1_000)


@pytest.mark.parametrize(
    ("candidate", "code", "parameters"),
    [
        (Candidate(reference="C1", terms=Terms(currency="GBP", effect=OFF)), "wrong_currency", {"currency": "GBP"}),
        (
            msgspec.structs.replace(coupon(OFF), expires_at=BASKET.moment),
            "expired",
            {"expired_at": "2026-11-11T15:30:00+00:00"},
        ),
        (
            msgspec.structs.replace(coupon(OFF), valid_from=datetime(2026, 11, 12, tzinfo=UTC)),
            "not_yet_valid",
            {"valid_from": "2026-11-12T00:00:00+00:00"},
        ),
        (coupon(OFF, schedule=Schedule(first_day=date(2026, 11, 12))), "wrong_day", {"first_day": "2026-11-12"}),
        (coupon(OFF, schedule=Schedule(last_day=date(2026, 11, 10))), "wrong_day", {"last_day": "2026-11-10"}),
        (coupon(OFF, schedule=Schedule(weekdays=(4, 5))), "wrong_weekday", {}),
        (coupon(OFF, schedule=Schedule(hours=(Hours(start_minute=600, end_minute=1_410),))), "wrong_hour", {}),
        (coupon(OFF, places=Places(kinds=("store",))), "wrong_channel_kind", {"kind": "online"}),
        (coupon(OFF, places=Places(channels=("pos",))), "wrong_channel", {"channel": "shop"}),
        (coupon(OFF, places=Places(stores=("12",))), "wrong_store", {}),
        (coupon(OFF, audience=Audience(tiers=("black",))), "wrong_tier", {}),
        (coupon(OFF, audience=Audience(tags=("staff",))), "wrong_member", {}),
        (coupon(OFF, audience=Audience(excluded_tags=("vip",))), "wrong_member", {}),
        (coupon(OFF, items=Items(skus=("MUG",))), "no_matching_items", {}),
        (coupon(OFF, items=Items(excluded_categories=("tea", "ware"))), "no_matching_items", {}),
        (
            coupon(OFF, items=WARE, minimum=Minimum(quantity=4)),
            "too_few_items",
            {"minimum": 4, "quantity": 3, "missing": 1},
        ),
        (
            coupon(OFF, minimum=Minimum(amount_minor=40_001)),
            "basket_too_small",
            {"minimum_minor": 40_001, "amount_minor": 40_000, "missing_minor": 1},
        ),
        (
            coupon(OFF, items=WARE, minimum=Minimum(amount_minor=40_000, of="matching")),
            "items_too_small",
            {"minimum_minor": 40_000, "amount_minor": 30_000, "missing_minor": 10_000},
        ),
        (
            coupon(EveryOff(every_minor=50_000, off_minor=1)),
            "items_too_small",
            {"minimum_minor": 50_000, "amount_minor": 40_000, "missing_minor": 10_000},
        ),
        (
            coupon(BuyGet(buy=3, get=1), items=Items(skus=("TEA",))),
            "too_few_items",
            {"minimum": 4, "quantity": 3, "missing": 1},
        ),
        (coupon(ItemPrice(price_minor=20_000)), "nothing_left", {}),
    ],
)
def test_why_a_coupon_does_not_apply(candidate: Candidate, code: str, parameters: dict[str, Any]) -> None:
    priced = price_basket(BASKET, MEMBER, [candidate])
    assert [(refused.reason.code, refused.reason.parameters) for refused in priced.refused] == [(code, parameters)]
    assert priced.payable_minor == 41_200


def test_shipping_that_costs_nothing_cannot_be_free() -> None:
    priced = price_basket(msgspec.structs.replace(BASKET, shipping_minor=0), MEMBER, [coupon(FreeShipping())])
    assert priced.refused[0].reason.code == "no_shipping"


@pytest.mark.parametrize(("start", "end"), [(1_410, 1_440), (1_380, 60), (1_410, 1_411)])
def test_hours_are_the_programme_s_and_may_go_past_midnight(start: int, end: int) -> None:
    within = Schedule(weekdays=(3,), hours=(Hours(start_minute=start, end_minute=end),))
    assert price_basket(BASKET, MEMBER, [coupon(OFF, schedule=within)]).discount_minor == 1_000


def test_a_coupon_is_reckoned_on_what_is_left_or_on_list_prices() -> None:
    first = coupon(FixedOff(amount_minor=20_000), "a", stacking=Stacking(priority=1))
    on_rest = coupon(PercentOff(percent_bp=5_000), "b", stacking=Stacking(priority=2))
    on_list = coupon(PercentOff(percent_bp=5_000), "b", stacking=Stacking(priority=2, base="list"))
    assert price_basket(BASKET, MEMBER, [on_rest, first]).payable_minor == 1_200 + 10_000
    assert price_basket(BASKET, MEMBER, [on_list, first]).payable_minor == 1_200


def reasons(priced: Priced) -> dict[str, str]:
    return {refused.reference: refused.reason.code for refused in priced.refused}


def test_of_a_group_one_applies() -> None:
    def member_of(choice: Any, amount_minor: int, reference: str, priority: int) -> Candidate:
        stacking = Stacking(group="day", choice=choice, priority=priority)
        return coupon(FixedOff(amount_minor=amount_minor), reference, stacking=stacking)

    first = [member_of("first", 500, "a", 1), member_of("first", 900, "b", 2)]
    assert reasons(price_basket(BASKET, MEMBER, first)) == {"b": "group_taken"}
    best = [member_of("best", 500, "a", 1), member_of("best", 900, "b", 2)]
    assert reasons(price_basket(BASKET, MEMBER, best)) == {"a": "better_in_group"}


def test_an_exclusive_coupon_applies_alone() -> None:
    alone = coupon(OFF, "alone", stacking=Stacking(exclusive=True, priority=5))
    before, after = (coupon(OFF, f"p{n}", stacking=Stacking(priority=n)) for n in (1, 9))
    assert reasons(price_basket(BASKET, MEMBER, [alone, after])) == {"p9": "alone_applies"}
    assert reasons(price_basket(BASKET, MEMBER, [alone, before])) == {"alone": "not_with_others"}
    assert best_combination(BASKET, MEMBER, [alone, before, after]).priced.discount_minor == 2_000


def test_points_pay_last_and_share_of_what_is_left() -> None:
    half = coupon(PercentOff(percent_bp=5_000))
    priced = price_basket(BASKET, MEMBER, [half], PointsWish(policy=POLICY))
    assert priced.points is not None
    assert (priced.points.points, priced.points.amount_minor) == (10_000, 10_000)
    assert priced.points.line_minor == (2_500, 1_125, 6_375)
    assert priced.payable_minor == 40_000 - 20_000 - 10_000 + 1_200


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (100, "below_minimum"),
        (250, "not_a_multiple"),
        (10_100, "not_enough_points"),
    ],
)
def test_points_that_cannot_pay_say_why(wish: int, code: str) -> None:
    paid = price_basket(BASKET, MEMBER, [], PointsWish(policy=POLICY, points=wish)).points
    assert paid is not None
    assert paid.reason is not None
    assert (paid.points, paid.reason.code) == (0, code)


def test_points_wait_outside_where_a_coupon_says_so_and_nothing_is_left_to_pay() -> None:
    alone = coupon(OFF, stacking=Stacking(with_points=False))
    wish = PointsWish(policy=POLICY, points=5_000)

    def code(candidate: Candidate) -> str | None:
        paid = price_basket(BASKET, MEMBER, [candidate], wish).points
        return paid.reason.code if paid is not None and paid.reason is not None else None

    assert code(alone) == "not_with_coupon"
    assert code(coupon(PercentOff(percent_bp=8_000))) == "above_share"
    assert code(coupon(PercentOff(percent_bp=10_000))) == "basket_empty"
    # 50.00 in points are worth more than a coupon of 10.00 that forbids them.
    best = best_combination(BASKET, MEMBER, [alone], wish)
    assert [refused.reason.code for refused in best.priced.refused] == ["better_without"]
    assert best.value_minor == 5_000


def test_the_best_combination_spends_no_coupon_for_nothing() -> None:
    everything = coupon(PercentOff(percent_bp=10_000), "z", stacking=Stacking(priority=9))
    best = best_combination(BASKET, MEMBER, [coupon(OFF, "a"), everything])
    assert [applied.reference for applied in best.priced.applied] == ["z"]
    assert best.proven


def test_a_question_with_a_fault_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="twice"):
        price_basket(BASKET, MEMBER, [coupon(OFF), coupon(OFF)])
    broken = msgspec.structs.replace(BASKET, lines=(msgspec.structs.replace(TEA, quantity=-1),))
    with pytest.raises(InvalidInputError) as caught:
        price_basket(broken, MEMBER)
    assert caught.value.field == "lines[0].quantity"
