"""A real server on a real database, with a small programme in it, and a real browser to look at it."""

from __future__ import annotations

import re
import shutil
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import httpx
import msgspec
import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.units import Unit, define_unit
from loyalty.items.events import EventKind, record_event
from loyalty.items.keys import MasterKeys
from loyalty.items.products import LocalText, save_product
from loyalty.items.ranges import CodeRange, change_range_state, mint_range
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme, create_channel, create_programme
from loyalty.settings import Settings
from loyalty.web.app import create_app
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.rules import PointsMetric
from tiers.windows import RollingMonthsWindow

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PHONE_WIDTH = 600
SCREENSHOTS = Path(__file__).parent / "screenshots"
GTIN = "06901234567229"
PRODUCT = LocalText(zh="山岚·明前龙井 50 克", en="Shanlan First Flush Longjing, 50 g")


def chromium() -> str | None:
    """Where Debian's chromium is, or whichever is installed."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


@dataclass(frozen=True)
class Served:
    """A running server and the programme that it shows."""

    url: str
    settings: Settings
    programme: Programme


@dataclass(frozen=True)
class LiveShop(Served):
    """A running server and what was seeded into it."""

    item_keys: MasterKeys
    on_sale: CodeRange

    def serial(self, number: int) -> str:
        """The serial of the n-th item on sale."""
        keys = self.item_keys.for_product(self.on_sale.gtin, self.on_sale.kid)
        return keys.mint(self.on_sale.lo + number)

    def item_path(self, number: int) -> str:
        return f"/01/{GTIN}/21/{self.serial(number)}"


@pytest.fixture(scope="session")
async def live_server(
    database_url: str, engine: AsyncEngine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveShop]:
    """A server on the run's database, showing a programme with tiers and items on sale."""
    settings = Settings(home=tmp_path_factory.mktemp("live"), database_url=database_url, programme="shanlan", demo=True)
    item_keys = MasterKeys.load_or_create(settings.keys / "item-codes.json")
    async with transaction(engine) as connection:
        programme = await _seed_programme(connection)
        on_sale = await _seed_items(connection, programme, item_keys)
    with serving(settings) as (url, served):
        yield LiveShop(url=url, settings=served, programme=programme, item_keys=item_keys, on_sale=on_sale)


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """uvicorn on a free port of the loopback; its address, and the settings with it."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    served = msgspec.structs.replace(settings, public_url=url)
    server = uvicorn.Server(uvicorn.Config(create_app(served), log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    _wait_until_ready(url)
    yield url, served
    server.should_exit = True
    thread.join(timeout=10)
    listener.close()


def _wait_until_ready(url: str) -> None:
    ends_at = time.monotonic() + 20
    while True:
        try:
            httpx.get(f"{url}/healthz").raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.05)
        else:
            return


async def _seed_programme(connection: AsyncConnection) -> Programme:
    programme = await create_programme(
        connection, code="shanlan", name="Shanlan 山岚", time_zone="Asia/Shanghai", currency="CNY", locale="zh"
    )
    await create_channel(connection, programme, code="online", name="Online shop", kind="online")
    await create_channel(connection, programme, code="shanghai-1", name="Shanghai, Huaihai Road", kind="store")
    await define_unit(
        connection,
        Unit(programme_id=programme.id, time_zone=programme.time_zone, expiry_kind="end_of_month", expiry_months=12),
    )
    tiers = [("leaf", "青叶", "Leaf", 0), ("bud", "银芽", "Silver Bud", 200), ("peak", "云峰", "Cloud Peak", 1000)]
    ladder = Ladder(
        metric=PointsMetric(),
        window=RollingMonthsWindow(months=12),
        tiers=[
            TierStep(code=code, name={"zh": zh, "en": en}, rank=rank, threshold=threshold)
            for rank, (code, zh, en, threshold) in enumerate(tiers)
        ],
        grace_days=30,
    )
    await publish_ladder(connection, programme_id=programme.id, ladder=ladder)
    return programme


async def _seed_items(connection: AsyncConnection, programme: Programme, item_keys: MasterKeys) -> CodeRange:
    await save_product(
        connection,
        programme_id=programme.id,
        gtin=GTIN,
        names=PRODUCT,
        descriptions=LocalText(
            zh="清明前手工采摘，产自西湖龙井一级保护区，干炒收藏于瓷罐。",
            en="Picked by hand before Qingming in the first protected area of West Lake, pan-fired, kept in porcelain.",
        ),
        points_on_claim=120,
    )
    minted = await mint_range(
        connection,
        item_keys,
        programme_id=programme.id,
        gtin=GTIN,
        count=200,
        print_order="2026-03",
        lot="L2026-0402",
        expires_on=date(2099, 9, 30),
    )
    journey: list[tuple[EventKind, int, str, str]] = [
        ("made", 2, "杭州龙坞", "Longwu, Hangzhou"),
        ("packed", 5, "杭州包装中心", "Hangzhou packing centre"),
    ]
    for kind, day, zh, en in journey:
        await record_event(
            connection,
            programme_id=programme.id,
            gtin=GTIN,
            kid=minted.kid,
            lo=minted.lo,
            hi=minted.hi,
            kind=kind,
            at=datetime(2026, 4, day, 2, 30, tzinfo=UTC),
            places=LocalText(zh=zh, en=en),
        )
    return await change_range_state(
        connection,
        programme_id=programme.id,
        range_id=minted.id,
        state="shipped",
        at=datetime(2026, 4, 12, 1, 0, tzinfo=UTC),
        places=LocalText(zh="上海淮海路店", en="Shanghai, Huaihai Road"),
    )


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's chromium, or whichever is installed. Without one the tests are skipped, and say so."""
    path = chromium()
    if path is None:
        pytest.skip("no chromium is installed, so no page can be looked at")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=path,
            args=CHROMIUM_ARGUMENTS,
        )
        yield started
        await started.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures go, for people to look at; git ignores them."""
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS


async def assert_well_made(page: Page, name: str, folder: Path) -> None:
    """What must hold of every page: nothing overflows, nothing violates the CSP, every control is named and tappable.

    Takes a picture of it, too.
    """
    wide = (page.viewport_size or {"width": 0})["width"] > PHONE_WIDTH
    # A wide page's picture in the screen's own pixels, which is what takes long, shows nothing more.
    scale: Literal["css", "device"] = "css" if wide else "device"
    picture = folder / f"{re.sub(r'[^a-z0-9-]+', '-', name)}.png"
    await page.screenshot(path=picture, full_page=True, scale=scale)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name}: wider than the screen"
    assert await page.evaluate(_SMALL_TARGETS) == [], f"{name}: controls too small for a thumb"
    assert await page.evaluate(_NAMELESS) == [], f"{name}: controls without a name"


_SMALL_TARGETS = """
() => [...document.querySelectorAll("button, input, a.button, header a")]
    .filter((control) => control.getClientRects().length && control.getBoundingClientRect().height < 43.5
        && !control.matches(".skip-link, .visually-hidden, [type=hidden], [type=checkbox], [type=radio]"))
    .map((control) => control.outerHTML.slice(0, 120))
"""
_NAMELESS = """
() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
    .filter((control) => !control.labels?.length && !control.getAttribute("aria-label"))
    .map((control) => control.outerHTML.slice(0, 120))
"""
