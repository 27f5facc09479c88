"""A document is cut into its events as it arrives, wherever the chunks end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from loyalty.items.epcis.capturing import PART_EVENTS, CaptureLimitError, ReceivedDocument, receive_document
from loyalty.items.epcis.checking import EVENT_BYTES_LIMIT
from loyalty.items.epcis.documents import ENVELOPE_BYTES_LIMIT, DocumentReader, check_envelope
from loyalty.items.epcis.faults import InvalidEventError
from tests.epcis_examples import CONTEXT, RECEIVED, SHIPPED, document, encoded

TRICKY: list[dict[str, Any]] = [
    {"type": "ObjectEvent", "text": 'x\\"}]{', "list": [1, {"c": "]"}], "empty": {}, "none": []},
    {"type": "ObjectEvent", "text": "面霜 \u2028 \\", "quoted": 'a "b" c'},
    {},
    {"eventList": [{"epcisBody": {"eventList": [1]}}]},
]


def cut(raw: bytes, size: int) -> tuple[list[bytes], bytes]:
    """The events and the rest of a document that comes in chunks of `size` bytes."""
    reader = DocumentReader()
    events = [event for at in range(0, len(raw), size) for event in reader.feed(raw[at : at + size])]
    return events, reader.finish()


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_events_come_whole_wherever_chunks_end(size: int, indent: int | None) -> None:
    whole = document(*TRICKY, **{"example:x": [1, "[]{}", {"eventList": []}], "id": "urn:x:1"})
    events, envelope = cut(json.dumps(whole, indent=indent).encode(), size)
    assert [json.loads(event) for event in events] == TRICKY
    assert json.loads(envelope) == whole | {"epcisBody": {"eventList": []}}


def test_each_event_is_in_its_own_bytes() -> None:
    odd = b'{ "a" : 1.50e+3,\n"b":"\\u00e9" }'
    raw = encoded(document()).replace(b'"eventList":[]', b'"eventList":[' + odd + b" , " + odd + b"]")
    assert cut(raw, 5)[0] == [odd, odd]


def test_a_query_document_has_its_events_elsewhere() -> None:
    results = {"queryName": "q", "resultsBody": {"eventList": TRICKY}}
    body = document() | {"type": "EPCISQueryDocument", "epcisBody": {"queryResults": results}}
    events, envelope = cut(encoded(body), 50)
    assert [json.loads(event) for event in events] == TRICKY
    assert check_envelope(envelope).list_path == "$.epcisBody.queryResults.resultsBody.eventList"


NO_LISTS = {
    b'{"epcisBody":{"eventList":[1,2]}}': "[0]",
    b'{"epcisBody":{"eventList":["a"]}}': "[0]",
    b'{"epcisBody":{"eventList":[[{}]]}}': "[0]",
    b'{"epcisBody":{"eventList":[{},,{}]}}': "[1]",
    b'{"epcisBody":{"eventList":[{},]}}': "[1]",
    b'{"epcisBody":{"eventList":[,{}]}}': "[0]",
    b'{"epcisBody":{"eventList":[{} {}]}}': "[1]",
    b'{"epcisBody":{"eventList":[{}': "[1]",
    b'{"epcisBody":{"eventList":[{"a":[}': "[0]",
}


@pytest.mark.parametrize(("raw", "place"), NO_LISTS.items(), ids=[raw.decode() for raw in NO_LISTS])
def test_what_is_no_list_of_events_is_refused_with_its_place(raw: bytes, place: str) -> None:
    for size in (1, 1000):
        with pytest.raises(InvalidEventError) as caught:
            cut(raw, size)
        assert [fault.path for fault in caught.value.faults] == [f"$.epcisBody.eventList{place}"]


def test_a_second_list_of_events_is_no_way_around_the_first() -> None:
    raw = encoded(document(SHIPPED)).replace(b'"epcisBody":', b'"epcisBody":{"eventList":[]},"epcisBody":')
    events, envelope = cut(raw, 10_000)
    assert events == []
    with pytest.raises(InvalidEventError, match="twice"):
        check_envelope(envelope)


def feed_on(beginning: bytes, chunk: bytes, size: int) -> None:
    """Feed one chunk again and again, more than `size` bytes in all."""
    reader = DocumentReader()
    reader.feed(beginning)
    for _ in range(size // len(chunk) + 1):
        reader.feed(chunk)


def test_memory_is_guarded_before_the_end_is_seen() -> None:
    with pytest.raises(InvalidEventError, match="is larger than"):
        feed_on(b'{"epcisBody":{"eventList":[{"a":"', b"x" * 50_000, EVENT_BYTES_LIMIT)
    for beginning in (b'{"epcisHeader":"', b'{"epcisHeader":[', b" "):
        with pytest.raises(InvalidEventError, match="beside its events"):
            feed_on(beginning, b"1" * 49_999 + b",", ENVELOPE_BYTES_LIMIT)


ENVELOPES: dict[str, dict[str, Any]] = {
    "$.type": {"type": "Document"},
    "$.schemaVersion": {"schemaVersion": "1.2"},
    "$.creationDate": {"creationDate": "2020-01-01"},
    "$.id": {"id": "no uri"},
    "$.note": {"note": 1},
    "$.other:note": {"other:note": 1},
    "$.epcisHeader": {"epcisHeader": 7},
    "$.epcisBody": {"epcisBody": []},
    "$.@context": {"@context": {"p": 7}},
}


@pytest.mark.parametrize("path", ENVELOPES)
def test_what_a_document_says_of_itself_is_checked(path: str) -> None:
    good = document()
    assert check_envelope(encoded(good)).context.knows("example:note")
    with pytest.raises(InvalidEventError) as caught:
        check_envelope(encoded(good | ENVELOPES[path]))
    assert [fault.path.startswith(path) for fault in caught.value.faults] == [True]


async def received(raw: bytes, *, most_events: int = 1000, most_bytes: int = 10**9) -> ReceivedDocument:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(raw), 1000):
            yield raw[at : at + 1000]

    return await receive_document(chunks(), most_events=most_events, most_bytes=most_bytes)


async def test_a_document_is_kept_in_parts_of_some_hundred_events() -> None:
    events = [RECEIVED | {"example:number": number} for number in range(2 * PART_EVENTS + 1)]
    arrived = await received(encoded(document(*events)))
    parts = list(arrived.parts())
    assert [first for first, _ in parts] == [0, PART_EVENTS, 2 * PART_EVENTS]
    assert [event for _, part in parts for event in msgspec.json.decode(part)] == events
    assert (arrived.event_count, arrived.part_count) == (len(events), 3)
    assert list(arrived.parts()) == parts  # may be read again
    arrived.close()


async def test_large_events_make_smaller_parts() -> None:
    large = RECEIVED | {"example:text": "x" * 200_000}
    arrived = await received(encoded(document(*[large] * 7)))
    assert [first for first, _ in arrived.parts()] == [0, 3, 6]
    arrived.close()


async def test_a_document_has_no_more_than_is_captured_at_once() -> None:
    raw = encoded(document(SHIPPED, RECEIVED, SHIPPED))
    (await received(raw, most_events=3, most_bytes=len(raw))).close()
    for limits in ({"most_events": 2}, {"most_bytes": len(raw) - 1}):
        with pytest.raises(CaptureLimitError, match="at most"):
            await received(raw, **limits)


async def test_that_each_event_is_json_is_seen_on_arrival() -> None:
    raw = encoded(document(SHIPPED, RECEIVED)).replace(b'"receiving"', b"receiving")
    with pytest.raises(InvalidEventError) as caught:
        await received(raw)
    assert [fault.path for fault in caught.value.faults] == ["$.epcisBody.eventList[1]"]
    deep = b"[" * 100_000 + b"]" * 100_000
    raw = b'{"@context":"%s","epcisBody":{"eventList":[{"a":%s}]}}' % (CONTEXT.encode(), deep)
    with pytest.raises(InvalidEventError, match="deeply"):
        await received(raw)
