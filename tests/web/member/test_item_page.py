from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.lookup import load_item
from loyalty.items.tables import item_scan_table
from loyalty.items.verdicts import ClaimBlocker, Item, Verdict, VerdictKind
from loyalty.kit.programme import Programme
from loyalty.web.i18n import LANGUAGES, Formats, Language, Translator, catalogue
from loyalty.web.member.item_view import fill_item
from loyalty.web.member.verdict_view import VerdictView, view_verdict
from loyalty.web.shapes import Shape
from tests.web.member.conftest import GTIN, Browser, Items


async def _scans(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(item_scan_table)) or 0


async def test_the_first_scan_is_genuine_and_a_reload_is_known_to_you(browser: Browser, items: Items) -> None:
    path = await items.path()

    await browser.get(path)
    assert browser.heading == "Genuine"
    assert "Longjing tea" in browser.words
    assert "120 points come with this item" in browser.words

    await browser.get(path)
    assert browser.heading == "Genuine, and known to you"


async def test_somebody_elses_item_says_how_often_and_since_when(
    browser: Browser, other_browser: Browser, items: Items
) -> None:
    path = await items.path()
    await browser.get(path)

    await other_browser.get(path)

    assert other_browser.heading == "A code of ours, scanned before"
    assert re.search(r"scanned once before, on \d+.\w+.\d{4}, \d\d:\d\d", other_browser.words)


async def test_scanning_twice_does_not_make_somebody_elses_item_genuine(
    browser: Browser, other_browser: Browser, items: Items
) -> None:
    path = await items.path()
    await browser.get(path)
    await other_browser.get(path)

    await other_browser.get(path)

    assert other_browser.heading == "You have scanned this before"
    assert "the first scan of all was on" in other_browser.words
    assert "verdict--info" in other_browser.text


async def test_whoever_claimed_an_item_is_told_it_is_genuine_though_others_scanned_it_first(
    browser: Browser, other_browser: Browser, items: Items, phone_number: str
) -> None:
    path = await items.path()
    await other_browser.get(path)
    await browser.join(phone_number, item=path)
    await browser.send(f"{path}/claim")

    await browser.get(path)

    assert browser.heading == "Genuine, and known to you"


@pytest.mark.parametrize("spell", [str.lower, lambda serial: serial.replace("0", "o").replace("1", "l")])
async def test_a_serial_is_read_in_any_spelling(browser: Browser, items: Items, spell: object) -> None:
    serial = items.serial(await items.mint())

    await browser.get(f"/01/{GTIN}/21/{spell(serial)}")  # type: ignore[operator]

    assert browser.heading == "Genuine"
    assert serial in browser.words


@pytest.mark.parametrize("qualifiers", ["/10/L1", "/22/2A", "/22/2A/10/L%20-1"])
async def test_lot_and_variant_in_the_address_are_no_hindrance(browser: Browser, items: Items, qualifiers: str) -> None:
    serial = items.serial(await items.mint())

    await browser.get(f"/01/{GTIN}{qualifiers}/21/{serial}")

    assert browser.heading == "Genuine"


@pytest.mark.parametrize(
    ("gtin", "serial", "status"),
    [(GTIN, "0000000000000000", 404), (GTIN, "%3F%26<b>", 404), ("06901234567890", "A", 400)],
)
async def test_a_code_that_is_not_ours_is_said_kindly_and_never_with_200(
    browser: Browser, gtin: str, serial: str, status: int
) -> None:
    response = await browser.get(f"/01/{gtin}/21/{serial}")

    assert response.status_code == status
    assert browser.heading == "Not a code of ours"
    assert "<b>" not in browser.text
    assert "Join and collect" not in browser.words


