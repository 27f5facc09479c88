from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from loyalty.campaigns.bonus.computing import Published, Purchase, bonuses, celebrates
from loyalty.campaigns.bonus.definition import CampaignTerms, FixedBonus, Multiplier, Reward, parse_campaign
from loyalty.campaigns.earning import BasketLine
from loyalty.kit.errors import InvalidInputError
from redemption.terms import Items, Places, Schedule
from redemption.terms.stacking import Stacking

NAME = {"zh": "活动", "en": "Campaign"}
DOUBLE = Multiplier(factor_bp=20_000)
PURCHASE = Purchase(
    member_id=UUID(int=1),
    order_id=UUID(int=2),
    placed_at=datetime(2026, 11, 10, 17, tzinfo=UTC),  # 01:00 on 11 November in Shanghai
    channel="shop",
    channel_kind="online",
    currency="CNY",
    lines=(BasketLine("TEA", "tea", 1, 10_000), BasketLine("CUP", "ware", 2, 5_050)),
    earned={"points": (100, 50)},
    campaigns=frozenset({UUID(int=number) for number in range(100, 110)}),
)


def campaign(number: int = 100, reward: Reward = DOUBLE, **terms: Any) -> Published:
    return Published(
        campaign_id=UUID(int=number),
        code=f"c{number}",
        version=1,
        terms=CampaignTerms(name=NAME, reward=reward, **terms),
        starts_at=datetime(2026, 11, 1, tzinfo=UTC),
        ends_at=datetime(2026, 12, 1, tzinfo=UTC),
    )


def given(*campaigns: Published, purchase: Purchase = PURCHASE) -> list[tuple[int, tuple[int, ...]]]:
    found = bonuses(campaigns, purchase, time_zone="Asia/Shanghai")
    return [(bonus.published.campaign_id.int, bonus.line_points) for bonus in found]


@pytest.mark.parametrize(
    ("terms", "line_points"),
    [
        ({}, (100, 50)),
        ({"reward": Multiplier(factor_bp=15_000)}, (50, 25)),
        ({"reward": FixedBonus(points=10)}, (7, 3)),
        ({"items": Items(categories=("ware",))}, (0, 50)),
        ({"items": Items(skus=("TEA",)), "reward": FixedBonus(points=10)}, (10, 0)),
        ({"order_points": 90}, (60, 30)),
        ({"double_days": True}, (100, 50)),
        ({"schedule": Schedule(weekdays=(3,))}, (100, 50)),
        ({"places": Places(kinds=("online",))}, (100, 50)),
        ({"minimum_minor": 15_050, "currency": "CNY"}, (100, 50)),
    ],
)
def test_what_a_campaign_gives_each_line(terms: dict[str, Any], line_points: tuple[int, ...]) -> None:
    assert given(campaign(**terms)) == [(100, line_points)]


@pytest.mark.parametrize(
    "terms",
    [
        {"first_purchase": True},
        {"birthday": "month"},
        {"schedule": Schedule(weekdays=(2,))},  # in UTC it is still Tuesday
        {"places": Places(kinds=("store",))},
        {"places": Places(channels=("pos",))},
        {"items": Items(skus=("POT",))},
        {"minimum_minor": 15_051, "currency": "CNY"},
        {"currency": "GBP"},
        {"unit": "growth"},  # of which the policy gave nothing to multiply
    ],
)
def test_a_campaign_gives_nothing_for_other_purchases(terms: dict[str, Any]) -> None:
    assert given(campaign(**terms)) == []


def test_it_gives_within_its_time_to_its_members_and_on_double_days() -> None:
    at = [datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)]
    assert [given(campaign(), purchase=msgspec.structs.replace(PURCHASE, placed_at=moment)) for moment in at] == [
        [],
        [],
    ]
    assert given(campaign(number=1)) == []
    next_day = msgspec.structs.replace(PURCHASE, placed_at=datetime(2026, 11, 11, 17, tzinfo=UTC))
    assert given(campaign(double_days=True), purchase=next_day) == []
    first = msgspec.structs.replace(PURCHASE, first=True)
    assert given(campaign(first_purchase=True), purchase=first) == [(100, (100, 50))]


@pytest.mark.parametrize(
    ("birthday", "day", "spans"),
    [
        (date(1990, 11, 11), date(2026, 11, 11), {"day", "week", "month"}),
        (date(1990, 11, 11), date(2026, 11, 9), {"week", "month"}),  # Monday of the week
        (date(1990, 11, 11), date(2026, 11, 16), {"month"}),
        (date(1992, 2, 29), date(2026, 2, 28), {"day", "week", "month"}),
        (date(1992, 2, 29), date(2028, 2, 28), {"week", "month"}),  # the day before the 29th, and of the same week
        (date(1990, 1, 1), date(2025, 12, 31), {"week"}),  # over the turn of the year
        (None, date(2026, 11, 11), set()),
    ],
)
def test_when_a_birthday_is_celebrated(birthday: date | None, day: date, spans: set[str]) -> None:

    assert {span for span in ("day", "week", "month") if celebrates(birthday, day, span)} == spans


def test_campaigns_go_together_as_their_stacking_says() -> None:
    fifty, hundred = FixedBonus(points=50), FixedBonus(points=100)

    def codes(*campaigns: Published) -> list[int]:
        return [number for number, _ in given(*campaigns)]

    plain = campaign(100, fifty)
    first, best = Stacking(group="g", choice="first"), Stacking(group="g", choice="best")
    assert codes(campaign(101), plain) == [100, 101]
    assert codes(campaign(101, fifty, stacking=first), campaign(102, hundred, stacking=first), plain) == [100, 101]
    assert codes(campaign(101, fifty, stacking=best), campaign(102, hundred, stacking=best), plain) == [100, 102]
    alone = campaign(103, fifty, stacking=Stacking(exclusive=True, priority=1))
    assert codes(plain, alone) == [103]
    assert codes(plain, campaign(103, fifty, stacking=Stacking(exclusive=True))) == [100]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": {"zh": "活动"}}, "name.en"),
        ({"reward": {"kind": "times", "factor_bp": 10_000}}, "reward.factor_bp"),
        ({"reward": {"kind": "luck"}}, "reward.kind"),
        ({"minimum_minor": 5}, "currency"),
        ({"schedule": {"weekdays": [9]}}, "schedule.weekdays[0]"),
        ({"segment_version": 1}, "segment_version"),
        ({"rule": {"rule": "compare", "field": "shoe_size", "op": "eq", "value": 1}}, "rule.field"),
        ({"holdout_bp": 5_001}, "holdout_bp"),
        ({"budget_points": 0}, "budget_points"),
        ({"member_times": 0}, "member_times"),
    ],
)
def test_a_fault_of_a_definition_is_named_by_its_path(changed: dict[str, Any], field: str) -> None:
    whole = {"name": NAME, "reward": {"kind": "fixed", "points": 5}}
    assert parse_campaign(whole).reward == FixedBonus(points=5)
    with pytest.raises(InvalidInputError) as caught:
        parse_campaign(whole | changed)
    assert caught.value.field == field
