from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import zxingcpp
from litestar import Litestar
from PIL import Image, ImageDraw
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import posting
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme, get_channel
from loyalty.members.card_token import read_token
from loyalty.members.consent import consent_history
from loyalty.members.merge import merge
from loyalty.web.security.tables import session_table
from loyalty.web.state import Services
from redemption.catalogue import save_item
from redemption.till import begin, capture
from tests.web.member.conftest import Browser


async def _newest_member(engine: AsyncEngine) -> UUID:
    """Whoever signed in last."""
    async with engine.connect() as connection:
        newest = select(session_table.c.subject_id).order_by(session_table.c.created_at.desc()).limit(1)
        found: UUID = (await connection.execute(newest)).scalar_one()
    return found


@pytest.fixture
async def member_id(browser: Browser, phone_number: str, engine: AsyncEngine) -> UUID:
    """The member who is signed in in `browser`."""
    await browser.join(phone_number, name="Mei")
    return await _newest_member(engine)


@pytest.fixture
def points(brand: Programme, member_id: UUID) -> dict[str, Any]:
    return {"programme_id": brand.id, "member_id": member_id}


async def test_the_card_says_what_can_be_spent_what_waits_what_is_held_and_what_expires(
    browser: Browser, engine: AsyncEngine, points: dict[str, Any]
) -> None:
    now = utc_now()
    async with transaction(engine) as connection:
        await posting.earn(
            connection, amount=1500, key="1", source="order:online/1", expires_at=now + timedelta(days=10), **points
        )
        await posting.earn(
            connection, amount=85, key="2", source="order:online/2", available_at=now + timedelta(days=7), **points
        )
        await posting.hold(
            connection,
            unit="points",
            amount=300,
            hold_id=new_id(),
            expires_at=now + timedelta(minutes=15),
            key="3",
            source="till:store-1",
            **points,
        )

    await browser.get("/me")

    assert "To spend 1,200 On the way They count once the return period is over. 85" in browser.words
    assert "Set aside at a till They come back if the purchase is not finished. 300" in browser.words
    assert re.search(r"Until \d+.\w+.\d{4} 1,200 points", browser.words)
    assert "Still open" not in browser.words


async def test_debt_is_said_in_plain_words(browser: Browser, engine: AsyncEngine, points: dict[str, Any]) -> None:
    async with transaction(engine) as connection:
        await posting.claw_back(connection, unit="points", amount=40, key="1", source="refund:online/C1", **points)

    await browser.get("/me")

    assert "Still open From a refund whose points were spent. The next points settle it. −40" in browser.words
    assert "40 of a return left open" in browser.words


async def test_history_pages_show_every_line_once(
    browser: Browser, engine: AsyncEngine, points: dict[str, Any]
) -> None:
    async with transaction(engine) as connection:
        for number in range(65):
            await posting.earn(
                connection, amount=number + 1, key=str(number), source=f"order:online/A{number:02d}", **points
            )

    seen: list[str] = []
    await browser.get("/me/history")
    while True:
        seen += re.findall(r"No\. (A\d\d)", browser.text)
        older = re.search(r'href="(/me/history\?before=[^"]+)" rel="next"', browser.text)
        if older is None:
            break
        await browser.get(older[1].replace("&amp;", "&"))

    assert seen == [f"A{number:02d}" for number in reversed(range(65))]
    assert "Newest" in browser.words


async def test_history_names_what_was_redeemed_where_and_on_which_receipt(
    browser: Browser, engine: AsyncEngine, brand: Programme, points: dict[str, Any]
) -> None:
    async with transaction(engine) as connection:
        await posting.earn(connection, amount=900, key="1", source="order:online/1", **points)
        await save_item(
            connection,
            programme_id=brand.id,
            code="tin",
            name={"zh": "茶罐", "en": "A porcelain tea tin"},
            points_cost=400,
        )
        channel = await get_channel(connection, brand.id, "online")
        begun = await begin(connection, channel_id=channel.id, catalogue_item="tin", key="2", **points)
        await capture(
            connection,
            programme_id=brand.id,
            redemption_id=begun.id,
            receipt_number="R-0042",
            key="3",
        )

    await browser.get("/me/history")

    assert re.search(r"Redeemed −400 A porcelain tea tin Online shop No\. R-0042 .* Balance 500", browser.words)
    assert browser.text.count("rows__what") == 2


