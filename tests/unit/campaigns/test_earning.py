"""What a basket earns under a policy: each test is one rule of the arithmetic."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from loyalty.campaigns.earning import (
    MAXIMUM_POINTS,
    Basket,
    BasketLine,
    EarnedPoints,
    EarnPolicy,
    EarnRule,
    Fixed,
    PerAmount,
    PerItem,
    RulePoints,
    check_policy,
    compute,
    parse_policy,
)
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.rules import AllOf, Compare, OneOf

PER_YUAN = PerAmount(1, 100, "CNY")
SUNDAY = date(2026, 3, 1)


def line(amount_minor: int, *, sku: str = "tea", category: str | None = None, quantity: int = 1) -> BasketLine:
    return BasketLine(sku, category, quantity, amount_minor)


def earn(
    *rules: EarnRule, lines: list[BasketLine], tier: str | None = None, day: date = SUNDAY, currency: str = "CNY"
) -> list[EarnedPoints]:
    policy = EarnPolicy(rules)
    check_policy(policy)
    basket = Basket(channel="online", channel_kind="online", currency=currency, day=day, lines=lines)
    return compute(policy, basket, tier_code=tier)


def points(*rules: EarnRule, **basket: Any) -> int:
    return sum(earned.points for earned in earn(*rules, **basket))


def test_a_point_for_each_whole_unit_of_the_order_is_floored_once_for_the_order() -> None:
    rule = EarnRule(code="base", rate=PER_YUAN)
    assert points(rule, lines=[line(199)]) == 1
    assert points(rule, lines=[line(150), line(150)]) == 3
    assert points(rule, lines=[line(99)]) == 0


def test_rounding_once_a_line_gives_each_line_its_own() -> None:
    rule = EarnRule(code="base", rate=PER_YUAN, rounded_per="line")
    (earned,) = earn(rule, lines=[line(150), line(150), line(299)])
    assert (earned.points, earned.line_points) == (4, (1, 1, 2))


@pytest.mark.parametrize(
    ("rounding", "amount_minor", "expected"),
    [
        ("floor", 199, 1),
        ("floor", 200, 2),
        ("half_up", 149, 1),
        ("half_up", 150, 2),
        ("half_up", 250, 3),
        ("ceil", 101, 2),
        ("ceil", 200, 2),
        ("ceil", 0, 0),
    ],
)
def test_rounding_is_the_one_the_rule_names(rounding: Any, amount_minor: int, expected: int) -> None:
    assert points(EarnRule(code="base", rate=PER_YUAN, rounding=rounding), lines=[line(amount_minor)]) == expected


def test_shares_of_lines_sum_to_what_the_order_earned() -> None:
    (earned,) = earn(EarnRule(code="base", rate=PER_YUAN), lines=[line(150)] * 5)
    assert earned.points == 7
    assert earned.line_points == (2, 2, 1, 1, 1)


def test_lines_that_a_rule_does_not_look_at_have_no_share_in_it() -> None:
    tea = EarnRule(code="tea", rate=PER_YUAN, items=Compare("category", "eq", "tea"))
    (earned,) = earn(tea, lines=[line(500, category="tea"), line(900, category="cups"), line(300)])
    assert (earned.points, earned.line_points) == (5, (5, 0, 0))


def test_points_per_item_count_pieces() -> None:
    rule = EarnRule(code="cups", rate=PerItem(5), items=OneOf("sku", ("cup", "mug")))
    (earned,) = earn(rule, lines=[line(100, sku="cup", quantity=3), line(0, sku="mug"), line(700)])
    assert (earned.points, earned.line_points) == (20, (15, 5, 0))


def test_fixed_points_are_given_once_and_shared_by_what_was_paid() -> None:
    rule = EarnRule(code="welcome", rate=Fixed(50))
    (earned,) = earn(rule, lines=[line(300), line(100)])
    assert (earned.points, earned.line_points) == (50, (38, 12))
    (earned,) = earn(rule, lines=[line(0), line(0)])
    assert earned.line_points == (25, 25)


def test_a_multiplier_and_the_bonus_of_a_tier_multiply_before_the_rounding() -> None:
    rule = EarnRule(code="double", rate=PER_YUAN, multiplier_bp=15_000, tier_bonus_bp={"gold": 2_500})
    assert points(rule, lines=[line(1_000)]) == 15
    assert points(rule, lines=[line(1_000)], tier="gold") == 18  # 10 x 1.5 x 1.25 = 18.75
    assert points(rule, lines=[line(1_000)], tier="silver") == 15


def test_a_minimum_is_of_the_lines_that_count() -> None:
    rule = EarnRule(code="base", rate=PER_YUAN, items=Compare("category", "eq", "tea"), minimum_minor=500)
    assert points(rule, lines=[line(499, category="tea"), line(9_900)]) == 0
    assert points(rule, lines=[line(499, category="tea"), line(1, category="tea")]) == 5


@pytest.mark.parametrize("rounded_per", ["order", "line"])
def test_a_cap_is_for_the_order_and_shared_by_its_lines(rounded_per: Any) -> None:
    rule = EarnRule(code="base", rate=PER_YUAN, cap=10, rounded_per=rounded_per)
    (earned,) = earn(rule, lines=[line(3_000), line(1_000)])
    assert (earned.points, earned.line_points) == (10, (8, 2))
    assert points(rule, lines=[line(1_000)]) == 10
    assert points(rule, lines=[line(999)]) == 9


def test_a_rule_looks_only_at_its_currency() -> None:
    rules = EarnRule(code="cny", rate=PER_YUAN), EarnRule(code="gbp", rate=PerAmount(10, 100, "GBP"))
    assert points(*rules, lines=[line(500)], currency="GBP") == 50
    assert points(*rules, lines=[line(500)], currency="USD") == 0
    assert EarnPolicy(rules).counts_currency("GBP")
    assert not EarnPolicy(rules).counts_currency("USD")
    assert EarnPolicy((EarnRule(code="any", rate=PerItem(1)),)).counts_currency("USD")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (Compare("weekday", "eq", 7), 5),
        (Compare("weekday", "eq", 1), 0),
        (Compare("date", "le", "2026-03-01"), 5),
        (Compare("channel", "eq", "online"), 5),
        (Compare("channel_kind", "eq", "store"), 0),
        (AllOf((Compare("total_minor", "ge", 500), Compare("currency", "eq", "CNY"))), 5),
        (OneOf("tier", ("gold", "black")), 5),
    ],
)
def test_a_rule_may_ask_about_the_order(when: Any, expected: int) -> None:
    assert points(EarnRule(code="some", rate=PER_YUAN, when=when), lines=[line(500)], tier="gold") == expected


def test_what_rules_give_adds_up_by_unit_and_says_which_rule_gave_what() -> None:
    base = EarnRule(code="base", rate=PER_YUAN)
    bonus = EarnRule(code="bonus", rate=PerItem(2), items=Compare("sku", "eq", "cup"))
    growth = EarnRule(code="growth", unit="growth", rate=PerAmount(1, 1_000, "CNY"))

    earned = earn(base, bonus, growth, lines=[line(1_000, sku="cup"), line(2_050)])

    assert earned == [
        EarnedPoints(
            unit="points",
            points=32,
            rules=(RulePoints("base", 30), RulePoints("bonus", 2)),
            line_points=(12, 20),
        ),
        EarnedPoints(unit="growth", points=3, rules=(RulePoints("growth", 3),), line_points=(1, 2)),
    ]


def test_no_rule_gives_more_than_the_ledger_can_take() -> None:
    rule = EarnRule(code="mad", rate=PerAmount(1_000_000, 1, "CNY"), multiplier_bp=1_000_000)
    assert points(rule, lines=[line(10**12)]) == MAXIMUM_POINTS


def test_a_policy_knows_whether_it_looks_at_tiers() -> None:
    assert EarnPolicy((EarnRule(code="a", rate=PER_YUAN, tier_bonus_bp={"gold": 1}),)).looks_at_tier
    assert EarnPolicy((EarnRule(code="a", rate=PER_YUAN, when=Compare("tier", "eq", "gold")),)).looks_at_tier
    assert not EarnPolicy((EarnRule(code="a", rate=PER_YUAN, when=Compare("weekday", "eq", 1)),)).looks_at_tier


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ([], "rules"),
        ([{"code": "a", "rate": {"kind": "per_amount", "points": 0, "per_minor": 1, "currency": "CNY"}}], "points"),
        ([{"code": "a", "rate": {"kind": "per_amount", "points": 1, "per_minor": 1, "currency": "yuan"}}], "currency"),
        ([{"code": "a", "rate": {"kind": "per_item", "points": 1}, "multiplier_bp": -1}], "rules[0].multiplier_bp"),
        ([{"code": "a", "rate": {"kind": "per_item", "points": 1}, "cap": 0}], "rules[0].cap"),
        ([{"code": "A b", "rate": {"kind": "per_item", "points": 1}}], "rules[0].code"),
        ([{"code": "a", "rate": {"kind": "fixed", "points": 1}, "rounded_per": "line"}], "rules[0].rounded_per"),
        (
            [{"code": "a", "rate": {"kind": "per_item", "points": 1}, "when": {"rule": "present", "field": "sku"}}],
            "rules[0].when.field",
        ),
        (
            [{"code": "a", "rate": {"kind": "per_item", "points": 1}, "items": {"rule": "present", "field": "tier"}}],
            "rules[0].items.field",
        ),
        ([{"code": "a", "rate": {"kind": "per_item", "points": 1}}] * 2, "rules[1].code"),
    ],
)
def test_a_faulty_policy_is_refused_with_its_path(rules: list[Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_policy({"rules": rules})
    assert (refused.value.field or "").endswith(field)


def test_a_policy_made_in_python_is_held_against_the_same_limits() -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_policy(EarnPolicy((EarnRule(code="a", rate=PerItem(-1)),)))
    assert refused.value.field == "rules[0].rate.points"
