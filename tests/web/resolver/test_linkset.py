"""The linkset: everything a code leads to, as RFC 9264 and GS1's profile of it have it, for programs and for people."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from loyalty.kit.clock import utc_now
from tests.web.resolver.conftest import BROWSER, PUBLIC_URL, SERIAL, Shop
from tests.web.resolver.shapes import DEFAULT, VOCABULARY, assert_linkset

LINKSET = "application/linkset+json"
ALL = "?linkType=linkset"


async def read(shop: Shop, path: str = "", *, accept: str = "*/*", **headers: str) -> list[dict[str, Any]]:
    answer = await shop.ask(shop.at(path + ALL), accept=accept, **headers)
    assert answer.status_code == 200
    return assert_linkset(answer.json())


@pytest.mark.parametrize("path", ["", "/10/L1", "/22/V/10/L1", f"/21/{SERIAL}", f"/22/V/10/L1/21/{SERIAL}", "/235/TPX"])
async def test_a_linkset_has_gs1s_shape_with_or_without_links_of_the_brand(shop: Shop, path: str) -> None:
    await read(shop, path)
    await shop.link("https://a.example/tea", is_default=True, languages=["zh", "en-GB"], contexts=["CN"])
    await shop.link("https://a.example/{lot}.pdf", qualifiers={"10": None}, link_type="certificationInfo")
    await shop.link("https://a.example/v", qualifiers={"22": "V"}, link_type="pip", is_default=True)
    contexts = await read(shop, path)
    assert contexts[-1]["anchor"] == PUBLIC_URL + shop.at()


@pytest.mark.parametrize(
    ("accept", "query", "media_type"),
    [
        (LINKSET, "", LINKSET),
        ("*/*", ALL, LINKSET),
        ("*/*", "?linkType=all", LINKSET),
        ("*/*", "?linktype=linkset", LINKSET),
        ("application/json", ALL, "application/json"),
        ("application/json", "?linkType=all", "application/json"),
        ("application/ld+json", ALL, "application/ld+json"),
        ("image/png", ALL, LINKSET),
        (BROWSER, ALL, "text/html; charset=utf-8"),
        (f"{BROWSER},{LINKSET}", "", LINKSET),
    ],
)
async def test_a_linkset_comes_in_the_form_that_is_wished_for(
    shop: Shop, accept: str, query: str, media_type: str
) -> None:
    # gs1/GS1DL-resolver-testsuite: jsonTests and jsonLdTests ask so, and want Vary to name Accept.
    answer = await shop.ask(shop.at(query), accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert "Accept" in answer.headers["vary"].split(", ")


async def test_linked_data_is_the_same_linkset_with_its_context(shop: Shop) -> None:
    plain = (await shop.ask(shop.at(ALL))).json()
    linked = (await shop.ask(shop.at(ALL), accept="application/ld+json")).json()
    assert linked == {"@context": "https://ref.gs1.org/standards/resolver/linkset-context", **plain}


async def test_a_linkset_names_the_context_that_makes_linked_data_of_it(shop: Shop) -> None:
    # RFC 9264, section 4.2.4.
    link = (await shop.ask(shop.at(ALL))).headers["link"]
    assert (
        '<https://ref.gs1.org/standards/resolver/linkset-context>; rel="http://www.w3.org/ns/json-ld#context"; '
        'type="application/ld+json"'
    ) in link
    assert f'<{PUBLIC_URL}{shop.at()}{ALL}>; rel="linkset"' in link


async def test_a_link_is_told_whole(shop: Shop) -> None:
    await shop.link(
        "https://a.example/{gtin}",
        link_type="certificationInfo",
        title="有机认证",
        languages=["zh", "en"],
        media_type="application/pdf",
        contexts=["CN-31"],
    )
    (context,) = await read(shop)
    assert context[f"{VOCABULARY}certificationInfo"] == [
        {
            "href": f"https://a.example/{shop.gtin}",
            "title": "有机认证",
            "type": "application/pdf",
            "hreflang": ["zh", "en"],
            "context": ["CN-31"],
        }
    ]


async def test_every_level_has_an_anchor_of_its_own_without_escapes_undone(shop: Shop) -> None:
    # Standard, section 2.9: links of each level up to the primary key, the subject the level's own uncompressed URI.
    for qualifiers in ({"21": "A/B"}, {"22": "V", "10": "L%"}, {"10": "L%"}, {"22": "V"}, {}):
        await shop.link("https://a.example/x", qualifiers=qualifiers, link_type="pip")
    contexts = await read(shop, "/22/V/10/L%25/21/A%2FB")
    assert [context["anchor"].removeprefix(PUBLIC_URL + shop.at()) for context in contexts] == [
        "/21/A%2FB",
        "/22/V/10/L%25",
        "/10/L%25",
        "/22/V",
        "",
    ]


async def test_one_link_is_the_default_and_others_are_told_beside_it(shop: Shop) -> None:
    # Standard, section 2.5.8: one gs1:defaultLink; those that a request chooses from are gs1:defaultLinkMulti.
    await shop.link("https://a.example/zh", is_default=True, languages=["zh"], title="茶")
    await shop.link("https://a.example/en", is_default=True, languages=["en"], title="Tea")
    (context,) = await read(shop)
    assert context[DEFAULT] == [{"href": "https://a.example/zh", "title": "茶"}]
    assert [each["href"] for each in context[f"{VOCABULARY}defaultLinkMulti"]] == [
        "https://a.example/zh",
        "https://a.example/en",
    ]
    assert await shop.target(shop.at()) == "https://a.example/zh"
    assert await shop.target(shop.at(), accept_language="en-US,en;q=0.9") == "https://a.example/en"


async def test_the_default_of_a_linkset_is_where_a_plain_request_goes(shop: Shop) -> None:
    await shop.link("https://a.example/tea", is_default=True, link_type="homepage")
    await shop.link("https://a.example/lot/{lot}", qualifiers={"10": "L7"}, is_default=True)
    for path in ("", "/10/L1", "/10/L7", "/22/V/10/L7", f"/10/L7/21/{SERIAL}"):
        (default,) = [each for context in await read(shop, path) for each in context.get(DEFAULT, [])]
        assert default["href"] == await shop.target(shop.at(path))


async def test_every_link_of_a_linkset_can_be_asked_for_by_its_type(shop: Shop) -> None:
    # gs1/GS1DL-resolver-testsuite, headerBasedChecks: SHALL redirect to the requested linkType if available.
    await shop.link("https://a.example/faqs", link_type="faqs")
    nearest: dict[str, list[dict[str, Any]]] = {}
    for context in await read(shop, f"/10/L1/21/{SERIAL}"):
        nearest = {name: targets for name, targets in context.items() if name.startswith(VOCABULARY)} | nearest
    for relation, targets in nearest.items():
        led = await shop.target(shop.at(f"/10/L1/21/{SERIAL}?linkType={relation}"))
        assert led.split("#")[0].split("?")[0] in [each["href"].split("#")[0] for each in targets]


async def test_our_own_pages_are_offered_where_they_exist(shop: Shop) -> None:
    product, item = f"{PUBLIC_URL}/product/{shop.gtin}", f"{PUBLIC_URL}/item/{shop.gtin}/{SERIAL}"
    await shop.product(points=50)
    product, item = (each.replace(each.split("/")[4], shop.gtin) for each in (product, item))
    of_item, of_lot, of_product = await read(shop, f"/10/L1/21/{SERIAL}", accept_language="en")

    def told(context: dict[str, Any]) -> dict[str, str]:
        return {
            relation.removeprefix(VOCABULARY): targets[0]["href"]
            for relation, targets in context.items()
            if relation.startswith(VOCABULARY)
        }

    assert told(of_item) == {
        "verificationService": item,
        "pip": f"{item}#product",
        "traceability": f"{item}#journey",
        "recallStatus": item,
        "registerProduct": f"{item}#claim",
        "promotion": f"{item}#claim",
        "epcis": f"{PUBLIC_URL}/epcis/epcs/https%3A%2F%2Fid.example.com%2F01%2F{shop.gtin}%2F21%2F{SERIAL}/events",
        "defaultLink": item,
    }
    assert told(of_lot) == {"recallStatus": f"{product}?lot=L1#recall"}
    assert told(of_product) == {
        "pip": product,
        "recallStatus": f"{product}#recall",
        "loyaltyProgram": f"{PUBLIC_URL}/join",
        "promotion": f"{product}#points",
    }


async def test_events_are_asked_for_without_the_query_that_they_would_refuse(shop: Shop) -> None:
    led = await shop.target(shop.at(f"/21/{SERIAL}?linkType=gs1:epcis&foo=bar"))
    assert led.endswith("/events")
    of_item, *_ = await read(shop, f"/21/{SERIAL}")
    assert of_item[f"{VOCABULARY}epcis"][0]["fwqs"] is False
    assert (await shop.ask(led)).status_code == 401


async def test_promotion_info_means_promotion(shop: Shop) -> None:
    await shop.product(points=50)
    assert (await shop.target(shop.at("?linkType=gs1:promotionInfo"))).startswith(f"{PUBLIC_URL}/product/")


async def test_the_brands_links_replace_our_pages_of_their_type(shop: Shop) -> None:
    await shop.link("https://a.example/recalls", link_type="recallStatus")
    for context in await read(shop, f"/10/L1/21/{SERIAL}"):
        for target in context.get(f"{VOCABULARY}recallStatus", []):
            assert target["href"] == "https://a.example/recalls"


async def test_a_link_out_of_its_time_is_not_told(shop: Shop) -> None:
    now = utc_now()
    await shop.link("https://a.example/gone", link_type="faqs", valid_until=now - timedelta(hours=1))
    await shop.link("https://a.example/later", link_type="faqs", valid_from=now + timedelta(hours=1))
    (context,) = await read(shop)
    assert f"{VOCABULARY}faqs" not in context


async def test_a_link_that_needs_a_serial_is_told_of_items_alone(shop: Shop) -> None:
    await shop.link("https://a.example/{serial}", qualifiers={"21": None}, link_type="faqs")
    assert not any(f"{VOCABULARY}faqs" in context for context in await read(shop, "/10/L1"))
    of_item, *_ = await read(shop, "/21/A%2FB")
    assert of_item[f"{VOCABULARY}faqs"][0]["href"] == "https://a.example/A%2FB"


async def test_titles_of_our_own_pages_are_in_the_readers_language(shop: Shop) -> None:
    titles = [
        (await read(shop, accept_language=language))[0][f"{VOCABULARY}recallStatus"][0]["title"]
        for language in ("zh-CN", "en")
    ]
    assert len(set(titles)) == 2
    assert re.search(r"[\u4e00-\u9fff]", titles[0])
    assert titles[1].isascii()


async def test_a_linkset_says_nothing_of_whether_a_serial_exists(shop: Shop) -> None:
    texts = []
    for serial in (SERIAL, "NEVER-MADE-ANYWHERE"):
        answer = await shop.ask(shop.at(f"/21/{serial}{ALL}"))
        texts.append(answer.text.replace(serial, "SERIAL"))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("language", "heading"), [("zh", "这个码通向的全部内容"), ("en", "Everything this code leads to")]
)
async def test_a_person_sees_the_list_as_a_page(shop: Shop, language: str, heading: str) -> None:
    await shop.link("https://a.example/?a=1&b=2", link_type="faqs", title="<b>Q&A</b>")
    page = (await shop.ask(shop.at(f"/10/L1{ALL}"), accept=BROWSER, accept_language=language)).text
    assert heading in page
    assert "&lt;b&gt;Q&amp;A&lt;/b&gt;" in page
    assert '<a href="https://a.example/?a=1&amp;b=2&amp;linkType=linkset">' in page
    assert "<b>Q" not in page
    script = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    assert script is not None
    assert_linkset(json.loads(script[1]))


async def test_a_person_chooses_between_links_on_a_page(shop: Shop) -> None:
    for number in (1, 2):
        await shop.link(f"https://a.example/{number}", link_type="faqs", title=f"Questions {number}")
    answer = await shop.ask(shop.at("?linkType=gs1:faqs"), accept=BROWSER, accept_language="en")
    assert (answer.status_code, answer.headers["content-type"]) == (300, "text/html; charset=utf-8")
    assert answer.text.index("Questions 1") < answer.text.index("Questions 2")
    script = re.search(r'<script type="application/ld\+json">(.*?)</script>', answer.text, re.DOTALL)
    assert script is not None
    assert_linkset(json.loads(script[1]), complete=False)
