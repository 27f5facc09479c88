"""The resolver description document, where the standard wants it (GS1-Conformant Resolver 1.2, section 3)."""

from __future__ import annotations

import pytest

from tests.web.resolver.conftest import PUBLIC_URL, Shop
from tests.web.resolver.shapes import assert_description, assert_linkset

PATH = "/.well-known/gs1resolver"


async def test_the_description_has_gs1s_shape(shop: Shop) -> None:
    answer = await shop.ask(PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    document = assert_description(answer.json())
    assert document["resolverRoot"] == PUBLIC_URL
    assert document["supportedPrimaryKeys"] == ["all"]
    assert document["supportedLinkType"] == [{"namespace": "https://ref.gs1.org/voc/", "prefix": "gs1:"}]
    assert document["linkTypeDefaultCanBeLinkset"] is False
    assert document["name"] == document["contact"]["fn"] == "Shanlan"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_any_page_may_read_it(shop: Shop, method: str) -> None:
    answer = await shop.ask(PATH, method=method, origin="https://anybody.example")
    assert answer.status_code == (204 if method == "OPTIONS" else 200)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert bool(answer.content) == (method == "GET")


async def test_its_root_is_where_links_are_anchored(shop: Shop) -> None:
    root = (await shop.ask(PATH)).json()["resolverRoot"]
    contexts = assert_linkset((await shop.ask(shop.at("?linkType=linkset"))).json())
    assert all(context["anchor"].startswith(f"{root}/01/") for context in contexts)
