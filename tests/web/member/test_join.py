from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest
from litestar import Litestar
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.trace.tables import item_join_table
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from loyalty.members.consent import current_consents
from loyalty.members.identifiers import phone_identity
from loyalty.members.joining import Registration, register
from loyalty.web.member.consents import MARKETING_VERSION, TERMS_VERSION, answer_terms
from loyalty.web.state import Services
from tests.web.member.conftest import Browser, Items


async def _register(engine: AsyncEngine, app: Litestar, brand: Programme, phone: str, *, agreed: bool) -> Registration:
    services: Services = app.state["services"]
    async with transaction(engine) as connection:
        return await register(
            connection,
            services.keyring,
            programme_id=brand.id,
            channel_code="online",
            identities=[phone_identity(phone)],
            joined_at=utc_now(),
            consents=[answer_terms(utc_now())] if agreed else [],
        )


async def test_joining_records_what_was_agreed_to_and_returns_to_the_item(
    browser: Browser, items: Items, phone_number: str, engine: AsyncEngine, pages_app: Litestar, brand: Programme
) -> None:
    item = await items.path()
    await browser.get(item)

    response = await browser.join(phone_number, item=item, name="Mei")

    assert response.url.path == item
    assert "Collect 120 points" in browser.words
    found = await _register(engine, pages_app, brand, phone_number, agreed=False)
    assert not found.created
    async with engine.connect() as connection:
        consents = await current_consents(connection, member_id=found.member.id)
        came_from = select(item_join_table.c.gtin).where(item_join_table.c.member_id == found.member.id)
        assert str(await connection.scalar(came_from)) in item
    assert {purpose: (given.granted, given.text_version, given.source) for purpose, given in consents.items()} == {
        "terms": (True, TERMS_VERSION, "member-pages"),
        "marketing_sms": (False, MARKETING_VERSION, "member-pages"),
    }
    await browser.get("/me")
    assert "Mei" in browser.words


@pytest.mark.parametrize("typed", ["", "199", "not a number", "0000", "400-000-0000"])
async def test_a_number_that_cannot_be_one_is_refused_at_its_field_and_kept(browser: Browser, typed: str) -> None:
    await browser.get("/join")

    response = await browser.send("/join", phone=typed, item="")

    assert response.status_code == 422
    assert browser.error_at("phone").startswith("That is not a number")
    assert f'value="{typed}"' in browser.text


async def test_a_wrong_code_says_how_many_tries_are_left_and_the_last_one_ends_it(
    browser: Browser, phone_number: str
) -> None:
    await browser.get("/join")
    await browser.send("/join", phone=phone_number, item="")
    right = browser.shown_code
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"

    for tries_left in (4, 3, 2):
        response = await browser.send("/join/code", code=wrong)
        assert response.status_code == 422
        assert f"{tries_left} more tries" in browser.error_at("code")
    await browser.send("/join/code", code=wrong)
    assert "1 more try" in browser.error_at("code")
    await browser.send("/join/code", code=wrong)
    assert browser.error_at("code") == "This code no longer works. Send another one."
    await browser.send("/join/code", code=right)
    assert browser.error_at("code") == "This code no longer works. Send another one."

    await browser.send("/join/code/again")
    assert "A new code is on its way" in browser.words
    response = await browser.send("/join/code", code=browser.shown_code)
    assert response.url.path == "/join/terms"


async def test_too_many_codes_to_one_phone_are_refused_with_when_to_come_back(
    browser: Browser, phone_number: str
) -> None:
    await browser.get("/join")
    await browser.send("/join", phone=phone_number, item="")
    for _ in range(5):
        response = await browser.send("/join/code/again")

    assert response.status_code == 429
    assert "Try again in 30 minutes" in browser.error_at("code")


