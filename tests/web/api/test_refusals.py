"""What surrounds every request: who may ask, what is too much, what is never told, and that success means committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import create_engine, transaction
from loyalty.settings import Settings
from loyalty.web import middleware
from loyalty.web.api.people import member_uuid
from loyalty.web.app import create_app
from loyalty.web.requests import MAX_BODY_BYTES
from loyalty.web.security.api_keys import Callers, revoke_api_key, token_of
from loyalty.web.state import LOCK_TIMEOUT_SECONDS, Services, limit_waiting
from tests.roles import as_application, as_owner
from tests.web.conftest import Api, assert_problem, make_api, serving

PHONE = "+8619900000001"


@pytest.fixture
async def member(brand_api: Api) -> str:
    return await brand_api.register(PHONE)


async def test_who_does_not_say_who_asks_is_refused(client: httpx.AsyncClient, brand_api: Api) -> None:
    for header in (None, "Bearer", "Bearer tsk_1", f"Basic {brand_api.token}", f"Bearer {brand_api.token[:-1]}0x"):
        headers = {"Authorization": header} if header else {}
        answered = await client.get("/v1/programme", headers=headers)
        assert_problem(answered, 401, "not-authenticated", "Authorization")
        assert answered.headers["www-authenticate"] == "Bearer"


async def test_a_key_with_another_secret_is_unknown(client: httpx.AsyncClient, brand_api: Api) -> None:
    prefix, secret = token_of(f"Bearer {brand_api.token}")
    guessed = f"tsk_{prefix}_{secret[:-1]}{'0' if secret[-1] != '0' else '1'}"
    answered = await client.get("/v1/programme", headers={"Authorization": f"Bearer {guessed}"})
    assert_problem(answered, 401, "not-authenticated")


async def test_a_key_does_only_what_its_scopes_say(
    client: httpx.AsyncClient, engine: AsyncEngine, brand_api: Api, member: str
) -> None:
    reader = await make_api(client, engine, brand_api.programme, scopes=("points:read",))
    assert (await reader.get(f"/members/{member}/points")).status_code == 200
    refused = await reader.post(f"/members/{member}/points/spend", {"amount": 1, "source": "x"})
    assert assert_problem(refused, 403, "not-permitted")["scope"] == "points:write"


async def test_a_revoked_key_is_unknown_to_who_has_not_seen_it_lately(brand_api: Api, engine: AsyncEngine) -> None:
    authorization = f"Bearer {brand_api.token}"
    caller = await Callers(engine).recognise(authorization)
    async with transaction(engine) as connection:
        await revoke_api_key(connection, programme_id=caller.programme_id, key_id=caller.key.id)
    with pytest.raises(Exception, match="unknown or was revoked"):
        await Callers(engine).recognise(authorization)


async def test_an_oversize_body_is_refused_unread(brand_api: Api, member: str) -> None:
    body = {"amount": 1, "source": "x" * (MAX_BODY_BYTES + 1)}
    assert_problem(await brand_api.post(f"/members/{member}/points/spend", body), 413, "too-large", "body")


@pytest.mark.parametrize(
    ("content", "media_type", "status", "kind", "field"),
    [
        (b"amount=1", "application/x-www-form-urlencoded", 415, "unsupported-media-type", "Content-Type"),
        (b"{", "application/json", 400, "invalid-input", "body"),
        (b"", "application/json", 400, "invalid-input", "data"),
        (b"\xff\xfe", "application/json", 400, "invalid-input", "body"),
        (b"[" * 100_000, "application/json", 400, "invalid-input", "body"),
        (b'{"amount": 1, "source": "\\ud800"}', "application/json", 400, "invalid-input", "body"),
    ],
    ids=str,
)
async def test_a_body_that_cannot_be_read_is_refused(
    brand_api: Api, member: str, content: bytes, media_type: str, status: int, kind: str, field: str
) -> None:
    answered = await brand_api.client.post(
        f"/v1/members/{member}/points/spend",
        content=content,
        headers={
            "Authorization": f"Bearer {brand_api.token}",
            "Idempotency-Key": uuid4().hex,
            "Content-Type": media_type,
        },
    )
    assert_problem(answered, status, kind, field)


@pytest.mark.parametrize("key", ['""', '"a', 'a"b c', "x" * 129])
async def test_a_bad_idempotency_key_is_refused(brand_api: Api, member: str, key: str) -> None:
    answered = await brand_api.post(f"/members/{member}/points/spend", {"amount": 1, "source": "x"}, key=key)
    assert_problem(answered, 400, "invalid-input", "Idempotency-Key")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("DELETE", "/v1/programme", 405, "method-not-allowed"),
        ("GET", "/v1/members/a%00b", 400, "invalid-input"),
        ("GET", "/v1/members?channel=%00", 400, "invalid-input"),
        ("GET", "/v1/members/%ff", 400, "invalid-input"),
    ],
)
async def test_every_refusal_is_problem_details(
    client: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answered = await client.request(method, path, headers={"Accept": "text/html"})
    assert_problem(answered, status, kind)
    assert ("allow" in answered.headers) == (status == 405)


async def test_a_person_gets_a_page_where_a_program_gets_a_problem(client: httpx.AsyncClient) -> None:
    page = await client.get("/nothing", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (404, "text/html")
    assert_problem(await client.get("/nothing", headers={"Accept": "application/json"}), 404, "not-found")


async def test_every_answer_tells_browsers_to_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    for path in ("/v1/ping", "/v1/nothing", "/v1/reference", "/nothing"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in policy
    assert (await client.get("/v1/ping")).headers["cache-control"] == "no-store"


async def test_options_names_every_method_of_a_path(client: httpx.AsyncClient) -> None:
    assert (await client.options("/v1/members")).headers["allow"] == "GET, OPTIONS, POST"


async def test_health_is_the_databases(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/v1/ping")).json() == {}


async def test_logs_hold_no_phone_no_key_and_no_query(
    brand_api: Api, app: Litestar, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    services: Services = app.state["services"]
    with caplog.at_level(logging.INFO, logger="loyalty"):
        await brand_api.register(PHONE)
        await brand_api.post("/members/find", {"text": PHONE}, key=None)
        await brand_api.get("/members", channel="19900000001")
        monkeypatch.setattr(services.callers, "recognise", _fail)
        answered = await brand_api.post("/members/find", {"text": PHONE}, key=None)
    problem = assert_problem(answered, 500, "internal")
    assert PHONE not in answered.text
    logged = "\n".join(caplog.handler.format(record) for record in caplog.records if record.name.startswith("loyalty"))
    assert problem["instance"] in logged
    assert "POST /v1/members/find 200" in logged
    for secret in ("19900000001", brand_api.token, "channel="):
        assert secret not in logged


async def _fail(_authorization: str | None) -> None:
    message = "a fault of ours"
    raise RuntimeError(message)


@pytest.fixture
async def impatient(database_url: str, settings: Settings, brand_api: Api) -> AsyncIterator[tuple[Api, AsyncEngine]]:
    """The API on an engine of its own, with the limits that a server has and one connection more than it needs."""
    engine = create_engine(as_application(database_url), pool_size=2)
    limit_waiting(engine)
    async with serving(create_app(settings, engine)) as application:
        transport: Any = httpx.ASGITransport(application, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=30) as opened:
            yield Api(client=opened, token=brand_api.token, programme=brand_api.programme), engine
    await engine.dispose()


async def test_a_request_that_waits_too_long_for_another_is_answered_409(
    impatient: tuple[Api, AsyncEngine], engine: AsyncEngine, brand_api: Api, member: str
) -> None:
    api, _ = impatient
    path = f"/members/{member}/points/earn"
    await brand_api.post(path, {"amount": 10, "source": "x"})
    key = uuid4().hex
    async with engine.connect() as holder, as_owner(holder):
        await holder.execute(
            text("SELECT 1 FROM ledger.account WHERE member_id = :member FOR UPDATE"), {"member": member_uuid(member)}
        )
        started = asyncio.get_running_loop().time()
        answered = await api.post(path, {"amount": 5, "source": "x"}, key=key)
        assert asyncio.get_running_loop().time() - started < LOCK_TIMEOUT_SECONDS + 3
    assert_problem(answered, 409, "busy")
    assert answered.headers["retry-after"]
    again = await api.post(path, {"amount": 5, "source": "x"}, key=key)
    assert (again.status_code, again.json()["balance"]["spendable"]) == (201, 15)


async def test_a_commit_that_fails_is_never_answered_with_success(
    brand_api: Api, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(_connection: psycopg.AsyncConnection[Any]) -> None:
        message = "the connection was lost"
        raise psycopg.OperationalError(message)

    key, body = uuid4().hex, {"amount": 10, "source": "x"}
    registration = {"channel": "online", "identities": [{"kind": "phone", "value": "19900000002"}]}
    with monkeypatch.context() as broken:
        broken.setattr(psycopg.AsyncConnection, "commit", lose)
        posted = await brand_api.post(f"/members/{member}/points/earn", body, key=key)
        registered = await brand_api.post("/members", registration, key=key)
    assert_problem(posted, 503, "unavailable")
    assert_problem(registered, 503, "unavailable")
    again = await brand_api.post(f"/members/{member}/points/earn", body, key=key)
    assert (again.status_code, again.json()["balance"]["spendable"]) == (201, 10)
    assert (await brand_api.post("/members", registration, key=key)).json()["created"] is True


async def test_a_request_that_takes_too_long_is_given_up(
    brand_api: Api, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dawdle(_authorization: str | None) -> None:
        await asyncio.sleep(5)

    monkeypatch.setattr(middleware, "REQUEST_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(app.state["services"].callers, "recognise", dawdle)
    answered = await brand_api.get("/programme")
    assert_problem(answered, 503, "unavailable")
    assert answered.headers["retry-after"]


async def test_a_database_that_is_away_is_said_so(settings: Settings) -> None:
    engine = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    async with serving(create_app(settings, engine)) as application:
        transport: Any = httpx.ASGITransport(application, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as opened:
            answered = await opened.get("/healthz")
    assert_problem(answered, 503, "unavailable")
    assert "127.0.0.1" not in answered.text
