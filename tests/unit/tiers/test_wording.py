"""Why a tier changed, in words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import get_args
from uuid import UUID

import msgspec
import pytest

from tiers.changes import ChangeKind, Reason, TierChange
from tiers.ladders import Ladder, TierStep
from tiers.rules import GrowthMetric
from tiers.windows import RollingMonthsWindow
from tiers.wording import sentence

LADDER = Ladder(
    metric=GrowthMetric(),
    window=RollingMonthsWindow(months=12),
    tiers=[
        TierStep(code="member", name={"zh": "会员", "en": "Member"}, rank=0, threshold=0),
        TierStep(code="silver", name={"zh": "银卡", "en": "Silver"}, rank=10, threshold=500),
    ],
)
REASON = Reason(
    metric="growth",
    window="rolling_months",
    at_least=500,
    value=512,
    first_day=date(2024, 5, 3),
    last_day=date(2025, 5, 2),
)
UPGRADE = TierChange(
    member_id=UUID(int=1),
    ladder_code="main",
    sequence=1,
    kind="upgrade",
    cause="order:online/1",
    ladder_version=1,
    from_tier="member",
    to_tier="silver",
    reasons=[REASON],
    at=datetime(2025, 5, 2, 4, tzinfo=UTC),
    valid_until=datetime(2026, 5, 2, 16, tzinfo=UTC),
    grace_until=None,
)


def _amount(metric: str, amount: int) -> str:
    return f"{amount} {metric}"


def _tell(change: TierChange, locale: str) -> str:
    return sentence(change, LADDER.policy(), locale=locale, time_zone="Asia/Shanghai", amount=_amount)


def test_an_upgrade_is_told_in_english() -> None:
    assert _tell(UPGRADE, "en") == (
        "512 growth from 3 May 2024 to 2 May 2025 (asked: 500 growth): up from Member to Silver, through 2 May 2026."
    )


def test_an_upgrade_is_told_in_chinese() -> None:
    assert _tell(UPGRADE, "zh") == (
        "2024年5月3日至2025年5月2日共 512 growth（需 500 growth）：由会员升为银卡，有效期至2026年5月2日。"
    )


def test_grace_says_how_much_is_missing_and_until_when() -> None:
    orders = Reason(metric="orders", window="lifetime", at_least=3, value=3, first_day=None, last_day=date(2025, 5, 2))
    grace = msgspec.structs.replace(
        UPGRADE,
        kind="grace",
        from_tier="silver",
        reasons=[msgspec.structs.replace(REASON, value=480, first_day=None), orders],
        grace_until=datetime(2026, 6, 1, 16, tzinfo=UTC),
    )
    assert _tell(grace, "en") == (
        "480 growth in all up to 2 May 2025 (20 growth short of 500 growth), and "
        "3 orders in all up to 2 May 2025 (asked: 3 orders): still Silver, with time to make up for it "
        "through 1 June 2026."
    )


@pytest.mark.parametrize("kind", get_args(ChangeKind))
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_every_kind_of_change_has_a_sentence_without_holes(kind: ChangeKind, locale: str) -> None:
    change = msgspec.structs.replace(UPGRADE, kind=kind, grace_until=datetime(2026, 6, 1, 16, tzinfo=UTC))
    text = _tell(change, locale)
    assert "{" not in text
    assert "None" not in text
    assert text.endswith("." if locale == "en" else "。")
