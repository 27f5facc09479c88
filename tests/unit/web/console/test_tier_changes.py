"""What changed between two tier policies is told in the words and units of the form, in both languages."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from loyalty.web.console.tier_changes import ChangeLines
from loyalty.web.i18n import Formats, Language, Translator
from tiers.policies import KeepMonths, KeepUntilNextYearEnd, Tier, TierPolicy
from tiers.rules import AllOf, OrdersMetric, Reach, SpendMetric
from tiers.versions import differences
from tiers.windows import CalendarYearWindow, LifetimeWindow

SPENT = Reach(metric=SpendMetric(currency="CNY"), window=LifetimeWindow(), at_least=100_000)
ORDERS = Reach(metric=OrdersMetric(), window=LifetimeWindow(), at_least=3)
FIRST = Tier(code="member", name={"zh": "会员", "en": "Member"}, rank=1)
GOLD = Tier(code="gold", name={"zh": "金卡", "en": "Gold"}, rank=2, qualify=SPENT, benefit_cost_minor=300)
BEFORE = TierPolicy(tiers=(FIRST, GOLD), keep=KeepMonths(months=6))


def _told(after: TierPolicy, language: Language = "en") -> list[tuple[str, str, str]]:
    lines = ChangeLines(Translator(language), Formats(language, ZoneInfo("Asia/Shanghai")), BEFORE, currency="CNY")
    return lines.of(differences(BEFORE, after))


def _gold(gold: Tier) -> TierPolicy:
    return replace(BEFORE, tiers=(FIRST, gold))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (replace(BEFORE, soft_landing_bp=8_000), ("Keep from this share on, %", "0%", "80%")),
        (_gold(replace(GOLD, earn_rate_bp=12_500)), ("Gold: Points, times", "×1", "×1.25")),
        (_gold(replace(GOLD, benefit_cost_minor=350)), ("Gold: Benefits a month and member, CNY", "¥3.00", "¥3.50")),
        (_gold(replace(GOLD, qualify=replace(SPENT, at_least=80_000))), ("Gold: At least", "¥1,000.00", "¥800.00")),
    ],
)
def test_a_value_has_its_unit(after: TierPolicy, told: tuple[str, str, str]) -> None:
    assert _told(after) == [told]


def test_a_condition_is_counted_on_each_side_as_it_was_there() -> None:
    assert _told(_gold(replace(GOLD, qualify=ORDERS))) == [
        ("Gold: At least", "¥1,000.00", "3"),
        ("Gold: What counts", "CNY", "–"),
        ("Gold: What counts", "money spent", "orders"),
    ]


def test_choices_are_told_in_the_readers_words() -> None:
    after = replace(BEFORE, downgrade="to_matching", keep=KeepUntilNextYearEnd())
    assert _told(after, "zh") == [
        ("降级", "复核未达标者降一级。", "复核未达标者降到仍符合的等级。"),
        ("月数", "6", "–"),
        ("等级保留", "若干个月", "到次年年底"),
    ]


def test_a_second_condition_says_how_the_two_are_joined() -> None:
    both = AllOf(rules=(SPENT, replace(ORDERS, window=CalendarYearWindow())))
    told = _told(_gold(replace(GOLD, qualify=both)))
    assert ("Gold: For who will", "–", "do all of this") in told
    assert ("Gold: condition 2, Over", "–", "the calendar year") in told
    assert ("Gold: condition 2, At least", "–", "3") in told
