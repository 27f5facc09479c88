"""What makes a ladder, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loyalty.kit.errors import InvalidInputError
from tiers.ladders import (
    CalendarYearWindow,
    GrowthMetric,
    Ladder,
    PointsMetric,
    RollingMonthsWindow,
    SpendMetric,
    TierStep,
    check_ladder,
)

NAME = {"zh": "银卡", "en": "Silver"}
BASE = TierStep(code="member", name={"zh": "会员", "en": "Member"}, rank=0, threshold=0)
SILVER = TierStep(code="silver", name=NAME, rank=10, threshold=500)
GOLD = TierStep(code="gold", name={"zh": "金卡", "en": "Gold"}, rank=20, threshold=1_000)


def _ladder(**fields: Any) -> Ladder:
    usual: dict[str, Any] = {"metric": PointsMetric(), "window": CalendarYearWindow(), "tiers": [BASE, SILVER, GOLD]}
    return Ladder(**(usual | fields))


@pytest.mark.parametrize(
    ("value", "tier"), [(-5, "member"), (0, "member"), (499, "member"), (500, "silver"), (10**9, "gold")]
)
def test_a_value_matches_the_highest_tier_it_reaches(value: int, tier: str) -> None:
    assert _ladder().matching(value).code == tier


def test_tiers_know_their_neighbours() -> None:
    ladder = _ladder()
    assert ladder.above(BASE) == SILVER
    assert ladder.above(GOLD) is None
    assert ladder.below(GOLD) == SILVER
    assert ladder.below(BASE) == BASE


def test_a_tier_unknown_to_a_version_is_found_by_rank() -> None:
    ladder = _ladder()
    assert ladder.tier("silver", 99) == SILVER
    assert ladder.tier("ruby", 15) == SILVER
    assert ladder.tier("stone", -1) == BASE


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": "Main Ladder"}, "code"),
        ({"grace_days": -1}, "grace_days"),
        ({"grace_days": 367}, "grace_days"),
        ({"window": RollingMonthsWindow(months=0)}, "window.months"),
        ({"window": RollingMonthsWindow(months=121)}, "window.months"),
        ({"metric": SpendMetric(currency="gbp")}, "metric.currency"),
        ({"metric": SpendMetric(currency="GBP", other_rates_bp={"GBP": 1})}, "metric.other_rates_bp.GBP"),
        ({"metric": SpendMetric(currency="GBP", other_rates_bp={"USD": 0})}, "metric.other_rates_bp.USD"),
        (
            {"metric": SpendMetric(currency="GBP", other_rates_bp={"us": 1})},
            "metric.other_rates_bp.us",
        ),
        ({"tiers": []}, "tiers"),
        ({"tiers": [SILVER, GOLD]}, "tiers[0].threshold"),
        ({"tiers": [BASE, SILVER, msgspec.structs.replace(GOLD, code="silver")]}, "tiers"),
        ({"tiers": [BASE, msgspec.structs.replace(SILVER, rank=0)]}, "tiers[1].rank"),
        ({"tiers": [BASE, GOLD, msgspec.structs.replace(SILVER, rank=30)]}, "tiers[2].threshold"),
        ({"tiers": [BASE, msgspec.structs.replace(SILVER, code="")]}, "tiers[1].code"),
        ({"tiers": [BASE, msgspec.structs.replace(SILVER, name={"zh": "银卡"})]}, "tiers[1].name.en"),
        ({"tiers": [BASE, msgspec.structs.replace(SILVER, threshold=10**16)]}, "tiers[1].threshold"),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused_with_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_ladder(_ladder(**fields))
    assert refused.value.field == field


def test_a_sensible_ladder_passes() -> None:
    check_ladder(_ladder(metric=SpendMetric(currency="GBP", other_rates_bp={"USD": 7_900}), grace_days=30))


def test_a_ladder_survives_the_database() -> None:
    ladder = _ladder(metric=SpendMetric(currency="GBP", other_rates_bp={"USD": 7_900}))
    assert msgspec.json.decode(msgspec.json.encode(ladder), type=Ladder) == ladder


def test_metrics_name_what_they_count() -> None:
    assert PointsMetric().components() == {"points": 10_000}
    assert GrowthMetric().components() == {"growth": 10_000}
    spend = SpendMetric(currency="GBP", other_rates_bp={"USD": 7_900})
    assert spend.components() == {"spend:GBP": 10_000, "spend:USD": 7_900}
