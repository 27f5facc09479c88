"""The real application on a real database, called in process; each test has a programme of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.programme import Channel, Programme, get_channel
from loyalty.settings import Settings
from loyalty.web.app import create_app
from loyalty.web.security.api_keys import SCOPES, Scope, create_api_key
from tests.factories import make_brand, make_programme


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), demo=True)


@asynccontextmanager
async def serving(application: Litestar) -> AsyncIterator[Litestar]:
    """The application, started."""
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
    try:
        yield application
    finally:
        ended.set()
        await life


@pytest.fixture(scope="session")
async def app(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Litestar]:
    """The application, started; the engine is the session's."""
    async with serving(create_app(settings, engine)) as application:
        yield application


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any credential."""
    transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as opened:
        yield opened


@pytest.fixture
async def committed_programme(engine: AsyncEngine) -> Programme:
    """A programme that other connections see, with its channels `online` and `store-1`."""
    async with transaction(engine) as connection:
        return await make_programme(connection)


@pytest.fixture
async def brand(engine: AsyncEngine) -> Programme:
    """A programme that is ready for business; see `make_brand`."""
    async with transaction(engine) as connection:
        return await make_brand(connection)


@pytest.fixture
async def brand_api(client: httpx.AsyncClient, engine: AsyncEngine, brand: Programme) -> Api:
    """The API with a key that may do everything in that programme."""
    return await make_api(client, engine, brand)


@pytest.fixture
async def brand_store(engine: AsyncEngine, brand: Programme) -> Channel:
    """That programme's store."""
    async with transaction(engine) as connection:
        return await get_channel(connection, brand.id, "store-1")


@dataclass(frozen=True)
class Api:
    """The API as a client of it sees it: JSON in and out, a key in the header, a new idempotency key a request."""

    client: httpx.AsyncClient
    token: str
    programme: Programme
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(f"/v1{path}", params=params, headers=self._headers(None))

    async def post(self, path: str, body: Any, *, key: str | None = "", **headers: str) -> httpx.Response:
        return await self.client.post(f"/v1{path}", json=body, headers=self._headers(key) | headers)

    async def put(self, path: str, body: Any) -> httpx.Response:
        return await self.client.put(f"/v1{path}", json=body, headers=self._headers(None))

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self.client.patch(f"/v1{path}", json=body, headers=self._headers(None))

    async def register(self, phone: str) -> str:
        """A member by phone; answers the id."""
        body = {"channel": "online", "identities": [{"kind": "phone", "value": phone}]}
        answered = await self.post("/members", body)
        assert answered.status_code == 201, answered.text
        return str(answered.json()["member"]["id"])

    def _headers(self, key: str | None) -> dict[str, str]:
        sent = {"Authorization": f"Bearer {self.token}", **self.headers}
        if key is not None:
            sent["Idempotency-Key"] = key or uuid4().hex
        return sent


@pytest.fixture
async def api(client: httpx.AsyncClient, engine: AsyncEngine, committed_programme: Programme) -> Api:
    """The API with a key that may do everything in the programme."""
    return await make_api(client, engine, committed_programme)


async def make_api(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    programme: Programme,
    *,
    scopes: tuple[Scope, ...] = SCOPES,
    channel: Channel | None = None,
) -> Api:
    """The API with a key of one's choice."""
    async with transaction(engine) as connection:
        made = await create_api_key(
            connection,
            programme_id=programme.id,
            name="test",
            scopes=scopes,
            channel_id=channel.id if channel else None,
        )
    return Api(client=client, token=made.token, programme=programme)


def assert_problem(response: httpx.Response, status: int, kind: str, field_name: str | None = None) -> dict[str, Any]:
    """The answer is problem details of this status and type, naming the field; returns it."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["status"], problem["type"]) == (status, status, f"/problems/{kind}"), problem
    assert problem["title"]
    assert problem["detail"]
    if field_name is not None:
        assert [error["field"] for error in problem["errors"]] == [field_name], problem
        assert all(error["reason"] for error in problem["errors"])
    return problem
