"""A code's whole life as shoppers meet it: each page is kind, well made in both languages, and light on a bad network.

In Chinese without JavaScript, in English with it. The headings come from the catalogue; what is tested is that each
state of a code is met by its own page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, Request, expect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.items.exports import create_export
from loyalty.items.gtin import check_digit
from loyalty.items.links.link import Wanted, add_link
from loyalty.items.lots import save_lot, set_lot_state
from loyalty.items.products import LocalText, save_product
from loyalty.items.ranges import CodeRange, RangePolicy, change_range_state, mint_range
from loyalty.items.scans import scan
from loyalty.items.thresholds import set_thresholds
from loyalty.items.verdicts import Place
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.web.i18n import Language, Translator
from tests.e2e.conftest import LiveShop, assert_well_made
from tests.e2e.test_shopper_journey import WORDS, become_member, phone

pytestmark = pytest.mark.e2e

HEAVIEST_BYTES: Final = 50_000
PHONE, WIDE = (390, 844), (1280, 900)
SHANGHAI = Place(city="上海", region="CN-31", latitude=31.23, longitude=121.47, source="device")
BEIJING = Place(city="北京", region="CN-11", latitude=39.90, longitude=116.40, source="device")
_numbers: Final = count(9_000)


@dataclass
class Codes:
    """Codes of one product, each as far in its life as a page needs."""

    connection: AsyncConnection
    shop: LiveShop
    gtin: str
    lot: str

    @classmethod
    async def open(cls, connection: AsyncConnection, shop: LiveShop, *, points: int) -> Codes:
        """A new product without codes."""
        digits = f"0690123{next(_numbers):06d}"
        gtin = digits + str(check_digit(digits))
        await save_product(
            connection,
            programme_id=shop.programme.id,
            gtin=gtin,
            names=LocalText(zh="山岚·云雾白茶饼 357 克", en="Shanlan Cloud White Tea Cake, 357 g"),
            descriptions=LocalText(
                zh="海拔九百米的老茶园，日光萎凋，石磨压制。", en="From an old garden at 900 m, withered in the sun."
            ),
            points_on_claim=points,
        )
        return cls(connection, shop, gtin, "L2026-0501")

    async def mint(self, state: Any = "shipped", **fields: Any) -> CodeRange:
        asked: dict[str, Any] = {"gtin": self.gtin, "count": 1, "print_order": "2026-05", "lot": self.lot}
        programme_id = self.shop.programme.id
        minted = await mint_range(self.connection, self.shop.item_keys, programme_id=programme_id, **asked | fields)
        if state is not None:
            await change_range_state(self.connection, programme_id=programme_id, range_id=minted.id, state=state)
        return minted

    async def path(self, state: Any = "shipped", **fields: Any) -> str:
        """The address of a new item."""
        return self.address(await self.mint(state, **fields))

    def address(self, minted: CodeRange, index: int | None = None) -> str:
        keys = self.shop.item_keys.for_product(self.gtin, minted.kid)
        return f"/01/{self.gtin}/21/{keys.mint(minted.lo if index is None else index)}"

    async def scanned(self, path: str, *places: Place | None) -> str:
        """The same address after other phones scanned it, each at a place."""
        for number, place in enumerate(places):
            await scan(
                self.connection,
                self.shop.item_keys,
                programme_id=self.shop.programme.id,
                gtin=self.gtin,
                serial=path.rpartition("/")[2],
                device=f"other-{number}",
                place=place,
                at=utc_now() - timedelta(minutes=30 - number),
            )
        return path

    async def honey(self) -> str:
        """A code that was put into a printer's file to catch a leak, and never onto an item."""
        minted = await self.mint(None, count=5)
        made = await create_export(
            self.connection,
            programme_id=self.shop.programme.id,
            range_id=minted.id,
            base_url=self.shop.url,
            honey=1,
        )
        return self.address(minted, made.honey_lo)

    async def recalled(self) -> str:
        """An item of a lot that is recalled."""
        lot: dict[str, Any] = {"programme_id": self.shop.programme.id, "gtin": self.gtin, "code": "L2026-0315"}
        await save_lot(self.connection, **lot)
        path = await self.path(lot="L2026-0315")
        await set_lot_state(self.connection, **lot, state="recalled", actor="zhao.lei")
        return path


