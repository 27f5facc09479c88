"""The basket engine on one core: pricing what was chosen, and choosing the best, over a thousand baskets a second."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from redemption.basket import Basket, Candidate, Line, Member, PointsWish, best_combination, price_basket
from redemption.money_off import RedemptionPolicy
from redemption.terms import (
    Audience,
    BuyGet,
    Effect,
    EveryOff,
    FixedOff,
    ItemPrice,
    Items,
    Minimum,
    PercentOff,
    Schedule,
    Stacking,
    Terms,
)
from tests.bench.report import Measure, table

BASKETS = 200
LINES = 20
SECONDS = 2.0
ROUNDS = 3
WANTED = 1_000.0
MEMBER = Member(tier="gold", tags=frozenset({"tea"}), spendable_points=50_000)
POINTS = PointsWish(
    policy=RedemptionPolicy(
        programme_id=UUID(int=1),
        currency="CNY",
        version=1,
        step_points=100,
        step_amount_minor=100,
        minimum_points=0,
        max_share_bp=5_000,
    )
)


def measure(_url: str = "") -> list[Measure]:
    """Baskets a second of processor time, the best of a few rounds: other work on the machine only makes one slower."""
    chance = random.Random(11)  # noqa: S311  (the same baskets each time)
    baskets = [_basket(chance) for _ in range(BASKETS)]
    coupons = _coupons()
    ways: dict[str, Callable[[Basket], object]] = {
        "Five coupons and points on 20 lines priced": lambda basket: price_basket(basket, MEMBER, coupons, POINTS),
        "The best of five coupons, with points, on 20 lines": lambda basket: best_combination(
            basket, MEMBER, coupons, POINTS
        ),
    }
    return [
        Measure(
            name=name,
            rate=max(_rate(price, baskets) for _ in range(ROUNDS)),
            baseline="baskets a second that are wanted of one core",
            baseline_rate=WANTED,
            goal=1.0,
        )
        for name, price in ways.items()
    ]


def _rate(price: Callable[[Basket], object], baskets: list[Basket]) -> float:
    priced, begun = 0, time.process_time()
    while (seconds := time.process_time() - begun) < SECONDS:
        for basket in baskets:
            price(basket)
        priced += len(baskets)
    return priced / seconds


def _basket(chance: random.Random) -> Basket:
    lines = tuple(
        Line(
            sku=f"S{chance.randrange(200)}",
            category=f"c{chance.randrange(8)}",
            quantity=chance.randint(1, 4),
            amount_minor=chance.randint(500, 20_000),
        )
        for _ in range(LINES)
    )
    return Basket(
        currency="CNY",
        channel="shop",
        channel_kind="online",
        moment=datetime(2026, 11, 11, 12, tzinfo=UTC),
        time_zone="Asia/Shanghai",
        lines=lines,
        shipping_minor=1_200,
    )


def _coupons() -> list[Candidate]:
    """Five kinds that all apply beside each other to most baskets, so that nothing is saved by refusing early."""
    effects: list[tuple[Effect, Items]] = [
        (FixedOff(amount_minor=2_000), Items()),
        (PercentOff(percent_bp=1_000, max_amount_minor=5_000), Items(categories=("c1", "c2", "c3"))),
        (EveryOff(every_minor=20_000, off_minor=1_500), Items(excluded_categories=("c0",))),
        (BuyGet(buy=2, get=1), Items(categories=("c4", "c5"))),
        (ItemPrice(price_minor=990, max_quantity=3), Items(skus=tuple(f"S{number}" for number in range(60)))),
    ]
    return [
        Candidate(
            reference=f"coupon-{place}",
            terms=Terms(
                currency="CNY",
                effect=effect,
                items=items,
                minimum=Minimum(amount_minor=10_000),
                schedule=Schedule(weekdays=(1, 2, 3)),
                audience=Audience(tiers=("gold",)),
                stacking=Stacking(priority=place),
            ),
        )
        for place, (effect, items) in enumerate(effects)
    ]


if __name__ == "__main__":
    print(table(measure()))
