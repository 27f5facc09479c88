"""A resolver redirects only to what a brand stored, and what stands in a code never chooses the host."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from loyalty.items.digital_link import DigitalLink
from loyalty.items.links.targets import check_target, fill_target, guess_media_type, pass_query
from loyalty.kit.errors import InvalidInputError

OWN = "https://id.example.com"
ITEM = DigitalLink(value="06901234567892", qualifiers={"10": "L/1", "21": "a?b#c&d%"})


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("https://shop.example/p", "https://shop.example/p"),
        ("  https://shop.example  ", "https://shop.example"),
        ("HTTPS://Shop.Example/P?a=1#x", "https://shop.example/P?a=1#x"),
        ("https://shop.example:8443/{gtin}/{lot}?s={serial}", "https://shop.example:8443/{gtin}/{lot}?s={serial}"),
        ("https://例子.中国/茶?名=龙井", "https://xn--fsqu00a.xn--fiqs8s/%E8%8C%B6?%E5%90%8D=%E9%BE%99%E4%BA%95"),
        ("https://shop.example/a%2Fb%20c", "https://shop.example/a%2Fb%20c"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        (f"{OWN}/product/{{gtin}}", f"{OWN}/product/{{gtin}}"),
    ],
)
def test_an_address_is_stored_as_it_travels(text: str, stored: str) -> None:
    assert check_target(text, own_address=OWN) == stored


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://shop.example/", "https://"),
        ("javascript:alert(1)", "https://"),
        ("data:text/html,x", "https://"),
        ("//shop.example/", "https://"),
        ("/product/1", "https://"),
        ("shop.example", "https://"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://{lot}.example/", "names no host, or leaves it open"),
        ("https://{serial}/x", "names no host, or leaves it open"),
        ("https://shop.example:{lot}/", "not a web address"),
        ("https://shop.example@evil.example/", "user name"),
        ("https://a:b@shop.example/", "user name"),
        ("https://shop.example/a b", "blank"),
        ("https://shop.example/a\nb", "blank"),
        ("https://shop.example\\@evil.example/", "backslash"),
        ("https://shop.example/{price}", "not known"),
        ("https://shop.example/{gtin", "brace"),
        ("https://shop.example/{{gtin}}", "brace"),
        ("https://shop.example:99999/", "not a web address"),
        ("https://shop.example:0/", "not a web address"),
        ("https://[::1/", "not a web address"),
        ("https://" + "a" * 70 + ".example/", "not a web address"),
        ("https://shop.example/" + "a" * 1500, "longer than"),
        ("https://shop.example/" + "茶" * 400, "longer than .* once it is encoded"),
        (f"{OWN}/01/{{gtin}}", "circle"),
        (f"{OWN}/01/06901234567892/10/{{lot}}?x=1", "circle"),
        ("HTTPS://ID.example.com/01/06901234567892", "circle"),
    ],
)
def test_what_is_no_safe_address_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as refused:
        check_target(text, own_address=OWN)
    assert refused.value.field == "target"


def test_plain_http_has_to_be_allowed() -> None:
    assert check_target("http://shop.example/", https_only=False) == "http://shop.example/"


def test_values_of_a_code_are_filled_in_encoded_and_cannot_leave_their_place() -> None:
    filled = fill_target("https://shop.example/{gtin}/{lot}?s={serial}&v={value}#{lot}", ITEM)
    assert filled == ("https://shop.example/06901234567892/L%2F1?s=a%3Fb%23c%26d%25&v=06901234567892#L%2F1")
    assert urlsplit(filled or "").hostname == "shop.example"


def test_a_target_is_not_offered_where_the_code_lacks_a_value() -> None:
    assert fill_target("https://shop.example/{variant}", ITEM) is None
    assert fill_target("https://shop.example/{gtin}", DigitalLink(key="00", value="106141412345678908")) is None


@pytest.mark.parametrize(
    ("address", "query", "passed"),
    [
        ("https://a.example/x", "", "https://a.example/x"),
        ("https://a.example/x", "17=261231&b", "https://a.example/x?17=261231&b"),
        ("https://a.example/x?y=1", "17=261231;3103=000189", "https://a.example/x?y=1&17=261231;3103=000189"),
        ("https://a.example/x#top", "a=%2F+b", "https://a.example/x?a=%2F+b#top"),
    ],
)
def test_the_query_is_passed_on_as_it_was_sent(address: str, query: str, passed: str) -> None:
    assert pass_query(address, query) == passed


@pytest.mark.parametrize(
    ("target", "media_type"),
    [
        ("https://a.example/x", "text/html"),
        ("https://a.example/x.pdf?y=1", "application/pdf"),
        ("https://a.example/{gtin}.json", "application/json"),
        ("https://a.example/film.mp4#t=3", "video/mp4"),
    ],
)
def test_the_kind_of_file_is_guessed_from_the_address(target: str, media_type: str) -> None:
    assert guess_media_type(target) == media_type
