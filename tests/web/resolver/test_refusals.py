"""What is no GS1 Digital Link is answered 400, naming the place and the reason; never 200, never a redirect."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest

from loyalty.items.application_identifiers import PRIMARY_KEYS
from tests.unit.items.digital_link_forms import (
    BARCODE_PARSER_INVALID,
    BIIP_INVALID,
    ENGINE_INVALID,
    GLYPH_INVALID,
    RESOLVER_SUITE_INVALID,
    STANDARD_VALID,
)
from tests.web.conftest import assert_problem
from tests.web.resolver.conftest import BROWSER, SERIAL, Shop

REFUSED: Final = [
    # behind the product's GTIN, the place, words of the reason
    ("/10/", "10", "no value"),
    ("/10/ABCDEFGHIJKLMNOPQRSTU", "10", "not a value"),
    ("/10/L1/22/V", "path[4]", "out of order"),
    ("/21/S/10/L1", "path[4]", "out of order"),
    ("/10/L1/10/L1", "path[4]", "twice"),
    ("/10/L1/foo", "path[4]", "not a qualifier"),
    ("/254/X", "path[2]", "not a qualifier"),
    ("/10/A%", "10", "percent sign without"),
    ("/10/A%4", "10", "percent sign without"),
    ("/10/%E8%8C%B6", "10", "outside GS1's sets"),
    ("/10/A%20B", "10", "not a value"),
    ("?21=S1", "query[21]", "belongs in the path"),
    ("?17=", "query[17]", "no value"),
    ("?8200=https://b.example", "query[8200]", "not an identifier that a query can have"),
    ("?3103=00018", "query[3103]", "not a value"),
    ("?17=271231&17=281231", "query[17]", "twice"),
]
"""The syntax of GS1 Digital Link: URI Syntax 1.6, sections 4.3 to 4.11, said of a product that exists."""


def _paths(forms: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Those of the forms whose path begins with a key: their path and query, and the place at fault.

    Not those with a slash at the end: the syntax refuses it, a resolver should bear with it.
    """
    parts = [(urlsplit(address), place) for address, place, _ in forms if place not in ("uri", "scheme", "host")]
    return [
        (urlunsplit(("", "", *each[2:])), place)
        for each, place in parts
        if each.path[1:].partition("/")[0] in PRIMARY_KEYS and not each.path.endswith("/")
    ]


@pytest.mark.parametrize(("path", "place", "reason"), REFUSED)
async def test_what_is_wrong_is_refused_by_its_place_and_reason(shop: Shop, path: str, place: str, reason: str) -> None:
    await shop.link("https://a.example/tea", is_default=True)
    problem = assert_problem(await shop.ask(shop.at(path)), 400, "invalid-digital-link", place)
    assert reason in problem["errors"][0]["reason"]


@pytest.mark.parametrize(
    ("address", "place"),
    _paths(RESOLVER_SUITE_INVALID + ENGINE_INVALID + BIIP_INVALID + BARCODE_PARSER_INVALID + GLYPH_INVALID),
)
async def test_what_others_call_invalid_is_refused_by_its_place(shop: Shop, address: str, place: str) -> None:
    assert_problem(await shop.ask(address), 400, "invalid-digital-link", place)


@pytest.mark.parametrize("path", ["", f"/21/{SERIAL}", "/10/L1"])
async def test_a_wrong_check_digit_is_refused_with_the_right_one(shop: Shop, path: str) -> None:
    right = int(shop.gtin[-1])
    address = f"/01/{shop.gtin[:-1]}{(right + 1) % 10}{path}"
    problem = assert_problem(await shop.ask(address), 400, "invalid-digital-link", "01")
    assert f"should be {right}" in problem["detail"]


@pytest.mark.parametrize("gtin", ["4006381333931", "040063813339310", "0400638133393A", "", "04006381333931."])
async def test_a_gtin_has_fourteen_digits_here(shop: Shop, gtin: str) -> None:
    assert (await shop.ask(f"/01/{gtin}")).status_code == 400


@pytest.mark.parametrize("path", ["?foo=bar", "?gtin=04006381333931", "?utm_source=box&x=1", "?=1", "?foo", "?#"])
async def test_keys_that_are_not_gs1s_are_ignored(shop: Shop, path: str) -> None:
    assert (await shop.ask(shop.at(path))).status_code == 307


@pytest.mark.parametrize("path", ["/10/A+B", "/10/A%2BB"])
async def test_a_plus_in_a_path_is_a_plus(shop: Shop, path: str) -> None:
    await shop.link("https://a.example/{lot}", qualifiers={"10": None}, link_type="pip")
    assert await shop.target(f"{shop.at(path)}?linkType=gs1:pip") == "https://a.example/A%2BB?linkType=gs1:pip"


@pytest.mark.parametrize(
    "address", [address for address, _ in STANDARD_VALID if address.startswith("https://id.gs1.org/")]
)
async def test_what_the_standard_shows_is_understood_and_only_not_ours(shop: Shop, address: str) -> None:
    assert_problem(await shop.ask(address.removeprefix("https://id.gs1.org")), 404, "no-such-link", "path")


async def test_a_person_is_told_in_words_of_the_brand(shop: Shop) -> None:
    for path, status, title in (("/10/", 400, "cannot be read"), ("?linkType=gs1:leaveReview", 404, "leads nowhere")):
        answer = await shop.ask(shop.at(path), accept=BROWSER, accept_language="en")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert title in answer.text
        other_language = f'href="{shop.at(path)}{"&amp;" if "?" in path else "?"}lang=zh"'
        assert other_language.replace("gs1:", "gs1%3A") in answer.text


async def test_the_linkset_of_a_wrong_address_is_refused_too(shop: Shop) -> None:
    answer = await shop.ask(shop.at("/10/?linkType=linkset"), accept="application/linkset+json")
    assert_problem(answer, 400, "invalid-digital-link", "10")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_link_is_read_and_nothing_else(shop: Shop, method: str) -> None:
    for path in ("", "/10/L1", f"/21/{SERIAL}"):
        answer = await shop.ask(shop.at(path), method=method)
        assert_problem(answer, 405, "method-not-allowed")
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


async def test_the_resolvers_inner_address_is_nobodys(shop: Shop) -> None:
    assert (await shop.ask("/resolver")).status_code == 404
