from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from loyalty.kit.errors import InvalidInputError
from redemption.terms import (
    Audience,
    BuyGet,
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
    check_terms,
    parse_terms,
)

EFFECTS = [
    FixedOff(amount_minor=2_000),
    PercentOff(percent_bp=2_000, max_amount_minor=5_000),
    EveryOff(every_minor=10_000, off_minor=1_000, max_times=3),
    SteppedOff(steps=(Step(from_minor=20_000, off_minor=2_000), Step(from_minor=30_000, off_minor=5_000))),
    ItemPrice(price_minor=990, max_quantity=2),
    BuyGet(buy=2, get=1, off_bp=5_000, max_times=1, reward=Items(skus=("CUP",))),
    GiftLine(sku="BAG", quantity=1, worth_minor=500),
    FreeShipping(max_amount_minor=1_200),
]


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: type(effect).__name__)
def test_terms_are_the_same_thing_as_their_json(effect: Any) -> None:
    terms = Terms(
        currency="CNY",
        effect=effect,
        items=Items(categories=("tea",), excluded_skus=("T-9",)),
        minimum=Minimum(amount_minor=10_000, of="matching", quantity=2),
        schedule=Schedule(
            first_day=date(2026, 11, 1),
            last_day=date(2026, 11, 11),
            weekdays=(6, 7),
            hours=(Hours(start_minute=1_320, end_minute=120),),
        ),
        places=Places(kinds=("store",), channels=("pos",), stores=("12",)),
        audience=Audience(tiers=("gold",), tags=("vip",), excluded_tags=("staff",)),
        stacking=Stacking(priority=5, group="one-a-day", choice="first", with_points=False, base="list"),
    )
    assert parse_terms(msgspec.json.decode(msgspec.json.encode(terms))) == terms


def test_what_is_left_out_restricts_nothing() -> None:
    terms = parse_terms({"currency": "CNY", "effect": {"kind": "fixed", "amount_minor": 100}})
    assert terms == Terms(currency="CNY", effect=FixedOff(amount_minor=100))
    assert terms.items.select_all


OFF = {"kind": "fixed", "amount_minor": 100}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"currency": "yuan"}, "terms.currency"),
        ({"effect": {"kind": "fixed", "amount_minor": 0}}, "terms.effect.amount_minor"),
        ({"effect": {"kind": "free_lunch"}}, "terms.effect.kind"),
        ({"effect": {"kind": "fixed", "amount_minor": "5"}}, "terms.effect.amount_minor"),
        ({"effect": {"kind": "percent", "percent_bp": 10_001}}, "terms.effect.percent_bp"),
        ({"effect": {"kind": "percent", "percent_bp": 1, "max_amount_minor": 0}}, "terms.effect.max_amount_minor"),
        ({"effect": {"kind": "every", "every_minor": 100, "off_minor": 101}}, "terms.effect.off_minor"),
        ({"effect": {"kind": "every", "every_minor": 9, "off_minor": 1, "max_times": 0}}, "terms.effect.max_times"),
        ({"effect": {"kind": "stepped", "steps": []}}, "terms.effect.steps"),
        (
            {"effect": {"kind": "stepped", "steps": [{"from_minor": 9, "off_minor": 2}] * 2}},
            "terms.effect.steps[1].from_minor",
        ),
        (
            {
                "effect": {
                    "kind": "stepped",
                    "steps": [{"from_minor": 9, "off_minor": 2}, {"from_minor": 10, "off_minor": 2}],
                }
            },
            "terms.effect.steps[1].off_minor",
        ),
        ({"effect": {"kind": "item_price", "price_minor": -1}}, "terms.effect.price_minor"),
        ({"effect": {"kind": "buy_get", "buy": 0, "get": 1}}, "terms.effect.buy"),
        ({"effect": {"kind": "buy_get", "buy": 1, "get": 1, "reward": {"skus": [""]}}}, "terms.effect.reward.skus[0]"),
        ({"effect": {"kind": "buy_get", "buy": 1, "get": 1, "reward": {}}}, "terms.effect.reward"),
        ({"effect": {"kind": "gift", "sku": "BAG", "quantity": 0}}, "terms.effect.quantity"),
        ({"items": {"skus": ["A", "A"]}}, "terms.items.skus"),
        ({"minimum": {"amount_minor": -1}}, "terms.minimum.amount_minor"),
        ({"schedule": {"first_day": "2026-02-30"}}, "terms.schedule.first_day"),
        ({"schedule": {"first_day": "2026-03-02", "last_day": "2026-03-01"}}, "terms.schedule.last_day"),
        ({"schedule": {"weekdays": [1, 8]}}, "terms.schedule.weekdays[1]"),
        ({"schedule": {"hours": [{"start_minute": 60, "end_minute": 60}]}}, "terms.schedule.hours[0].end_minute"),
        ({"places": {"kinds": ["web"]}}, "terms.places.kinds[0]"),
        ({"places": {"stores": ["12", "12"]}}, "terms.places.stores"),
        ({"audience": {"tags": ["a"], "excluded_tags": ["a"]}}, "terms.audience.excluded_tags"),
        ({"stacking": {"priority": 1_001}}, "terms.stacking.priority"),
        ({"stacking": {"group": "Not a code"}}, "terms.stacking.group"),
        ({"surprise": 1}, "terms"),
    ],
)
def test_a_fault_is_named_by_its_path(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_terms({"currency": "CNY", "effect": OFF} | changed)
    assert caught.value.field == field


def test_terms_made_in_python_are_checked_too() -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_terms(Terms(currency="CNY", effect=FixedOff(amount_minor=0)), path="template.terms")
    assert caught.value.field == "template.terms.effect.amount_minor"
