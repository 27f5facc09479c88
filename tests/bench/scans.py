"""The page behind a code: a scan judged, logged and committed, over an empty HTML page of the same server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import uvloop

from loyalty.items.keys import FILE_NAME, MasterKeys
from loyalty.items.products import LocalText, save_product
from loyalty.items.ranges import change_range_state, mint_range
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.programme import create_programme
from tests.bench import empty_page
from tests.bench.report import Measure
from tests.bench.serving import CONNECTIONS, load, server

GTIN = "09521234567806"
PROGRAMME = "bench-scans"
CODES = 1_000_000
PHONES = 5_000
ROUNDS = 3
GOAL = 0.4
BROWSER = (
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\nSec-Fetch-Site: none\r\n"
    "User-Agent: Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
    "Mobile Safari/537.36\r\n"
)
"""What a phone sends, as far as an answer depends on it. An empty page is too small to be compressed."""


def measure(url: str) -> list[Measure]:
    """New items, each scanned once by a new phone; and items that phones come back to. In alternating rounds."""
    return uvloop.run(_measure(url))


async def _measure(url: str) -> list[Measure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        serials = await _prepare(url, home)
        numbers = count()
        known = [next(serials) for _ in range(PHONES)]

        def first() -> bytes:
            return _scan(next(serials), device=None)

        def again() -> bytes:
            number = next(numbers) % PHONES
            return _scan(known[number], device=number)

        expected = b"HTTP/1.1 200"
        async with server(url, home, words=["tests.bench.empty_page"], TALLYSTAR_PROGRAMME=PROGRAMME) as port:
            await load(port, again, expected)
            rounds = [
                [await load(port, request, expected) for request in (_empty, first, again)] for _ in range(ROUNDS)
            ]
    empty, firsts, agains = (sorted(each, key=lambda one: one.rate)[ROUNDS // 2] for each in zip(*rounds, strict=True))
    return [
        Measure(
            name=f"{name}, {CONNECTIONS} connections",
            rate=scans.rate,
            baseline="empty HTML page",
            baseline_rate=empty.rate,
            goal=GOAL,
            notes=scans.notes,
        )
        for name, scans in (("HTML page of a first scan", firsts), ("HTML page of a scan by the same phone", agains))
    ]


def _empty() -> bytes:
    return f"GET {empty_page.PATH} HTTP/1.1\r\nHost: bench\r\n{BROWSER}\r\n".encode()


def _scan(serial: str, *, device: int | None) -> bytes:
    cookie = "" if device is None else f"Cookie: device={device:024d}\r\n"
    return f"GET /01/{GTIN}/21/{serial} HTTP/1.1\r\nHost: bench\r\n{BROWSER}{cookie}\r\n".encode()


async def _prepare(url: str, home: Path) -> Iterator[str]:
    """Codes on sale; answers their serials, as many as a run can use."""
    keys = MasterKeys.load_or_create(home / "keys" / FILE_NAME)
    engine = create_engine(url)
    async with transaction(engine) as connection:
        programme = await create_programme(
            connection, code=PROGRAMME, name="Bench", time_zone="Asia/Shanghai", currency="CNY", locale="zh"
        )
        await save_product(
            connection,
            programme_id=programme.id,
            gtin=GTIN,
            names=LocalText(zh="明前龙井", en="Longjing tea"),
            descriptions=LocalText(zh="清明前手工采摘，干炒收藏于瓷罐。", en="Picked by hand before Qingming."),
            points_on_claim=50,
        )
        minted = await mint_range(
            connection, keys, programme_id=programme.id, gtin=GTIN, count=CODES, print_order="bench", lot="L1"
        )
        await change_range_state(connection, programme_id=programme.id, range_id=minted.id, state="shipped")
    await engine.dispose()
    product = keys.for_product(GTIN, minted.kid)
    return (product.mint(minted.lo + number) for number in range(CODES))
