"""Shoppers' pages as a browser without a screen sees them: cookies kept, forms filled in and sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.units import Unit, define_unit
from loyalty.items.keys import MasterKeys
from loyalty.items.products import LocalText, save_product
from loyalty.items.ranges import CodeRange, NextState, RangePolicy, change_range_state, mint_range
from loyalty.kit.db import transaction
from loyalty.kit.errors import NotFoundError
from loyalty.kit.programme import Programme, create_channel, create_programme, get_programme
from loyalty.settings import Settings
from loyalty.web.app import create_app

GTIN = "06901234567113"
CODE = "member-pages"


@pytest.fixture(scope="session")
async def brand(engine: AsyncEngine) -> Programme:
    """The programme whose pages the application shows, with a product of 120 points."""
    async with transaction(engine) as connection:
        try:
            return await get_programme(connection, CODE)
        except NotFoundError:
            programme = await create_programme(
                connection, code=CODE, name="Shanlan", time_zone="Asia/Shanghai", currency="CNY", locale="zh"
            )
        await create_channel(connection, programme, code="online", name="Online shop", kind="online")
        await define_unit(connection, Unit(programme_id=programme.id, time_zone=programme.time_zone))
        await save_product(
            connection,
            programme_id=programme.id,
            gtin=GTIN,
            names=LocalText(zh="明前龙井", en="Longjing tea"),
            points_on_claim=120,
        )
    return programme


@pytest.fixture(scope="session")
def pages_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("pages"),
        demo=True,
        programme=CODE,
        region_header="CF-IPCountry",
        city_header="X-City",
    )


@pytest.fixture(scope="session")
async def pages_app(pages_settings: Settings, engine: AsyncEngine, brand: Programme) -> AsyncIterator[Litestar]:
    """The application, started, showing `brand`."""
    assert brand.code == pages_settings.programme
    application = create_app(pages_settings, engine)
    started, ended = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # In a task of its own: a fixture is left in another task than it was entered in.
        async with application.lifespan():
            started.set()
            await ended.wait()

    life = asyncio.create_task(live())
    life.add_done_callback(lambda _: started.set())
    await started.wait()
    if life.done():
        life.result()
    yield application
    ended.set()
    await life


@dataclass
class Items:
    """Item codes of `brand`, minted when a test needs them."""

    engine: AsyncEngine
    keys: MasterKeys
    programme: Programme

    async def mint(self, *, state: NextState | None = "activated", pin_required: bool = False) -> CodeRange:
        async with transaction(self.engine) as connection:
            minted = await mint_range(
                connection,
                self.keys,
                programme_id=self.programme.id,
                gtin=GTIN,
                count=1,
                print_order="test",
                lot="L1",
                policy=RangePolicy(pin_required=pin_required),
            )
            if state is None:
                return minted
            return await change_range_state(connection, programme_id=self.programme.id, range_id=minted.id, state=state)

    def serial(self, code_range: CodeRange) -> str:
        return self.keys.for_product(GTIN, code_range.kid).mint(code_range.lo)

    def pin(self, code_range: CodeRange) -> str:
        return self.keys.for_product(GTIN, code_range.kid).pin(code_range.lo)

    async def path(self, *, state: NextState | None = "activated", pin_required: bool = False) -> str:
        """The address of a fresh item."""
        return f"/01/{GTIN}/21/{self.serial(await self.mint(state=state, pin_required=pin_required))}"


@pytest.fixture(scope="session")
def items(engine: AsyncEngine, brand: Programme, pages_app: Litestar) -> Items:
    return Items(engine=engine, keys=pages_app.state["services"].item_keys, programme=brand)


class Browser:
    """One person's browser: cookies, a language, and forms that carry the CSRF token of the page they are on."""

    def __init__(self, app: Litestar, *, language: str = "en") -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False),
            base_url="http://testserver",
            headers={"Accept": "text/html", "Accept-Language": language},
        )
        self.text = ""

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return self._seen(await self.client.get(path, headers=headers, follow_redirects=True))

    async def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of the page in view, and go where the answer leads."""
        token = re.search(r'name="_csrf_token" value="([^"]+)"', self.text)
        data = {"_csrf_token": token[1] if token else "", **fields}
        return self._seen(await self.client.post(path, data=data, follow_redirects=True))

    async def upload(self, path: str, lines: str, **fields: str) -> httpx.Response:
        """Send a form with a file of these lines, and go where the answer leads."""
        token = re.search(r'name="_csrf_token" value="([^"]+)"', self.text)
        data = {"_csrf_token": token[1] if token else "", **fields}
        files = {"file": ("list.csv", lines.encode(), "text/csv")}
        return self._seen(await self.client.post(path, data=data, files=files, follow_redirects=True))

    def _seen(self, response: httpx.Response) -> httpx.Response:
        self.text = response.text
        return response

    @property
    def words(self) -> str:
        """What a person reads: the page's text without its markup."""
        body = self.text.partition("<body")[2]
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", f"<body{body}")).split())

    @property
    def heading(self) -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.text, re.DOTALL)
        return unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""

    def error_at(self, field: str) -> str:
        """The error shown at a field, which must also have the focus."""
        assert re.search(rf'id="{field}"[^>]*autofocus[^>]*aria-invalid="true"', self.text), self.words
        found = re.search(rf'id="{field}-error">(.*?)</span></span>', self.text, re.DOTALL)
        return unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""

    @property
    def shown_code(self) -> str:
        found = re.search(r'data-code="(\d{6})"', self.text)
        return found[1] if found else ""

    async def join(self, phone: str, *, item: str = "", name: str = "") -> httpx.Response:
        """Become a member, all the way."""
        await self.get(f"/join?item={item}")
        await self.send("/join", phone=phone, item=item)
        await self.send("/join/code", code=self.shown_code)
        return await self.send("/join/terms", terms="yes", name=name)


@pytest.fixture
async def browser(pages_app: Litestar) -> AsyncIterator[Browser]:
    """Somebody who reads English."""
    opened = Browser(pages_app)
    yield opened
    await opened.client.aclose()


@pytest.fixture
async def other_browser(pages_app: Litestar) -> AsyncIterator[Browser]:
    """Somebody else."""
    opened = Browser(pages_app)
    yield opened
    await opened.client.aclose()


@pytest.fixture
def phone_number() -> str:
    """A mainland test number that no other test uses."""
    Phones.last += 1
    return f"+86199000{Phones.last:05d}"


class Phones:
    last = 50_000
