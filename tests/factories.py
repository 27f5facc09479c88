"""Small things that many tests need, made through the product's own functions."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import Unit, define_unit
from loyalty.campaigns.earning import BEGINNING, EarnPolicy, EarnRule, PerAmount
from loyalty.campaigns.earning import publish_policy as publish_earn_policy
from loyalty.items.gtin import check_digit
from loyalty.items.products import LocalText, Product, save_product
from loyalty.kit.programme import Programme, create_channel, create_programme
from redemption.benefits.definition import Coupon, DaysFromIssue, Definition
from redemption.benefits.templates import Template, publish_definition
from redemption.catalogue import save_item
from redemption.policies import publish_policy as publish_redemption_policy
from redemption.terms import FixedOff, Minimum, Terms
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.rules import PointsMetric
from tiers.windows import LifetimeWindow


async def make_programme(connection: AsyncConnection) -> Programme:
    """A programme in Shanghai with an online shop, `online`, and a store, `store-1`."""
    programme = await create_programme(
        connection,
        code=f"brand-{uuid4().hex[:12]}",
        name="Brand",
        time_zone="Asia/Shanghai",
        currency="CNY",
        locale="zh",
    )
    await create_channel(connection, programme, code="online", name="Online shop", kind="online")
    await create_channel(connection, programme, code="store-1", name="Store 1", kind="store")
    return programme


async def make_brand(connection: AsyncConnection) -> Programme:
    """A programme that is ready for business.

    One point for a yuan; `silver`, and `gold` from 1,000 points; 100 points take one yuan off, of at most half the
    basket; `gift-box` for 300 points; the coupon `welcome`, 10 yuan off from 50.
    """
    programme = await make_programme(connection)
    programme_id, currency = programme.id, programme.currency
    await define_unit(connection, Unit(programme_id=programme_id, time_zone=programme.time_zone, adjust_limit=500))
    per_yuan = EarnRule(code="base", rate=PerAmount(points=1, per_minor=100, currency=currency))
    await publish_earn_policy(
        connection,
        programme_id=programme_id,
        policy=EarnPolicy(rules=(per_yuan,)),
        published_by="test",
        valid_from=BEGINNING,
    )
    tiers = [
        TierStep(code="silver", name={"zh": "银卡", "en": "Silver"}, rank=1, threshold=0),
        TierStep(code="gold", name={"zh": "金卡", "en": "Gold"}, rank=2, threshold=1000),
    ]
    ladder = Ladder(metric=PointsMetric(), window=LifetimeWindow(), tiers=tiers)
    await publish_ladder(connection, programme_id=programme_id, ladder=ladder)
    await publish_redemption_policy(
        connection,
        programme_id=programme_id,
        currency=currency,
        step_points=100,
        step_amount_minor=100,
        max_share_bp=5000,
    )
    await save_item(
        connection, programme_id=programme_id, code="gift-box", name={"zh": "礼盒", "en": "Gift box"}, points_cost=300
    )
    names = {"zh": "新会员", "en": "Welcome"}
    await make_coupon(connection, programme, "welcome", names, off_minor=1000, from_minor=5000)
    return programme


async def make_coupon(
    connection: AsyncConnection,
    programme: Programme,
    code: str,
    name: dict[str, str],
    *,
    off_minor: int,
    from_minor: int = 0,
    days: int = 30,
) -> Template:
    """A coupon that takes so much off a basket of at least so much, published."""
    effect, minimum = FixedOff(amount_minor=off_minor), Minimum(amount_minor=from_minor)
    terms = Terms(currency=programme.currency, effect=effect, minimum=minimum)
    definition = Definition(name=name, gives=Coupon(terms=terms), validity=DaysFromIssue(days=days))
    return await publish_definition(
        connection, programme_id=programme.id, code=code, definition=definition, actor="test"
    )


async def make_product(connection: AsyncConnection, programme: Programme) -> Product:
    """A product with a GTIN of its own, worth 50 points an item."""
    digits = f"690{uuid4().int % 10**10:010d}"
    names = LocalText(zh="面霜", en="Cream")
    return await save_product(
        connection,
        programme_id=programme.id,
        gtin=digits + str(check_digit(digits)),
        names=names,
        points_on_claim=50,
    )
