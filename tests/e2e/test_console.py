"""A manager at the console, in a real browser: the overview, a member, the books, codes."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Locator, Page, expect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.campaigns.earning import BEGINNING, EarnPolicy, EarnRule, PerAmount, publish_policy
from loyalty.channels.orders import Order, OrderLine, Refund, accept_order, accept_refund
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import get_channel
from loyalty.members.member import Member
from loyalty.members.merge import merge
from loyalty.runtime import KEYRING_FILE
from tests.e2e.conftest import LiveShop, assert_well_made
from tests.e2e.staff import hire, regular, sign_in
from tests.e2e.test_shopper_journey import Scheme, phone

pytestmark = pytest.mark.e2e

_customers: Final = count(7001)
PAGES: Final = ("", "/members", "/ledger", "/codes", "/printers", "/rules", "/tiers", "/catalogue")


async def long_story(connection: AsyncConnection, shop: LiveShop) -> Member:
    """A member who bought and returned over a year, found to be the same person as another."""
    keyring = Keyring.open(shop.settings.keys / KEYRING_FILE)
    await publish_policy(
        connection,
        programme_id=shop.programme.id,
        policy=EarnPolicy(
            rules=(
                EarnRule(
                    code="base",
                    rate=PerAmount(points=1, per_minor=100, currency="CNY"),
                    tier_bonus_bp={"bud": 1_000, "peak": 2_000},
                    cap=5_000,
                ),
            )
        ),
        published_by="zhao.lei",
        valid_from=BEGINNING,
    )
    member = await regular(connection, shop, f"199 0000 {next(_customers)}", name="林悦")
    other = await regular(connection, shop, f"199 0000 {next(_customers)}", name="Yue Lin")
    for channel_code in ("online", "shanghai-1"):
        channel = await get_channel(connection, shop.programme.id, channel_code)
        for month in range(11):
            number = f"{channel_code[:1].upper()}{member.public_id[-4:]}-{month}"
            await accept_order(
                connection,
                keyring,
                channel=channel,
                order=Order(
                    external_id=number,
                    placed_at=utc_now() - timedelta(days=3 + 31 * month),
                    currency="CNY",
                    lines=(
                        OrderLine(
                            line_id="1",
                            sku="LJ-50",
                            quantity=1 + month % 3,
                            amount_minor=29_900 * (1 + month % 3),
                            description="Shanlan First Flush Longjing, 50 g",
                        ),
                        OrderLine(line_id="2", sku="CUP", quantity=1, amount_minor=8_800, category="ware"),
                    ),
                    member_id=member.id,
                ),
            )
            if month % 4 == 0:
                await accept_refund(
                    connection,
                    channel=channel,
                    refund=Refund(
                        external_id=f"{number}-back",
                        order_external_id=number,
                        refunded_at=utc_now() - timedelta(days=1 + 31 * month),
                        currency="CNY",
                        amount_minor=8_800,
                    ),
                )
    await merge(
        connection,
        keyring,
        programme_id=shop.programme.id,
        survivor_id=member.id,
        absorbed_id=other.id,
        reason="同一人，两张卡",
        actor="chen.min",
        key=f"merge-{member.id}",
    )
    return member


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_of_the_console_is_well_made(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path, scheme: Scheme
) -> None:
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        member = await long_story(connection, live_server)
    for width, language in ((1280, "en"), (390, "zh")):
        async with phone(browser, live_server, width=width, language=language, scheme=scheme) as page:
            await sign_in(page, "zhao.lei")
            for path in PAGES:
                await page.goto(f"/console{path}")
                await expect(page.get_by_role("heading", level=1)).to_be_visible()
                name = path.strip("/") or "overview"
                await assert_well_made(page, f"console-{width}-{language}-{scheme}-{name}", screenshots)
            await page.goto(f"/console/members/{member.public_id}")
            await expect(page.get_by_role("heading", level=1)).to_have_text("林悦")
            await assert_well_made(page, f"console-{width}-{language}-{scheme}-member", screenshots)
            await page.goto(f"/console/members/{member.public_id}/ledger")
            await assert_well_made(page, f"console-{width}-{language}-{scheme}-member-ledger", screenshots)


async def test_a_manager_finds_a_member_looks_and_corrects_points(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path
) -> None:
    number = f"199 0000 {next(_customers)}"
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        await regular(connection, live_server, number, name="Qin Su")
    async with phone(browser, live_server, width=1280, language="en") as page:
        await sign_in(page, "chen.min")
        await page.get_by_role("link", name="Members", exact=True).click()
        await page.locator("#text").fill(number)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Qin Su")
        await expect(page.locator("main")).not_to_contain_text(number.replace(" ", ""))

        await page.get_by_role("button", name="Show personal data").click()
        await expect(page.locator("main")).to_contain_text(f"+86{number.replace(' ', '')}")
        await expect(page.locator("main")).to_contain_text("Personal data was seen by")
        await assert_well_made(page, "console-1280-en-revealed", screenshots)

        await page.locator("#amount").fill("500")
        await page.locator("#reason").fill("Parcel lost on its way")
        await page.get_by_role("button", name="Enter the correction").click()
        await expect(page.locator("main")).to_contain_text("The correction is in the books.")
        await expect(page.locator(".stat__figure").first).to_have_text("1,750")
        await page.locator("#amount").fill("50000")
        await page.locator("#reason").fill("Anniversary")
        await page.get_by_role("button", name="Enter the correction").click()
        await expect(page.locator("#approver")).to_be_visible()
        await assert_well_made(page, "console-1280-en-second-person", screenshots)


async def test_an_administrator_mints_and_downloads(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path
) -> None:
    await hire(engine, live_server)
    async with phone(browser, live_server, width=1280, language="en") as page:
        await sign_in(page, "zhao.lei")
        await page.goto("/console/codes")
        await page.locator("#count").fill("none")
        await page.get_by_role("button", name="Mint").click()
        await expect(page.locator("#count-error")).to_be_visible()
        await assert_well_made(page, "console-1280-en-mint-wrong", screenshots)
        await page.locator("#count").fill("48")
        await page.locator("#print_order").fill("E2E-1")
        await page.get_by_role("button", name="Mint").click()
        row = page.locator("tr", has_text="E2E-1")
        await expect(row).to_be_visible()
        await row.get_by_role("link", name="E2E-1").click()
        await page.locator("#honey").fill("2")
        await assert_well_made(page, "console-1280-en-print-order", screenshots)
        await page.get_by_role("button", name="Make the file").last.click()
        await _download(page, page.get_by_role("button", name="Fetch"), r"exp_\w+\.csv")
        await _download(page, page.get_by_role("button", name="Draw labels"), r"rng_\w+\.pdf")
        await page.goto("/console/printers")
        await assert_well_made(page, "console-1280-en-printers", screenshots)
        await page.goto("/console/codes")
        await row.get_by_role("button", name="Activate").click()
        await expect(page.locator("tr", has_text="E2E-1")).to_contain_text("activated")


async def _download(page: Page, button: Locator, name: str) -> None:
    async with page.expect_download() as started:
        await button.click()
    download = await started.value
    assert re.fullmatch(name, download.suggested_filename)
