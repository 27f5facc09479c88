"""What nobody sends in good faith is refused by a sentence, never by a failure."""

from __future__ import annotations

import pytest

from tests.epcis_examples import RECEIVED, alone, document, encoded
from tests.web.epcis.conftest import Epcis, problem

EVENT = encoded(alone(RECEIVED))
MARK = b'"Example of a vendor/user extension"'

ODD = {
    "lone surrogate": b'"\\ud800"',
    "U+0000": b'"a\\u0000b"',
    "U+0000 in a name": b'{"a\\u0000b":1}',
    "no UTF-8": b'"\xff\xfe"',
    "NaN": b"NaN",
    "a number beyond all": b"1e400",
    "a long number": b"1" * 5000,
    "a long fraction": b"0." + b"1" * 5000,
    "deep list": b"[" * 5000 + b"]" * 5000,
    "deep object": b'{"a":' * 900 + b"1" + b"}" * 900,
    "many members": b"{" + b",".join(b'"example:a%d":%d' % (n, n) for n in range(20_000)) + b"}",
    "a control character": b'"\x01"',
    "a comment": b"/* */ 1",
    "nothing": b"",
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
async def test_odd_values_are_kept_as_they_are_or_refused(epcis: Epcis, value: bytes) -> None:
    raw = EVENT.replace(MARK, value)
    answered = await epcis.post("/events", raw)
    if answered.status_code == 201:
        assert value in (await epcis.get("/events")).content
    else:
        problem(answered, 400, "ValidationException")
    whole = encoded(document(RECEIVED)).replace(MARK, value)
    received = await epcis.post("/capture", whole)
    if received.status_code == 202:
        told = await epcis.capture(body=whole, behaviour="proceed")
        assert told["running"] is False
        assert (told["capturedEventCount"] == 1) == (answered.status_code == 201)
    else:
        problem(received, 400, "ValidationException")
        assert answered.status_code == 400


BODIES = {
    "a byte order mark": b"\xef\xbb\xbf" + EVENT,
    "two events": EVENT + EVENT,
    "a list": b"[" + EVENT + b"]",
    "a document": encoded(document(RECEIVED)),
    "null": b"null",
    "UTF-16": EVENT.decode().encode("utf-16"),
    "a context that is a number": encoded({"@context": 7} | RECEIVED),
    "no context": encoded(RECEIVED),
    "a prefix that is taken": EVENT.replace(b'"example":', b'"gs1":'),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_odd_bodies_are_refused(epcis: Epcis, body: bytes) -> None:
    problem(await epcis.post("/events", body), 400, "ValidationException")
    assert await epcis.events() == []


async def test_a_header_that_is_nested_too_deeply_is_refused(epcis: Epcis) -> None:
    body = encoded(document(RECEIVED)).replace(b'"epcisBody"', b'"epcisHeader":' + ODD["deep object"] + b',"epcisBody"')
    problem(await epcis.post("/capture", body), 400, "ValidationException")


async def test_a_member_that_comes_twice_is_what_it_says_last(epcis: Epcis) -> None:
    raw = EVENT.replace(b'"action":"OBSERVE"', b'"action":"DELETE","action":"OBSERVE"')
    answered = await epcis.post("/events", raw)
    assert answered.status_code == 201
    (event,) = await epcis.events(EQ_action="OBSERVE")
    assert event["action"] == "OBSERVE"
    assert await epcis.events(EQ_action="DELETE") == []


@pytest.mark.parametrize(
    "path",
    [
        "/events?MATCH_epc=%00",
        "/events?EQ_readPoint=urn:x:%ED%A0%80",
        "/events?nextPageToken=" + "A" * 3000,
        "/events?nextPageToken=W10",
        "/events?nextPageToken=WyIyMDIwLTAxLTAxVDAwOjAwOjAwIiwiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwIiwxXQ",
        "/events?perPage=9999999999999999999999",
        "/events?perPage=%D9%A1",
        "/events?GE_eventTime=9999-12-31T23:59:59-14:00",
        "/bizSteps?nextPageToken=bm90aGluZw",
        "/bizSteps?perPage=2&x=1",
        "/capture?nextPageToken=WzFd",
        "/epcs?nextPageToken=WyJhXHUwMDAwIl0",
    ],
)
async def test_odd_addresses_are_refused(epcis: Epcis, path: str) -> None:
    answered = await epcis.get(path)
    assert answered.status_code in (400, 404), answered.text
    assert answered.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/events/%00", "/epcs/%00/events", "/bizSteps/%ff/events", "/capture/cap_%00"])
async def test_odd_names_in_paths_are_refused(epcis: Epcis, path: str) -> None:
    answered = await epcis.get(path)
    assert answered.status_code in (400, 404), answered.text
