"""A manager who does not program: a segment counted while it is made, a campaign for it, and what came of others."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.campaigns.bonus.campaign import create_campaign, publish
from loyalty.campaigns.draws.draw import publish_draw
from loyalty.campaigns.draws.entering import buy_entry
from loyalty.campaigns.earning import BEGINNING, EarnPolicy, EarnRule, PerAmount, publish_policy
from loyalty.campaigns.missions.mission import MissionTerms, SignIn, publish_mission
from loyalty.channels.orders import Order, OrderLine, accept_order
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import get_channel
from loyalty.runtime import KEYRING_FILE
from redemption.benefits.definition import DaysFromIssue, Definition, Service
from redemption.benefits.templates import publish_definition
from redemption.benefits.wallet import mark_seen
from tests.e2e.conftest import LiveShop, assert_well_made
from tests.e2e.staff import hire, regular, sign_in
from tests.e2e.test_shopper_journey import WORDS, become_member, phone

pytestmark = pytest.mark.e2e

_customers: Final = count(9101)
MEMBERS: Final = 24
WIDTHS: Final = ((1280, "en"), (390, "zh"))


async def a_season(connection: AsyncConnection, shop: LiveShop) -> None:
    """Campaigns for points and for a benefit, a mission and a draw, and two dozen customers who bought."""
    keyring = Keyring.open(shop.settings.keys / KEYRING_FILE)
    mine: dict[str, Any] = {"programme_id": shop.programme.id}
    rule = EarnRule(code="base", rate=PerAmount(points=1, per_minor=100, currency="CNY"))
    await publish_policy(connection, **mine, policy=EarnPolicy((rule,)), published_by="zhao.lei", valid_from=BEGINNING)
    tasting = {"zh": "茶室品鉴一次", "en": "A tasting in the tea room"}
    definition = Definition(
        name=tasting, gives=Service(what=tasting), validity=DaysFromIssue(days=60), cost_minor=3_000
    )
    await publish_definition(connection, **mine, code="tasting", definition=definition, actor="chen.min")
    for code, zh, en, terms in (
        ("spring", "春茶加倍", "Double points on spring tea", {"reward": {"kind": "times", "factor_bp": 20_000}}),
        ("tasting", "满三百送品鉴", "A tasting from 300 on", {"reward": {"kind": "benefit", "template": "tasting"}}),
    ):
        draft = {"name": {"zh": zh, "en": en}, "holdout_bp": 3_000, **terms}
        made = await create_campaign(connection, **mine, code=code, draft=draft, created_by="chen.min")
        await publish(connection, **mine, campaign_id=made.id, seen=made.changes, by="chen.min")
    await publish_mission(
        connection,
        **mine,
        code="daily",
        terms=MissionTerms(
            name={"zh": "连续签到", "en": "Three days in a row"}, task=SignIn(days=3), points=30, benefit="tasting"
        ),
        published_by="chen.min",
    )
    prizes = [
        {"code": "tasting", "name": tasting, "count": 3, "benefit": "tasting"},
        {"code": "points", "name": {"zh": "两百积分", "en": "200 points"}, "count": 40, "points": 200},
    ]
    draw = await publish_draw(
        connection,
        keyring,
        **mine,
        code="new-year",
        definition={
            "name": {"zh": "新年抽奖", "en": "New Year draw"},
            "prizes": prizes,
            "places": 1_000,
            "price_points": 50,
            "per_member": 3,
        },
        closes_at=utc_now() + timedelta(days=9),
        published_by="chen.min",
    )
    channel = await get_channel(connection, shop.programme.id, "shanghai-1")
    for place in range(MEMBERS):
        member = await regular(connection, shop, f"199 0000 {next(_customers)}", name=f"顾客{place}")
        await buy_entry(connection, **mine, member_id=member.id, draw_id=draw.id, key="1")
        line = OrderLine(line_id="1", sku="LJ-50", quantity=1, amount_minor=29_900 + 731 * place, category="tea")
        order = Order(
            external_id=f"S{member.public_id[-6:]}",
            placed_at=utc_now(),
            currency="CNY",
            member_id=member.id,
            lines=(line,),
        )
        await accept_order(connection, keyring, channel=channel, order=order)
        if place % 2:
            await mark_seen(connection, member_id=member.id)


async def test_a_segment_a_campaign_for_it_and_what_came_of_the_others(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path
) -> None:
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        await a_season(connection, live_server)
    async with phone(browser, live_server, width=1280, language="en") as page:
        await sign_in(page, "chen.min")
        await _make_segment(page)
        await assert_well_made(page, "offers-1280-en-segment", screenshots)
        await page.goto("/console/campaigns/new")
        for field, value in (("name_zh", "常客加倍"), ("name_en", "Double for regulars"), ("budget_points", "5000")):
            await page.locator(f"#{field}").fill(value)
        await page.locator("#segment").select_option(label="Regulars")
        await page.locator("#holdout").fill("10")
        await page.get_by_role("button", name="Save as a draft").click()
        await expect(page.locator("main")).to_contain_text("Double points for members of “Regulars”")
        await expect(page.locator("main")).to_contain_text("10% of members held out as control group")
        await page.get_by_role("link", name="Last 30 days").click()
        await expect(page.locator("main")).to_contain_text("Would have given")
        await page.get_by_role("button", name="Publish").click()
        await expect(page.locator("main")).to_contain_text("0 of 5,000 points used")
    for width, language in WIDTHS:
        async with phone(browser, live_server, width=width, language=language) as page:
            await sign_in(page, "chen.min")
            for path in ("campaigns", "missions", "draws", "segments", "effects"):
                await page.goto(f"/console/{path}")
                await assert_well_made(page, f"offers-{width}-{language}-{path}", screenshots)
            spring = "春茶加倍" if language == "zh" else "Double points on spring tea"
            await page.get_by_role("link", name=spring).click()
            held = "对照组" if language == "zh" else "Control group, held out"
            await expect(page.locator("main")).to_contain_text(held)
            await assert_well_made(page, f"offers-{width}-{language}-effect-points", screenshots)
            await page.goto("/console/effects")
            gift = "满三百送品鉴" if language == "zh" else "A tasting from 300 on"
            await page.get_by_role("link", name=gift).click()
            await expect(page.locator("main")).to_contain_text("已看到" if language == "zh" else "Seen")
            await assert_well_made(page, f"offers-{width}-{language}-effect", screenshots)
            for section, name in (
                ("campaigns", spring),
                ("draws", "新年抽奖" if language == "zh" else "New Year draw"),
            ):
                await page.goto(f"/console/{section}")
                await page.get_by_role("link", name=name).first.click()
                await assert_well_made(page, f"offers-{width}-{language}-{section}-one", screenshots)

    async with phone(browser, live_server, width=390, language="zh") as page:
        # What a shopper sees of it: the odds before entering, and why one cannot enter yet.
        await page.goto("/join")
        await become_member(page, WORDS["zh"], "199 0000 9199")
        await page.goto("/me")
        await expect(page.locator("main")).to_contain_text("茶室品鉴一次：中奖机会 1,000 分之 3")
        await page.get_by_role("button", name="用 50 积分抽奖").click()
        await expect(page.locator("main")).to_contain_text("积分不足，无法参加。")
        await page.locator("details", has_text="如何核验本次抽奖").locator("summary").click()
        await assert_well_made(page, "offers-390-zh-card", screenshots)


async def _make_segment(page: Page) -> None:
    """One sentence, whose members are counted while its number is typed."""
    await page.goto("/console/segments")
    await page.locator("#name").fill("Regulars")
    await page.keyboard.press("Enter")
    await page.locator("select[name='r.new']").select_option("orders")
    await page.locator("button[value='add:r']").click()
    counted = page.locator("[data-counted]")
    await page.locator("input[name='r.0.value']").fill("1")
    await expect(counted).to_contain_text("members")
    some = await counted.text_content() or ""
    await page.locator("input[name='r.0.value']").fill("900")
    await expect(counted).not_to_have_text(some)
    await page.locator("input[name='r.0.value']").fill("1")
    await expect(counted).to_have_text(some)
    await page.locator("button[value='save']").click()
    await expect(page.locator("main")).to_contain_text("Version 1")
