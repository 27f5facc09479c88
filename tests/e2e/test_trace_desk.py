"""The trace desk in a real browser: a code's life, a recall and whom it reaches, evidence, charts, thresholds."""

from __future__ import annotations

import zipfile
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.campaigns.earning import BEGINNING, EarnPolicy, EarnRule, PerAmount, publish_policy
from loyalty.channels.orders import Order, OrderLine, accept_order
from loyalty.items.claims import claim
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.packing import Packing, pack
from loyalty.items.packing.sscc import make_sscc
from loyalty.items.products import LocalText
from loyalty.items.ranges import CodeRange, change_range_state, mint_range
from loyalty.items.scans import scan
from loyalty.items.thresholds import set_thresholds
from loyalty.items.trace.alerts import watch
from loyalty.items.trace.joins import record_join
from loyalty.items.verdicts import DEFAULT_SETTINGS, Place
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import get_channel
from loyalty.members.identifiers import phone_identity
from loyalty.members.joining import register
from loyalty.members.profile import ProfileFields
from loyalty.runtime import KEYRING_FILE
from tests.e2e.conftest import GTIN, LiveShop, assert_well_made
from tests.e2e.staff import hire, sign_in
from tests.e2e.test_shopper_journey import phone

pytestmark = pytest.mark.e2e

LOT: Final = "L2026-TRACE"
PEOPLE: Final = (("周宁", "199 0000 8871"), ("Wen Bai", "199 0000 8872"))
_PLACES: Final = (
    Place(city="上海", region="CN-SH", latitude=31.23, longitude=121.47, source="device"),
    Place(city="成都", region="CN-SC", latitude=30.57, longitude=104.07, source="device"),
    Place(city="广州", region="CN-GD", latitude=23.13, longitude=113.26, source="network"),
    None,
)
_cases: Final = count(9_001)


class Story:
    """A print order of 48 items in two cases on a pallet, sold for Shanghai; one of them copied, two claimed."""

    def __init__(self, shop: LiveShop, order: CodeRange) -> None:
        self.shop = shop
        self.order = order
        self.cases = [make_sscc("6901234", next(_cases)) for _ in range(2)]
        self.pallet = make_sscc("6901234", next(_cases), extension=1)

    def serial(self, piece: int) -> str:
        return self.shop.item_keys.for_product(GTIN, self.order.kid).mint(self.order.lo + piece)

    async def tell(self, connection: AsyncConnection) -> None:
        """Pack, scan in four places, copy one, and let two people join, claim and buy."""
        shop, lo, kid = self.shop, self.order.lo, self.order.kid
        halves = [Interval(GTIN, kid, lo + 24 * n, lo + 24 * n + 23) for n in range(2)]
        packings = [Packing(sscc=case, items=[half]) for case, half in zip(self.cases, halves, strict=True)]
        await pack(connection, programme_id=shop.programme.id, packings=packings, actor="line 2")
        await pack(connection, programme_id=shop.programme.id, packings=[Packing(sscc=self.pallet, units=self.cases)])
        for piece in range(20):
            await self.scan(connection, piece, f"phone-{piece}", _PLACES[piece % 4])
        for number, place in enumerate(_PLACES[:2]):
            await self.scan(connection, 30, f"copy-{number}", place)
        await publish_policy(
            connection,
            programme_id=shop.programme.id,
            policy=EarnPolicy(rules=(EarnRule(code="base", rate=PerAmount(points=1, per_minor=100, currency="CNY")),)),
            published_by="zhao.lei",
            valid_from=BEGINNING,
        )
        for piece, (name, phone_number) in enumerate(PEOPLE):
            await self.join(connection, piece, name, phone_number)
        await watch(connection, shop.item_keys, programme_id=shop.programme.id)

    async def scan(self, connection: AsyncConnection, piece: int, device: str, place: Place | None) -> None:
        programme_id, serial = self.shop.programme.id, self.serial(piece)
        await scan(
            connection,
            self.shop.item_keys,
            programme_id=programme_id,
            gtin=GTIN,
            serial=serial,
            device=device,
            place=place,
        )

    async def join(self, connection: AsyncConnection, piece: int, name: str, number: str) -> None:
        shop, at = self.shop, utc_now() - timedelta(minutes=5)
        programme_id, serial = shop.programme.id, self.serial(piece)
        keyring = Keyring.open(shop.settings.keys / KEYRING_FILE)
        joined = await register(
            connection,
            keyring,
            programme_id=programme_id,
            channel_code="shanghai-1",
            identities=[phone_identity(number)],
            joined_at=at,
            profile=ProfileFields(name=name),
        )
        member_id = joined.member.id
        await record_join(
            connection,
            shop.item_keys,
            programme_id=programme_id,
            member_id=member_id,
            gtin=GTIN,
            serial=serial,
            at=at,
        )
        await claim(
            connection,
            shop.item_keys,
            programme_id=programme_id,
            gtin=GTIN,
            serial=serial,
            member_id=member_id,
            device=f"phone-{piece}",
        )
        if piece == 0:
            line = OrderLine(line_id="1", sku="LJ-50", quantity=1, amount_minor=29_900)
            order = Order(
                external_id=f"TRACE-{number[-4:]}",
                placed_at=utc_now() - timedelta(seconds=1),
                currency="CNY",
                lines=(line,),
                member_id=member_id,
            )
            channel = await get_channel(connection, programme_id, "shanghai-1")
            await accept_order(connection, keyring, channel=channel, order=order)


