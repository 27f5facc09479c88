"""A brand whose codes are resolved: a product with links that a test stores, asked as browsers and programs ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.units import Unit, define_unit
from loyalty.items.gtin import check_digit
from loyalty.items.links.link import Link, Wanted, add_link
from loyalty.items.products import LocalText, save_product
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme, create_channel, create_programme
from loyalty.settings import Settings
from loyalty.web.app import create_app
from tests.web.conftest import serving

PUBLIC_URL = "https://id.example.com"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SERIAL = "10Y7DJPF72MHRCYR"


@dataclass
class Shop:
    """The brand, seen from outside: ask with headers, never followed."""

    app: Litestar
    client: httpx.AsyncClient
    engine: AsyncEngine
    programme: Programme
    gtin: str = ""

    async def product(self, *, points: int = 0) -> str:
        """A new product; its GTIN is `gtin` from now on."""
        digits = f"0690{uuid4().int % 10**9:09d}"
        self.gtin = digits + str(check_digit(digits))
        async with transaction(self.engine) as connection:
            await save_product(
                connection,
                programme_id=self.programme.id,
                gtin=self.gtin,
                names=LocalText(zh="明前龙井", en="Longjing tea"),
                points_on_claim=points,
            )
        return self.gtin

    async def link(self, target: str, **wanted: Any) -> Link:
        """A link of the product, by default a product page for everybody."""
        given = {"value": self.gtin, "link_type": "pip", "title": "Tea", "media_type": "text/html"} | wanted
        async with transaction(self.engine) as connection:
            return await add_link(
                connection,
                programme_id=self.programme.id,
                wanted=Wanted(target=target, **given),
                own_address=PUBLIC_URL,
            )

    def at(self, path: str = "") -> str:
        """The path of the product's Digital Link, with what is to stand behind its GTIN."""
        return f"/01/{self.gtin}{path}"

    async def ask(self, address: str, *, method: str = "GET", **headers: str) -> httpx.Response:
        """Ask for an address, as a program that takes anything unless the headers say otherwise."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, address, headers={"accept": "*/*"} | sent)

    async def target(self, address: str, **headers: str) -> str:
        """Where an address leads."""
        answer = await self.ask(address, **headers)
        assert answer.status_code == 307, (answer.status_code, answer.text)
        return answer.headers["location"]


@pytest.fixture(scope="session")
async def resolver_app(tmp_path_factory: pytest.TempPathFactory, engine: AsyncEngine) -> AsyncIterator[Litestar]:
    code = f"tea-{uuid4().hex[:8]}"
    async with transaction(engine) as connection:
        programme = await create_programme(
            connection, code=code, name="Shanlan", time_zone="Asia/Shanghai", currency="CNY", locale="zh"
        )
        await create_channel(connection, programme, code="online", name="Online shop", kind="online")
        await define_unit(connection, Unit(programme_id=programme.id, time_zone=programme.time_zone))
    settings = Settings(home=tmp_path_factory.mktemp("resolver"), programme=code, public_url=PUBLIC_URL)
    async with serving(create_app(settings, engine)) as application:
        application.state["test_programme"] = programme
        yield application


@pytest.fixture
async def shop(resolver_app: Litestar, engine: AsyncEngine) -> AsyncIterator[Shop]:
    transport = httpx.ASGITransport(cast("Any", resolver_app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        made = Shop(app=resolver_app, client=client, engine=engine, programme=resolver_app.state["test_programme"])
        await made.product()
        yield made
