"""A shopper with a phone in the hand: scan, join, collect, card; and a second shopper with the same code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import posting
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.ids import new_id
from loyalty.members.identifiers import phone_identity
from loyalty.members.joining import register
from loyalty.members.profile import ProfileFields
from loyalty.runtime import KEYRING_FILE
from loyalty.web.member.consents import answer_terms
from redemption.benefits.issuing import issue
from tests.e2e.conftest import LiveShop, Served, assert_well_made
from tests.factories import make_coupon
from tiers.qualification import evaluate, record

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Words:
    """What the journey looks for, in one language."""

    genuine: str
    join: str
    send: str
    check: str
    finish: str
    collect: str
    collected: str
    see_card: str
    refused: str
    claimed: str


WORDS = {
    "en": Words(
        genuine="Genuine",
        join="Join and collect",
        send="Send me a code",
        check="Continue",
        finish="Become a member",
        collect="Collect 120 points",
        collected="120 points collected",
        see_card="See my card",
        refused="Somebody collected this first",
        claimed="were collected by another member",
    ),
    "zh": Words(
        genuine="正品",
        join="入会领取",
        send="发送验证码",
        check="继续",
        finish="成为会员",
        collect="领取 120 积分",
        collected="已领取 120 积分",
        see_card="查看会员卡",
        refused="已被他人领取",
        claimed="积分已由另一位会员",
    ),
}

Scheme = Literal["light", "dark"]


@asynccontextmanager
async def phone(
    browser: Browser, shop: Served, *, width: int, language: str, scheme: Scheme = "light", script: bool = True
) -> AsyncIterator[Page]:
    """A browser of somebody's own, which fails the test on any script error or breach of the CSP."""
    context = await browser.new_context(
        base_url=shop.url,
        viewport={"width": width, "height": 844 if width < 800 else 900},
        device_scale_factor=2 if width < 800 else 1,
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme=scheme,
        has_touch=width < 800,
        java_script_enabled=script,
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    await context.close()
    assert [each for each in complaints if "status of 4" not in each] == []


async def become_member(page: Page, words: Words, number: str) -> None:
    """From the phone number to being signed in."""
    await page.locator("#phone").fill(number)
    await page.get_by_role("button", name=words.send).click()
    code = await page.locator("[data-code]").get_attribute("data-code")
    await page.locator("#code").fill(code or "")
    await page.get_by_role("button", name=words.check).click()
    await page.locator("#terms").check()
    await page.get_by_role("button", name=words.finish).click()


Look = Callable[[Page, str], Awaitable[None]]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_scan_join_collect_card_and_a_second_shopper_is_refused_kindly(
    live_server: LiveShop, browser: Browser, screenshots: Path, width: int, language: str
) -> None:
    number = {(390, "zh"): 1, (1280, "zh"): 2, (390, "en"): 3, (1280, "en"): 4}[width, language]
    words = WORDS[language]
    item = live_server.item_path(number)

    async def look(page: Page, name: str) -> None:
        await assert_well_made(page, f"shopper-{width}-{language}-{name}", screenshots)

    async with (
        phone(browser, live_server, width=width, language=language) as first,
        phone(browser, live_server, width=width, language=language) as second,
    ):
        await first.goto(item)
        await expect(first.get_by_role("heading", level=1)).to_have_text(words.genuine)
        await look(first, "1-item")
        await second.goto(item)
        await look(second, "1-item-scanned-before")

        await first.get_by_role("link", name=words.join).click()
        await _join_with_slips(first, words, f"199 0000 100{number}", look)
        await expect(first).to_have_url(f"{live_server.url}{item}")
        await look(first, "5-item-signed-in")
        await second.get_by_role("link", name=words.join).click()
        await become_member(second, words, f"199 0000 200{number}")
        await expect(second.get_by_role("button", name=words.collect)).to_be_visible()

        await _collect(first, words, look)
        await _is_refused(second, words, item, look)


async def _join_with_slips(page: Page, words: Words, number: str, look: Look) -> None:
    """Every step goes wrong once: the field at fault gets the focus, and what was typed stays."""
    await look(page, "2-phone")
    await page.locator("#phone").fill("199 0000 000")
    await page.get_by_role("button", name=words.send).click()
    await expect(page.locator("#phone")).to_be_focused()
    await expect(page.locator("#phone")).to_have_value("199 0000 000")
    await look(page, "2-phone-wrong")
    await page.locator("#phone").fill(number)
    await page.get_by_role("button", name=words.send).click()

    await look(page, "3-code")
    await page.locator("#code").fill("not it")
    await page.get_by_role("button", name=words.check).click()
    await expect(page.locator("#code")).to_be_focused()
    await look(page, "3-code-wrong")
    code = await page.locator("[data-code]").get_attribute("data-code")
    await page.locator("#code").fill(code or "")
    await page.get_by_role("button", name=words.check).click()

    await page.locator("#name").fill("林晓岚")
    await page.get_by_role("button", name=words.finish).click()
    await expect(page.locator("#terms")).to_be_focused()
    await expect(page.locator("#name")).to_have_value("林晓岚")
    await look(page, "4-terms-missing")
    await page.locator("#terms").check()
    await page.get_by_role("button", name=words.finish).click()


async def _collect(page: Page, words: Words, look: Look) -> None:
    await page.get_by_role("button", name=words.collect).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(words.collected)
    await look(page, "6-collected")
    await page.get_by_role("link", name=words.see_card).click()
    await expect(page.locator(".membership .figure")).to_have_text("120")
    await expect(page.locator(".membership")).to_contain_text("林晓岚")
    await look(page, "7-card")
    await page.goto("/me/history")
    await expect(page.locator(".rows__amount")).to_have_text("+120")
    await page.goto("/me/settings")
    await look(page, "9-settings")


async def _is_refused(page: Page, words: Words, item: str, look: Look) -> None:
    """The page was open since before the other one collected, so it still has the button."""
    await page.get_by_role("button", name=words.collect).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(words.refused)
    await look(page, "6-refused")
    await page.goto(item)
    await expect(page.locator("main")).to_contain_text(words.claimed)
    await look(page, "7-item-claimed")
    await page.goto("/me")
    await expect(page.locator(".membership .figure")).to_have_text("0")
    await look(page, "8-card-empty")


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_same_journey_works_without_javascript(
    live_server: LiveShop, browser: Browser, language: str
) -> None:
    words = WORDS[language]
    item = live_server.item_path(5 if language == "zh" else 6)
    async with phone(browser, live_server, width=390, language=language, script=False) as page:
        await page.goto(item)
        await page.get_by_role("link", name=words.join).click()
        await become_member(page, words, "199 0000 3005" if language == "zh" else "199 0000 3006")
        await page.get_by_role("button", name=words.collect).click()
        await page.get_by_role("link", name=words.see_card).click()

        await expect(page.locator(".membership .figure")).to_have_text("120")
        await expect(page.locator("[data-qr-refresh]")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_card_with_everything_on_it_is_well_made(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path, scheme: Scheme
) -> None:
    number = "199 0000 4001" if scheme == "light" else "199 0000 4002"
    async with transaction(engine) as connection:
        await _long_standing_member(connection, live_server, number)
    for width, language in ((320, "en"), (390, "zh"), (1280, "en")):
        async with phone(browser, live_server, width=width, language=language, scheme=scheme) as page:
            await page.goto("/join")
            await page.locator("#phone").fill(number)
            await page.get_by_role("button", name=WORDS[language].send).click()
            code = await page.locator("[data-code]").get_attribute("data-code")
            await page.locator("#code").fill(code or "")
            await page.get_by_role("button", name=WORDS[language].check).click()
            await expect(page).to_have_url(f"{live_server.url}/me")

            await expect(page.locator(".membership .figure")).to_have_text("1,740")
            await expect(page.locator(".coupon")).to_have_count(1)
            await assert_well_made(page, f"card-{width}-{language}-{scheme}", screenshots)
            await page.goto("/me/history")
            await assert_well_made(page, f"history-{width}-{language}-{scheme}", screenshots)


async def _long_standing_member(connection: AsyncConnection, shop: LiveShop, number: str) -> None:
    """Joined at a shop years ago; earned, redeemed, returned something; points pending and on hold; a coupon."""
    programme, now = shop.programme, utc_now()
    registration = await register(
        connection,
        Keyring.open(shop.settings.keys / KEYRING_FILE),
        programme_id=programme.id,
        channel_code="shanghai-1",
        identities=[phone_identity(number, verified=True)],
        joined_at=now - timedelta(days=800),
        profile=ProfileFields(name="Aleksandra Wiśniewska-Kowalczyk"),
        consents=[answer_terms(now - timedelta(days=800))],
    )
    member_id = registration.member.id
    points: dict[str, Any] = {"programme_id": programme.id, "member_id": member_id}
    earned = await posting.earn(
        connection, amount=1200, key="1", source="order:online/536381", effective_at=now - timedelta(days=90), **points
    )
    await posting.earn(connection, amount=900, key="2", source="order:shanghai-1/R-20261101-0042", **points)
    await posting.reverse(
        connection,
        member_id=member_id,
        unit="points",
        sequence=earned.sequence,
        amount=60,
        key="3",
        source="refund:online/C536381",
    )
    await posting.earn(
        connection,
        amount=85,
        key="4",
        source="order:online/540112",
        available_at=now + timedelta(days=7),
        **points,
    )
    await posting.hold(
        connection,
        amount=300,
        unit="points",
        hold_id=new_id(),
        expires_at=now + timedelta(minutes=15),
        key="5",
        source="till:shanghai-1",
        **points,
    )
    await record(connection, programme_id=programme.id, member_id=member_id, metric="points", at=now, amount=640)
    await evaluate(connection, programme_id=programme.id, member_id=member_id, moment=now, cause="order:online/536381")
    names = {"zh": "春茶礼遇 立减 50 元", "en": "Spring tea: 50 yuan off"}
    await make_coupon(connection, programme, "spring", names, off_minor=5000, from_minor=30000, days=60)
    await issue(
        connection,
        programme_id=programme.id,
        member_id=member_id,
        template_code="spring",
        key="welcome",
        source="campaign:spring",
    )


async def test_the_member_code_renews_itself_and_says_when_it_cannot(live_server: LiveShop, browser: Browser) -> None:
    async with phone(browser, live_server, width=390, language="en") as page:
        await page.goto("/join")
        await become_member(page, WORDS["en"], "199 0000 3007")
        await page.clock.install()
        await page.goto("/me")
        await expect(page.locator("[data-qr] svg")).to_be_visible()
        await page.locator("[data-qr] svg").evaluate("svg => svg.id = 'old'")

        async with page.expect_response("**/me/qr"):
            await page.clock.run_for(31_000)
        await expect(page.locator("[data-qr] svg")).to_be_visible()
        await expect(page.locator("#old")).to_have_count(0)

        await page.route("**/me/qr", lambda route: route.fulfill(status=404))
        await page.clock.run_for(31_000)
        await expect(page.locator("[data-qr-status]")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/terms", "/join", "/nowhere", "/01/06901234567229/21/0000000000000000"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_well_made_in_light_and_dark(
    live_server: LiveShop, browser: Browser, screenshots: Path, path: str, scheme: Scheme
) -> None:
    for width in (320, 1280):
        async with phone(browser, live_server, width=width, language="zh", scheme=scheme) as page:
            await page.goto(path)
            await assert_well_made(page, f"page-{width}-{scheme}{path.replace('/', '-')}", screenshots)


async def test_the_first_view_weighs_less_than_50_kb(live_server: LiveShop, browser: Browser) -> None:
    async with phone(browser, live_server, width=390, language="zh") as page:
        sizes: list[int] = []

        async def weigh(request: object) -> None:
            sizes.append((await request.sizes())["responseBodySize"])  # type: ignore[attr-defined]

        page.on("requestfinished", weigh)
        await page.goto(live_server.item_path(8), wait_until="networkidle")

        assert len(sizes) >= 3
        assert sum(sizes) < 50_000