@pytest.fixture(scope="module")
async def story(live_server: LiveShop, engine: AsyncEngine) -> Story:
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        minted = await mint_range(
            connection,
            live_server.item_keys,
            programme_id=live_server.programme.id,
            gtin=GTIN,
            count=48,
            print_order="PO-TRACE",
            lot=LOT,
            region="CN-SH",
        )
        order = await change_range_state(
            connection,
            programme_id=live_server.programme.id,
            range_id=minted.id,
            state="shipped",
            places=LocalText(zh="上海淮海路店", en="Shanghai, Huaihai Road"),
        )
        told = Story(live_server, order)
        await told.tell(connection)
    return told


async def seek(page: Page, text: str) -> None:
    await page.goto("/console/trace")
    await page.get_by_role("searchbox").fill(text)
    await page.keyboard.press("Enter")


async def test_an_administrator_follows_a_code_recalls_its_lot_and_sees_whom_that_reaches(
    live_server: LiveShop, browser: Browser, screenshots: Path, story: Story
) -> None:
    async with phone(browser, live_server, width=1280, language="en") as page:
        main = page.locator("main")
        await sign_in(page, "zhao.lei")

        await seek(page, f"{live_server.url}/01/{GTIN}/21/{story.serial(0)}")
        await expect(main).to_contain_text("Genuine code, scanned before")
        await expect(main).to_contain_text("周宁")
        await expect(page.locator(".timeline")).to_contain_text("Claimed by a member")
        await expect(page.locator(".map svg")).to_be_visible()
        await assert_well_made(page, "trace-1280-en-item", screenshots)

        await main.get_by_role("link", name=story.cases[0]).first.click()
        await expect(main).to_contain_text("Items in it 24")
        await assert_well_made(page, "trace-1280-en-case", screenshots)

        await seek(page, LOT)
        await page.get_by_role("link", name="Recall the lot").click()
        await expect(main).to_contain_text("2 people have claimed one")
        await assert_well_made(page, "trace-1280-en-recall", screenshots)
        await page.get_by_label("Reason").fill("A splinter of porcelain was found")
        await page.get_by_role("button", name="Recall").click()
        await expect(main).to_contain_text("The lot is recalled, from the next scan on.")
        for name, _ in PEOPLE:
            await expect(main).to_contain_text(name)
        await assert_well_made(page, "trace-1280-en-lot", screenshots)
        async with page.expect_download() as taken:
            await page.get_by_role("button", name="File of all (CSV)").click()
        listed = (await (await taken.value).path()).read_text("utf-8-sig")
        assert all(name in listed for name, _ in PEOPLE)
        await page.goto(f"/01/{GTIN}/21/{story.serial(47)}")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Recalled")


@pytest.mark.usefixtures("story")
async def test_an_administrator_takes_the_evidence_of_a_copy_reads_charts_and_sets_thresholds(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path
) -> None:
    async with phone(browser, live_server, width=1280, language="en") as page:
        main = page.locator("main")
        await sign_in(page, "zhao.lei")
        await page.goto("/console/alerts?kind=suspected_copy")
        await main.get_by_role("link", name="Suspected copy").first.click()
        await expect(main).to_contain_text("Too fast for one item")
        await assert_well_made(page, "trace-1280-en-alert", screenshots)
        async with page.expect_download() as evidence:
            await page.get_by_role("button", name="Take the evidence").click()
        with zipfile.ZipFile(await (await evidence.value).path()) as archive:
            assert {"scans.csv", "leaps.csv"} <= set(archive.namelist())
        await page.get_by_label("Note").fill("Bought and tested: a copy")
        await page.get_by_role("button", name="Close").click()
        await expect(page.locator(".timeline")).to_contain_text("Bought and tested: a copy")

        await page.goto(f"/console/scans?gtin={GTIN}")
        await expect(main).to_contain_text("place not known")
        await expect(main).to_contain_text("Sichuan")
        await expect(page.locator(".funnel svg")).to_be_visible()
        await assert_well_made(page, "trace-1280-en-scans", screenshots)

        await page.get_by_role("link", name="How scans are answered").click()
        await page.get_by_label("Phones", exact=True).fill("0")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_label("Phones", exact=True)).to_have_attribute("aria-invalid", "true")
        await assert_well_made(page, "trace-1280-en-thresholds", screenshots)
        await page.get_by_label("Phones", exact=True).fill(str(DEFAULT_SETTINGS.amber_devices + 1))
        await page.get_by_role("button", name="Save").click()
        await expect(main).to_contain_text("Saved. It holds from the next scan on.")
    async with transaction(engine) as connection:
        await set_thresholds(connection, programme_id=live_server.programme.id, changes={"amber_devices": None})


async def test_every_page_of_the_desk_is_well_made_on_a_phone(
    live_server: LiveShop, browser: Browser, screenshots: Path, story: Story
) -> None:
    item = f"/console/trace/item?gtin={GTIN}&serial={story.serial(30)}"
    pages = {
        "desk": "/console/trace",
        "item": item,
        "case": f"/console/trace/unit?sscc={story.cases[0]}",
        "pallet": f"/console/trace/unit?sscc={story.pallet}",
        "lot": f"/console/trace/lot?gtin={GTIN}&lot={LOT}",
        "alerts": "/console/alerts?show=all",
        "scans": "/console/scans",
        "thresholds": "/console/scans/thresholds",
    }
    async with phone(browser, live_server, width=390, language="zh") as page:
        await sign_in(page, "zhao.lei")
        for name, path in pages.items():
            await page.goto(path)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            await assert_well_made(page, f"trace-390-zh-{name}", screenshots)
        await page.goto("/console/alerts?show=all")
        await page.locator("tbody a").first.click()
        await assert_well_made(page, "trace-390-zh-alert", screenshots)
