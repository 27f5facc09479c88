"""The item door: what is answered before the application is what the application would have answered."""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.scans import Scan, Scanned
from loyalty.kit.db import create_engine
from loyalty.kit.errors import TooManyAttemptsError, UnavailableError
from loyalty.settings import Settings
from loyalty.web.app import create_app
from loyalty.web.member import item_door
from loyalty.web.scanning import ScanDesk
from tests.web.conftest import serving
from tests.web.member.conftest import GTIN, Browser, Items

DEVICE = "phone-of-somebody-123456"
LOOK = {"Sec-Fetch-Site": "same-origin"}
ROUND = {"If-None-Match": '"another page"'}
"""A header that plain requests do not have, and that changes nothing."""


@pytest.fixture
async def phone(pages_app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A phone that keeps nothing: each request says all of itself."""
    transport = httpx.ASGITransport(cast("Any", pages_app), raise_app_exceptions=False)
    headers = {"Accept": "text/html", "Accept-Language": "en", "Cookie": f"device={DEVICE}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
        yield client


async def ask(client: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    client.cookies.clear()
    return await client.get(path, headers=headers)


def came_through_the_door(response: httpx.Response) -> bool:
    """The application gives whoever has none a cookie for forms; the door's pages have no form."""
    return "csrftoken" not in response.headers.get("set-cookie", "")


def told(response: httpx.Response) -> dict[str, str]:
    """The headers, without those that differ between any two answers, or by what compressed them."""
    ignored = {"set-cookie", "content-length", "content-encoding"}
    return {name: value for name, value in response.headers.items() if name not in ignored}


@pytest.mark.parametrize("language", ["zh-CN,zh;q=0.9", "en"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("state", ["activated", "recalled", "retired", None, "wrong", "bad_gtin"])
@pytest.mark.parametrize("qualifiers", ["", "/22/2A/10/L-1"])
async def test_both_ways_answer_with_the_same_bytes_and_headers(
    phone: httpx.AsyncClient, items: Items, language: str, encoding: str, state: Any, qualifiers: str
) -> None:
    if state == "wrong":
        path = f"/01/{GTIN}{qualifiers}/21/0000000000000000"
    elif state == "bad_gtin":
        path = f"/01/06901234567890{qualifiers}/21/A"
    else:
        path = f"/01/{GTIN}{qualifiers}/21/{items.serial(await items.mint(state=state))}"
        await ask(phone, path)
    asked = {"Accept-Language": language, "Accept-Encoding": encoding, **LOOK}

    short, long = await ask(phone, path, **asked), await ask(phone, path, **asked, **ROUND)

    assert came_through_the_door(short)
    assert not came_through_the_door(long)
    assert short.status_code == long.status_code == {"wrong": 404, "bad_gtin": 400}.get(state, 200)
    assert short.content == long.content
    assert told(short) == told(long)
    assert ("content-encoding" in short.headers) == (encoding == "gzip")
    assert f'lang="{"zh-CN" if "zh" in language else "en"}"' in short.text


async def test_both_ways_write_the_same_into_the_log(
    phone: httpx.AsyncClient, items: Items, engine: AsyncEngine
) -> None:
    minted = [await items.mint() for _ in range(2)]
    for number, one in enumerate(minted):
        for _ in range(2):
            path = f"/01/{GTIN}/21/{items.serial(one)}"
            await ask(phone, path, **{"CF-IPCountry": "CN-SC"}, **(ROUND if number else {}))
    query = text("""
        SELECT s.programme_id, s.device, s.member_id, s.address_prefix, s.region, s.place_source, s.verdict, s.diverted,
            i.scan_count, i.first_device
        FROM item_scan s JOIN item i USING (gtin, kid, index)
        WHERE s.gtin = :gtin AND s.kid = :kid AND s.index = :index ORDER BY s.at""")
    async with engine.connect() as connection:
        short, long = [
            (await connection.execute(query, {"gtin": GTIN, "kid": one.kid, "index": one.lo})).all() for one in minted
        ]
    assert [(row.verdict, row.region) for row in short] == [("first_scan", "CN-SC"), ("seen_by_you", "CN-SC")]
    assert short == long


async def test_a_new_phone_gets_its_name_at_the_door(phone: httpx.AsyncClient, items: Items) -> None:
    path = await items.path()
    del phone.headers["cookie"]

    first = await ask(phone, path)

    (cookie,) = first.headers.get_list("set-cookie")
    assert re.fullmatch(r"device=[\w-]{24}; Max-Age=34560000; Path=/; HttpOnly; SameSite=lax", cookie)
    again = await ask(phone, path, Cookie=cookie.partition(";")[0])
    assert "set-cookie" not in again.headers
    assert "known to you" in again.text


async def test_a_page_of_the_door_is_revalidated_by_the_same_tag(phone: httpx.AsyncClient, items: Items) -> None:
    path = await items.path()
    await ask(phone, path)
    shown = await ask(phone, path, **LOOK)

    unchanged = await ask(phone, path, **LOOK, **{"If-None-Match": shown.headers["etag"]})

    assert (unchanged.status_code, unchanged.content) == (304, b"")


@pytest.mark.parametrize(
    "unusual",
    [
        {"Cookie": f"device={DEVICE}; member_session=abc"},
        {"Cookie": 'device="quoted"'},
        {"Cookie": f"device={DEVICE}; device=another-name-of-24-letters"},
        {"If-None-Match": "x"},
    ],
)
async def test_what_is_not_plain_goes_the_long_way(
    phone: httpx.AsyncClient, items: Items, unusual: dict[str, str]
) -> None:
    response = await ask(phone, await items.path(), **unusual)

    assert response.status_code == 200
    assert not came_through_the_door(response)


@pytest.mark.parametrize("query", ["lang=zh", "tries_left=2", "17=260101"])
async def test_an_address_with_a_query_goes_the_long_way(phone: httpx.AsyncClient, items: Items, query: str) -> None:
    response = await ask(phone, f"{await items.path()}?{query}")

    assert response.status_code == 200
    assert not came_through_the_door(response)


async def test_a_program_that_asks_for_no_page_is_led_on(phone: httpx.AsyncClient, items: Items) -> None:
    response = await ask(phone, await items.path(), Accept="application/linkset+json")

    assert response.headers["content-type"] == "application/linkset+json"


@pytest.mark.parametrize(
    ("error", "status", "heading"),
    [
        (UnavailableError("the database is away"), 503, "We cannot answer at the moment"),
        (TooManyAttemptsError("too many", retry_after_seconds=600), 429, "Too many tries"),
        (ZeroDivisionError("a fault of ours"), 500, "Something went wrong on our side"),
    ],
)
async def test_what_a_scan_failed_for_is_said_as_kindly_as_the_long_way_says_it(
    phone: httpx.AsyncClient,
    items: Items,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    heading: str,
) -> None:
    asked: list[Scan] = []

    async def fail(_desk: ScanDesk, scan: Scan) -> Scanned:
        asked.append(scan)
        raise error

    path = await items.path()
    monkeypatch.setattr(ScanDesk, "scan", fail)
    short, long = await ask(phone, path), await ask(phone, path, **ROUND)

    assert len(asked) == 2, "what failed at the door is not tried again behind it"
    assert short.status_code == long.status_code == status
    assert heading in short.text
    assert told(short) == told(long)
    assert "database" not in short.text


async def test_with_the_database_away_a_phone_gets_a_kind_page_in_its_language(tmp_path: Path) -> None:
    nowhere = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    async with serving(create_app(Settings(home=tmp_path, programme="shanlan"), nowhere)) as app:
        for language in ("zh", "en"):
            browser = Browser(app, language=language)
            answered = await browser.get("/01/06901234567892/21/10Y7DJPF72MHRCYR")
            assert answered.status_code == 503
            assert answered.headers["retry-after"]
            assert browser.heading == {"zh": "暂时无法响应", "en": "We cannot answer at the moment"}[language]
            await browser.client.aclose()
    await nowhere.dispose()


async def test_a_scan_that_is_not_answered_in_time_is_given_up(
    phone: httpx.AsyncClient, items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_desk: ScanDesk, _scan: Scan) -> Scanned:
        await asyncio.sleep(60)
        raise AssertionError

    path = await items.path()
    monkeypatch.setattr(ScanDesk, "scan", never)
    monkeypatch.setattr(item_door, "REQUEST_TIMEOUT_SECONDS", 0.01)

    assert (await ask(phone, path)).status_code == 503


async def test_the_access_log_has_the_route_and_nothing_of_the_code(
    phone: httpx.AsyncClient, items: Items, caplog: pytest.LogCaptureFixture
) -> None:
    path = await items.path()
    with caplog.at_level(logging.INFO, "loyalty.access"):
        await ask(phone, path.replace("/21/", "/10/L1/21/"))

    lines: Sequence[str] = [record.getMessage() for record in caplog.records if record.name == "loyalty.access"]
    assert len(lines) == 1
    assert re.fullmatch(r"GET /01/\{gtin:str\}/10/\{lot:str\}/21/\{serial:str\} 200 \d+\.\d ms", lines[0])


async def test_what_travels_compressed_is_little_larger_than_compressing_it_whole(
    phone: httpx.AsyncClient, items: Items
) -> None:
    path = await items.path()
    sizes: list[int] = []
    for headers in (LOOK, LOOK | ROUND):
        async with phone.stream("GET", path, headers={"Accept-Encoding": "gzip", **headers}) as response:
            raw = b"".join([part async for part in response.aiter_raw()])
        sizes.append(len(raw))
        assert gzip.decompress(raw).startswith(b"<!doctype html>")

    assert sizes[0] < 1.2 * sizes[1]
