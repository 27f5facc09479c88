from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from loyalty.campaigns.earning import LINE_VOCABULARY, ORDER_VOCABULARY, EarnRule, Fixed, PerAmount, PerItem, Rate
from loyalty.kit.rules import AllOf, AnyOf, Compare, Not, OneOf, Present, Rule, StartsWith
from loyalty.web.console.policy_words import Names, rule_words
from loyalty.web.i18n import LANGUAGES, Formats, Language, Translator, catalogue

NAMES = Names(channels={"online": "Online shop"}, tiers={"peak": "Peak"})


def words(rule: EarnRule, language: Language = "en") -> tuple[str, list[str]]:
    told = rule_words(rule, Translator(language), Formats(language, ZoneInfo("Asia/Shanghai")), NAMES, currency="CNY")
    return told.gives, told.conditions


def when(rule: Rule) -> str:
    return words(EarnRule(code="r", rate=Fixed(points=1), when=rule))[1][0]


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (PerAmount(points=1, per_minor=100, currency="GBP"), "Points: 1 for each £1.00 paid"),
        (PerItem(points=50), "Points: 50 for each piece"),
        (Fixed(points=200), "Points: 200 for the order"),
    ],
)
def test_a_rate_says_what_it_gives_for_what(rate: Rate, said: str) -> None:
    assert words(EarnRule(code="r", rate=rate))[0] == said


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Compare(field="channel", op="eq", value="online"), "Only where the channel is Online shop"),
        (Compare(field="total_minor", op="ge", value=50_000), "Only where the order’s total is at least ¥500.00"),
        (Compare(field="weekday", op="ge", value=6), "Only where the day of the week is at least Saturday"),
        (Compare(field="tier", op="ne", value="peak"), "Only where the member’s tier is not Peak"),
        (Present(field="tier"), "Only where the member’s tier is known"),
        (StartsWith(field="channel", prefix="sh-"), "Only where the channel begins with sh-"),
        (OneOf(field="currency", values=("CNY", "HKD")), "Only where the currency is one of CNY, HKD"),
        (OneOf(field="currency", values=("CNY",)), "Only where the currency is CNY"),
        (
            AllOf(
                rules=(
                    Compare(field="channel_kind", op="eq", value="store"),
                    AnyOf(
                        rules=(
                            Compare(field="weekday", op="eq", value=1),
                            Not(inner=Present(field="tier")),
                        )
                    ),
                )
            ),
            (
                "Only where the kind of channel is store and "
                "(the day of the week is Monday or not the member’s tier is known)"
            ),
        ),
    ],
)
def test_a_condition_reads_as_it_is_meant(rule: Rule, said: str) -> None:
    assert when(rule) == said


def test_everything_a_rule_says_is_told() -> None:
    rule = EarnRule(
        code="r",
        rate=PerAmount(points=3, per_minor=1_000, currency="USD"),
        items=Compare(field="category", op="eq", value="tea"),
        multiplier_bp=15_000,
        tier_bonus_bp={"peak": 1_250},
        minimum_minor=2_000,
        cap=500,
        rounding="half_up",
        rounded_per="line",
    )

    assert words(rule)[1] == [
        "For articles where the category is tea",
        "From $20.00",
        "Times 1.5",
        "12.5% more for Peak",
        "At most 500 an order",
        "Rounded to the nearest, for each line",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_that_a_rule_may_ask_has_a_name(language: Language) -> None:
    fields = {*ORDER_VOCABULARY.fields, *LINE_VOCABULARY.fields}
    assert {f"console.field.{field}" for field in fields} <= catalogue(language).keys()
