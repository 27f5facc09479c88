"""GS1 Digital Link URIs of items: the forms of GS1 Digital Link: URI Syntax 1.6, in numbers of our own."""

from __future__ import annotations

import pytest

from loyalty.items.digital_link import DigitalLink, DigitalLinkError, format_link, parse_link
from loyalty.kit.errors import InvalidInputError

GTIN = "06901234567892"
SERIAL = "10Y7DJPF72MHRCYR"


def test_an_items_address() -> None:
    link = f"https://id.example.com/01/{GTIN}/21/{SERIAL}"
    assert format_link("https://id.example.com/", gtin="6901234567892", serial=SERIAL) == link
    assert parse_link(link) == DigitalLink(gtin=GTIN, serial=SERIAL)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"https://example.com/01/{GTIN}", DigitalLink(gtin=GTIN)),
        (f"HTTP://example.com:8420/01/{GTIN}", DigitalLink(gtin=GTIN)),
        (f"/01/{GTIN}/21/{SERIAL}", DigitalLink(gtin=GTIN, serial=SERIAL)),
        (f"https://example.com/some/shop/01/{GTIN}/10/L1", DigitalLink(gtin=GTIN, lot="L1")),
        (
            f"https://example.com/01/{GTIN}/22/2A/10/L1/21/S1",
            DigitalLink(gtin=GTIN, variant="2A", lot="L1", serial="S1"),
        ),
        (f"https://example.com/01/{GTIN}/22/2A/21/S1", DigitalLink(gtin=GTIN, variant="2A", serial="S1")),
        (f"https://example.com/01/{GTIN}/21/01", DigitalLink(gtin=GTIN, serial="01")),
        (f"https://example.com/01/{GTIN}/10/a+b", DigitalLink(gtin=GTIN, lot="a+b")),
        (f"https://example.com/01/{GTIN}/10/a%2Bb%2Fc%25", DigitalLink(gtin=GTIN, lot="a+b/c%")),
        (f"https://example.com/01/{GTIN}?17=261231", DigitalLink(gtin=GTIN, attributes={"17": "261231"})),
        (f"https://example.com/01/{GTIN}?17=260200", DigitalLink(gtin=GTIN, attributes={"17": "260200"})),
        (
            f"https://example.com/01/{GTIN}?3103=000195&3922=0299&17=261231&17=261231",
            DigitalLink(gtin=GTIN, attributes={"3103": "000195", "3922": "0299", "17": "261231"}),
        ),
        (
            f"https://example.com/01/{GTIN}?linkType=gs1:pip&utm_source=box&flag#part",
            DigitalLink(gtin=GTIN, extras=(("linkType", "gs1:pip"), ("utm_source", "box"), ("flag", ""))),
        ),
    ],
)
def test_what_a_digital_link_may_be(uri: str, expected: DigitalLink) -> None:
    assert parse_link(uri) == expected


