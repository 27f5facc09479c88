from __future__ import annotations

import contextlib
from datetime import date
from functools import cache
from urllib.parse import quote

from hypothesis import assume, given
from hypothesis import strategies as st

from loyalty.items.application_identifiers import (
    IDENTIFIERS,
    PRIMARY_KEYS,
    QUALIFIERS,
    REQUIRED_QUALIFIERS,
    contradiction,
    fault,
    is_attribute,
)
from loyalty.items.digital_link import DigitalLink, DigitalLinkError, build_link, format_link, parse_link
from loyalty.items.gtin import check_digit
from loyalty.items.value_checks import CHECKS, check_pair

CHARACTERS = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
NAMES = {check: name for name, check in CHECKS.items()}
days = st.dates(date(2000, 1, 1), date(2099, 12, 31))


def _with_check_digit(digits: str) -> str:
    return digits[:-1] + str(check_digit(digits[:-1]))


def _iban(account: str) -> str:
    digits = "".join(str(int(character, 36)) for character in f"{account}GB00")
    return f"GB{98 - int(digits) % 97:02d}{account}"


SPECIAL: dict[tuple[str, ...], st.SearchStrategy[str]] = {
    ("day",): days.map(lambda day: f"{day:%y%m%d}") | days.map(lambda day: f"{day:%y%m}00"),
    ("date",): days.map(lambda day: f"{day:%y%m%d}"),
    ("birthday",): days.map(lambda day: f"{day:%Y%m%d}"),
    ("time",): st.times().map(lambda time: f"{time:%H%M}"),
    ("hour",): st.integers(0, 23).map("{:02d}".format),
    ("minute",): st.integers(0, 59).map("{:02d}".format),
    ("zero",): st.just("0"),
    ("winding",): st.sampled_from("019"),
    ("flag",): st.sampled_from("01"),
    ("minus",): st.just("-"),
    ("piece",): st.tuples(st.integers(1, 99), st.integers(1, 99)).map(
        lambda pair: "{:02d}{:02d}".format(*sorted(pair))
    ),
    ("sex",): st.sampled_from("0129"),
    ("medium",): st.sampled_from(["01", "10", "80", "99"]),
    ("sequence",): st.sampled_from(["1/1", "1/2", "9/9"]),
    ("latitude",): st.integers(0, 1_800_000_000).map("{:010d}".format),
    ("longitude",): st.integers(0, 3_600_000_000).map("{:010d}".format),
    ("country",): st.sampled_from(["CN", "GB"]),
    ("iban",): st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=30).map(_iban),
    ("prefix",): st.tuples(st.text(DIGITS, min_size=4, max_size=4), st.text("AZ09-/", max_size=20)).map("".join),
    ("pair", "prefix"): st.tuples(st.text(DIGITS, min_size=4, max_size=4), st.text(CHARACTERS, max_size=19))
    .map("".join)
    .map(lambda body: body + check_pair(body)),
}


@cache
def values_of(identifier: str) -> st.SearchStrategy[str]:
    """Every value that an identifier can have: its parts one after the other."""
    known = IDENTIFIERS[identifier]
    parts = []
    for part in known.parts:
        names = tuple(NAMES[check] for check in part.checks)
        plain = st.from_regex(part.pattern, fullmatch=True)
        if names == ("digit",):
            plain = plain.map(_with_check_digit)
        parts.append(SPECIAL.get(names, plain))
    whole = st.tuples(*parts).map("".join)
    shorter = [st.tuples(*parts[:count]).map("".join) for count, part in enumerate(known.parts) if part.optional]
    return st.one_of(whole, *shorter).filter(lambda value: fault(identifier, value) is None)


def _runs(key: str) -> list[tuple[str, ...]]:
    """Every selection of qualifiers that a key allows, in their order."""
    runs = {
        tuple(each for place, each in enumerate(run) if mask >> place & 1)
        for run in QUALIFIERS.get(key, ((),))
        for mask in range(2 ** len(run))
    }
    return sorted(run for run in runs if key not in REQUIRED_QUALIFIERS or REQUIRED_QUALIFIERS[key] in run)


COMBINATIONS = [(key, run) for key in sorted(PRIMARY_KEYS) for run in _runs(key)]
ATTRIBUTES = sorted(filter(is_attribute, IDENTIFIERS))
EXTRAS = st.tuples(st.sampled_from(["linkType", "utm_source", "flag", "4a"]), st.sampled_from(["", "gs1:pip", "a%20b"]))


