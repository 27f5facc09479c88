"""A manager and a clerk: tiers tried and published, a coupon for one of them, given to a segment, used at the till."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.units import Unit, define_unit
from loyalty.campaigns.giving import find_audience
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import create_channel, create_programme
from loyalty.members.identifiers import phone_identity
from loyalty.members.joining import register
from loyalty.members.profile import ProfileFields
from loyalty.runtime import KEYRING_FILE
from loyalty.settings import Settings
from redemption.benefits.bulk import unfinished_issues, work_on_issue
from tests.e2e.conftest import Served, assert_well_made, serving
from tests.e2e.staff import hire, sign_in
from tests.e2e.test_shopper_journey import phone
from tests.e2e.test_till import heading, scan
from tiers.qualification import record
from tiers.tending import tend_tiers

pytestmark = pytest.mark.e2e

GOLD: Final = "199 0000 6501"
SILVER: Final = "199 0000 6502"
TIERS: Final = (("silver", "银卡", "Silver", "100"), ("gold", "金卡", "Gold", "1000"))


@pytest.fixture
async def shop(database_url: str, engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Served]:
    """A brand that has just begun: two channels, two members with points, and no tiers, coupons or segments yet."""
    settings = Settings(home=tmp_path, database_url=database_url, programme="walk", demo=True)
    async with transaction(engine) as connection:
        programme = await create_programme(
            connection, code="walk", name="Shanlan 山岚", time_zone="Asia/Shanghai", currency="CNY", locale="zh"
        )
        await create_channel(connection, programme, code="online", name="Online shop", kind="online")
        await create_channel(connection, programme, code="shanghai-1", name="Shanghai, Huaihai Road", kind="store")
        await define_unit(connection, Unit(programme_id=programme.id, time_zone=programme.time_zone))
    with serving(settings) as (url, served):
        made = Served(url=url, settings=served, programme=programme)
        await hire(engine, made)
        for number, name, points in ((GOLD, "林梅 Lin Mei", 1_250), (SILVER, "高英 Gao Ying", 300)):
            async with transaction(engine) as connection:
                joined = await register(
                    connection,
                    Keyring.open(served.keys / KEYRING_FILE),
                    programme_id=programme.id,
                    channel_code="shanghai-1",
                    identities=[phone_identity(number)],
                    joined_at=utc_now(),
                    profile=ProfileFields(name=name),
                )
                await record(
                    connection,
                    programme_id=programme.id,
                    member_id=joined.member.id,
                    metric="points",
                    at=utc_now(),
                    amount=points,
                )
        yield made


class Walk:
    """A page, and pictures of each step of it: on a phone and on a desk, in Chinese and in English."""

    def __init__(self, page: Page, screenshots: Path) -> None:
        self.page, self.screenshots = page, screenshots
        self._step = 0

    async def look(self, name: str, *, languages: tuple[str, ...] = ("zh", "en")) -> None:
        self._step += 1
        for language in languages:
            if len(languages) > 1:
                await self.page.get_by_role("link", name={"zh": "中文", "en": "EN"}[language], exact=True).click()
                await self.page.wait_for_load_state()
            for width in (390, 1280):
                await self.page.set_viewport_size({"width": width, "height": 844 if width < 800 else 900})
                picture = f"walk-{self._step:02d}-{name}-{width}-{language}"
                await assert_well_made(self.page, picture, self.screenshots)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()


async def _tiers(walk: Walk) -> None:
    """Three tiers are drafted, tried on the members there are, and published at once."""
    page = walk.page
    await page.goto("/console/tiers")
    await walk.press("New draft")
    for at, (code, zh, en, least) in enumerate(TIERS, 1):
        for field, text in (("code", code), ("zh", zh), ("en", en), ("c0_least", least), ("c0_months", "12")):
            await page.locator(f"[name=t{at}_{field}]").fill(text)
        await page.locator(f"[name=t{at}_c0_metric]").select_option("points")
        await page.locator(f"[name=t{at}_c0_window]").select_option("rolling_months")
        await page.locator("[name=at_start]").select_option("place_all")
        await walk.press("Save the draft")
        await page.get_by_role("link", name="Change the draft").click()
    await walk.look("tiers-form")
    await walk.press("Save the draft")
    await walk.press("Simulate")
    await walk.look("tiers-simulated")
    await walk.press("Publish now")
    await walk.look("tiers-published")


async def _coupon(walk: Walk) -> None:
    """20 off 100, for gold members, in stores; tried on both members before it is published."""
    page = walk.page
    await page.goto("/console/benefits/new")
    await walk.look("benefit-kinds")
    await page.get_by_role("link", name="An amount off").click()
    for label, text in (
        ("Name in Chinese", "金卡满百减二十"),
        ("Name in English", "Gold: 20 off 100"),
        ("Code", "gold-twenty"),
        ("Amount", "20"),
        ("Minimum amount", "100"),
    ):
        await page.get_by_label(label, exact=True).fill(text)
    await page.get_by_label("Where it is taken").select_option("store")
    await page.get_by_role("group", name="Tiers", exact=True).get_by_label("Gold").check()
    await page.get_by_label("Minimum amount").fill("a hundred")
    await walk.press("Save the draft")
    await expect(page.get_by_role("alert")).to_contain_text("Minimum amount")
    await walk.look("benefit-refused", languages=("en",))
    await page.get_by_label("Minimum amount").fill("100")
    await walk.press("Save the draft")
    for who, said in ((SILVER, "It does not apply."), (GOLD, "It takes ¥20.00 off.")):
        await page.locator("#try + form [name=who]").fill(who)
        await page.get_by_label("Where they buy").select_option("shanghai-1")
        await page.get_by_label("Line 1: amount").fill("120")
        await walk.press("Try")
        await expect(page.locator(".trial")).to_contain_text(said)
    await walk.look("benefit-tried", languages=("en",))
    await page.goto("/console/benefits/gold-twenty/edit")
    await walk.look("benefit-form")
    await page.goto("/console/benefits/gold-twenty")
    await walk.press("Publish")
    await walk.look("benefit-published")


async def _segment(walk: Walk) -> None:
    """Everybody whose tier is gold, as a segment."""
    page = walk.page
    await page.goto("/console/segments")
    await page.locator("#name").fill("Gold")
    await page.keyboard.press("Enter")
    await page.locator("[name='r.new']").select_option("tier")
    await page.locator("button[value='add:r']").click()
    await page.locator("[name='r.0.value']").select_option("gold")
    await page.locator("button[value=save]").click()
    await walk.look("segment")


async def _issue(walk: Walk, engine: AsyncEngine) -> None:
    """The coupon is given to the segment, and the page says by itself when that is done."""
    page = walk.page
    await page.goto("/console/benefits/gold-twenty")
    form = page.locator("form", has=page.locator("[name=segment]"))
    await form.get_by_label("Name of the issue").fill("Gold in May")
    await form.get_by_role("button", name="Give").click()
    await expect(page.locator("#issues + div")).to_contain_text("finding members")
    async with transaction(engine) as connection:
        waiting = await unfinished_issues(connection)
    for issue_id in waiting:
        await work_on_issue(engine, issue_id, find_audience=find_audience)
    await expect(page.locator("#issues + div")).to_contain_text("1 of 1 given")
    await walk.look("benefit-given")
    await page.goto("/console/benefits")
    await walk.look("benefits")


async def _till(walk: Walk) -> None:
    """A clerk finds the customer, types the basket, ticks the coupon and takes it: with the keyboard alone."""
    page = walk.page
    await scan(page, GOLD, into="#who")
    await expect(page.locator("#amount")).to_be_focused()
    await page.keyboard.type("120")
    coupon = page.locator("input[name=coupon]")
    await expect(coupon).to_be_enabled()
    await page.keyboard.press("Tab")
    while not await coupon.evaluate("each => each === document.activeElement"):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await expect(coupon).to_be_checked()
    await walk.look("till-coupon", languages=("en",))
    await page.keyboard.press("Enter")
    await expect(page.locator("#receipt")).to_be_focused()
    await walk.look("till-held")
    await page.locator("#receipt").focus()
    await scan(page, "R-7001", into="#receipt")
    await heading(page, "Done")
    await walk.look("till-done")


async def test_from_a_tier_to_a_coupon_that_is_used_at_the_till(
    shop: Served, engine: AsyncEngine, browser: Browser, screenshots: Path
) -> None:
    async with phone(browser, shop, width=1280, language="en") as page:
        await sign_in(page, "chen.min")
        walk = Walk(page, screenshots)
        await _tiers(walk)
        await tend_tiers(engine, programme_id=shop.programme.id, moment=utc_now())  # as a worker does by itself
        await _coupon(walk)
        await _segment(walk)
        await _issue(walk, engine)
    async with phone(browser, shop, width=1280, language="en") as page:
        await sign_in(page, "li.na")
        await _till(Walk(page, screenshots))
