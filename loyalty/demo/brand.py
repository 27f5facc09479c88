"""The demonstration's brand: Tangwu, an invented tea house with an online shop and three stores."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import Unit, define_unit
from loyalty.campaigns.earning import BEGINNING, EarnPolicy, EarnRule, PerAmount, publish_policy
from loyalty.items.products import LocalText, save_product
from loyalty.kit.programme import Channel, Programme, create_channel, create_programme
from loyalty.kit.rules import AllOf, Compare, OneOf
from loyalty.web.security.staff import Role, create_staff
from redemption.benefits.definition import Coupon, DaysFromIssue, Definition
from redemption.benefits.templates import publish_definition
from redemption.catalogue import save_item
from redemption.policies import publish_policy as publish_redemption_policy
from redemption.terms import FixedOff, Minimum, PercentOff, Places, Terms
from tiers.policies import KeepMonths, Tier, TierPolicy
from tiers.rules import AllOf as AllReached
from tiers.rules import OrdersMetric, Reach, SpendMetric
from tiers.versions import publish_policy as publish_tier_policy
from tiers.windows import RollingMonthsWindow

CODE: Final = "tangwu"
NAME: Final = "棠坞 Tangwu"
TIME_ZONE: Final = "Asia/Shanghai"
CURRENCY: Final = "CNY"
ONLINE: Final = "online"
STORES: Final = ("shanghai-1", "hangzhou-1", "chengdu-1")
CHANNELS: Final = (ONLINE, *STORES)

EXPIRY_MONTHS: Final = 6
"""Points last until the end of the sixth month, so that a year has seen many of them expire."""
STEP_POINTS: Final = 100
STEP_AMOUNT_MINOR: Final = 500
"""100 points take five yuan off: about five per cent back."""
MOST_SHARE_BP: Final = 5_000

VOUCHER: Final = "voucher-20"
VOUCHER_REWARD: Final = "voucher"
"""The reward that is a coupon of the template VOUCHER."""
BIRTHDAY: Final = "birthday-15"
PASSWORD: Final = "tangwu-demo"  # noqa: S105  (printed for everybody: it opens invented books on one's own machine)

_SECOND_POLICY_DAYS: Final = 75
"""How long the second earn policy has been in force."""

_CHANNEL_NAMES: Final[dict[str, tuple[str, Literal["online", "store"]]]] = {
    ONLINE: ("棠坞商城 Online shop", "online"),
    "shanghai-1": ("上海·安福路 Shanghai, Anfu Road", "store"),
    "hangzhou-1": ("杭州·满觉陇 Hangzhou, Manjuelong", "store"),
    "chengdu-1": ("成都·玉林 Chengdu, Yulin", "store"),
}

_HALF_A_YEAR: Final = RollingMonthsWindow(months=6)


def _asks(spend_minor: int, orders: int) -> AllReached:
    """A tier is for who spends enough and comes often enough: one great purchase alone does not make a regular."""
    return AllReached(
        rules=(
            Reach(metric=SpendMetric(currency=CURRENCY), window=_HALF_A_YEAR, at_least=spend_minor),
            Reach(metric=OrdersMetric(), window=_HALF_A_YEAR, at_least=orders),
        )
    )


_TIERS: Final = TierPolicy(
    tiers=(
        Tier(code="leaf", name={"zh": "新叶", "en": "New Leaf"}, rank=1),
        Tier(
            code="silver",
            name={"zh": "银毫", "en": "Silver Tip"},
            rank=2,
            qualify=_asks(100_000, 2),
            benefit_cost_minor=300,
            earn_rate_bp=10_500,
        ),
        Tier(
            code="amber",
            name={"zh": "琥珀", "en": "Amber"},
            rank=3,
            qualify=_asks(300_000, 3),
            benefit_cost_minor=1_200,
            earn_rate_bp=11_000,
        ),
        Tier(
            code="grove",
            name={"zh": "老丛", "en": "Old Grove"},
            rank=4,
            qualify=_asks(800_000, 4),
            benefit_cost_minor=4_000,
            earn_rate_bp=12_000,
        ),
    ),
    keep=KeepMonths(months=6),
    grace_days=14,
    warning_days=30,
)

_EVERYTHING: Final = PerAmount(points=1, per_minor=100, currency=CURRENCY)
_FIRST_POLICY: Final = EarnPolicy((EarnRule(code="spend", rate=_EVERYTHING),))
_SECOND_POLICY: Final = EarnPolicy(
    (
        EarnRule(
            code="spend", rate=_EVERYTHING, tier_bonus_bp={"silver": 500, "amber": 1_000, "grove": 2_000}, cap=5_000
        ),
        EarnRule(
            code="teaware-weekend",
            rate=_EVERYTHING,
            when=AllOf((Compare("weekday", "ge", 6), Compare("channel_kind", "eq", "store"))),
            items=OneOf("category", ("teaware",)),
            cap=500,
        ),
    )
)
"""Since a while tiers earn more, and teaware counts twice in stores at weekends."""


class Reward(msgspec.Struct, frozen=True):
    """Something points buy."""

    code: str
    zh: str
    en: str
    points: int
    stock: int | None = None
    coupon: str | None = None


REWARDS: Final = (
    Reward("linen-cloth", "亚麻茶巾一条", "A linen cloth", 300, stock=900),
    Reward(VOUCHER_REWARD, "二十元代金券", "A voucher of 20 yuan", 360, coupon=VOUCHER),
    Reward("tea-tin", "手绘茶罐", "A painted tea tin", 800, stock=400),
    Reward("tasting-seat", "周六品茶会一席", "A seat at the Saturday tasting", 1_200, stock=250),
    Reward("gaiwan", "素白盖碗", "A plain white gaiwan", 2_400, stock=120),
)


class DemoProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product as `products.toml` has it. `coded` says whether each piece carries a code of its own."""

    sku: str
    gtin: str
    category: str
    zh: str
    en: str
    about_zh: str
    about_en: str
    price_minor: int
    points: int
    coded: bool
    popularity: int

    @property
    def names(self) -> LocalText:
        """What it is called."""
        return LocalText(zh=self.zh, en=self.en)


