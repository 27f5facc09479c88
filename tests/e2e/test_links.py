"""Where codes lead, in a real browser: set by a manager, followed by whoever scans."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.items.links.link import Wanted, add_link
from loyalty.items.links.tables import digital_link_table
from loyalty.items.lots import save_lot, set_lot_state
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from tests.e2e.conftest import GTIN, LiveShop, assert_well_made
from tests.e2e.staff import hire, sign_in
from tests.e2e.test_shopper_journey import Scheme, phone

pytestmark = pytest.mark.e2e

LINKS: Final[list[dict[str, Any]]] = [
    {
        "link_type": "pip",
        "target": "https://www.shanlan.example/tea/longjing?gtin={gtin}",
        "title": "山岚·明前龙井",
        "is_default": True,
        "languages": ["zh"],
    },
    {
        "link_type": "pip",
        "target": "https://www.shanlan.example/en/tea/longjing",
        "title": "First Flush Longjing",
        "is_default": True,
        "languages": ["en"],
    },
    {
        "link_type": "promotion",
        "target": "https://www.shanlan.example/double-eleven/a-long-address-that-has-to-break-somewhere-on-a-telephone",
        "title": "双十一：买二送一",
        "is_default": True,
        "valid_from": utc_now() - timedelta(days=30),
        "valid_until": utc_now() - timedelta(days=1),
        "contexts": ["CN"],
    },
    {
        "link_type": "certificationInfo",
        "target": "https://www.shanlan.example/reports/{lot}.pdf",
        "title": "农残检测报告",
        "qualifiers": {"10": None},
        "languages": ["zh"],
    },
    {"link_type": "recipeInfo", "target": "https://www.shanlan.example/cold-brew", "title": "Cold brew"},
    {"link_type": "recipeInfo", "target": "https://www.shanlan.example/gaiwan", "title": "In a gaiwan"},
    {
        "link_type": "hasRetailers",
        "target": "https://www.shanlan.example/new-year",
        "title": "春节礼盒门店",
        "valid_from": utc_now() + timedelta(days=60),
    },
]


async def fill(connection: AsyncConnection, shop: LiveShop) -> None:
    """The product's links, and nothing but these; a lot of it is recalled."""
    table = digital_link_table
    await connection.execute(delete(table).where(table.c.programme_id == shop.programme.id))
    for link in LINKS:
        await add_link(connection, programme_id=shop.programme.id, wanted=Wanted(value=GTIN, **link))
    await save_lot(connection, programme_id=shop.programme.id, gtin=GTIN, code="L2025-0331")
    await set_lot_state(
        connection, programme_id=shop.programme.id, gtin=GTIN, code="L2025-0331", state="recalled", actor="zhao.lei"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_about_links_is_well_made(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path, scheme: Scheme
) -> None:
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        await fill(connection, live_server)
    public = {
        "linkset": f"/01/{GTIN}/10/L2025-0331?linkType=linkset",
        "choice": f"/01/{GTIN}?linkType=gs1:recipeInfo",
        "product": f"/product/{GTIN}",
        "recalled": f"/product/{GTIN}?lot=L2025-0331",
        "wrong": f"/01/{GTIN}/10/",
        "nowhere": f"/01/{GTIN}?linkType=gs1:menuInfo",
    }
    for width in (1280, 390):
        for language in ("zh", "en"):
            name = f"links-{width}-{language}-{scheme}"
            async with phone(browser, live_server, width=width, language=language, scheme=scheme) as page:
                for each, address in public.items():
                    await page.goto(address)
                    await expect(page.get_by_role("heading", level=1)).to_be_visible()
                    await assert_well_made(page, f"{name}-{each}", screenshots)
                await sign_in(page, "chen.min")
                await page.goto("/console/links")
                await assert_well_made(page, f"{name}-products", screenshots)
                await page.goto(f"/console/links/{GTIN}?try=1&try_lot=L2026-0402&try_type=certificationInfo")
                await assert_well_made(page, f"{name}-console", screenshots)


async def test_a_manager_sets_a_link_and_a_code_leads_there(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path
) -> None:
    await hire(engine, live_server)
    async with phone(browser, live_server, width=1280, language="en") as page:
        await sign_in(page, "chen.min")
        await page.get_by_role("link", name="Items", exact=True).click()
        await page.get_by_role("link", name="Links of codes", exact=True).click()
        await page.locator("#find").fill("longjing")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Shanlan First Flush Longjing").click()

        await page.locator("#link_type").select_option("tutorial")
        await page.locator("#title").fill("How to brew")
        await page.locator("#target").fill("http://www.shanlan.example/brew/{lot}")
        await page.locator("#level").select_option("lot")
        await page.get_by_role("button", name="Add the link").click()
        await expect(page.locator("#target-error")).to_have_text("The address has to begin with https://.")
        await expect(page.locator("#target")).to_be_focused()
        await assert_well_made(page, "links-1280-en-wrong", screenshots)

        await page.locator("#target").fill("https://www.shanlan.example/brew/{lot}")
        await page.get_by_role("button", name="Add the link").click()
        await expect(page.locator("main")).to_contain_text("The link was added.")

        await page.locator("#try_lot").fill("L7")
        await page.locator("#try_type").select_option("tutorial")
        await page.get_by_role("button", name="Try it").click()
        await expect(page.locator(".links__trial")).to_contain_text("https://www.shanlan.example/brew/L7")

        answer = await page.request.get(f"/01/{GTIN}/10/L7?linkType=gs1:tutorial", max_redirects=0)
        assert answer.status == 307
        assert answer.headers["location"] == "https://www.shanlan.example/brew/L7?linkType=gs1:tutorial"

        one = page.locator(".links__one", has_text="How to brew")
        await one.get_by_text("Remove", exact=True).click()
        await one.get_by_role("button", name="Remove it").click()
        await expect(page.locator("main")).to_contain_text("The link was removed.")
        await expect(page.locator(".links__one", has_text="How to brew")).to_have_count(0)


async def test_a_shopper_comes_from_a_code_to_a_page(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser
) -> None:
    async with transaction(engine) as connection:
        table = digital_link_table
        await connection.execute(delete(table).where(table.c.programme_id == live_server.programme.id))
    async with phone(browser, live_server, width=390, language="en") as page:
        await page.goto(f"/01/{GTIN}/10/L2026-0402?utm_source=shelf")
        assert page.url == f"{live_server.url}/product/{GTIN}?utm_source=shelf"
        await page.goto(f"{live_server.item_path(150)}?linkType=gs1:verificationService")
        assert page.url.startswith(f"{live_server.url}/item/{GTIN}/{live_server.serial(150)}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Genuine")
        await page.goto(live_server.item_path(150))
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Genuine")