@pytest.mark.parametrize(
    ("state", "heading", "no_points"),
    [
        (None, "Not released for sale yet", "once it is on sale"),
        ("recalled", "Recalled: please do not use it", "A recalled item brings no points"),
        ("retired", "Out of use", "taken out of use"),
    ],
)
async def test_what_cannot_be_claimed_says_why(
    browser: Browser, items: Items, state: object, heading: str, no_points: str
) -> None:
    await browser.get(await items.path(state=state))  # type: ignore[arg-type]

    assert browser.heading == heading
    assert no_points in browser.words


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Purpose": "prefetch;prerender"}])
async def test_moving_within_our_pages_and_fetching_ahead_are_no_scans(
    browser: Browser, items: Items, engine: AsyncEngine, headers: dict[str, str]
) -> None:
    path = await items.path()
    await browser.get(path, **{"Sec-Fetch-Site": "none"})
    counted = await _scans(engine)

    await browser.get(path, **headers)

    assert browser.heading == "Genuine, and known to you"
    assert await _scans(engine) == counted


async def test_a_device_gets_a_lasting_name_that_scripts_and_other_sites_cannot_read(
    browser: Browser, items: Items
) -> None:
    response = await browser.get(await items.path())
    again = await browser.get(await items.path())

    cookie = next(each for each in response.headers.get_list("set-cookie") if each.startswith("device="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=34560000" in cookie
    assert not any(each.startswith("device=") for each in again.headers.get_list("set-cookie"))


async def test_an_unchanged_page_costs_a_304(browser: Browser, items: Items) -> None:
    path = await items.path()
    await browser.get(path)
    tag = (await browser.get(path)).headers["etag"]

    unchanged = await browser.get(path, **{"If-None-Match": tag})

    assert unchanged.status_code == 304
    assert unchanged.content == b""


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_address_chooses_the_language_and_a_cookie_remembers_it(
    browser: Browser, items: Items, language: str
) -> None:
    path = await items.path()
    genuine = {"zh": "正品", "en": "Genuine"}[language]

    await browser.get(f"{path}?lang={language}")
    assert browser.heading.startswith(genuine)

    await browser.get(path)
    assert browser.heading.startswith(genuine)
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in browser.text


async def test_a_page_has_nothing_inline_and_travels_compressed(browser: Browser, items: Items) -> None:
    response = await browser.get(await items.path())

    assert response.headers["content-encoding"] == "gzip"
    assert "script-src 'self'" in response.headers["content-security-policy"]
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*src=)", browser.text)


async def test_the_style_sheet_is_kept_for_a_year_under_the_address_of_its_content(browser: Browser) -> None:
    await browser.get("/join")
    address = re.search(r'rel="stylesheet" href="([^"]+)"', browser.text)
    assert address is not None

    current = await browser.get(address[1])
    outdated = await browser.get(re.sub("/static/[^/]+/", "/static/000000000000/", address[1]))

    assert current.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert outdated.headers["cache-control"] == "public, no-cache"
    assert outdated.content == current.content
    assert (await browser.get("/static/0/../assets.py")).status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_verdict_and_every_blocker_has_its_words(language: Language) -> None:
    texts = catalogue(language)

    for kind in get_args(VerdictKind):
        assert {f"item.verdict.{kind}.{part}" for part in ("title", "say", "advice")} <= texts.keys()
    for blocker in get_args(ClaimBlocker):
        assert blocker == "unknown" or {f"item.blocker.{blocker}", f"item.blocker_register.{blocker}"} <= texts.keys()


async def test_every_verdict_fills_in_its_sentence(items: Items, brand: Programme) -> None:
    minted = await items.mint()
    code = items.keys.verify(GTIN, items.serial(minted))
    assert code is not None
    async with items.engine.connect() as connection:
        item = await load_item(connection, programme_id=brand.id, code=code)
    assert isinstance(item, Item)
    moment = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)
    for kind in get_args(VerdictKind):
        verdict = Verdict(
            kind=kind,
            gtin=GTIN,
            serial="X",
            at=moment,
            item=item,
            scan_count=3,
            recent_devices=4,
            first_scanned_at=moment,
            yours_since=moment,
        )
        view = view_verdict(verdict, Formats("en", brand.zone))
        format_ = Formats("en", brand.zone)
        said = Translator("en")(f"item.verdict.{view.words}.say", **view.values)
        shape = Shape(said)
        said = shape.fill(fill_item(shape, verdict, format_)).body.decode()
        assert "{" not in said
        if kind == "seen_before":
            day = "1\N{NO-BREAK SPACE}May\N{NO-BREAK SPACE}2026"
            assert said == f'It was scanned 2 times before, first on <span class="nowrap">{day}, 12:00</span>.'
        if kind == "amber":
            assert said.startswith("4 phones scanned it within a day")


