"""What makes a policy, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loyalty.kit.errors import InvalidInputError
from tiers.policies import KeepMonths, Tier, TierPolicy, check_policy, parse_policy
from tiers.rules import AllOf, AnyOf, GrowthMetric, OrdersMetric, Reach, SpendMetric, VisitsMetric
from tiers.versions import differences
from tiers.windows import CalendarYearWindow, RollingMonthsWindow

YEAR = CalendarYearWindow()
BASE = Tier(code="member", name={"zh": "会员", "en": "Member"}, rank=0)
SILVER = Tier(
    code="silver",
    name={"zh": "银卡", "en": "Silver"},
    rank=10,
    qualify=Reach(metric=GrowthMetric(), window=YEAR, at_least=500),
)
GOLD = Tier(
    code="gold",
    name={"zh": "金卡", "en": "Gold"},
    rank=20,
    qualify=AllOf(
        rules=(
            Reach(metric=SpendMetric(currency="GBP", other_rates_bp={"USD": 7_900}), window=YEAR, at_least=1_000),
            AnyOf(rules=(Reach(metric=OrdersMetric(), window=YEAR, at_least=4),)),
        )
    ),
)


def _policy(**fields: Any) -> TierPolicy:
    return TierPolicy(**{"tiers": (BASE, SILVER, GOLD)} | fields)


def _asking(**fields: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"metric": GrowthMetric(), "window": YEAR, "at_least": 1} | fields
    return {"tiers": (BASE, msgspec.structs.replace(SILVER, qualify=Reach(**asked)))}


def _deep(levels: int) -> Any:
    rule: Any = Reach(metric=VisitsMetric(), window=YEAR, at_least=1)
    for _ in range(levels):
        rule = AllOf(rules=(rule,))
    return rule


def _many(number: int) -> Any:
    return AnyOf(rules=tuple(Reach(metric=VisitsMetric(), window=YEAR, at_least=n + 1) for n in range(number)))


AT = "tiers[1].qualify"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": "Main Ladder"}, "code"),
        ({"grace_days": 367}, "grace_days"),
        ({"warning_days": -1}, "warning_days"),
        ({"soft_landing_bp": 10_000}, "soft_landing_bp"),
        ({"keep": KeepMonths(months=0)}, "keep.months"),
        ({"tiers": ()}, "tiers"),
        ({"tiers": (SILVER, GOLD)}, "tiers[0].qualify"),
        ({"tiers": (BASE, msgspec.structs.replace(SILVER, qualify=None))}, AT),
        ({"tiers": (BASE, SILVER, msgspec.structs.replace(GOLD, code="silver"))}, "tiers"),
        ({"tiers": (BASE, msgspec.structs.replace(SILVER, rank=0))}, "tiers[1].rank"),
        ({"tiers": (BASE, msgspec.structs.replace(SILVER, code=""))}, "tiers[1].code"),
        ({"tiers": (BASE, msgspec.structs.replace(SILVER, name={"zh": "银卡"}))}, "tiers[1].name.en"),
        ({"tiers": (BASE, msgspec.structs.replace(SILVER, benefit_cost_minor=-1))}, "tiers[1].benefit_cost_minor"),
        ({"tiers": (BASE, msgspec.structs.replace(SILVER, qualify=AllOf(rules=())))}, f"{AT}.rules"),
        ({"tiers": (BASE, msgspec.structs.replace(SILVER, qualify=_deep(4)))}, f"{AT}" + ".rules[0]" * 4),
        ({"tiers": (BASE, msgspec.structs.replace(SILVER, qualify=_many(13)))}, AT),
        (_asking(at_least=0), f"{AT}.at_least"),
        (_asking(at_least=10**16), f"{AT}.at_least"),
        (_asking(window=RollingMonthsWindow(months=121)), f"{AT}.window.months"),
        (_asking(metric=SpendMetric(currency="gbp")), f"{AT}.metric.currency"),
        (_asking(metric=SpendMetric(currency="GBP", other_rates_bp={"GBP": 1})), f"{AT}.metric.other_rates_bp.GBP"),
        (_asking(metric=SpendMetric(currency="GBP", other_rates_bp={"USD": 0})), f"{AT}.metric.other_rates_bp.USD"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_with_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_policy(_policy(**fields))
    assert refused.value.field == field


def test_a_policy_survives_json_and_a_fault_in_it_is_named_by_its_path() -> None:
    policy = _policy(grace_days=30, soft_landing_bp=8_000)
    document = msgspec.to_builtins(policy)
    assert parse_policy(document) == policy
    document["tiers"][1]["qualify"]["at_most"] = 3
    with pytest.raises(InvalidInputError) as refused:
        parse_policy(document)
    assert refused.value.field == "policy.tiers[1].qualify"


def test_a_tier_unknown_to_a_policy_is_found_by_rank() -> None:
    policy = _policy()
    assert policy.tier("silver", 99) == SILVER
    assert policy.tier("ruby", 15) == SILVER
    assert policy.tier("stone", -1) == BASE


def test_what_differs_between_two_policies_is_told_by_field_and_tiers_by_their_code() -> None:
    dearer = msgspec.structs.replace(GOLD, benefit_cost_minor=900)
    changes = differences(_policy(), _policy(tiers=(BASE, dearer), grace_days=7))
    assert changes["grace_days"] == (0, 7)
    assert changes["tiers[gold].benefit_cost_minor"] == (0, 900)
    assert changes["tiers[silver].rank"] == (10, None)
    assert not any(path.startswith(("tiers[member]", "tiers[gold].qualify")) for path in changes)
