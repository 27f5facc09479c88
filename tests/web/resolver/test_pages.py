"""The pages that codes lead to: a product's, and an item's under a plain address."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from loyalty.items.lots import save_lot, set_lot_state
from loyalty.items.ranges import CodeRange, change_range_state, mint_range
from loyalty.items.tables import item_scan_table
from loyalty.kit.db import transaction
from loyalty.web.state import Services
from tests.web.conftest import assert_problem
from tests.web.resolver.conftest import BROWSER, Shop

HTML = "text/html; charset=utf-8"


async def mint(shop: Shop, *, lot: str) -> CodeRange:
    """Three codes on sale."""
    async with transaction(shop.engine) as connection:
        minted = await mint_range(
            connection,
            services_of(shop).item_keys,
            programme_id=shop.programme.id,
            gtin=shop.gtin,
            count=3,
            print_order="PO-1",
            lot=lot,
        )
        return await change_range_state(
            connection, programme_id=shop.programme.id, range_id=minted.id, state="activated"
        )


def services_of(shop: Shop) -> Services:
    services: Services = shop.app.state["services"]
    return services


def serial_of(shop: Shop, minted: CodeRange) -> str:
    return services_of(shop).item_keys.for_product(shop.gtin, minted.kid).mint(minted.lo)


async def scans(shop: Shop) -> int:
    async with shop.engine.connect() as connection:
        query = select(func.count()).select_from(item_scan_table).where(item_scan_table.c.gtin == shop.gtin)
        return await connection.scalar(query) or 0


@pytest.mark.parametrize(
    ("language", "name", "nothing"), [("zh", "明前龙井", "没有"), ("en", "Longjing tea", "No recall")]
)
async def test_a_products_page_says_what_it_is(shop: Shop, language: str, name: str, nothing: str) -> None:
    answer = await shop.ask(f"/product/{shop.gtin}", accept=BROWSER, accept_language=language)
    assert (answer.status_code, answer.headers["content-type"]) == (200, HTML)
    assert name in answer.text
    assert shop.gtin in answer.text
    assert nothing in answer.text


async def test_it_shows_the_brands_links_in_the_readers_language(shop: Shop) -> None:
    await shop.link("https://a.example/zh", link_type="faqs", title="常见问题", languages=["zh"])
    await shop.link("https://a.example/en", link_type="faqs", title="Questions", languages=["en"])
    await shop.link("https://a.example/<x>", link_type="recipeInfo", title="<i>Cold brew</i>")
    text = (await shop.ask(f"/product/{shop.gtin}", accept=BROWSER, accept_language="en")).text
    assert 'href="https://a.example/en"' in text
    assert "https://a.example/zh" not in text
    assert "&lt;i&gt;Cold brew&lt;/i&gt;" in text
    assert 'href="https://a.example/%3Cx%3E"' in text


async def test_a_recalled_lot_is_said_at_its_product_and_at_the_lot(shop: Shop) -> None:
    async with transaction(shop.engine) as connection:
        for code in ("L1", "L2"):
            await save_lot(connection, programme_id=shop.programme.id, gtin=shop.gtin, code=code)
        await set_lot_state(connection, programme_id=shop.programme.id, gtin=shop.gtin, code="L1", state="recalled")
    cut = await mint(shop, lot="L3")
    async with transaction(shop.engine) as connection:
        await change_range_state(connection, programme_id=shop.programme.id, range_id=cut.id, state="recalled")

    async def said(path: str) -> str:
        target = await shop.target(f"{shop.at(path)}?linkType=gs1:recallStatus")
        return (await shop.ask(target.partition("#")[0], accept=BROWSER, accept_language="en")).text

    assert "2 lots are recalled: L1, L3." in await said("")
    assert "Lot L1 is recalled" in await said("/10/L1")
    assert "Lot L2 is not recalled" in await said("/22/V/10/L2")
    assert "Lot L3 is recalled" in await said("/10/L3")


async def test_a_product_of_nobody_has_no_page(shop: Shop) -> None:
    assert_problem(await shop.ask("/product/04006381333931"), 404, "no-such-link")
    assert_problem(await shop.ask("/product/nonsense"), 400, "invalid-input", "gtin")
    page = await shop.ask("/product/04006381333931", accept=BROWSER, accept_language="en")
    assert (page.status_code, page.headers["content-type"]) == (404, HTML)


async def test_an_item_scanned_by_a_program_that_follows_counts_as_one_scan(shop: Shop) -> None:
    minted = await mint(shop, lot="L1")
    serial = serial_of(shop, minted)
    target = await shop.target(shop.at(f"/10/L1/21/{serial}"))
    assert await scans(shop) == 0
    assert (await shop.ask(target, method="HEAD")).status_code == 200
    assert await scans(shop) == 0
    page = await shop.ask(target, accept=BROWSER, accept_language="en")
    assert page.status_code == 200
    assert "Genuine" in page.text
    assert await scans(shop) == 1


async def test_a_browser_comes_to_the_same_verdict_at_the_codes_own_address(shop: Shop) -> None:
    minted = await mint(shop, lot="L1")
    serial = serial_of(shop, minted)
    page = await shop.ask(shop.at(f"/10/L1/21/{serial}?17=291231"), accept=BROWSER, accept_language="en")
    assert page.status_code == 200
    assert "Genuine" in page.text
    assert await scans(shop) == 1
