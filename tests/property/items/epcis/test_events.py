"""Whatever a right event says: it is kept byte for byte, and its id follows from what it says alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loyalty.items.epcis.checking import check_event
from loyalty.items.epcis.contexts import read_context
from loyalty.items.epcis.documents import DocumentReader, check_envelope
from loyalty.items.epcis.epcs import parse_epc
from loyalty.items.epcis.event_hash import event_hash_id
from loyalty.items.epcis.faults import Fault, InvalidEventError
from loyalty.items.epcis.storing import prepare
from loyalty.items.gtin import check_digit
from tests.epcis_examples import CONTEXT, PREFIXES, STANDARD, document, encoded

DOCUMENT, _ = read_context([CONTEXT, PREFIXES], "$")
PROGRAMME = UUID(int=1)

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = st.from_regex(r"example:[a-z]{1,6}", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
EXAMPLES = st.sampled_from([event for event in STANDARD.values() if "errorDeclaration" not in event])
EVENTS = st.builds(lambda event, more: event | more, EXAMPLES, st.dictionaries(NAMES, VALUES, max_size=4))


def shuffled(value: Any, draw: st.DrawFn) -> Any:
    """The same JSON, each object's members in some order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name], draw) for name in draw(st.permutations(list(value)))}
    if isinstance(value, list):
        return [shuffled(each, draw) for each in value]
    return value


@st.composite
def twins(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    event = draw(EVENTS)
    return event, shuffled(event, draw)


@given(EVENTS)
def test_an_event_is_kept_as_it_was_given(event: dict[str, Any]) -> None:
    raw = encoded(event)
    kept = prepare(raw, check_event(raw, DOCUMENT), DOCUMENT, programme_id=PROGRAMME).given
    assert kept == raw


@given(twins())
def test_an_id_does_not_depend_on_the_order_of_members(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, other = both
    assert event_hash_id(one, DOCUMENT) == event_hash_id(other, DOCUMENT)
    first, second = (
        prepare(encoded(event), check_event(encoded(event), DOCUMENT), DOCUMENT, programme_id=PROGRAMME)
        for event in both
    )
    assert (first.key, first.content) == (second.key, second.content)


@given(EVENTS, st.sampled_from(["eventTime", "action", "bizStep"]))
def test_an_id_depends_on_what_is_said(event: dict[str, Any], name: str) -> None:
    other = {
        "eventTime": "1999-12-31T00:00:00Z",
        "action": "DELETE" if event.get("action") != "DELETE" else "OBSERVE",
        "bizStep": "killing",
    }
    assert event_hash_id(event, DOCUMENT) != event_hash_id(event | {name: other[name]}, DOCUMENT)


@given(EVENTS, st.integers(0, 9), st.integers(0, 9))
def test_spellings_of_white_space_change_nothing_but_the_bytes(event: dict[str, Any], left: int, right: int) -> None:
    raw = msgspec.json.format(encoded(event), indent=left % 4)
    spaced = b" " * left + raw + b"\n" * right
    checked = check_event(spaced, DOCUMENT)
    assert checked.plain == event
    assert event_hash_id(checked.plain, DOCUMENT) == event_hash_id(event, DOCUMENT)


@given(st.lists(EVENTS, max_size=5), st.lists(st.integers(0, 10_000), max_size=6))
def test_documents_are_cut_alike_wherever_chunks_end(events: list[dict[str, Any]], cuts: list[int]) -> None:
    raw = encoded(document(*events))
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    reader = DocumentReader()
    told = [event for start, end in pairwise(places) for event in reader.feed(raw[start:end])]
    assert told == [encoded(event) for event in events]
    assert check_envelope(reader.finish()).list_path == "$.epcisBody.eventList"


@given(st.binary(max_size=300), st.integers(1, 50))
def test_the_reader_refuses_or_cuts_but_never_fails(noise: bytes, size: int) -> None:
    raw = b'{"epcisBody":{"eventList":[' + noise
    reader = DocumentReader()
    try:
        told = [event for at in range(0, len(raw), size) for event in reader.feed(raw[at : at + size])]
        reader.finish()
    except InvalidEventError:
        return
    assert all(event.startswith(b"{") for event in told)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(EXAMPLES, st.data())
def test_whatever_stands_in_a_field_an_event_is_taken_or_refused_with_a_path(event: dict[str, Any], data: Any) -> None:
    name = data.draw(st.sampled_from(list(event)))
    changed = event | {name: data.draw(JSON)}
    faults: list[Fault] = []
    try:
        prepare(encoded(changed), check_event(encoded(changed), DOCUMENT), DOCUMENT, programme_id=PROGRAMME)
    except InvalidEventError as error:
        faults = error.faults or [Fault("", "")]
    assert all(fault.path.startswith("$") and fault.reason for fault in faults)


SERIALS = st.from_regex(r"[A-Za-z0-9!()*+,.:;=_'\-]{1,20}", fullmatch=True)


@given(st.from_regex(r"[0-9]{13}", fullmatch=True), st.integers(6, 12), SERIALS)
def test_a_urn_and_a_digital_link_of_one_item_are_one_name(digits: str, length: int, serial: str) -> None:
    indicator, company, item = digits[0], digits[1 : 1 + length], digits[1 + length :]
    gtin = digits + str(check_digit(digits))
    urn = parse_epc(f"urn:epc:id:sgtin:{company}.{indicator}{item}.{serial}")
    link = parse_epc(f"https://brand.example/01/{gtin}/21/{serial}?17=300101")
    assert urn == link
    assert (urn.gtin, urn.serial) == (gtin, serial)
