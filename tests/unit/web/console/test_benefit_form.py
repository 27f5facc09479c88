"""The form of a benefit holds all that it shows: what it writes of a definition, it reads as the same definition."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from loyalty.kit.errors import InvalidInputError
from loyalty.web.console.benefits.form import EMPTY, FIELDS, field_of
from loyalty.web.console.benefits.reading import definition_of
from loyalty.web.console.benefits.writing import fits, form_of
from redemption.benefits.definition import (
    Coupon,
    DaysFromIssue,
    Definition,
    FixedDates,
    Gift,
    Gives,
    MoneyOff,
    Occasion,
    Service,
    Shipping,
    ThirdParty,
    check_definition,
)
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

BOTH = {"zh": "茶", "en": "Tea"}
EFFECTS: list[Effect] = [
    FixedOff(amount_minor=2_050),
    PercentOff(percent_bp=1_250, max_amount_minor=5_000),
    EveryOff(every_minor=10_000, off_minor=1_000, max_times=3),
    SteppedOff(steps=(Step(from_minor=20_000, off_minor=2_000), Step(from_minor=40_000, off_minor=5_000))),
    ItemPrice(price_minor=990, max_quantity=4),
    BuyGet(buy=2, get=1, off_bp=5_000, max_times=2, reward=Items(skus=("CUP",), categories=("cups",))),
    GiftLine(sku="BAG", quantity=2, worth_minor=1_500),
    FreeShipping(max_amount_minor=1_000),
]
WHOLE: dict[str, Any] = {
    "items": Items(skus=("T1", "T2"), categories=("tea",), excluded_skus=("T9",), excluded_categories=("sale",)),
    "minimum": Minimum(amount_minor=10_000, of="matching", quantity=2),
    "schedule": Schedule(
        first_day=date(2026, 11, 1),
        last_day=date(2026, 11, 30),
        weekdays=(6, 7),
        hours=(Hours(start_minute=540, end_minute=720), Hours(start_minute=1_320, end_minute=120)),
    ),
    "places": Places(kinds=("store",), channels=("store-1",), stores=("Pudong",)),
    "audience": Audience(tiers=("gold", "peak"), tags=("vip",), excluded_tags=("staff",)),
    "stacking": Stacking(priority=7, group="spring", choice="first", with_points=False, base="list"),
}
OTHERS: list[Gives] = [
    MoneyOff(amount_minor=500, currency="CNY"),
    Shipping(currency="CNY"),
    Shipping(currency="CNY", max_amount_minor=1_200),
    Gift(item=BOTH, sku="CAKE"),
    Occasion(what=BOTH, where=BOTH),
    Service(what=BOTH),
    ThirdParty(provider="Cinema", link="https://example.com/use"),
    *(Coupon(terms=Terms(currency="CNY", effect=effect)) for effect in EFFECTS if not isinstance(effect, FreeShipping)),
    *(Coupon(terms=Terms(currency="CNY", effect=effect, **WHOLE)) for effect in EFFECTS),
]


@pytest.mark.parametrize("gives", OTHERS, ids=lambda gives: gives.__class__.__name__)
def test_what_a_form_shows_it_reads_again(gives: Gives) -> None:
    whole = Definition(
        name=BOTH,
        about={"en": "For the season"},
        gives=gives,
        validity=FixedDates(first_day=date(2026, 11, 1), last_day=date(2026, 12, 31)),
        per_member=3,
        per_member_day=1,
        claimable=True,
        transferable=True,
        after_refund="keep_used",
        return_days=5,
        on_tiers=("gold",),
        before_birthday_days=3,
        budget="spring",
        cost_minor=1_234,
    )
    plain = Definition(name=BOTH, gives=gives, validity=DaysFromIssue(days=30, after_days=2))
    for definition in (whole, plain):
        check_definition(definition)
        form = form_of("tea", definition, "CNY")
        assert form.keys() <= {*FIELDS}
        assert definition_of(form, "CNY") == definition
        assert fits(definition, "CNY")


def test_what_has_more_than_the_form_is_left_to_the_program_that_wrote_it() -> None:
    many = SteppedOff(steps=tuple(Step(from_minor=n * 1_000, off_minor=n * 10) for n in range(1, 7)))
    for terms in (Terms(currency="CNY", effect=many), Terms(currency="USD", effect=FixedOff(amount_minor=1))):
        assert not fits(Definition(name=BOTH, gives=Coupon(terms=terms), validity=DaysFromIssue(days=1)), "CNY")


FILLED = dict(EMPTY) | {"name_zh": "茶", "name_en": "Tea", "amount": "20"}


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name_en": ""}, "name_en"),
        ({"amount": "much"}, "amount"),
        ({"gives": "percent", "percent": "12.345"}, "percent"),
        ({"gives": "percent", "percent": "101"}, "percent"),
        ({"gives": "percent", "percent": "0"}, "percent"),
        ({"gives": "every", "every": "10", "off": "20"}, "off"),
        ({"gives": "stepped"}, "from_1"),
        ({"gives": "stepped", "from_1": "100", "off_1": "10", "from_2": "50", "off_2": "20"}, "from_1"),
        ({"gives": "buy_get", "buy": "0"}, "buy"),
        ({"gives": "gift", "item_zh": "茶"}, "item_en"),
        ({"gives": "third_party", "provider": "X", "link": "ftp://example.com"}, "link"),
        ({"gives": "nothing"}, "gives"),
        ({"minimum": "-1"}, "minimum"),
        ({"opens_1": "18:00", "closes_1": "25:00"}, "closes_1"),
        ({"opens_1": "18:00", "closes_1": "18:00"}, "opens_1"),
        ({"first_day": "2026-11-02", "last_day": "2026-11-01"}, "last_day"),
        ({"together": "best"}, "group"),
        ({"valid_by": "dates", "valid_from": "2026-11-02"}, "valid_to"),
        ({"days": "ten"}, "days"),
        ({"per_member": "0"}, "per_member"),
        ({"birthday_days": "90"}, "birthday_days"),
        ({"tags": "vip", "excluded_tags": "vip"}, "excluded_tags"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(typed: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_definition(definition_of(FILLED | typed, "CNY"))
    assert field_of(refused.value.field) == field