class _ProductFile(msgspec.Struct, frozen=True):
    product: list[DemoProduct]


class StaffMember(msgspec.Struct, frozen=True):
    """Somebody who can sign in with PASSWORD."""

    username: str
    name: str
    role: Role
    channel: str | None = None


STAFF: Final = (
    StaffMember("anfu", "安福路收银台 Till, Anfu Road", "clerk", "shanghai-1"),
    StaffMember("manjuelong", "满觉陇收银台 Till, Manjuelong", "clerk", "hangzhou-1"),
    StaffMember("yulin", "玉林收银台 Till, Yulin", "clerk", "chengdu-1"),
    StaffMember("members", "会员中心 Member desk", "crm"),
    StaffMember("owner", "店主 Owner", "admin"),
)
CLERKS: Final = {person.channel: person.username for person in STAFF if person.channel}


class Brand(msgspec.Struct, frozen=True):
    """The brand as it stands in a database."""

    programme: Programme
    channels: dict[str, Channel]


@lru_cache(maxsize=1)
def products() -> tuple[DemoProduct, ...]:
    """What the brand sells."""
    content = Path(__file__).with_name("products.toml").read_bytes()
    return tuple(msgspec.toml.decode(content, type=_ProductFile).product)


async def found_brand(connection: AsyncConnection, *, opened_at: datetime, today: datetime) -> Brand:
    """Make the programme and everything it offers, as it was when it opened, and what was changed since."""
    programme = await create_programme(
        connection, code=CODE, name=NAME, time_zone=TIME_ZONE, currency=CURRENCY, locale="zh"
    )
    channels = {
        code: await create_channel(connection, programme, code=code, name=name, kind=kind)
        for code, (name, kind) in _CHANNEL_NAMES.items()
    }
    await _publish_rules(connection, programme, opened_at=opened_at, today=today)
    await _fill_catalogue(connection, programme)
    for product in products():
        await save_product(
            connection,
            programme_id=programme.id,
            gtin=product.gtin,
            names=product.names,
            descriptions=LocalText(zh=product.about_zh, en=product.about_en),
            category=product.category,
            points_on_claim=product.points if product.coded else 0,
        )
    for person in STAFF:
        await create_staff(
            connection,
            programme_id=programme.id,
            username=person.username,
            name=person.name,
            role=person.role,
            password=PASSWORD,
            channel_id=channels[person.channel].id if person.channel else None,
        )
    return Brand(programme, channels)


async def _publish_rules(
    connection: AsyncConnection, programme: Programme, *, opened_at: datetime, today: datetime
) -> None:
    await define_unit(
        connection,
        Unit(
            programme_id=programme.id,
            time_zone=TIME_ZONE,
            expiry_kind="end_of_month",
            expiry_months=EXPIRY_MONTHS,
            expired_return_days=14,
            adjust_limit=1_000,
        ),
    )
    for policy, valid_from in ((_FIRST_POLICY, BEGINNING), (_SECOND_POLICY, today - timedelta(_SECOND_POLICY_DAYS))):
        await publish_policy(
            connection, programme_id=programme.id, policy=policy, published_by="owner", valid_from=valid_from
        )
    await publish_redemption_policy(
        connection,
        programme_id=programme.id,
        currency=CURRENCY,
        step_points=STEP_POINTS,
        step_amount_minor=STEP_AMOUNT_MINOR,
        max_share_bp=MOST_SHARE_BP,
    )
    await publish_tier_policy(connection, programme_id=programme.id, policy=_TIERS, effective_at=opened_at)


async def _fill_catalogue(connection: AsyncConnection, programme: Programme) -> None:
    await _publish(
        connection,
        programme,
        VOUCHER,
        {"zh": "二十元代金券", "en": "20 yuan off"},
        Terms(currency=CURRENCY, effect=FixedOff(amount_minor=2_000), minimum=Minimum(amount_minor=10_000)),
        days=60,
    )
    birthday = PercentOff(percent_bp=1_500, max_amount_minor=8_000)
    await _publish(
        connection,
        programme,
        BIRTHDAY,
        {"zh": "生日八五折", "en": "Birthday: 15% off"},
        Terms(currency=CURRENCY, effect=birthday, places=Places(channels=tuple(STORES))),
        days=31,
    )
    for reward in REWARDS:
        await save_item(
            connection,
            programme_id=programme.id,
            code=reward.code,
            name={"zh": reward.zh, "en": reward.en},
            points_cost=reward.points,
            coupon_template_code=reward.coupon,
            stock=reward.stock,
        )


async def _publish(
    connection: AsyncConnection, programme: Programme, code: str, name: dict[str, str], terms: Terms, *, days: int
) -> None:
    definition = Definition(name=name, gives=Coupon(terms=terms), validity=DaysFromIssue(days=days))
    await publish_definition(connection, programme_id=programme.id, code=code, definition=definition, actor="marketing")
