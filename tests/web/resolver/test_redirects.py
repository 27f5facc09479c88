"""Where a Digital Link leads: 307 to the nearest default or the type asked for, with the query, open to any page."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from loyalty.kit.clock import utc_now
from tests.web.conftest import assert_problem
from tests.web.resolver.conftest import PUBLIC_URL, SERIAL, Shop


async def test_a_product_without_links_leads_to_its_own_page(shop: Shop) -> None:
    answer = await shop.ask(shop.at())
    assert answer.status_code == 307
    assert answer.headers["location"] == f"{PUBLIC_URL}/product/{shop.gtin}"
    assert answer.content == b""


async def test_the_brands_default_goes_before_its_own_page(shop: Shop) -> None:
    await shop.link("https://shop.example/tea", is_default=True, link_type="homepage")
    assert await shop.target(shop.at()) == "https://shop.example/tea"


@pytest.mark.parametrize(
    ("target", "query", "location"),
    [
        ("https://a.example/tea", "foo=bar", "https://a.example/tea?foo=bar"),
        ("https://a.example/tea", "17=271231&utm=a%20b+c", "https://a.example/tea?17=271231&utm=a%20b+c"),
        ("https://a.example/tea?x=1", "foo=bar&foo=baz", "https://a.example/tea?x=1&foo=bar&foo=baz"),
        ("https://a.example/tea?x=1#top", "foo=%E8%8C%B6", "https://a.example/tea?x=1&foo=%E8%8C%B6#top"),
        ("https://a.example/{gtin}", "https://b.example/", "https://a.example/{gtin}?https://b.example/"),
        ("https://a.example/{gtin}", "next=//b.example", "https://a.example/{gtin}?next=//b.example"),
    ],
)
async def test_the_query_is_passed_on_as_it_was_sent(shop: Shop, target: str, query: str, location: str) -> None:
    await shop.link(target, is_default=True)
    assert await shop.target(f"{shop.at()}?{query}") == location.replace("{gtin}", shop.gtin)


async def test_the_link_type_is_passed_on_with_the_query(shop: Shop) -> None:
    await shop.link("https://a.example/faqs", link_type="faqs")
    address = f"{shop.at()}?linkType=gs1:faqs&x=1"
    assert await shop.target(address) == "https://a.example/faqs?linkType=gs1:faqs&x=1"


async def test_what_stands_in_a_code_is_encoded_into_the_target(shop: Shop) -> None:
    await shop.link("https://a.example/lots/{lot}.pdf", qualifiers={"10": None}, link_type="certificationInfo")
    address = f"{shop.at('/10/a%2F..%26b')}?linkType=gs1:certificationInfo"
    assert (await shop.target(address)).startswith("https://a.example/lots/a%2F..%26b.pdf?")


async def test_no_header_of_the_answer_can_be_broken_by_a_code(shop: Shop) -> None:
    answer = await shop.ask(f"{shop.at('/10/A%0D%0ASet-Cookie:x')}")
    assert_problem(answer, 400, "invalid-digital-link", "10")


async def test_every_answer_names_its_linkset_and_what_it_varies_by(shop: Shop) -> None:
    # GS1-Conformant Resolver 1.2, section 2.5.3: the linkset in the Link header, also of a redirect.
    answer = await shop.ask(shop.at("/10/L1?x=1"))
    address = f"{PUBLIC_URL}{shop.at('/10/L1')}"
    assert answer.headers["link"] == f'<{address}?linkType=linkset>; rel="linkset"; type="application/linkset+json"'
    assert answer.headers["vary"] == "Accept, Accept-Language"


@pytest.mark.parametrize("path", ["", "/10/L1", "/21/X?linkType=gs1:faqs", "/10/", "?linkType=linkset"])
async def test_any_page_may_ask(shop: Shop, path: str) -> None:
    answer = await shop.ask(shop.at(path), origin="https://anybody.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert {"Link", "Location"} <= set(answer.headers["access-control-expose-headers"].split(", "))


@pytest.mark.parametrize("address", ["/01/04006381333931", "/00/340123453111111115", "/01/nonsense", "/8004/4012345A"])
async def test_options_says_what_may_be_asked(shop: Shop, address: str) -> None:
    answer = await shop.ask(address, method="OPTIONS", origin="https://a.example", access_control_request_method="GET")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["", "/10/L1", "/21/X", "?linkType=linkset", "?linkType=gs1:faqs", "/21/"])
async def test_head_answers_as_get_without_a_body(shop: Shop, path: str) -> None:
    got, headed = [await shop.ask(shop.at(path), method=method) for method in ("GET", "HEAD")]
    assert headed.status_code == got.status_code
    assert headed.content == b""
    for name in ("location", "content-type", "link", "vary", "access-control-allow-origin"):
        assert headed.headers.get(name) == got.headers.get(name), name


@pytest.mark.parametrize("path", ["", "/10/L1", f"/21/{SERIAL}", "/22/A/10/B/21/C", "?x=1"])
async def test_a_slash_at_the_end_is_borne_with(shop: Shop, path: str) -> None:
    bare, mark, query = path.partition("?")
    assert await shop.target(shop.at(f"{bare}/{mark}{query}")) == await shop.target(shop.at(path))


async def test_an_unknown_lot_is_walked_up_from(shop: Shop) -> None:
    await shop.link("https://a.example/tea", is_default=True)
    assert await shop.target(shop.at("/22/V/10/NEVER-SEEN")) == "https://a.example/tea"


async def test_an_item_leads_to_its_own_page_whatever_the_brands_default(shop: Shop) -> None:
    await shop.link("https://a.example/tea", is_default=True)
    for serial in (SERIAL, "NEVER-MADE"):
        assert await shop.target(shop.at(f"/10/L1/21/{serial}")) == f"{PUBLIC_URL}/item/{shop.gtin}/{serial}"


async def test_the_nearest_level_with_the_type_answers(shop: Shop) -> None:
    kinds = {"link_type": "instructions"}
    await shop.link("https://a.example/all", **kinds)
    await shop.link("https://a.example/every-lot", qualifiers={"10": None}, **kinds)
    await shop.link("https://a.example/lot-7", qualifiers={"10": "L7"}, **kinds)
    await shop.link("https://a.example/variant-7", qualifiers={"22": "V", "10": "L7"}, **kinds)

    async def led(path: str) -> str:
        return (await shop.target(f"{shop.at(path)}?linkType=gs1:instructions")).split("?")[0].rpartition("/")[2]

    assert [await led(path) for path in ("", "/22/V", "/10/L1", "/10/L7", "/22/V/10/L7", "/22/V/10/L7/21/S")] == [
        "all",
        "all",
        "every-lot",
        "lot-7",
        "variant-7",
        "variant-7",
    ]


@pytest.mark.parametrize(
    "link_type",
    [
        "gs1:instructions",
        "https://gs1.org/voc/instructions",
        "https%3A%2F%2Fwww.gs1.org%2Fvoc%2Finstructions",
        "https://ref.gs1.org/voc/instructions",
    ],
)
@pytest.mark.parametrize("key", ["linkType", "linktype", "LINKTYPE"])
async def test_a_link_type_may_be_written_short_or_whole(shop: Shop, link_type: str, key: str) -> None:
    await shop.link("https://a.example/how", link_type="instructions")
    assert (await shop.target(f"{shop.at()}?{key}={link_type}")).startswith("https://a.example/how?")


@pytest.mark.parametrize("link_type", ["gs1:defaultLink", "gs1:defaultLinkMulti"])
async def test_the_default_may_be_asked_for_by_its_name(shop: Shop, link_type: str) -> None:
    await shop.link("https://a.example/tea", is_default=True)
    assert (await shop.target(f"{shop.at()}?linkType={link_type}")).startswith("https://a.example/tea?")


@pytest.mark.parametrize("link_type", ["gs1:leaveReview", "gs1:nothing", "schema:offers", "pipp", "%3Cscript%3E"])
async def test_a_type_that_nothing_is_of_is_refused_with_those_there_are(shop: Shop, link_type: str) -> None:
    problem = assert_problem(
        await shop.ask(f"{shop.at()}?linkType={link_type}"), 404, "no-such-link", field_name="linkType"
    )
    assert problem["available"] == ["gs1:pip", "gs1:recallStatus", "gs1:loyaltyProgram"]


async def test_several_links_that_nothing_tells_apart_are_shown(shop: Shop) -> None:
    for number in (1, 2, 3):
        await shop.link(
            f"https://a.example/c{number}.pdf",
            link_type="certificationInfo",
            title=f"Certificate {number}",
            media_type="application/pdf",
        )
    answer = await shop.ask(f"{shop.at('/10/L1')}?linkType=gs1:certificationInfo")
    assert (answer.status_code, answer.headers["content-type"]) == (300, "application/linkset+json")
    (context,) = answer.json()["linkset"]
    assert context["anchor"] == PUBLIC_URL + shop.at()
    assert [(target["href"], target["title"]) for target in context["https://ref.gs1.org/voc/certificationInfo"]] == [
        (f"https://a.example/c{number}.pdf", f"Certificate {number}") for number in (1, 2, 3)
    ]
    assert "location" not in answer.headers


async def test_a_language_decides_between_links_of_one_type(shop: Shop) -> None:
    # As gs1/GS1_DigitalLink_Resolver_CE, tests/setup_test.py: hasRetailers in en, es, vi and ja.
    for language in ("en", "es", "vi", "ja"):
        await shop.link(f"https://a.example/{language}", link_type="hasRetailers", languages=[language])
    address = f"{shop.at()}?linktype=gs1:hasRetailers"
    for language in ("en", "es", "vi", "ja"):
        led = await shop.target(address, accept_language=f"{language};q=0.9, de;q=1.0")
        assert led.startswith(f"https://a.example/{language}?")


@pytest.mark.parametrize(
    ("accept_language", "register"),
    [
        ("en-GB,en;q=0.9,en-US;q=0.8,en-IE;q=0.7", "en-GB"),
        ("en,en-US;q=0.8,en-IE;q=0.7", "en-GB"),
        ("en-US,en;q=0.9,en-GB;q=0.8,en-IE;q=0.7", "en-US"),
        ("en-IE;q=0.9,en;q=0.8,en-GB;q=0.7,en-US;q=0.6", "en-IE"),
        ("fr-BE,fr-FR;q=0.8,fr;q=0.7", "non-English"),
    ],
)
async def test_a_browsers_several_languages_decide_by_weight(shop: Shop, accept_language: str, register: str) -> None:
    # gs1/GS1_DigitalLink_Resolver_CE, tests/setup_test.py, language_tests, on its test_01_09506000134376.json.
    for name, languages in (
        ("en-GB", ["en-GB", "en"]),
        ("en-US", ["en-US"]),
        ("en-IE", ["en-IE"]),
        ("non-English", ["fr", "de", "es"]),
    ):
        await shop.link(f"https://a.example/{name}", link_type="registerProduct", languages=languages)
    address = f"{shop.at()}?linktype=gs1:registerProduct"
    assert (await shop.target(address, accept_language=accept_language)).startswith(f"https://a.example/{register}?")


async def test_a_media_type_decides_between_links_of_one_type(shop: Shop) -> None:
    await shop.link("https://a.example/m.html", link_type="masterData")
    await shop.link("https://a.example/m.json", link_type="masterData", media_type="application/json")
    address = f"{shop.at()}?linkType=gs1:masterData"
    assert (await shop.target(address, accept="application/json")).startswith("https://a.example/m.json?")
    assert (await shop.target(address, accept="text/html, */*;q=0.1")).startswith("https://a.example/m.html?")


async def test_a_context_decides_between_links_of_one_type(shop: Shop) -> None:
    for context in ("CN", "SG"):
        await shop.link(f"https://a.example/{context}", link_type="hasRetailers", contexts=[context])
    address = f"{shop.at()}?linkType=gs1:hasRetailers&context="
    assert (await shop.target(f"{address}SG")).startswith("https://a.example/SG?")
    assert (await shop.target(f"{address}cn-31")).startswith("https://a.example/CN?")


async def test_a_link_answers_in_its_time_alone(shop: Shop) -> None:
    await shop.link("https://a.example/always", is_default=True)
    now = utc_now()
    hour = timedelta(hours=1)
    await shop.link("https://a.example/past", is_default=True, valid_until=now - hour)
    await shop.link("https://a.example/later", is_default=True, valid_from=now + hour)
    assert await shop.target(shop.at()) == "https://a.example/always"
    await shop.link("https://a.example/festival", is_default=True, valid_from=now - hour, valid_until=now + hour)
    assert await shop.target(shop.at()) == "https://a.example/festival"


HELD = {
    "00": "340123453111111115",
    "253": "4602443000331XYZ",
    "255": "4012345000368123456",
    "401": "4012345ABC",
    "402": "40123450000000016",
    "414": "4226350800008",
    "417": "4280000000002",
    "8003": "00614141000036ABC",
    "8004": "4012345ABC",
    "8006": "040123451111180103",
    "8010": "4012345ABC",
    "8013": "1987654Ad4X4bL5ttr2310c2K",
    "8017": "440018922647884689",
    "8018": "385888700111111111",
}


@pytest.mark.parametrize(("key", "value"), HELD.items(), ids=HELD)
async def test_every_key_of_gs1_leads_where_its_brand_says_and_nowhere_else(shop: Shop, key: str, value: str) -> None:
    address = f"/{key}/{value}"
    assert_problem(await shop.ask(address), 404, "no-such-link", "path")
    await shop.link("https://a.example/held", key=key, value=value, link_type="pip")
    assert await shop.target(f"{address}?x=1") == "https://a.example/held?x=1"
    other = {"00": "340123453111111122", "01": "04006381333931"}.get(key)
    if other is not None:
        assert_problem(await shop.ask(f"/{key}/{other}"), 404, "no-such-link", "path")


async def test_a_product_of_nobody_is_not_found(shop: Shop) -> None:
    assert_problem(await shop.ask("/01/04006381333931"), 404, "no-such-link", "path")
    assert_problem(await shop.ask("/01/04006381333931/21/1?linkType=gs1:pip"), 404, "no-such-link", "path")


@pytest.mark.parametrize("path", ["", "/10/", "?linkType=linkset", "?linkType=gs1:menuInfo", "/21/X"])
async def test_no_answer_that_may_be_kept_by_others_holds_a_cookie(shop: Shop, path: str) -> None:
    for accept in ("*/*", "application/linkset+json"):
        assert "set-cookie" not in (await shop.ask(shop.at(path), accept=accept)).headers
    assert "set-cookie" not in (await shop.ask("/.well-known/gs1resolver")).headers


async def test_many_may_ask_at_once(shop: Shop) -> None:
    await shop.link("https://a.example/tea", is_default=True)
    targets = await asyncio.gather(*(shop.target(f"{shop.at()}?n={number}") for number in range(30)))
    assert targets == [f"https://a.example/tea?n={number}" for number in range(30)]
