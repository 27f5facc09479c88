from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from redemption.basket import (
    Basket,
    Candidate,
    Line,
    Member,
    PointsWish,
    Priced,
    best_combination,
    price_basket,
)
from redemption.basket.eligibility import matching_lines
from redemption.basket.reckoning import line_takes
from redemption.money_off import RedemptionPolicy
from redemption.terms import (
    BuyGet,
    Effect,
    EveryOff,
    FixedOff,
    FreeShipping,
    GiftLine,
    ItemPrice,
    Items,
    Minimum,
    PercentOff,
    Stacking,
    Step,
    SteppedOff,
    Terms,
    check_terms,
)

MEMBER = Member(spendable_points=3_000)
SKUS = ("A", "B", "C", "D")
CATEGORIES = ("x", "y")


@st.composite
def baskets(draw: st.DrawFn) -> Basket:
    line = st.builds(
        Line,
        sku=st.sampled_from(SKUS),
        category=st.sampled_from(CATEGORIES),
        quantity=st.integers(0, 5),
        amount_minor=st.integers(0, 3_000),
    )
    return Basket(
        currency="CNY",
        channel="shop",
        channel_kind="online",
        moment=datetime(2026, 11, 11, tzinfo=UTC),
        time_zone="Asia/Shanghai",
        lines=tuple(draw(st.lists(line, max_size=6))),
        shipping_minor=draw(st.sampled_from((0, 500))),
    )


SELECTIONS = st.one_of(
    st.just(Items()),
    st.builds(Items, skus=st.sampled_from(SKUS).map(lambda sku: (sku,))),
    st.builds(Items, excluded_categories=st.just(("x",))),
)
MONEY = st.integers(1, 4_000)
EFFECTS: st.SearchStrategy[Effect] = st.one_of(
    st.builds(FixedOff, amount_minor=MONEY),
    st.builds(PercentOff, percent_bp=st.integers(1, 10_000), max_amount_minor=st.none() | MONEY),
    st.builds(
        EveryOff, every_minor=st.integers(500, 2_000), off_minor=st.integers(1, 500), max_times=st.none() | st.just(2)
    ),
    st.just(SteppedOff(steps=(Step(from_minor=1_000, off_minor=200), Step(from_minor=3_000, off_minor=900)))),
    st.builds(ItemPrice, price_minor=st.integers(0, 500), max_quantity=st.none() | st.integers(1, 4)),
    st.builds(
        BuyGet,
        buy=st.integers(1, 3),
        get=st.integers(1, 2),
        off_bp=st.sampled_from((5_000, 10_000)),
        max_times=st.none() | st.just(1),
        reward=st.none() | st.just(Items(categories=("x",))),
    ),
    st.builds(FreeShipping, max_amount_minor=st.none() | st.just(300)),
    st.builds(GiftLine, sku=st.just("BAG"), worth_minor=st.integers(1, 300)),
)
STACKING = st.builds(
    Stacking,
    priority=st.integers(1, 3),
    group=st.sampled_from((None, None, "one", "two")),
    choice=st.sampled_from(("first", "best")),
    exclusive=st.sampled_from((False, False, False, True)),
    with_points=st.booleans(),
    base=st.sampled_from(("remaining", "list")),
)
MINIMUM = st.builds(
    Minimum,
    amount_minor=st.sampled_from((0, 0, 1_500)),
    of=st.sampled_from(("basket", "matching")),
    quantity=st.sampled_from((0, 2)),
)


def coupons(stacking: st.SearchStrategy[Stacking], *, most: int) -> st.SearchStrategy[list[Candidate]]:
    terms = st.builds(
        Terms, currency=st.just("CNY"), effect=EFFECTS, items=SELECTIONS, minimum=MINIMUM, stacking=stacking
    )

    def named(several: Sequence[Terms]) -> list[Candidate]:
        return [Candidate(reference=f"c{place}", terms=each) for place, each in enumerate(several)]

    return st.lists(terms, max_size=most).map(named)


@st.composite
def wishes(draw: st.DrawFn) -> PointsWish | None:
    policy = RedemptionPolicy(
        programme_id=UUID(int=1),
        currency="CNY",
        version=1,
        step_points=100,
        step_amount_minor=50,
        minimum_points=200,
        max_share_bp=5_000,
    )
    points: Any = draw(st.sampled_from((None, "most", 400, 3_000)))
    return None if points is None else PointsWish(policy=policy, points=points)


