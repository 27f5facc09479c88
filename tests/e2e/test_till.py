"""A clerk with a queue: found, held, taken, printed and voided without a mouse."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.members.card_token import issue_token
from tests.e2e.conftest import LiveShop, assert_well_made
from tests.e2e.staff import hire, regular, sign_in
from tests.e2e.test_shopper_journey import Scheme, phone
from tests.roles import as_owner

pytestmark = pytest.mark.e2e

_customers: Final = count(6001)

WORDS: Final = {
    "en": {"held": "Take ¥5.00 off", "done": "Done", "voided": "Voided", "find": "Next customer"},
    "zh": {"held": "请减免 ¥5.00", "done": "已完成", "voided": "已撤销", "find": "下一位顾客"},
}


async def heading(page: Page, words: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(words)


async def scan(page: Page, code: str, *, into: str | None = None) -> None:
    """As a USB scanner types: everything at once, then Enter; once the field `into` has the focus by itself."""
    if into is not None:
        await expect(page.locator(into)).to_be_focused()
    await page.keyboard.type(code, delay=0)
    await page.keyboard.press("Enter")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_a_clerk_redeems_500_points_by_keyboard_only_and_voids_it(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path, width: int, language: str
) -> None:
    words = WORDS[language]
    number = f"199 0000 {next(_customers)}"
    receipt = f"R-{width}-{language}"
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        await regular(connection, live_server, number, name="林悦" if language == "zh" else "Yue Lin")

    async with phone(browser, live_server, width=width, language=language) as page:

        async def look(name: str) -> None:
            await assert_well_made(page, f"till-{width}-{language}-{name}", screenshots)

        await page.goto("/staff/login")
        await look("0-sign-in")
        await sign_in(page, "li.na")
        await heading(page, words["find"])
        await look("1-find")

        await page.keyboard.type("199 0000")
        await page.keyboard.press("Enter")
        await expect(page.locator("#who")).to_be_focused()
        await expect(page.locator("#who-error")).to_be_visible()
        await look("1-find-unknown")
        await page.keyboard.type(number)  # what was wrong is selected, so typing replaces it
        await page.keyboard.press("Enter")

        await expect(page.locator("#amount")).to_be_focused()
        await look("2-customer")
        await page.keyboard.type("328.50")
        await expect(page.locator("#points")).to_have_value("1200")  # the server's answer while typing
        await page.keyboard.press("Enter")
        await expect(page.locator("#points")).to_be_focused()
        await look("3-offers")
        await page.keyboard.press("ArrowDown")
        await expect(page.locator("#points")).to_have_value("1100")
        await expect(page.locator("[data-worth] .figure")).to_have_text("−¥11.00")
        await page.keyboard.press("Control+A")
        await page.keyboard.type("500")
        await expect(page.locator("[data-worth] .figure")).to_have_text("−¥5.00")
        await page.keyboard.press("Enter")

        await _take_and_void(page, words, receipt, look)


async def _take_and_void(
    page: Page, words: dict[str, str], receipt: str, look: Callable[[str], Awaitable[None]]
) -> None:
    await heading(page, words["held"])
    await expect(page.locator("#receipt")).to_be_focused()
    await expect(page.locator("[data-seconds]")).to_have_text(re.compile(r"1[45]:\d\d"))
    await look("4-held")
    await scan(page, receipt)

    await heading(page, words["done"])
    await look("5-taken")
    await page.keyboard.press("v")
    await expect(page.get_by_role("button", name=re.compile("void it|确认撤销"))).to_be_focused()
    await look("6-void")
    await page.keyboard.press("Enter")
    await heading(page, words["voided"])
    await look("7-voided")
    await page.keyboard.press("Enter")
    await heading(page, words["find"])
    await expect(page.locator(".done li").first).to_contain_text(receipt)
    await look("8-today")


async def test_a_scanner_brings_the_next_customer_from_wherever_the_clerk_is(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser
) -> None:
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        first = await regular(connection, live_server, f"199 0000 {next(_customers)}", name="Ann First")
        second = await regular(connection, live_server, f"199 0000 {next(_customers)}", name="Bo Second")
    secret = live_server.settings.session_secret()
    async with phone(browser, live_server, width=1280, language="en") as page:
        await sign_in(page, "li.na")
        await scan(page, issue_token(secret, first.id, utc_now()))
        await heading(page, "Ann First")
        await page.keyboard.type("20", delay=60)
        await scan(page, issue_token(secret, second.id, utc_now()))  # into the amount, where it does not belong
        await heading(page, "Bo Second")
        await page.keyboard.type("20", delay=60)
        await page.keyboard.type(
            issue_token(secret, first.id, utc_now()), delay=40
        )  # a busy machine is slow to hear it
        await page.keyboard.press("Enter")
        await heading(page, "Ann First")

        await page.locator("body").click(position={"x": 5, "y": 400})
        await page.keyboard.press("Escape")
        await heading(page, "Next customer")
        await page.locator("h1").click()  # nothing has the focus
        await scan(page, issue_token(secret, first.id, utc_now()))
        await heading(page, "Ann First")


async def test_a_receipt_is_found_by_key_and_refunded_in_part(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path
) -> None:
    number = f"199 0000 {next(_customers)}"
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        await regular(connection, live_server, number, name="Mei Gu")
    async with phone(browser, live_server, width=1280, language="en") as page:
        await sign_in(page, "li.na")
        await scan(page, number, into="#who")
        await scan(page, "100", into="#amount")
        await scan(page, "", into="#points")
        await scan(page, "R-refund", into="#receipt")
        await heading(page, "Done")
        await page.keyboard.press("Escape")
        await heading(page, "Next customer")

        await page.keyboard.press("F2")
        await scan(page, "R-nowhere", into="#receipt")
        await expect(page.locator("#receipt-error")).to_be_visible()
        await assert_well_made(page, "till-1280-en-9-receipt-unknown", screenshots)
        await scan(page, "R-refund")
        await heading(page, "Done")
        await page.keyboard.press("r")
        await expect(page.locator("#points")).to_be_focused()
        await assert_well_made(page, "till-1280-en-9-refund", screenshots)
        await scan(page, "200", into="#points")
        await expect(page.locator(".do")).to_contain_text("200 points of it were given back.")
        await assert_well_made(page, "till-1280-en-9-refunded-part", screenshots)


async def test_a_hold_that_runs_out_says_so_by_itself(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path
) -> None:
    number = f"199 0000 {next(_customers)}"
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        member = await regular(connection, live_server, number, name="Jun He")
    async with phone(browser, live_server, width=1280, language="en") as page:
        await sign_in(page, "li.na")
        await scan(page, number, into="#who")
        await scan(page, "100", into="#amount")
        await expect(page.locator("#points")).to_be_focused()
        await page.clock.install()
        await page.keyboard.press("Enter")
        await heading(page, "Take ¥12.00 off")
        async with transaction(engine) as connection, as_owner(connection):
            for table, column in (("redemption", "hold_expires_at"), ("ledger.hold", "expires_at")):
                await connection.exec_driver_sql(
                    f"UPDATE {table} SET {column} = now() - interval '1 second' WHERE member_id = %s", (member.id,)
                )
        await page.clock.run_for(16 * 60_000)
        await heading(page, "Time ran out")
        await assert_well_made(page, "till-1280-en-10-expired", screenshots)
        await page.keyboard.press("Enter")
        await expect(page.locator("#amount")).to_have_value("100.00")


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_whole_flow_works_without_javascript(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, language: str
) -> None:
    words = WORDS[language]
    number = f"199 0000 {next(_customers)}"
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        await regular(connection, live_server, number, name="Fan Li")
    async with phone(browser, live_server, width=1280, language=language, script=False) as page:
        await sign_in(page, "li.na")
        await scan(page, number, into="#who")
        await scan(page, "10", into="#amount")
        await expect(page.locator("#points")).to_have_value("500")
        await scan(page, "", into="#points")
        await heading(page, words["held"])
        await expect(page.locator(".keys")).to_be_hidden()
        await scan(page, f"R-plain-{language}", into="#receipt")
        await heading(page, words["done"])
        await page.get_by_role("link", name=re.compile("^(Void|撤销)")).press("Enter")
        await expect(page.locator(".button--danger")).to_be_focused()
        await page.keyboard.press("Enter")
        await heading(page, words["voided"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_till_is_well_made_in_light_and_dark_and_prints_a_slip(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path, scheme: Scheme
) -> None:
    number = f"199 0000 {next(_customers)}"
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        await regular(connection, live_server, number, name="Aleksandra Wiśniewska-Kowalczyk")
    for width in (320, 1280):
        async with phone(browser, live_server, width=width, language="zh", scheme=scheme) as page:

            async def look(name: str, page: Page = page, width: int = width) -> None:
                await assert_well_made(page, f"till-{width}-zh-{scheme}-{name}", screenshots)

            await sign_in(page, "li.na")
            await look("find")
            await scan(page, number, into="#who")
            await scan(page, "380", into="#amount")
            await expect(page.locator("#points")).to_be_focused()
            await look("offers")
            await page.keyboard.press("Control+A")
            await scan(page, "100")
            await expect(page.locator("#receipt")).to_be_focused()
            await look("held")
            await scan(page, f"R-{scheme}-{width}")
            await expect(page.locator(".slip")).to_be_visible()
            await look("taken")
            if width == 1280:
                slip = screenshots / f"till-slip-{scheme}.pdf"
                await page.pdf(path=slip, prefer_css_page_size=True, print_background=True)
                await page.emulate_media(media="print")
                assert await page.locator(".bar").is_hidden()
                assert await page.locator(".slip").is_visible()
