"""Who is not found, and who may not look."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.members.card_token import issue_token
from loyalty.members.identifiers import channel_identity
from loyalty.members.joining import register
from loyalty.web.security.staff import set_active
from tests.web.house import PASSWORD, House
from tests.web.member.conftest import Browser
from tests.web.pos.test_redeeming import hold, key_of


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("19900009999", "Nobody is known by this."),
        ("", "Scan the member code, or type a phone, card number or e-mail."),
        ("https://example.com/01/06901234567892/21/10Y7DJPF72MHRCYR", "This is the code of an item."),
        ("M" + "0" * 39, "This member code is too old."),
    ],
)
async def test_nobody_is_found_and_the_page_says_what_to_try(clerk: Browser, text: str, said: str) -> None:
    await clerk.get("/till")

    await clerk.send("/till/find", who=text)

    assert clerk.error_at("who").startswith(said)


async def test_a_member_code_of_yesterday_names_nobody(house: House, clerk: Browser) -> None:
    member = await house.member()
    old = issue_token(house.services.session_secret, member.id, utc_now() - timedelta(minutes=3))
    await clerk.get("/till")

    await clerk.send("/till/find", who=old)

    assert clerk.error_at("who").startswith("This member code is too old.")


async def test_two_members_of_one_number_are_told_apart(house: House, clerk: Browser) -> None:
    people = []
    for code in (house.store.code, house.other_store.code):
        async with transaction(house.engine) as connection:
            made = await register(
                connection,
                house.services.keyring,
                programme_id=house.programme.id,
                channel_code=code,
                joined_at=utc_now(),
                identities=[channel_identity("customer", "C-4711", channel_code=code)],
            )
        people.append(made.member)
    await clerk.get("/till")

    await clerk.send("/till/find", who="C-4711")

    assert clerk.heading == "Which of them?"
    assert all(f"/till/members/{person.public_id}" in clerk.text for person in people)


async def test_a_receipt_without_a_redemption_says_so(clerk: Browser) -> None:
    await clerk.get("/till")

    await clerk.send("/till/receipts", receipt="R-none")

    assert clerk.error_at("receipt").startswith("Nothing was redeemed on receipt R-none at this till.")


async def test_todays_redemptions_are_listed_with_their_states(house: House, clerk: Browser) -> None:
    member = await house.member(points=1000, name="Tang Wen")
    address = await hold(clerk, member, points=300)
    await clerk.send(f"{address}/capture", key=key_of(clerk), receipt="R-LIST")

    await clerk.get("/till")

    assert "Tang Wen 300 points for ¥3.00 off R-LIST Taken" in clerk.words


async def test_another_tills_redemption_is_nobodys_business_here(house: House, clerk: Browser) -> None:
    member = await house.member(points=1000)
    address = await hold(clerk, member)
    async with house.at_work("wang.wei") as other:
        await other.get(address)
        assert other.heading == "Next customer"
        await other.send(f"{address}/void", key="till:other")
        assert other.heading == "Next customer"
    await clerk.get(address)
    assert clerk.heading == "Take ¥5.00 off"


async def test_nobody_signed_in_is_led_to_sign_in_and_back(house: House) -> None:
    async with house.at_work(None) as browser:
        answer = await browser.get("/till")
        assert answer.url.path == "/staff/login"

        answer = await browser.send("/staff/login", username="li.na", password=PASSWORD, next="/till")

        assert answer.url.path == "/till"
        assert "Huaihai Road" in browser.words


@pytest.mark.parametrize(("username", "path"), [("li.na", "/till"), ("chen.min", "/console"), ("zhao.lei", "/console")])
async def test_everybody_lands_at_their_work(house: House, username: str, path: str) -> None:
    async with house.at_work(None) as browser:
        await browser.get("/staff/login")
        token = browser.text.partition('name="_csrf_token" value="')[2].partition('"')[0]

        answer = await browser.client.post(
            "/staff/login", data={"_csrf_token": token, "username": username, "password": PASSWORD}
        )

        assert answer.headers["location"] == path


@pytest.mark.parametrize("elsewhere", ["https://example.com", "//example.com", "/tillx", "/till\\..", "/me"])
async def test_a_link_from_elsewhere_leads_nowhere_else(house: House, elsewhere: str) -> None:
    async with house.at_work(None) as browser:
        await browser.get("/staff/login")
        token = browser.text.partition('name="_csrf_token" value="')[2].partition('"')[0]

        answer = await browser.client.post(
            "/staff/login",
            data={"_csrf_token": token, "username": "li.na", "password": PASSWORD, "next": elsewhere},
        )

        assert answer.headers["location"] == "/till"


async def test_a_wrong_password_says_neither_which_is_wrong(house: House) -> None:
    async with house.at_work(None) as browser:
        await browser.get("/staff/login")
        for username in ("li.na", "nobody"):
            answer = await browser.send("/staff/login", username=username, password="not the password")
            assert answer.status_code == 422
            assert "The user name or the password is wrong." in browser.words


async def test_guessing_ends_after_ten_tries(house: House) -> None:
    async with house.at_work(None) as browser:
        await browser.get("/staff/login")
        for _ in range(10):
            await browser.send("/staff/login", username="guessed", password="not the password")
        answer = await browser.send("/staff/login", username="guessed", password="not the password")
    assert answer.status_code == 429
    assert "Too many tries. Wait 15 minutes" in browser.words


async def test_whoever_left_is_out_at_once(house: House) -> None:
    async with house.at_work("wang.wei") as browser:
        await browser.get("/till")
        assert browser.heading == "Next customer"
        async with transaction(house.engine) as connection:
            await set_active(connection, house.people["wang.wei"].id, active=False)
        answer = await browser.get("/till")
        assert answer.url.path == "/staff/login"
        async with transaction(house.engine) as connection:
            await set_active(connection, house.people["wang.wei"].id, active=True)


async def test_signing_out_ends_the_session(clerk: Browser) -> None:
    await clerk.get("/till")
    await clerk.send("/staff/logout")

    answer = await clerk.get("/till")

    assert answer.url.path == "/staff/login"


async def test_a_manager_without_a_store_has_no_till(house: House) -> None:
    async with house.at_work("chen.min") as browser:
        answer = await browser.get("/till")
        assert answer.status_code == 403
        assert "a till needs an account of its store" in browser.words
        assert 'href="/console"' in browser.text
