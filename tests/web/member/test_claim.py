from __future__ import annotations

import pytest

from tests.web.member.conftest import Browser, Items


async def test_collecting_brings_the_points_once_however_often_it_is_sent(
    browser: Browser, items: Items, phone_number: str
) -> None:
    item = await items.path()
    await browser.join(phone_number, item=item)

    response = await browser.send(f"{item}/claim")
    assert response.url.path == f"{item}/claimed"
    assert browser.heading == "120 points collected"
    await browser.get(item)
    assert "You collected this item on" in browser.words
    await browser.get("/me/settings")
    response = await browser.send(f"{item}/claim")

    assert response.url.path == f"{item}/claimed"
    assert "120 points" in browser.words
    await browser.get("/me/history")
    assert browser.text.count("rows__what") == 1
    assert "Item collected +120 Longjing tea" in browser.words


async def test_a_second_member_is_refused_kindly_and_loses_nothing(
    browser: Browser, other_browser: Browser, items: Items, phone_number: str
) -> None:
    item = await items.path()
    await browser.join(phone_number, item=item)
    await other_browser.join(f"{phone_number[:-5]}9{phone_number[-4:]}", item=item)
    await browser.send(f"{item}/claim")

    response = await other_browser.send(f"{item}/claim")

    assert response.status_code == 409
    assert other_browser.heading == "Somebody collected this first"
    await other_browser.get(item)
    assert "were collected by another member" in other_browser.words
    assert "Collect 120 points" not in other_browser.words
    assert (await other_browser.get(f"{item}/claimed")).url.path == item
    await other_browser.get("/me/history")
    assert "Nothing yet" in other_browser.words


async def test_whoever_is_not_signed_in_is_asked_to_join_and_brought_back(browser: Browser, items: Items) -> None:
    item = await items.path()
    await browser.get("/join")

    response = await browser.send(f"{item}/claim")

    assert response.url.path == "/join"
    assert f'name="item" value="{item}"' in browser.text


@pytest.mark.parametrize("state", [None, "recalled", "retired"])
async def test_what_cannot_be_claimed_leads_to_the_page_that_says_why(
    browser: Browser, items: Items, phone_number: str, state: object
) -> None:
    await browser.join(phone_number)
    await browser.get("/me/settings")
    item = await items.path(state=state)  # type: ignore[arg-type]

    response = await browser.send(f"{item}/claim")

    assert response.url.path == item
    assert "points" in browser.words
    await browser.get("/me/history")
    assert "Nothing yet" in browser.words


async def test_a_scratch_off_code_is_asked_for_and_a_wrong_one_counted(
    browser: Browser, items: Items, phone_number: str
) -> None:
    minted = await items.mint(pin_required=True)
    item = f"/01/06901234567113/21/{items.serial(minted)}"
    await browser.join(phone_number, item=item)

    await browser.send(f"{item}/claim", pin="")
    assert browser.error_at("pin") == "Type the code under the scratch-off strip."
    await browser.send(f"{item}/claim", pin="000000")
    assert "You have 4 more tries" in browser.error_at("pin")
    await browser.send(f"{item}/claim", pin=items.pin(minted).lower())
    assert browser.heading == "120 points collected"


async def test_a_code_that_is_not_ours_cannot_be_claimed(browser: Browser, phone_number: str) -> None:
    await browser.join(phone_number)
    await browser.get("/me/settings")

    response = await browser.send("/01/06901234567113/21/0000000000000000/claim")

    assert response.status_code == 404
    assert browser.heading == "Not a code of ours"


async def test_claiming_without_the_pages_token_is_refused(browser: Browser, items: Items, phone_number: str) -> None:
    item = await items.path()
    await browser.join(phone_number)

    response = await browser.client.post(f"{item}/claim", data={"_csrf_token": "made up"})

    assert response.status_code == 403