@dataclass
class Shopper:
    """Somebody with a phone, whose every page is looked at on each of the screens."""

    page: Page
    t: Translator
    folder: Path
    screens: Sequence[tuple[int, int]]
    numbers: Iterator[int]

    async def see(self, path: str, heading: str, **values: str | int) -> None:
        """Open an address; its page says what it should."""
        await self.page.goto(path)
        await self.at(heading, **values)

    async def at(self, heading: str, **values: str | int) -> None:
        """The page in view says what it should, and is well made."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(self.t(heading, **values))
        number = next(self.numbers)
        for width, height in self.screens:
            await self.page.set_viewport_size({"width": width, "height": height})
            name = f"life-{width}-{self.t.language}-{number:02d}-{heading.replace('.', '-')}"
            await assert_well_made(self.page, name, self.folder)

    async def says(self, text: str, **values: str | int) -> None:
        await expect(self.page.locator("main")).to_contain_text(self.t(text, **values))

    async def press(self, button: str, **values: str | int) -> None:
        await self.page.get_by_role("button", name=self.t(button, **values)).click()

    async def join(self, number: str, invitation: str = "item.claim.join") -> None:
        """Follow the item's own invitation, and come back to it."""
        await self.page.get_by_role("link", name=self.t(invitation)).click()
        await become_member(self.page, WORDS[self.t.language], number)


@dataclass
class Street:
    """Where shoppers come from: each with a browser of their own, in one language."""

    browser: Browser
    shop: LiveShop
    language: Language
    script: bool
    folder: Path
    screens: Sequence[tuple[int, int]]
    numbers: Iterator[int]

    @asynccontextmanager
    async def shopper(self) -> AsyncIterator[Shopper]:
        """A new shopper. The first page that they open weighs little, with all that it needs."""
        arrived: list[Request] = []
        first_view: list[Request] = []
        async with phone(self.browser, self.shop, width=390, language=self.language, script=self.script) as page:
            page.on("requestfinished", lambda request: arrived.append(request))  # noqa: PLW0108  (it is given marks)
            page.once("load", lambda _: first_view.extend(arrived))
            yield Shopper(page, Translator(self.language), self.folder, self.screens, self.numbers)
            sizes = [await request.sizes() for request in first_view]
        weight = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)
        assert len(sizes) > 1
        assert weight < HEAVIEST_BYTES


@pytest.mark.parametrize(("language", "script"), [("zh", False), ("en", True)])
async def test_every_page_of_a_codes_life(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path, *, language: Language, script: bool
) -> None:
    screens = (WIDE, PHONE) if language == "en" else (PHONE,)  # longer words have more to show on a second screen
    street = Street(browser, live_server, language, script, screenshots, screens, count(1))
    async with transaction(engine) as connection:
        codes = await Codes.open(connection, live_server, points=120)
        keepsakes = await Codes.open(connection, live_server, points=0)
        alone = {
            "not_activated": await codes.path(None),
            "recalled": await codes.recalled(),
            "retired": await codes.path("retired"),
            "expired": await codes.path(expires_on=date(2026, 1, 31)),
            "amber": await codes.scanned(await codes.path(), None, None, None),
            "suspected_copy": await codes.scanned(await codes.path(), SHANGHAI, BEIJING),
        }
        honey = await codes.honey()
        plain = await codes.path()
        strip = await codes.mint(policy=RangePolicy(pin_required=True))
        keepsake = await keepsakes.path()
    pin = live_server.item_keys.for_product(codes.gtin, strip.kid).pin(strip.lo)

    for kind, path in alone.items():
        async with street.shopper() as shopper:
            await shopper.see(path, f"item.verdict.{kind}.title")
    await _not_ours(street, plain, honey)
    await _scan_claim_and_come_second(street, plain)
    await _under_the_strip(street, codes.address(strip), pin)
    await _keep_and_reach_the_cap(street, engine, keepsake, await _another(engine, codes))
    await _where_codes_lead(street, engine, codes)


async def _another(engine: AsyncEngine, codes: Codes) -> str:
    async with transaction(engine) as connection:
        codes.connection = connection
        return await codes.path()


async def _not_ours(street: Street, true: str, honey: str) -> None:
    """A mistyped code and one that gives a leak away look alike: nobody learns which theirs is."""
    mistyped = true[:-1] + ("A" if true[-1] != "A" else "B")
    said: list[str] = []
    for path in (mistyped, honey):
        async with street.shopper() as shopper:
            await shopper.see(path, "item.verdict.unknown.title")
            said.append(await shopper.page.locator("main").inner_text())
    assert said[0] == said[1]


async def _scan_claim_and_come_second(street: Street, path: str) -> None:
    async with street.shopper() as first, street.shopper() as second:
        await first.see(path, "item.verdict.first_scan.title")
        await first.says("item.claim.say_guest")
        await second.see(path, "item.verdict.seen_before.title")
        await first.see(path, "item.verdict.seen_by_you.title")
        await second.see(path, "item.verdict.seen_by_you_later.title")
        await first.join(f"199 0003 {next(_numbers)}")
        await first.at("item.verdict.seen_by_you.title")
        await first.press("item.claim.collect", n=120)
        await first.at("item.claimed.title", n=120)
        await first.see(path, "item.verdict.seen_by_you.title")
        await expect(first.page.locator("main")).to_contain_text(first.t("item.claim.see_card"))
        await second.page.goto(path)
        await expect(second.page.get_by_role("link", name=second.t("item.claim.join"))).to_have_count(0)
        await second.at("item.verdict.seen_by_you_later.title")


