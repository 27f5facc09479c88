"""A compressed address is answered as the one it stands for, and says which that is (Resolver 1.2, section 2.3)."""

from __future__ import annotations

import pytest

from tests.web.conftest import assert_problem
from tests.web.resolver.conftest import BROWSER, PUBLIC_URL, Shop
from tests.web.resolver.shapes import assert_linkset

BASE_64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def compressed(gtin: str, serial: str, *, form: str = "eh", expires_on: str = "") -> str:
    """An SGTIN+, or with a last day a DSGTIN+ (TDS 2.3, section 14.6.1)."""
    day = f"0100{int(expires_on[:2]):07b}{int(expires_on[2:4]):04b}{int(expires_on[4:]):05b}" if expires_on else ""
    bits = f"{0xFB if expires_on else 0xF7:08b}0011{day}" + "".join(f"{int(digit):04b}" for digit in gtin)
    bits += f"100{len(serial):05b}" + "".join(f"{ord(character):07b}" for character in serial)
    width, alphabet = (4, "0123456789abcdef") if form == "eh" else (6, BASE_64)
    bits += "0" * (-len(bits) % width)
    return f"/{form}" + "".join(alphabet[int(bits[at : at + width], 2)] for at in range(0, len(bits), width))


@pytest.mark.parametrize("form", ["eh", "ex"])
@pytest.mark.parametrize("query", ["", "?foo=bar", "?linkType=gs1:pip", "?linkType=linkset", "?linkType=gs1:menuInfo"])
async def test_it_is_answered_as_the_plain_one(shop: Shop, form: str, query: str) -> None:
    # gs1/GS1DL-resolver-testsuite, compressionChecks: the same status and location, and owl:sameAs besides.
    plain = await shop.ask(shop.at(f"/21/A%2Fb{query}"))
    short = await shop.ask(compressed(shop.gtin, "A/b", form=form) + query)
    assert (short.status_code, short.headers.get("location"), short.content) == (
        plain.status_code,
        plain.headers.get("location"),
        plain.content,
    )
    same = f'<{PUBLIC_URL}{shop.at("/21/A%2Fb")}>; rel="owl:sameAs"'
    assert short.headers["link"] == ", ".join(filter(None, [plain.headers.get("link"), same]))


async def test_what_else_it_says_is_passed_on_as_a_query(shop: Shop) -> None:
    answer = await shop.ask(compressed(shop.gtin, "S1", expires_on="271231") + "?foo=bar")
    assert answer.headers["location"] == f"{PUBLIC_URL}/item/{shop.gtin}/S1?17=271231&foo=bar"
    assert f'<{PUBLIC_URL}{shop.at("/21/S1?17=271231")}>; rel="owl:sameAs"' in answer.headers["link"]


async def test_its_linkset_is_about_the_uncompressed_address(shop: Shop) -> None:
    contexts = assert_linkset((await shop.ask(compressed(shop.gtin, "S1"), accept="application/linkset+json")).json())
    assert contexts[0]["anchor"] == PUBLIC_URL + shop.at("/21/S1")


@pytest.mark.parametrize("serial", ["S1", "A/b"])
async def test_a_browser_gets_the_items_page(shop: Shop, serial: str) -> None:
    answer = await shop.ask(compressed(shop.gtin, serial), accept=BROWSER, accept_language="en")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert 'class="verdict verdict--' in answer.text
    assert serial in answer.text
    assert 'rel="owl:sameAs"' in answer.headers["link"]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_it_may_be_asked_with_other_methods(shop: Shop, method: str) -> None:
    answer = await shop.ask(compressed(shop.gtin, "S1"), method=method)
    assert answer.status_code == (307 if method == "HEAD" else 204)
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/eh30164596", "ends before"),
        ("/eh3500e86f8000a9e000000586", "GID"),
        ("/eh000000000000000000000000", "no header"),
        ("/eh30164596f40c0e5cbe991a830001", "more in it"),
    ],
)
async def test_what_cannot_be_expanded_is_refused_with_the_reason(shop: Shop, path: str, reason: str) -> None:
    problem = assert_problem(await shop.ask(path), 400, "invalid-digital-link", "path")
    assert reason in problem["detail"]


@pytest.mark.parametrize("path", ["/exchange", "/example", "/ARFKk4XB0CDKWcnpq", "/eh", "/ex/01"])
async def test_words_are_pages_that_are_not_there(shop: Shop, path: str) -> None:
    assert_problem(await shop.ask(path), 404, "not-found")


async def test_a_compressed_link_of_nobody_is_not_found(shop: Shop) -> None:
    answer = await shop.ask("/eh30164596f40c0e5cbe991a83")
    assert_problem(answer, 404, "no-such-link", "path")
    assert f'<{PUBLIC_URL}/01/09528765123457/21/123456789123>; rel="owl:sameAs"' in answer.headers["link"]
