"""GS1 Digital Link URIs: every form that is documented somewhere (`digital_link_forms`), and those of our own."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from loyalty.items.application_identifiers import IDENTIFIERS, PRIMARY_KEYS, QUALIFIERS, is_attribute
from loyalty.items.digital_link import DigitalLink, DigitalLinkError, build_link, format_link, parse_link
from loyalty.kit.errors import InvalidInputError
from tests.unit.items import digital_link_forms as forms
from tests.unit.items import digital_link_grammar as grammar

GTIN = "06901234567892"
SERIAL = "10Y7DJPF72MHRCYR"
VALUES = {
    "00": "006141411234567890",
    "01": GTIN,
    "253": "1231231231232",
    "255": "5678409730535",
    "401": "12345678",
    "402": "21173492661712079",
    "414": "5060917510004",
    "415": "5060917510004",
    "417": "5060917510004",
    "8003": "04965031954585",
    "8004": "0541234537290A41",
    "8006": "054123450000130102",
    "8010": "0541234537290A41#GH33",
    "8013": "12345678901234MS",
    "8017": "817019610850151481",
    "8018": "411369833821910265",
    "8011": "6639047221",
    "7040": "5KFX",
    "8019": "4003812",
}


def test_an_items_address() -> None:
    link = f"https://id.example.com/01/{GTIN}/21/{SERIAL}"
    assert format_link("https://id.example.com/", gtin="6901234567892", serial=SERIAL) == link
    read = parse_link(link)
    assert (read.gtin, read.variant, read.lot, read.serial) == (GTIN, None, None, SERIAL)
    assert read.path == f"/01/{GTIN}/21/{SERIAL}"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        *forms.STANDARD_VALID,
        *forms.ENGINE_VALID,
        *forms.TOOLKIT_VALID,
        *forms.BIIP_VALID,
        *forms.BARCODE_PARSER_VALID,
        *forms.GLYPH_VALID,
        *forms.PARTY_VALID,
        *forms.VERIFIER_VALID,
        *forms.RESOLVERS_VALID,
    ],
)
def test_documented_forms_are_read_and_say_what_their_source_says(uri: str, said: forms.Said) -> None:
    link = parse_link(uri)
    assert {link.key: link.value} | link.qualifiers | link.attributes == said


@pytest.mark.parametrize(
    ("uri", "field", "reason"),
    [
        *forms.ENGINE_INVALID,
        *forms.BIIP_INVALID,
        *forms.BARCODE_PARSER_INVALID,
        *forms.GLYPH_INVALID,
        *forms.RESOLVER_SUITE_INVALID,
        *forms.VERIFIER_INVALID,
        *forms.RESOLVERS_INVALID,
    ],
)
def test_documented_errors_are_refused_at_their_place(uri: str, field: str, reason: str) -> None:
    with pytest.raises(DigitalLinkError, match=reason) as refused:
        parse_link(uri)
    assert refused.value.field == field
    assert refused.value.status == 400


@pytest.mark.parametrize(("rule", "uri", "said"), grammar.VALID)
def test_what_a_rule_of_the_grammar_allows_is_read(rule: str, uri: str, said: forms.Said) -> None:
    link = parse_link(uri)
    assert {link.key: link.value} | link.qualifiers | link.attributes == said, rule


@pytest.mark.parametrize(("rule", "uri", "field", "reason"), grammar.INVALID)
def test_what_a_rule_of_the_grammar_forbids_is_refused_at_its_place(
    rule: str, uri: str, field: str, reason: str
) -> None:
    with pytest.raises(DigitalLinkError, match=reason) as refused:
        parse_link(uri)
    assert refused.value.field == field, rule


@pytest.mark.parametrize(("uri", "expected", "why"), [*forms.DIFFERENT, *grammar.DIFFERENT])
def test_where_sources_differ_ours_is_chosen(uri: str, expected: forms.Said | str, why: str) -> None:
    if isinstance(expected, str):
        with pytest.raises(DigitalLinkError, match=expected):
            parse_link(uri)
    else:
        link = parse_link(uri)
        assert {link.key: link.value} | link.qualifiers | link.attributes == expected, why


@pytest.mark.parametrize("sequence", forms.ENGINE_SEQUENCES)
def test_every_documented_sequence_of_a_path_is_read(sequence: tuple[str, ...]) -> None:
    segments = [f"/{identifier}/{quote(VALUES.get(identifier, 'A1'), safe='')}" for identifier in sequence]
    link = parse_link("".join(segments))
    assert (link.key, *link.qualifiers) == sequence


def test_no_other_sequence_is_allowed() -> None:
    documented = {sequence for sequence in forms.ENGINE_SEQUENCES if len(sequence) > 1}
    ours = {
        (key, *(each for place, each in enumerate(run) if mask >> place & 1))
        for key, runs in QUALIFIERS.items()
        for run in runs
        for mask in range(1, 2 ** len(run))
    }
    assert ours == documented
    assert {sequence[0] for sequence in forms.ENGINE_SEQUENCES} == PRIMARY_KEYS


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"/01/{GTIN}/21/{SERIAL}", DigitalLink(value=GTIN, qualifiers={"21": SERIAL})),
        (f"/01/{GTIN}/22/2A/21/S1", DigitalLink(value=GTIN, qualifiers={"22": "2A", "21": "S1"})),
        (f"/01/{GTIN}/21/01", DigitalLink(value=GTIN, qualifiers={"21": "01"})),
        (f"/01/{GTIN}/10/a%2Bb%2Fc%25", DigitalLink(value=GTIN, qualifiers={"10": "a+b/c%"})),
        (f"/01/{GTIN}?17=260200", DigitalLink(value=GTIN, attributes={"17": "260200"})),
        (f"/01/{GTIN}?17=261231&17=261231", DigitalLink(value=GTIN, attributes={"17": "261231"})),
        (f"/01/{GTIN}?4302=%25E4%25BD%25A0", DigitalLink(value=GTIN, attributes={"4302": "%E4%BD%A0"})),
        (
            f"/01/{GTIN}?linkType=gs1:pip&utm_source=box&flag#part",
            DigitalLink(value=GTIN, extras=(("linkType", "gs1:pip"), ("utm_source", "box"), ("flag", ""))),
        ),
        (f"https://example.com/2024/01/shop/01/{GTIN}", DigitalLink(value=GTIN)),
    ],
)
def test_what_a_digital_link_may_be(uri: str, expected: DigitalLink) -> None:
    assert parse_link(uri) == expected


@pytest.mark.parametrize(
    ("uri", "field", "reason"),
    [
        ("01/" + GTIN, "uri", "neither a URI nor a path"),
        (f"//01/{GTIN}", "scheme", "not http"),
        (f"https://example.com/01/{GTIN}/21/a b", "uri", "percent-encode"),
        (f"https://example.com/01/{GTIN}/21/é", "uri", "percent-encode"),
        (f"https://example.com/01/{GTIN}/21/a^b", "uri", "percent-encode"),
        ("https://example.com/01/" + "9" * 3000, "uri", "longer than"),
        (f"https://[::1/01/{GTIN}", "uri", "not a URI"),
        ("https://example.com/01", "01", "no value"),
        ("https://example.com/01/", "01", "no value"),
        ("/01/06901234567893", "01", "check digit of 06901234567893 should be 2"),
        ("/01/0690123456789X", "01", "not a value that 01 can have"),
        ("/00/106141412345678909", "00", "check digit of 106141412345678909 should be 8"),
        ("/8013/12345678901234MT", "8013", "check characters of 12345678901234MT should be MS"),
        ("/8004/ABCD1234", "8004", "company prefix"),
        ("/8011/1", "path", "no primary key"),
        (f"/01/{GTIN}//21/S1", "path[2]", "an empty part"),
        (f"/01/{GTIN}/21", "21", "no value"),
        (f"/01/{GTIN}/21/", "21", "no value"),
        (f"/01/{GTIN}/21/S1/21/S1", "path[4]", "21 is there twice"),
        (f"/01/{GTIN}/01/{GTIN}", "path[2]", "01 is there twice"),
        (f"/01/{GTIN}/414/9501101020009", "path[2]", "a second primary key, 414"),
        (f"/01/{GTIN}/ser/S1", "path[2]", "'ser' is not a qualifier of a GTIN; those are 22, 10, 21 or 235"),
        (f"/01/{GTIN}/21/{'S' * 21}", "21", "not a value that 21 can have"),
        (f"/01/{GTIN}?21=S1", "query[21]", "serial.* belongs in the path"),
        (f"/01/{GTIN}/21/S1?10=L1", "query[10]", "lot.* belongs in the path"),
        (f"/01/{GTIN}?17", "query[17]", "no value"),
        (f"/01/{GTIN}?17=26123", "query[17]", "not a value"),
        (f"/01/{GTIN}?17=260230", "query[17]", "not a day"),
        (f"/01/{GTIN}?7006=260200", "query[7006]", "not a day"),
        (f"/01/{GTIN}?17=261231&17=261230", "query[17]", "twice, with different values"),
        (f"/01/{GTIN}?240=a+b", "query[240]", "not a value"),
        (f"/01/{GTIN}?3109=000195", "query[3109]", "not a GS1 identifier"),
        (f"/01/{GTIN}?3102=000195&3103=001950", "query[3103]", "3102 and 3103 cannot be said of one thing"),
        (f"/01/{GTIN}?8007=GB82WEST12345698765433", "query[8007]", "check digits of the IBAN"),
        (f"/01/{GTIN}?{'9' * 300}=1", f"query[{'9' * 40}]", "not a GS1 identifier"),
    ],
)
def test_what_it_may_not_be_and_where_it_is_wrong(uri: str, field: str, reason: str) -> None:
    with pytest.raises(DigitalLinkError, match=reason) as refused:
        parse_link(uri)
    assert refused.value.field == field


def test_with_a_known_stem_the_key_is_right_behind_it() -> None:
    assert parse_link(f"/shop/01/{GTIN}", stem="/shop").gtin == GTIN
    for uri in (f"/shop/01/{GTIN}", f"/01/{GTIN}/01/{GTIN}"):
        with pytest.raises(DigitalLinkError):
            parse_link(uri, stem="")


@pytest.mark.parametrize(("lot", "written"), [(".", "%2E"), ("..", "%2E%2E"), ("...", "..."), ("A.B", "A.B")])
def test_dots_alone_are_written_so_that_no_path_is_cut_short(lot: str, written: str) -> None:
    """RFC 3986, section 6.2.2.3: whoever normalises a path takes segments of dots for directions."""
    link = format_link("https://example.com", gtin=GTIN, lot=lot)
    assert link.endswith(f"/10/{written}")
    assert parse_link(link).lot == lot


def test_what_cannot_be_read_back_is_not_written() -> None:
    with pytest.raises(InvalidInputError, match="check digit"):
        format_link("https://example.com", gtin="06901234567893")
    with pytest.raises(DigitalLinkError, match="not a value that 21 can have"):
        format_link("https://example.com", gtin=GTIN, serial="a b")
    for wrong in (
        DigitalLink(key="17", value="261231"),
        DigitalLink(value=GTIN, qualifiers={"21": "S", "10": "L"}),
        DigitalLink(value=GTIN, qualifiers={"21": ""}),
        DigitalLink(value=GTIN, attributes={"10": "L"}),
        DigitalLink(value=GTIN, attributes={"02": GTIN}),
    ):
        with pytest.raises(DigitalLinkError):
            build_link("https://example.com", wrong)


def test_the_table_knows_the_identifiers_of_the_syntax_dictionary() -> None:
    # Counted in gs1/gs1-syntax-dictionary, release 2026-01-27: entries by the length of their number.
    lengths = [len(number) for number in IDENTIFIERS]
    assert [lengths.count(length) for length in (2, 3, 4)] == [26, 38, 477]


def test_a_query_has_every_identifier_that_the_dictionary_marks_as_an_attribute_and_no_other() -> None:
    # The entries of the same release without its flag `?`.
    unmarked = {"03", "21", "22", "235", "254", "7040", "7041", "8011", "8014", "8019", "8020", "8200"}
    phones = {"8040", "8041", "8042", "8043"}
    assert {identifier for identifier in IDENTIFIERS if not is_attribute(identifier)} == unmarked | phones
