"""What a programme starts with, so that its first purchase already earns: units, earn policy, tiers, points for money.

All of it is a brand's to change; nothing here is looked at again once a programme has its own.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import Unit, define_unit
from loyalty.campaigns.earning import (
    BEGINNING,
    EarnPolicy,
    EarnRule,
    NoEarnPolicyError,
    PerAmount,
    PublishedPolicy,
    policy_at,
    publish_policy,
)
from loyalty.kit.clock import utc_now
from loyalty.kit.currency import minor_per_unit
from loyalty.kit.programme import Programme
from redemption.policies import find_policy
from redemption.policies import publish_policy as publish_redemption_policy
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.rules import PointsMetric
from tiers.windows import RollingMonthsWindow

STEP_POINTS: Final = 100
"""So many points take one whole unit of the currency off."""
MOST_SHARE_BP: Final = 5_000
"""Points pay at most half of a basket."""

LADDER: Final = Ladder(
    metric=PointsMetric(),
    window=RollingMonthsWindow(months=12),
    tiers=[
        TierStep(code="member", name={"zh": "会员", "en": "Member"}, rank=1, threshold=0),
        TierStep(code="silver", name={"zh": "银卡", "en": "Silver"}, rank=2, threshold=1_000),
        TierStep(code="gold", name={"zh": "金卡", "en": "Gold"}, rank=3, threshold=5_000),
        TierStep(code="black", name={"zh": "黑卡", "en": "Black"}, rank=4, threshold=20_000),
    ],
    grace_days=30,
)
"""Points earned in twelve months, because they mean the same whatever the currency."""


async def give_defaults(connection: AsyncConnection, programme: Programme, *, expiry_months: int | None) -> None:
    """Give a new programme its units (`points`, and `growth`, which counts towards tiers alone), policies and ladder.

    Points expire at the end of the month `expiry_months` after they were earned, or never. Never is what a brand that
    imports years of purchases wants at first: points that expired on the way in would be gone at once.
    """
    for code, spendable in (("points", True), ("growth", False)):
        expires = spendable and expiry_months is not None
        await define_unit(
            connection,
            Unit(
                programme_id=programme.id,
                code=code,
                spendable=spendable,
                time_zone=programme.time_zone,
                expiry_kind="end_of_month" if expires else "never",
                expiry_months=expiry_months if expires else None,
            ),
        )
    await count_currency(connection, programme, currency=programme.currency)
    await publish_ladder(connection, programme_id=programme.id, ladder=LADDER)


async def count_currency(
    connection: AsyncConnection, programme: Programme, *, currency: str, published_by: str = "system:start"
) -> PublishedPolicy | None:
    """Let purchases in a currency earn a point for each whole unit, and points take money off in it.

    Answers the earn policy that was published for it, which holds for as long as the one it follows does; None where
    the policy in force counts the currency already. A redemption policy that there is stays.
    """
    if await find_policy(connection, programme_id=programme.id, currency=currency) is None:
        await publish_redemption_policy(
            connection,
            programme_id=programme.id,
            currency=currency,
            step_points=STEP_POINTS,
            step_amount_minor=minor_per_unit(currency),
            max_share_bp=MOST_SHARE_BP,
        )
    try:
        in_force = await policy_at(connection, programme_id=programme.id, moment=utc_now())
    except NoEarnPolicyError:
        rules: tuple[EarnRule, ...] = ()
        valid_from = BEGINNING
    else:
        if in_force.policy.counts_currency(currency):
            return None
        rules, valid_from = in_force.policy.rules, in_force.valid_from
    rule = EarnRule(
        code=f"spend-{currency.lower()}",
        rate=PerAmount(points=1, per_minor=minor_per_unit(currency), currency=currency),
    )
    return await publish_policy(
        connection,
        programme_id=programme.id,
        policy=EarnPolicy((*rules, rule)),
        published_by=published_by,
        valid_from=valid_from,
    )
