"""Who gets the shopper's page at an item's address, and who the resolver: the table of the front door."""

from __future__ import annotations

from typing import Final

import pytest

from tests.web.conftest import assert_problem
from tests.web.resolver.conftest import BROWSER, PUBLIC_URL, SERIAL, Shop

CHROME: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
SAFARI: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
LINKSET: Final = "application/linkset+json"

VERDICT: Final = 'class="verdict verdict--'
"""What only the shopper's page has: the scan's verdict."""

PAGE, REDIRECT, LIST, REFUSAL = "page", 307, 200, 400
ITEM: Final = [
    # method, Accept, query, answer
    ("GET", CHROME, "", PAGE),
    ("GET", SAFARI, "", PAGE),
    ("GET", CHROME, "?utm_source=box", PAGE),
    ("GET", CHROME, "?17=271231", PAGE),
    ("GET", f"{LINKSET};q=0.1,text/html", "", PAGE),
    ("GET", CHROME, "?linkType=", PAGE),
    ("GET", "*/*", "", REDIRECT),
    ("GET", "application/json", "", REDIRECT),
    ("GET", "image/*", "", REDIRECT),
    ("GET", "text/html;q=0,*/*", "", REDIRECT),
    ("HEAD", CHROME, "", REDIRECT),
    ("GET", CHROME, "?linkType=gs1:pip", REDIRECT),
    ("GET", CHROME, "?linktype=gs1:verificationService", REDIRECT),
    ("GET", CHROME, "?linkType=linkset", LIST),
    ("GET", CHROME, "?linkType=all", LIST),
    ("GET", LINKSET, "", LIST),
    ("GET", f"{LINKSET},text/html;q=0.5", "", LIST),
    ("GET", f"text/html,{LINKSET}", "", LIST),
    ("GET", CHROME, "?17=279931", REFUSAL),
    ("GET", CHROME, "?10=L1", REFUSAL),
]


@pytest.mark.parametrize(("method", "accept", "query", "expected"), ITEM)
@pytest.mark.parametrize("qualifiers", ["", "/10/L1", "/22/V", "/22/V/10/L1"])
async def test_an_items_address_has_two_answers(
    shop: Shop, method: str, accept: str, query: str, expected: str | int, qualifiers: str
) -> None:
    address = shop.at(f"{qualifiers}/21/{SERIAL}{query}")
    answer = await shop.ask(address, method=method, accept=accept)
    if expected == PAGE:
        # The serial is none of ours: the shopper's page says so with 404, and in words.
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert VERDICT in answer.text
    else:
        assert answer.status_code == expected
        assert VERDICT not in answer.text


@pytest.mark.parametrize("accept", [CHROME, "*/*"])
@pytest.mark.parametrize("path", ["", "/10/L1", "/22/V", "/22/V/10/L1"])
async def test_a_product_or_a_lot_redirects_browsers_as_well(shop: Shop, path: str, accept: str) -> None:
    answer = await shop.ask(shop.at(path), accept=accept)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{PUBLIC_URL}/product/{shop.gtin}")


async def test_the_shoppers_page_names_its_linkset_too(shop: Shop) -> None:
    address = shop.at(f"/21/{SERIAL}")
    answer = await shop.ask(address, accept=BROWSER)
    expected = f'<{PUBLIC_URL}{address}?linkType=linkset>; rel="linkset"; type="application/linkset+json"'
    assert answer.headers["link"] == expected
    assert {"Accept", "Accept-Language"} <= set(answer.headers["vary"].split(", "))
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/item/{gtin}/{serial}", "/01/{gtin}/21/{serial}"])
async def test_an_items_two_addresses_show_the_same_page(shop: Shop, path: str) -> None:
    address = path.format(gtin=shop.gtin, serial="AB%2FC-1")
    answer = await shop.ask(address, accept=BROWSER, accept_language="en")
    assert answer.status_code == 404
    assert VERDICT in answer.text
    assert "AB/C-1" in answer.text


async def test_whoever_follows_the_redirect_of_an_item_comes_to_its_page(shop: Shop) -> None:
    led = await shop.target(shop.at("/21/AB%2FC-1"))
    assert led == f"{PUBLIC_URL}/item/{shop.gtin}/AB%2FC-1"
    page = await shop.ask(led, accept=BROWSER)
    assert (page.status_code, "AB/C-1" in page.text) == (404, True)
    assert (await shop.ask(led, method="HEAD")).status_code == 200


async def test_forms_and_the_pages_after_them_are_the_shoppers(shop: Shop) -> None:
    address = shop.at(f"/21/{SERIAL}")
    posted = await shop.ask(f"{address}/claim", method="POST", accept=BROWSER)
    assert posted.status_code not in {307, 405}
    assert (await shop.ask(f"{address}/claimed", accept=BROWSER)).status_code != 400
    assert_problem(await shop.ask(f"{address}/other"), 400, "invalid-digital-link")


@pytest.mark.parametrize("address", ["/", "/join", "/v1/openapi.json", "/0", "/011/1", "/010/x", "/item", "/static/x"])
async def test_other_addresses_are_none_of_the_resolvers(shop: Shop, address: str) -> None:
    answer = await shop.ask(address)
    assert "access-control-allow-origin" not in answer.headers
    assert 'rel="linkset"' not in answer.headers.get("link", "")
