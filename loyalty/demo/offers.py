"""What the brand has on offer today, and what its CRM team is working on: to be looked at, changed and tried."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.bonus.campaign import create_campaign, publish
from loyalty.campaigns.bonus.definition import CampaignTerms, FixedBonus, Multiplier
from loyalty.campaigns.draws.definition import DrawTerms, Prize
from loyalty.campaigns.draws.draw import publish_draw
from loyalty.campaigns.missions.mission import MissionTerms, ScanProducts, SignIn, publish_mission
from loyalty.campaigns.segments.segment import create_segment, save_version
from loyalty.demo.brand import CURRENCY, TIME_ZONE, VOUCHER, Brand
from loyalty.kit.clock import end_of_local_day, start_of_local_day
from loyalty.kit.crypto import Keyring
from loyalty.kit.rules import AllOf, Compare
from redemption.benefits.definition import Coupon, DaysFromIssue, Definition
from redemption.benefits.templates import publish_definition
from redemption.terms import FixedOff, Items, Minimum, Terms

BY: Final = "members"
DRAW: Final = "winter-draw"
_MISSION_DAYS: Final = 30
"""How long the missions have been running: members have come some way in them."""
_CAMPAIGN_DAYS: Final = 14
_DRAW_DAYS: Final = 21

_AWAY: Final = AllOf((Compare("orders", "ge", 2), Compare("days_since_order", "ge", 60)))
_COME_BACK: Final = Definition(
    name={"zh": "好久不见，满二百减三十", "en": "Good to see you again: 30 off 200"},
    gives=Coupon(
        terms=Terms(currency=CURRENCY, effect=FixedOff(amount_minor=3_000), minimum=Minimum(amount_minor=20_000))
    ),
    validity=DaysFromIssue(days=30),
    per_member=1,
)
_OOLONG: Final = CampaignTerms(
    name={"zh": "乌龙双倍积分", "en": "Double points on oolong"},
    reward=Multiplier(factor_bp=20_000),
    items=Items(categories=("oolong",)),
    holdout_bp=1_000,
    budget_points=200_000,
    member_points=500,
)
_DOUBLE_TWELVE: Final = CampaignTerms(
    name={"zh": "双十二，满三百加一百分", "en": "12.12: a hundred points for every order of 300"},
    reward=FixedBonus(points=100),
    double_days=True,
    minimum_minor=30_000,
    currency=CURRENCY,
    budget_points=100_000,
)
_MISSIONS: Final = {
    "three-teas": MissionTerms(
        name={"zh": "扫三款不同的茶", "en": "Scan three different teas"}, task=ScanProducts(products=3), points=60
    ),
    "seven-days": MissionTerms(
        name={"zh": "连续签到七天", "en": "Come by seven days in a row"}, task=SignIn(days=7), draw=DRAW
    ),
}
_PRIZES: Final = (
    Prize(code="voucher", name={"zh": "二十元代金券", "en": "A voucher of 20 yuan"}, count=20, benefit=VOUCHER),
    Prize(code="points", name={"zh": "二百积分", "en": "200 points"}, count=80, points=200),
)
_DRAW: Final = DrawTerms(
    name={"zh": "冬日抽奖", "en": "The winter draw"}, prizes=_PRIZES, places=1_000, price_points=30, per_member=5
)


async def make_offers(connection: AsyncConnection, keyring: Keyring, *, brand: Brand, today: date) -> None:
    """A segment, a coupon for it, a campaign that runs and one that is a draft, missions, and a prize draw."""
    programme_id = brand.programme.id
    segment = await create_segment(connection, programme_id=programme_id, name="两个月没来 Away for two months")
    await save_version(
        connection, programme_id=programme_id, segment_id=segment.id, rule=msgspec.to_builtins(_AWAY), saved_by=BY
    )
    await publish_definition(
        connection, programme_id=programme_id, code="come-back-30", definition=_COME_BACK, actor=BY
    )
    campaign = await create_campaign(
        connection, programme_id=programme_id, code="oolong", draft=msgspec.to_builtins(_OOLONG), created_by=BY
    )
    await publish(
        connection,
        programme_id=programme_id,
        campaign_id=campaign.id,
        seen=campaign.changes,
        by=BY,
        ends_at=end_of_local_day(today + timedelta(_CAMPAIGN_DAYS), TIME_ZONE),
    )
    await create_campaign(
        connection,
        programme_id=programme_id,
        code="double-twelve",
        draft=msgspec.to_builtins(_DOUBLE_TWELVE),
        created_by=BY,
    )
    await publish_draw(
        connection,
        keyring,
        programme_id=programme_id,
        code=DRAW,
        definition=msgspec.to_builtins(_DRAW),
        closes_at=end_of_local_day(today + timedelta(_DRAW_DAYS), TIME_ZONE),
        published_by=BY,
    )
    for code, terms in _MISSIONS.items():
        await publish_mission(
            connection,
            programme_id=programme_id,
            code=code,
            terms=terms,
            published_by=BY,
            starts_at=start_of_local_day(today - timedelta(_MISSION_DAYS), TIME_ZONE),
        )
