"""The live shop's own people, and customers for them to serve."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from playwright.async_api import Page, expect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import posting
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import get_channel
from loyalty.members.identifiers import channel_identity, phone_identity
from loyalty.members.joining import register
from loyalty.members.member import Member
from loyalty.members.profile import ProfileFields
from loyalty.runtime import KEYRING_FILE
from loyalty.web.security.staff import Role, create_staff, list_staff
from redemption.benefits.issuing import issue
from redemption.catalogue import save_item
from redemption.policies import publish_policy
from tests.e2e.conftest import LiveShop, Served
from tests.factories import make_coupon
from tiers.qualification import evaluate, record

PASSWORD: Final = "tea from the first spring"
_PEOPLE: Final[list[tuple[str, str, Role]]] = [
    ("li.na", "李娜", "clerk"),
    ("chen.min", "陈敏", "crm"),
    ("zhao.lei", "赵磊", "admin"),
]


async def hire(engine: AsyncEngine, shop: Served) -> None:
    """A clerk of the Shanghai store, a manager and an administrator; what points are worth; gifts. Done once."""
    async with transaction(engine) as connection:
        if await list_staff(connection, programme_id=shop.programme.id):
            return
        store = await get_channel(connection, shop.programme.id, "shanghai-1")
        for username, name, role in _PEOPLE:
            await create_staff(
                connection,
                programme_id=shop.programme.id,
                username=username,
                name=name,
                role=role,
                password=PASSWORD,
                channel_id=store.id if role == "clerk" else None,
            )
        await publish_policy(
            connection,
            programme_id=shop.programme.id,
            currency="CNY",
            step_points=100,
            step_amount_minor=100,
            minimum_points=100,
            max_share_bp=5_000,
        )
        for code, zh, en, cost in (
            ("tin", "手绘茶罐", "Hand-painted tea tin", 800),
            ("cup", "龙泉青瓷杯", "Longquan celadon cup", 2600),
        ):
            await save_item(
                connection, programme_id=shop.programme.id, code=code, name={"zh": zh, "en": en}, points_cost=cost
            )


async def sign_in(page: Page, username: str) -> None:
    """By keyboard: the name has the focus, Tab leads to the password."""
    await page.goto("/staff/login")
    await expect(page.locator("#username")).to_be_focused()
    await page.keyboard.type(username)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda address: "/staff/login" not in address)


async def regular(connection: AsyncConnection, shop: LiveShop, number: str, *, name: str) -> Member:
    """A member of two years with 1,250 points, some pending, a card and a coupon."""
    now = utc_now()
    made = await register(
        connection,
        Keyring.open(shop.settings.keys / KEYRING_FILE),
        programme_id=shop.programme.id,
        channel_code="shanghai-1",
        identities=[
            phone_identity(number),
            channel_identity("card", f"6688 {number[-4:]}", channel_code="shanghai-1"),
        ],
        joined_at=now - timedelta(days=800),
        profile=ProfileFields(name=name),
    )
    member_id = made.member.id
    points: dict[str, Any] = {"programme_id": shop.programme.id, "member_id": member_id}
    await posting.earn(
        connection, amount=850, key="1", source="order:online/536381", effective_at=now - timedelta(days=95), **points
    )
    await posting.earn(
        connection,
        amount=460,
        key="2",
        source="order:shanghai-1/R-20261101-0042",
        effective_at=now - timedelta(days=40),
        **points,
    )
    await posting.claw_back(connection, amount=60, key="3", source="refund:online/C536381", **points)
    await posting.earn(
        connection, amount=85, key="4", source="order:online/540112", available_at=now + timedelta(days=7), **points
    )
    await record(connection, programme_id=shop.programme.id, member_id=member_id, metric="points", at=now, amount=1250)
    await evaluate(connection, programme_id=shop.programme.id, member_id=member_id, moment=now, cause="order:online/1")
    names = {"zh": "春茶礼遇 立减 50 元", "en": "Spring tea: 50 yuan off"}
    await make_coupon(connection, shop.programme, "spring", names, off_minor=5000, from_minor=30000, days=60)
    await issue(
        connection,
        programme_id=shop.programme.id,
        member_id=member_id,
        template_code="spring",
        key="welcome",
        source="campaign:spring",
    )
    return made.member