async def _under_the_strip(street: Street, path: str, pin: str) -> None:
    """One who has the item, one who has its PIN from somewhere, and one who guesses."""
    async with street.shopper() as owner, street.shopper() as other, street.shopper() as guesser:
        for shopper in (owner, other, guesser):
            await shopper.page.goto(path)
            await shopper.join(f"199 0003 {next(_numbers)}")
        await owner.press("item.claim.collect", n=120)
        await owner.says("item.claim.pin_missing")
        await owner.at("item.verdict.seen_by_you.title")
        await owner.page.locator("#pin").fill("000000")
        await owner.press("item.claim.collect", n=120)
        await owner.says("item.claim.wrong_pin", n=4)
        await owner.at("item.verdict.seen_by_you.title")
        await owner.page.locator("#pin").fill(f"{pin[:3]} {pin[3:]}".lower())
        await owner.press("item.claim.collect", n=120)
        await owner.at("item.claimed.title", n=120)

        await other.page.goto(path)
        await other.at("item.verdict.seen_by_you_later.title")
        await other.page.locator("#pin").fill(pin)
        await other.press("item.claim.check_pin")
        await other.at("item.pin_used.title")

        await guesser.page.goto(path)
        for guess in ("111111", "222222", "333333", "444444"):
            await guesser.page.locator("#pin").fill(guess)
            await guesser.press("item.claim.check_pin")
        await guesser.says("item.blocker.pin_locked")
        await expect(guesser.page.locator("#pin")).to_have_count(0)
        await guesser.at("item.verdict.seen_by_you_later.title")


async def _keep_and_reach_the_cap(street: Street, engine: AsyncEngine, keepsake: str, more: str) -> None:
    """An item without points is kept on the card; a card takes only so many a day."""
    programme_id = street.shop.programme.id
    async with street.shopper() as shopper:
        await shopper.see(keepsake, "item.verdict.first_scan.title")
        await shopper.join(f"199 0003 {next(_numbers)}", "item.claim.join_register")
        await shopper.press("item.claim.register")
        await shopper.at("item.claimed.title_register")
        await shopper.see(keepsake, "item.verdict.seen_by_you.title")
        async with transaction(engine) as connection:
            await set_thresholds(connection, programme_id=programme_id, changes={"claims_per_member_day": 1})
        await shopper.page.goto(more)
        await shopper.press("item.claim.collect", n=120)
        await shopper.at("item.refused.cap_title")
        async with transaction(engine) as connection:
            await set_thresholds(connection, programme_id=programme_id, changes={"claims_per_member_day": None})


async def _where_codes_lead(street: Street, engine: AsyncEngine, codes: Codes) -> None:
    """The general code of the product, its lots, and the label of a case: for trade, and for the curious."""
    sscc = f"0690123{next(_numbers):010d}"
    sscc += str(check_digit(sscc))
    async with transaction(engine) as connection:
        links: list[dict[str, Any]] = [
            {"value": codes.gtin, "link_type": "recipeInfo", "title": "Gongfu brewing / 工夫冲泡"},
            {
                "value": sscc,
                "key": "00",
                "link_type": "traceability",
                "title": "Case 42 / 第 42 箱",
                "is_default": True,
            },
        ]
        for link in links:
            target = "https://www.shanlan.example/white-tea-cake"
            await add_link(connection, programme_id=codes.shop.programme.id, wanted=Wanted(target=target, **link))
    async with street.shopper() as shopper:
        await shopper.page.goto(f"/01/{codes.gtin}")
        assert shopper.page.url.endswith(f"/product/{codes.gtin}")
        name = {"zh": "山岚·云雾白茶饼 357 克", "en": "Shanlan Cloud White Tea Cake, 357 g"}[street.language]
        await expect(shopper.page.get_by_role("heading", level=1)).to_have_text(name)
        await shopper.says("links.product.lots_recalled", n=1, lots="L2026-0315")
        await assert_well_made(shopper.page, f"life-390-{street.language}-product", street.folder)
        await shopper.see(f"/01/{codes.gtin}?linkType=linkset", "links.page.all")
        await shopper.see(f"/00/{sscc}?linkType=linkset", "links.page.all")
        await shopper.see(f"/01/{codes.gtin}?linkType=gs1:menuInfo", "errors.no_link.title")
        await shopper.see(f"/01/{codes.gtin[:-1]}{(int(codes.gtin[-1]) + 1) % 10}", "errors.bad_link.title")