@pytest.mark.parametrize("cursor", ["x", "2026-01-01T00:00:00~1", "2026-01-01T00:00:00+00:00~-1", "~~~"])
@pytest.mark.usefixtures("member_id")
async def test_a_made_up_place_in_the_history_begins_at_the_newest_line(browser: Browser, cursor: str) -> None:
    response = await browser.get(f"/me/history?before={cursor}")

    assert response.status_code == 200


async def test_the_member_code_is_one_that_a_till_reads(browser: Browser, member_id: UUID, pages_app: Litestar) -> None:
    response = await browser.get("/me/qr")

    services: Services = pages_app.state["services"]
    assert response.headers["content-type"].startswith("image/svg+xml")
    assert response.headers["cache-control"] == "no-store"
    assert read_token(services.session_secret, _read_qr(response.text), utc_now()) == member_id


def _read_qr(svg: str) -> str:
    size = int(re.findall(r'viewBox="0 0 (\d+)', svg)[0])
    image = Image.new("L", (size * 8, size * 8), 255)
    draw = ImageDraw.Draw(image)
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1", svg):
        left, top = int(x) * 8, int(y) * 8
        draw.rectangle((left, top, left + int(length) * 8 - 1, top + 7), fill=0)
    return str(zxingcpp.read_barcodes(image)[0].text)


@pytest.mark.parametrize("path", ["/me", "/me/history", "/me/settings"])
async def test_a_card_is_shown_to_its_member_alone_and_never_stored(
    browser: Browser, other_browser: Browser, phone_number: str, path: str
) -> None:
    await browser.join(phone_number)

    assert (await browser.get(path)).headers["cache-control"] == "no-store"
    assert (await other_browser.get(path)).url.path == "/join"
    assert (await other_browser.get("/me/qr")).status_code == 403


@pytest.mark.usefixtures("member_id")
async def test_signing_out_ends_the_session_on_the_server_too(browser: Browser) -> None:
    await browser.get("/me")
    kept = browser.client.cookies["member_session"]

    response = await browser.send("/me/sign-out")
    assert response.url.path == "/"
    assert "Join or sign in" in browser.words
    browser.client.cookies.set("member_session", kept)

    assert (await browser.get("/me")).url.path == "/join"


async def test_consents_are_recorded_only_when_they_change(
    browser: Browser, member_id: UUID, engine: AsyncEngine
) -> None:
    await browser.get("/me/settings")
    for marketing in ("yes", "yes", "", "yes"):
        response = await browser.send("/me/settings", name="Mei Lin", marketing=marketing)
    assert response.url.query == b"saved=1"

    assert "Saved." in browser.words
    assert 'value="Mei Lin"' in browser.text
    async with engine.connect() as connection:
        said = await consent_history(connection, member_id=member_id)
    assert [each.granted for each in said if each.purpose == "marketing_sms"] == [True, False, True, False]


@pytest.mark.usefixtures("member_id")
async def test_a_name_may_be_taken_back_and_one_that_cannot_be_kept_is_refused(browser: Browser) -> None:
    await browser.get("/me/settings")
    response = await browser.send("/me/settings", name="M" * 120, marketing="")
    assert response.status_code == 422
    assert browser.error_at("name").startswith("At most 100 characters")

    await browser.send("/me/settings", name="", marketing="")

    await browser.get("/me")
    assert "Mei" not in browser.words
    assert "199****" in browser.words


async def test_who_was_merged_stays_signed_in_as_the_survivor_with_both_histories(
    browser: Browser,
    other_browser: Browser,
    phone_number: str,
    engine: AsyncEngine,
    brand: Programme,
    pages_app: Litestar,
    points: dict[str, Any],
) -> None:
    await other_browser.join(f"{phone_number[:-5]}8{phone_number[-4:]}")
    survivor_id = await _newest_member(engine)
    services: Services = pages_app.state["services"]
    async with transaction(engine) as connection:
        await posting.earn(connection, amount=10, key="1", source="order:online/A1", **points)
        await posting.earn(
            connection, amount=20, key="1", source="order:online/B1", **(points | {"member_id": survivor_id})
        )
        await merge(
            connection,
            services.keyring,
            programme_id=brand.id,
            survivor_id=survivor_id,
            absorbed_id=points["member_id"],
            reason="one person",
            actor="test",
            key=f"test:{survivor_id}",
        )

    for one in (browser, other_browser):
        await one.get("/me")
        assert '<span class="figure">30</span>' in one.text
        assert {"A1", "B1"} == set(re.findall(r"No\. (\w+)", one.text))
