from __future__ import annotations

import pytest

from tests.web.member.conftest import Browser


@pytest.mark.parametrize(("language", "heading"), [("en", "There is nothing here"), ("zh", "没有找到这个页面")])
async def test_nothing_there_is_a_page_in_the_readers_language(browser: Browser, language: str, heading: str) -> None:
    response = await browser.get("/nowhere", **{"Accept-Language": language})

    assert response.status_code == 404
    assert browser.heading == heading
    assert 'href="/"' in browser.text


async def test_a_program_gets_problem_details_at_the_same_address(browser: Browser) -> None:
    response = await browser.get("/nowhere", Accept="application/json")

    assert response.headers["content-type"] == "application/problem+json"


async def test_too_large_a_form_is_refused_with_a_page(browser: Browser) -> None:
    await browser.get("/join")

    response = await browser.send("/join", phone="1" * 3_000_000, item="")

    assert response.status_code == 413
    assert browser.heading == "That was more than we read"


async def test_a_device_that_guesses_codes_is_paused_with_a_page(browser: Browser) -> None:
    for _ in range(11):
        response = await browser.get("/01/06901234567113/21/0000000000000000")

    assert response.status_code == 429
    assert browser.heading == "Too many tries"


async def test_the_front_page_invites_and_the_terms_name_their_version(browser: Browser) -> None:
    await browser.get("/")
    assert browser.heading == "With you from the first scan"
    assert "Join or sign in" in browser.words

    await browser.get("/terms")
    assert "Version 2026-11" in browser.words
