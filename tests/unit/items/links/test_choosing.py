"""Which of several links suits: GS1-Conformant Resolver 1.2, section 2.6.3, and the tests of GS1's own resolver."""

from __future__ import annotations

from typing import Any

import pytest

from loyalty.items.links.choosing import Offer, Wishes, choose, is_wished
from loyalty.web.resolver.wishes import read_wishes, weighted


def offer(name: str, **marks: Any) -> Offer:
    return Offer(link_type="pip", target=f"https://a.example/{name}", title=name, **marks)


def chosen(offers: list[Offer], *, context: str | None = None, **headers: str) -> list[str]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    wishes = read_wishes(sent, {"context": [context]} if context else {})
    return [each.title for each in choose(offers, wishes)]


GS1_REGISTER = [
    offer("en-GB", languages=("en-GB", "en")),
    offer("en-US", languages=("en-US",)),
    offer("en-IE", languages=("en-IE",)),
    offer("non-English"),
]


@pytest.mark.parametrize(
    ("accept_language", "expected"),
    [
        ("en-GB,en;q=0.9,en-US;q=0.8,en-IE;q=0.7", "en-GB"),
        ("en,en-US;q=0.8,en-IE;q=0.7", "en-GB"),
        ("en-US,en;q=0.9,en-GB;q=0.8,en-IE;q=0.7", "en-US"),
        ("en-IE;q=0.9,en;q=0.8,en-GB;q=0.7,en-US;q=0.6", "en-IE"),
        ("fr-BE,fr-FR;q=0.8,fr;q=0.7", "non-English"),
    ],
)
def test_languages_are_chosen_as_gs1s_own_resolver_is_tested_to(accept_language: str, expected: str) -> None:
    # gs1/GS1_DigitalLink_Resolver_CE, tests/setup_test.py, language_tests
    assert chosen(GS1_REGISTER, accept_language=accept_language) == [expected]


FR_EN = [offer("fr", languages=("fr",)), offer("en", languages=("en",))]


def test_what_no_language_matches_is_left_to_the_reader() -> None:
    # GS1-Conformant Resolver 1.2, section 2.7, example 11: French and English pages, a Vietnamese reader, 300.
    assert chosen(FR_EN, accept_language="vi") == ["fr", "en"]
    assert chosen(FR_EN) == ["fr", "en"]
    assert chosen(FR_EN, accept_language="*") == ["fr", "en"]


@pytest.mark.parametrize(
    ("accept_language", "expected"),
    [
        ("fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("fr-CH, en;q=0.9", "fr"),
        ("en;q=0.5, fr;q=0.9", "fr"),
        ("fr;q=0, en", "en"),
        ("EN-us", "en"),
    ],
)
def test_a_language_matches_its_relatives(accept_language: str, expected: str) -> None:
    assert chosen(FR_EN, accept_language=accept_language) == [expected]


def test_a_page_for_everybody_goes_before_pages_for_others() -> None:
    offers = [*FR_EN, offer("any")]
    assert chosen(offers) == ["any"]
    assert chosen(offers, accept_language="vi") == ["any"]
    assert chosen(offers, accept_language="en") == ["en"]


def test_the_media_type_decides_before_the_language() -> None:
    # section 2.6.3: media type, then language, then context
    offers = [
        offer("leaflet", media_type="application/pdf", languages=("zh",)),
        offer("page", languages=("en",)),
        offer("data", media_type="application/json"),
    ]
    assert chosen(offers, accept="application/json, text/html;q=0.5") == ["data"]
    assert chosen(offers, accept="application/*;q=0.9, text/html;q=0.1", accept_language="zh") == ["leaflet"]
    assert chosen(offers, accept="text/html, */*;q=0.8", accept_language="zh") == ["page"]
    assert chosen(offers, accept="*/*", accept_language="zh") == ["leaflet"]
    assert chosen(offers, accept="image/png") == ["data"]  # nothing fits: the one for everybody remains


def test_the_context_decides_last() -> None:
    offers = [offer("cn", contexts=("CN",)), offer("shanghai", contexts=("CN-31",)), offer("gb", contexts=("GB",))]
    assert chosen(offers, context="CN-31") == ["shanghai"]
    assert chosen(offers, context="cn-44") == ["cn"]
    assert chosen(offers, context="GB") == ["gb"]
    assert chosen(offers, context="FR") == ["cn", "shanghai", "gb"]
    assert chosen([*offers, offer("any")], context="FR") == ["any"]
    assert chosen([*offers, offer("any")]) == ["any"]


def test_one_target_is_one_choice() -> None:
    assert chosen([offer("a"), offer("a")]) == ["a"]
    assert choose([], Wishes()) == []


def test_only_what_the_request_names_is_a_wish() -> None:
    browser = weighted("text/html,*/*;q=0.8")
    assert not is_wished(offer("x", languages=("zh",)), Wishes(media_types=browser))
    assert is_wished(offer("x", languages=("zh",)), Wishes(languages=weighted("zh-CN")))
    assert is_wished(offer("x", contexts=("CN",)), Wishes(contexts=("CN",)))


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        (None, ()),
        ("", ()),
        ("text/html;q=0.9, application/json, */*;q=0", (("application/json", 1.0), ("text/html", 0.9), ("*/*", 0.0))),
        ("en;q=0.8, fr-CH", (("fr-ch", 1.0), ("en", 0.8))),
        ("a;q=7, b;q=-1, c;q=x, d; level=1 ;q=0.5", (("a", 1.0), ("d", 0.5), ("b", 0.0), ("c", 0.0))),
        (",,;q=1,", ()),
    ],
)
def test_headers_are_read_with_their_weights(header: str | None, parts: tuple[tuple[str, float], ...]) -> None:
    assert weighted(header) == parts