@st.composite
def links(draw: st.DrawFn) -> DigitalLink:
    """Any Digital Link: all keys, all qualifiers they allow, any attributes that do not contradict them."""
    key, run = draw(st.sampled_from(COMBINATIONS))
    attributes = draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=4, unique=True))
    in_path = {each for sequence in QUALIFIERS.get(key, ()) if set(run) <= set(sequence) for each in sequence}
    attributes = [each for each in attributes if each not in (key, *run, *in_path)]
    assume(contradiction([key, *run, *attributes]) is None)
    return DigitalLink(
        key=key,
        value=draw(values_of(key)),
        qualifiers={each: draw(values_of(each)) for each in run},
        attributes={each: draw(values_of(each)) for each in attributes},
        extras=tuple(draw(st.lists(EXTRAS, max_size=2))),
    )


@given(link=links(), base=st.sampled_from(["https://example.com", "http://a.example:8420/shop/", ""]))
def test_what_is_written_is_read_back_as_it_was(link: DigitalLink, base: str) -> None:
    written = build_link(base, link)
    assert parse_link(written) == link
    assert build_link(base, parse_link(written)) == written
    assert parse_link(written, stem="/shop" if "shop" in base else "") == link


@given(identifier=st.sampled_from(sorted(IDENTIFIERS)), data=st.data())
def test_every_identifier_has_values(identifier: str, data: st.DataObject) -> None:
    value = data.draw(values_of(identifier))
    assert fault(identifier, value) is None
    assert fault(identifier, value + "~") is not None
    assert fault(identifier, "") is not None


@given(link=links(), data=st.data())
def test_one_changed_digit_of_a_key_with_a_check_digit_is_noticed(link: DigitalLink, data: st.DataObject) -> None:
    assume(link.key in ("00", "01", "402", "414", "417", "8017", "8018"))
    place = data.draw(st.integers(0, len(link.value) - 1))
    digit = data.draw(st.sampled_from(DIGITS).filter(lambda digit: digit != link.value[place]))
    changed = link.value[:place] + digit + link.value[place + 1 :]
    path = f"/{link.key}/{changed}"
    with contextlib.suppress(DigitalLinkError):
        raise AssertionError(parse_link(path))


values = st.none() | st.text(CHARACTERS, min_size=1, max_size=20)


@given(serial=values, lot=values, variant=values)
def test_every_value_a_qualifier_can_have_is_read_back(
    serial: str | None, lot: str | None, variant: str | None
) -> None:
    link = parse_link(
        format_link("https://example.com/p", gtin="06901234567892", serial=serial, lot=lot, variant=variant)
    )
    assert (link.gtin, link.serial, link.lot, link.variant) == ("06901234567892", serial, lot, variant)


@given(value=st.text(CHARACTERS, min_size=1, max_size=20))
def test_a_plus_in_a_path_is_a_plus_and_in_a_query_a_space(value: str) -> None:
    written = quote(value, safe="+")
    assert parse_link(f"/01/06901234567892/10/{written}").lot == value
    if "+" in value:
        with contextlib.suppress(DigitalLinkError):
            raise AssertionError(parse_link(f"/01/06901234567892?240={written}"))


@given(tail=st.text(max_size=40) | st.text("/?&=%+;#0122", max_size=40) | st.binary(max_size=30).map(repr))
def test_any_text_is_read_or_refused_with_the_part_at_fault(tail: str) -> None:
    for uri in (tail, f"/{tail}", f"https://example.com/01/06901234567892{tail}", f"/00/006141411234567890{tail}"):
        try:
            link = parse_link(uri)
        except DigitalLinkError as error:
            refusal = (error.field, error.detail)
        else:
            refusal = ("", "")
            assert parse_link(build_link("", link)) == link
        assert all(refusal) or not any(refusal)


@given(
    segments=st.lists(st.sampled_from(["01", "00", "21", "10", "22", "414", "254", "06901234567892", "A", "", "%2F"]))
)
def test_any_path_of_plausible_parts_is_read_or_refused(segments: list[str]) -> None:
    with contextlib.suppress(DigitalLinkError):
        link = parse_link("/" + "/".join(segments))
        assert parse_link(link.path) == link
