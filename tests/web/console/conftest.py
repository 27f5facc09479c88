"""A brand with something of everything in it, and its people at the console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.earning import BEGINNING, EarnPolicy, EarnRule, PerAmount, publish_policy
from loyalty.channels.orders import Order, OrderLine, Refund, accept_order, accept_refund
from loyalty.items.products import LocalText, save_product
from loyalty.items.ranges import CodeRange, change_range_state, mint_range
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.rules import Compare
from loyalty.members.consent import Consent, record_consent
from loyalty.members.member import Member
from redemption.till import begin, capture
from tests.web.house import House, open_house
from tests.web.member.conftest import Browser

GTIN = "06901234568509"


@pytest.fixture(scope="session")
async def house(engine: AsyncEngine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(engine, tmp_path_factory.mktemp("console")) as opened:
        await _agree(opened)
        yield opened


async def _agree(house: House) -> None:
    """Two points a whole yuan in stores, double on weekends from ¥500 on; a tea with item codes."""
    per_yuan = PerAmount(points=2, per_minor=100, currency="CNY")
    rules = (
        EarnRule(code="base", rate=per_yuan),
        EarnRule(
            code="weekend",
            rate=PerAmount(points=1, per_minor=100, currency="CNY"),
            when=Compare(field="channel", op="eq", value="store-1"),
            minimum_minor=50_000,
            cap=2_000,
            tier_bonus_bp={"peak": 1_000},
        ),
    )
    async with transaction(house.engine) as connection:
        await publish_policy(
            connection,
            programme_id=house.programme.id,
            policy=EarnPolicy(rules=rules),
            published_by="chen.min",
            valid_from=BEGINNING,
        )
        await save_product(
            connection,
            programme_id=house.programme.id,
            gtin=GTIN,
            names=LocalText(zh="明前龙井", en="Longjing tea"),
            points_on_claim=120,
        )


@dataclass
class Life:
    """A member who bought, returned and redeemed, and the range their tea came from."""

    member: Member
    phone: str
    on_sale: CodeRange


@pytest.fixture(scope="session")
async def life(house: House) -> Life:
    member = await house.member(name="Lin Yue", card="6688 0001")
    now = utc_now()
    async with transaction(house.engine) as connection:
        await accept_order(
            connection,
            house.services.keyring,
            channel=house.store,
            order=Order(
                external_id="R-500",
                placed_at=now - timedelta(days=20),
                currency="CNY",
                lines=(
                    OrderLine(line_id="1", sku="TEA-50", quantity=2, amount_minor=59_800, description="Longjing 50 g"),
                ),
                member_id=member.id,
            ),
        )
        await accept_refund(
            connection,
            channel=house.store,
            refund=Refund(
                external_id="RF-500",
                order_external_id="R-500",
                refunded_at=now - timedelta(days=10),
                currency="CNY",
                amount_minor=29_900,
            ),
        )
        await record_consent(
            connection,
            member_id=member.id,
            consent=Consent(purpose="terms", granted=True, text_version="2026-01", given_at=now, source="till:store-1"),
        )
        held = await begin(
            connection,
            programme_id=house.programme.id,
            member_id=member.id,
            channel_id=house.store.id,
            key="redeem",
            clerk="li.na",
            basket_minor=10_000,
            currency="CNY",
            points=300,
        )
        await capture(
            connection,
            programme_id=house.programme.id,
            redemption_id=held.id,
            receipt_number="R-501",
            key="capture",
        )
        minted = await mint_range(
            connection,
            house.services.item_keys,
            programme_id=house.programme.id,
            gtin=GTIN,
            count=20,
            print_order="2026-11",
            lot="L-7",
        )
        on_sale = await change_range_state(
            connection, programme_id=house.programme.id, range_id=minted.id, state="activated"
        )
    return Life(member=member, phone=house.phone_of(member), on_sale=on_sale)


@pytest.fixture
async def manager(house: House) -> AsyncIterator[Browser]:
    """Chen Min of CRM."""
    async with house.at_work("chen.min") as browser:
        yield browser


@pytest.fixture
async def admin(house: House) -> AsyncIterator[Browser]:
    """Zhao Lei, who may mint codes."""
    async with house.at_work("zhao.lei") as browser:
        yield browser