@pytest.mark.parametrize("kind", get_args(VerdictKind))
def test_how_often_an_item_was_scanned_makes_no_page_of_its_own(kind: VerdictKind) -> None:
    """Else a code that is all over the internet would have a page drawn anew for each of its scans."""
    moment, formats = datetime(2026, 5, 1, 4, 0, tzinfo=UTC), Formats("en", ZoneInfo("Asia/Shanghai"))

    def view(count: int) -> VerdictView:
        asked = Verdict(kind=kind, gtin=GTIN, serial="X", at=moment, scan_count=count + 1, recent_devices=count)
        return view_verdict(asked, formats)

    assert view(2) == view(2_000_000) != view(1)


async def test_the_first_view_of_an_item_is_under_fifty_kilobytes(browser: Browser, items: Items) -> None:
    page = await browser.get(await items.path())
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js|svg)[^"]*)"', page.text))
    assert any(".css" in file for file in files)
    sizes = {"page": len(page.content)} | {file: len((await browser.client.get(file)).content) for file in files}
    assert sum(sizes.values()) < 50_000, sizes


async def test_a_preview_tells_of_the_product_and_is_no_scan(
    browser: Browser, items: Items, engine: AsyncEngine
) -> None:
    path = await items.path()
    before = await _scans(engine)

    page = await browser.get(path, **{"User-Agent": "WhatsApp/2.24.1 A"})

    assert await _scans(engine) == before
    told = dict(re.findall(r'<meta property="(og:[a-z:]+)" content="([^"]*)"', page.text))
    assert "Longjing tea" in told["og:title"]
    assert path.rpartition("/")[2] not in " ".join(told.values()), "a preview says nothing of one item"
    picture = await browser.client.get(told["og:image"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")


@pytest.mark.parametrize(
    ("headers", "region", "city", "source"),
    [
        ({"CF-IPCountry": "cn-sc", "X-City": "成都"}, "CN-SC", "成都", "network"),
        ({"CF-IPCountry": "CN", "X-City": "Chengdu%20Shi"}, "CN", "Chengdu Shi", "network"),
        ({"CF-IPCountry": "XX"}, None, None, None),
        ({"CF-IPCountry": "T1"}, None, None, None),
        ({"CF-IPCountry": "<script>", "X-City": "a\x00b"}, None, None, None),
        ({"X-Region": "CN-SC"}, None, None, None),
    ],
)
async def test_a_scan_is_where_the_proxy_says(
    browser: Browser,
    items: Items,
    engine: AsyncEngine,
    headers: dict[str, str],
    region: str | None,
    city: str | None,
    source: str | None,
) -> None:
    minted = await items.mint()
    sent = [(name.encode(), text.encode()) for name, text in headers.items()]
    await browser.client.get(f"/01/{GTIN}/21/{items.serial(minted)}", headers=sent)
    scan = item_scan_table.c
    query = select(scan.region, scan.city, scan.place_source).where(
        scan.gtin == GTIN, scan.kid == minted.kid, scan.index == minted.lo
    )
    async with engine.connect() as connection:
        assert (await connection.execute(query)).one() == (region, city, source)
