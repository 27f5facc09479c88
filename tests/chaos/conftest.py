"""The application in this process, its database behind a proxy that can be cut or away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.audit import verify
from loyalty.kit.db import create_engine, transaction
from loyalty.settings import Settings
from loyalty.web.api.people import member_uuid
from loyalty.web.app import create_app
from loyalty.web.state import limit_waiting
from tests.chaos.proxy import Proxy, proxy_before
from tests.factories import make_brand
from tests.roles import application_login
from tests.web.conftest import Api, make_api, serving


@dataclass
class Behind:
    """The API whose database is behind a proxy, and that database seen directly, by its owner."""

    api: Api
    proxy: Proxy
    through: AsyncEngine
    direct: AsyncEngine

    async def register(self) -> str:
        """A member with 100 points."""
        member = await self.api.register(f"+861990001{uuid4().int % 10_000:04d}")
        earned = await self.api.post(f"/members/{member}/points/earn", {"amount": 100, "source": "before"})
        assert earned.status_code == httpx.codes.CREATED, earned.text
        return member

    async def entries(self, member: str, source: str = "chaos") -> list[int]:
        """The numbers of the postings with a key and this source, as they are committed."""
        query = text(
            "SELECT seq FROM ledger.entry WHERE member_id = :member AND unit = 'points' AND source = :source"
            " AND idem_key IS NOT NULL ORDER BY seq"
        )
        async with transaction(self.direct) as connection:
            found = await connection.execute(query, {"member": member_uuid(member), "source": source})
            return list(found.scalars())

    async def check(self) -> None:
        """The books balance."""
        async with transaction(self.direct) as connection:
            assert (await verify(connection)).findings == []


@pytest.fixture(scope="module")
async def behind(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Behind]:
    direct = create_engine(module_database_url)
    async with proxy_before(application_login(module_database_url)) as (proxy, url):
        through = create_engine(url)
        limit_waiting(through)
        home = tmp_path_factory.mktemp("home")
        async with transaction(direct) as connection:
            brand = await make_brand(connection)
        async with serving(create_app(Settings(home=home), through)) as application:
            transport: Any = httpx.ASGITransport(application, raise_app_exceptions=False)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=60) as client:
                yield Behind(await make_api(client, direct, brand), proxy, through, direct)
        await through.dispose()
    await direct.dispose()