@pytest.mark.parametrize(
    ("uri", "field", "reason"),
    [
        ("", "uri", "empty"),
        ("01/" + GTIN, "uri", "neither a URI nor a path"),
        (f"https://example.com/01/{GTIN}/21/a b", "uri", "percent-encode"),
        (f"https://example.com/01/{GTIN}/21/é", "uri", "percent-encode"),
        ("https://example.com/01/" + "9" * 3000, "uri", "longer than"),
        (f"ftp://example.com/01/{GTIN}", "scheme", "not http"),
        (f"https:///01/{GTIN}", "host", "no host"),
        (f"https://[::1/01/{GTIN}", "uri", "not a URI"),
        ("https://example.com/", "path", "no /01/"),
        ("https://example.com/gtin/" + GTIN, "path", "no /01/"),
        ("https://example.com/00/106141412345678908", "path", "key 00 is not that of a product"),
        ("https://example.com/01", "01", "no value"),
        ("https://example.com/01/", "01", "no value"),
        ("https://example.com/01/6901234567892", "01", "14 digits here, not 13"),
        ("https://example.com/01/06901234567893", "01", "check digit of 06901234567893 should be 2"),
        ("https://example.com/01/0690123456789X", "01", "digits only"),
        (f"https://example.com/01/{GTIN}/", "path[2]", "an empty part"),
        (f"https://example.com/01/{GTIN}//21/S1", "path[2]", "an empty part"),
        (f"https://example.com/01/{GTIN}/21", "21", "no value"),
        (f"https://example.com/01/{GTIN}/21/", "21", "no value"),
        (f"https://example.com/01/{GTIN}/21/S1/", "path[4]", "an empty part"),
        (f"https://example.com/01/{GTIN}/21/S1/10/L1", "path[4]", "10 is out of order"),
        (f"https://example.com/01/{GTIN}/10/L1/22/2A", "path[4]", "22 is out of order"),
        (f"https://example.com/01/{GTIN}/21/S1/21/S1", "path[4]", "21 is there twice"),
        (f"https://example.com/01/{GTIN}/01/{GTIN}", "path[2]", "01 is there twice"),
        (f"https://example.com/01/{GTIN}/414/9501101020009", "path[2]", "a second primary key, 414"),
        (f"https://example.com/01/{GTIN}/17/261231", "path[2]", "'17' is not a qualifier"),
        (f"https://example.com/01/{GTIN}/ser/S1", "path[2]", "'ser' is not a qualifier"),
        (f"https://example.com/01/{GTIN}/21/{'S' * 21}", "21", "not a value that 21 can have"),
        (f"https://example.com/01/{GTIN}/21/a%20b", "21", "not a value that 21 can have"),
        (f"https://example.com/01/{GTIN}/21/a%00", "21", "not a value that 21 can have"),
        (f"https://example.com/01/{GTIN}/21/a%C3%A9", "21", "outside GS1's set"),
        (f"https://example.com/01/{GTIN}/21/a%2", "21", "percent sign without"),
        (f"https://example.com/01/{GTIN}/21/a^b", "uri", "percent-encode"),
        (f"https://example.com/01/{GTIN}?21=S1", "query[21]", "serial.* belongs in the path"),
        (f"https://example.com/01/{GTIN}/21/S1?10=L1", "query[10]", "lot.* belongs in the path"),
        (f"https://example.com/01/{GTIN}?01={GTIN}", "query[01]", "once"),
        (f"https://example.com/01/{GTIN}?17=", "query[17]", "no value"),
        (f"https://example.com/01/{GTIN}?17", "query[17]", "no value"),
        (f"https://example.com/01/{GTIN}?17=261331", "query[17]", "not a value"),
        (f"https://example.com/01/{GTIN}?17=26123", "query[17]", "not a value"),
        (f"https://example.com/01/{GTIN}?17=261231&17=261230", "query[17]", "twice, with different values"),
        (f"https://example.com/01/{GTIN}?240=a+b", "query[240]", "not a value"),
        (f"https://example.com/01/{GTIN}?3109=000195", "query[3109]", "not an identifier"),
        (f"https://example.com/01/{GTIN}?00=106141412345678908", "query[00]", "not an identifier"),
        (f"https://example.com/01/{GTIN}?999999=1", "query[999999]", "not an identifier"),
    ],
)
def test_what_it_may_not_be_and_where_it_is_wrong(uri: str, field: str, reason: str) -> None:
    with pytest.raises(DigitalLinkError, match=reason) as refused:
        parse_link(uri)
    assert refused.value.field == field
    assert refused.value.status == 400


def test_what_cannot_be_read_back_is_not_written() -> None:
    with pytest.raises(InvalidInputError, match="check digit"):
        format_link("https://example.com", gtin="06901234567893")
    with pytest.raises(DigitalLinkError, match="not a value that 21 can have"):
        format_link("https://example.com", gtin=GTIN, serial="a b")
    with pytest.raises(DigitalLinkError):
        format_link("https://example.com", gtin=GTIN, serial="")
