"""EPCIS as a client of it sees it: a key with its scopes, documents in, a worker that captures them, documents out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import httpx
import pytest
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.epcis.capturing import work_on_capture
from loyalty.items.keys import MasterKeys
from loyalty.kit.ids import parse_public_id
from loyalty.kit.programme import Programme
from loyalty.web.security.api_keys import Scope
from loyalty.web.state import Services
from tests.epcis_examples import alone, document, encoded
from tests.web.conftest import make_api


@dataclass(frozen=True)
class Epcis:
    """One programme's EPCIS."""

    client: httpx.AsyncClient
    token: str
    engine: AsyncEngine
    item_keys: MasterKeys
    programme: Programme

    async def get(self, path: str, headers: dict[str, str] | None = None, **parameters: Any) -> httpx.Response:
        return await self.client.get(f"/epcis{path}", params=parameters or None, headers=self._headers(headers))

    async def post(
        self, path: str, body: Any, headers: dict[str, str] | None = None, *, media_type: str = "application/json"
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else encoded(body)
        return await self.client.post(
            f"/epcis{path}", content=content, headers=self._headers(headers) | {"Content-Type": media_type}
        )

    async def options(self, path: str) -> httpx.Response:
        return await self.client.options(f"/epcis{path}")

    async def capture(self, *events: dict[str, Any], behaviour: str = "rollback", body: Any = None) -> dict[str, Any]:
        """Capture a document as its job does; answers what the job says at the end."""
        headers = {"GS1-Capture-Error-Behaviour": behaviour}
        received = await self.post("/capture", document(*events) if body is None else body, headers)
        assert received.status_code == 202, received.text
        identifier = received.headers["location"].rsplit("/", 1)[1]
        await work_on_capture(self.engine, parse_public_id("cap", identifier), item_keys=self.item_keys)
        told: dict[str, Any] = (await self.get(f"/capture/{identifier}")).json()
        return told

    async def capture_one(self, event: dict[str, Any]) -> httpx.Response:
        return await self.post("/events", alone(event))

    async def events(self, path: str = "/events", **parameters: Any) -> list[dict[str, Any]]:
        """The events that answer a query."""
        answered = await self.get(path, **parameters)
        assert answered.status_code == 200, answered.text
        told: list[dict[str, Any]] = answered.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        return told

    def _headers(self, more: dict[str, str] | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} | (more or {})


async def make_epcis(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    app: Litestar,
    programme: Programme,
    *,
    scopes: tuple[Scope, ...] = ("epcis:read", "epcis:write"),
) -> Epcis:
    api = await make_api(client, engine, programme, scopes=scopes)
    services = cast("Services", app.state["services"])
    return Epcis(client, api.token, engine, services.item_keys, programme)


@pytest.fixture
async def epcis(client: httpx.AsyncClient, engine: AsyncEngine, app: Litestar, brand: Programme) -> Epcis:
    """EPCIS of a programme that is ready for business."""
    return await make_epcis(client, engine, app, brand)


def problem(answered: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The answer is a refusal of the standard's kind; returns it."""
    assert answered.headers["content-type"] == "application/problem+json", answered.text
    told: dict[str, Any] = answered.json()
    assert (answered.status_code, told["status"], told["type"]) == (status, status, f"epcisException:{name}"), told
    assert answered.headers["GS1-EPCIS-Version"] == "2.0"
    return told


def escaped(name: str) -> str:
    """A name as a segment of a path."""
    return quote(name, safe="")