@given(baskets(), coupons(STACKING, most=8), wishes(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_every_amount_is_exact_and_the_order_of_asking_changes_nothing(
    basket: Basket, candidates: list[Candidate], wish: PointsWish | None, shuffler: random.Random
) -> None:
    for candidate in candidates:
        check_terms(candidate.terms)
    priced = price_basket(basket, MEMBER, candidates, wish)

    # Lines sum to the discount, as do the coupons; nothing is negative and no line gives more than it costs.
    assert [line.amount_minor for line in priced.lines] == [line.amount_minor for line in basket.lines]
    for place, line in enumerate(priced.lines):
        assert line.discount_minor == sum(applied.line_minor[place] for applied in priced.applied)
        assert min(line.discount_minor, line.points_minor, line.payable_minor) >= 0
        assert line.discount_minor + line.points_minor + line.payable_minor == line.amount_minor
    for applied in priced.applied:
        assert min((*applied.line_minor, applied.shipping_minor)) >= 0
        assert sum(applied.line_minor) + applied.shipping_minor == applied.amount_minor
        assert applied.amount_minor > 0 or applied.gifts
    assert priced.goods_discount_minor == sum(line.discount_minor for line in priced.lines)
    assert 0 <= priced.shipping_discount_minor <= basket.shipping_minor
    assert priced.discount_minor == priced.goods_discount_minor + priced.shipping_discount_minor
    assert priced.discount_minor == sum(applied.amount_minor for applied in priced.applied)
    points_minor = priced.points.amount_minor if priced.points is not None else 0
    assert points_minor == sum(line.points_minor for line in priced.lines)
    whole_minor = sum(line.amount_minor for line in basket.lines) + basket.shipping_minor
    assert priced.payable_minor == whole_minor - priced.discount_minor - points_minor

    # Each coupon applies or is refused, whatever the order in which they were given.
    named = [applied.reference for applied in priced.applied] + [refused.reference for refused in priced.refused]
    assert sorted(named) == [candidate.reference for candidate in candidates]
    shuffled = list(candidates)
    shuffler.shuffle(shuffled)
    again = price_basket(basket, MEMBER, shuffled, wish)
    assert msgspec.structs.replace(again, refused=()) == msgspec.structs.replace(priced, refused=())
    assert set(map(repr, again.refused)) == set(map(repr, priced.refused))

    # What applied applies again without what did not: a checkout may lock those alone.
    used = {applied.reference for applied in priced.applied}
    alone = price_basket(basket, MEMBER, [each for each in candidates if each.reference in used], wish)
    assert msgspec.structs.replace(priced, refused=()) == alone


ON_LIST = st.builds(Stacking, priority=st.integers(1, 9), base=st.just("list"))


@given(baskets(), coupons(ON_LIST, most=6), st.lists(st.integers(1, 9), min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_what_is_reckoned_on_list_prices_comes_to_the_same_whatever_the_priorities(
    basket: Basket, candidates: list[Candidate], priorities: list[int]
) -> None:
    def moved(candidate: Candidate, priority: int) -> Candidate:
        stacking = msgspec.structs.replace(candidate.terms.stacking, priority=priority)
        return msgspec.structs.replace(candidate, terms=msgspec.structs.replace(candidate.terms, stacking=stacking))

    elsewhere = [moved(*pair) for pair in zip(candidates, priorities, strict=False)]
    priced, other = (price_basket(basket, MEMBER, each) for each in (candidates, elsewhere))
    assert priced.lines == other.lines
    assert priced.payable_minor == other.payable_minor


def saved_minor(priced: Priced, candidates: Sequence[Candidate]) -> int:
    """What an answer saves, reckoned here anew: discount, points and what gifts are worth."""
    effects = {candidate.reference: candidate.terms.effect for candidate in candidates}
    gifts = (effects[applied.reference] for applied in priced.applied if applied.gifts)
    worth_minor = sum(gift.worth_minor for gift in gifts if isinstance(gift, GiftLine))
    return priced.discount_minor + worth_minor + (priced.points.amount_minor if priced.points is not None else 0)


@given(baskets(), coupons(STACKING, most=8), wishes())
@settings(max_examples=50, deadline=None)
def test_the_best_combination_is_what_trying_all_of_them_finds(
    basket: Basket, candidates: list[Candidate], wish: PointsWish | None
) -> None:
    best = best_combination(basket, MEMBER, candidates, wish)
    chosen = {applied.reference for applied in best.priced.applied}
    subsets = [each for size in range(len(candidates) + 1) for each in combinations(candidates, size)]
    tried_minor = max(saved_minor(price_basket(basket, MEMBER, each, wish), candidates) for each in subsets)
    assert best.proven
    assert best.value_minor == tried_minor == saved_minor(best.priced, candidates)

    # It is what pricing the chosen ones says, and none of them is idle.
    used = [candidate for candidate in candidates if candidate.reference in chosen]
    assert price_basket(basket, MEMBER, used, wish) == msgspec.structs.replace(best.priced, refused=())
    for left_out in used:
        fewer = [candidate for candidate in used if candidate is not left_out]
        assert saved_minor(price_basket(basket, MEMBER, fewer, wish), candidates) < best.value_minor


@given(baskets(), EFFECTS, SELECTIONS, st.lists(st.integers(0, 100), min_size=6, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_cheaper_line_never_makes_a_discount_greater(
    basket: Basket, effect: Effect, items: Items, percents: list[int]
) -> None:
    matching = matching_lines(items, basket.lines)
    costs = [line.amount_minor for line in basket.lines]
    cheaper = [cost * percent // 100 for cost, percent in zip(costs, percents, strict=False)]
    takes = line_takes(effect, basket.lines, matching, costs)
    lesser = line_takes(effect, basket.lines, matching, cheaper)
    assert sum(lesser) <= sum(takes)
    for cost, take in zip(cheaper, lesser, strict=True):
        assert 0 <= take <= cost