async def test_terms_must_be_agreed_to_and_nothing_is_written_before(
    browser: Browser, phone_number: str, engine: AsyncEngine, pages_app: Litestar, brand: Programme
) -> None:
    await browser.get("/join")
    await browser.send("/join", phone=phone_number, item="")
    await browser.send("/join/code", code=browser.shown_code)

    response = await browser.send("/join/terms", name="Mei", marketing="yes")

    assert response.status_code == 422
    assert browser.error_at("terms") == "Membership needs your agreement to its terms."
    assert 'value="Mei"' in browser.text
    assert 'id="marketing" name="marketing" value="yes" checked' in browser.text
    assert (await _register(engine, pages_app, brand, phone_number, agreed=False)).created


async def test_a_name_that_cannot_be_kept_is_refused_at_its_field(browser: Browser, phone_number: str) -> None:
    await browser.get("/join")
    await browser.send("/join", phone=phone_number, item="")
    await browser.send("/join/code", code=browser.shown_code)

    response = await browser.send("/join/terms", terms="yes", name="M" * 150)

    assert response.status_code == 422
    assert browser.error_at("name").startswith("At most 100 characters")


async def test_a_member_who_agreed_signs_in_with_the_code_alone(
    browser: Browser, phone_number: str, engine: AsyncEngine, pages_app: Litestar, brand: Programme
) -> None:
    await _register(engine, pages_app, brand, phone_number, agreed=True)
    await browser.get("/join")
    await browser.send("/join", phone=phone_number, item="")

    response = await browser.send("/join/code", code=f" {browser.shown_code[:3]} {browser.shown_code[3:]} ")

    assert response.url.path == "/me"
    assert (await browser.get("/join")).url.path == "/me"


async def test_a_member_whom_a_shop_brought_along_is_asked_for_the_terms_once(
    browser: Browser, phone_number: str, engine: AsyncEngine, pages_app: Litestar, brand: Programme
) -> None:
    known = await _register(engine, pages_app, brand, phone_number, agreed=False)
    await browser.get("/join")
    await browser.send("/join", phone=phone_number, item="")

    response = await browser.send("/join/code", code=browser.shown_code)
    assert response.url.path == "/join/terms"
    await browser.send("/join/terms", terms="yes")

    assert not (await _register(engine, pages_app, brand, phone_number, agreed=False)).created
    async with engine.connect() as connection:
        assert (await current_consents(connection, member_id=known.member.id))["terms"].granted


@pytest.mark.parametrize(
    "elsewhere", ["https://example.com/", "//example.com/01/1/21/1", "/01/../me", "/01/06901234567113/21/A/../../x"]
)
async def test_nobody_is_sent_anywhere_but_to_an_item(browser: Browser, phone_number: str, elsewhere: str) -> None:
    response = await browser.join(phone_number, item=elsewhere)

    assert str(response.url) == "http://testserver/me"


@pytest.mark.parametrize("step", ["/join/code", "/join/terms"])
async def test_a_step_without_the_one_before_leads_back_to_the_start(browser: Browser, step: str) -> None:
    response = await browser.get(step)

    assert response.url.path == "/join"


async def test_the_terms_cannot_be_reached_with_an_unproven_phone(browser: Browser, phone_number: str) -> None:
    await browser.get("/join")
    await browser.send("/join", phone=phone_number, item="")

    response = await browser.send("/join/terms", terms="yes")

    assert response.url.path == "/join"
    assert (await browser.get("/me")).url.path == "/join"


async def test_the_phone_is_neither_in_an_address_nor_readable_in_a_cookie(browser: Browser, phone_number: str) -> None:
    await browser.get("/join")
    response = await browser.send("/join", phone=phone_number, item="")

    digits = phone_number[-11:]
    assert digits not in str(response.url)
    sealed = urlsafe_b64decode(browser.client.cookies["joining"])
    assert digits.encode() not in sealed
    assert digits not in browser.words

    browser.client.cookies.set("joining", "AAAA" + browser.client.cookies["joining"][4:], path="/join")
    assert (await browser.get("/join/code")).url.path == "/join"


async def test_a_form_without_its_token_is_refused_with_a_page(browser: Browser) -> None:
    response = await browser.send("/join", phone="19900001234", item="")

    assert response.status_code == 403
    assert browser.heading == "This page was open too long"
