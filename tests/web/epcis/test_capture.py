"""Capturing over HTTP: the standard's examples come back as they were; what is wrong is refused with a path."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.epcis.checking import EVENT_BYTES_LIMIT
from loyalty.kit.db import transaction
from loyalty.settings import Settings
from loyalty.web.app import create_app
from tests.epcis_examples import (
    CONTEXT,
    PACKED,
    RECEIVED,
    RECEIVED_BY_LINK,
    SHIPPED,
    STANDARD,
    WRONG,
    alone,
    changed,
    document,
    encoded,
)
from tests.web.conftest import serving
from tests.web.epcis.conftest import Epcis, escaped, make_epcis, problem


def raw_members(answered: httpx.Response) -> list[dict[str, bytes]]:
    """Each event that was answered, its members in the bytes that came."""
    body = msgspec.json.decode(answered.content, type=dict[str, msgspec.Raw])
    results = msgspec.json.decode(body["epcisBody"], type=dict[str, dict[str, msgspec.Raw]])
    events = msgspec.json.decode(results["queryResults"]["resultsBody"], type=dict[str, list[dict[str, msgspec.Raw]]])
    return [{name: bytes(raw) for name, raw in event.items()} for event in events["eventList"]]


@pytest.mark.parametrize("event", [*STANDARD.values(), RECEIVED_BY_LINK], ids=[*STANDARD, "by link"])
async def test_the_standards_examples_are_captured_and_come_back_as_they_were(
    epcis: Epcis, event: dict[str, Any]
) -> None:
    told = await epcis.capture(event)
    assert (told["running"], told["success"], told["errors"], told["capturedEventCount"]) == (False, True, [], 1)
    answered = await epcis.get("/events")
    (found,) = answered.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert found.pop("recordTime")
    if "eventID" not in event:
        assert found.pop("eventID").startswith("ni:///sha-256;")
    assert found == event
    (raw,) = raw_members(answered)
    assert {name: raw[name] for name in event} == {name: encoded(value) for name, value in event.items()}


@pytest.mark.parametrize("event", STANDARD.values(), ids=STANDARD)
async def test_the_standards_examples_are_captured_one_by_one(epcis: Epcis, event: dict[str, Any]) -> None:
    answered = await epcis.capture_one(event)
    assert answered.status_code == 201, answered.text
    told = answered.json()
    assert {name: told[name] for name in event} == event
    address = answered.headers["location"]
    assert address.endswith("/epcis/events/" + escaped(told["eventID"]))
    (found,) = await epcis.events(address.split("/epcis", 1)[1])
    assert found == told | {"recordTime": found["recordTime"]}


async def test_bytes_stay_as_they_were_given(epcis: Epcis) -> None:
    members = (
        b'"type":"ObjectEvent", "eventTime" : "2020-01-01T00:00:00.1000000Z","eventTimeZoneOffset":"+00:00",'
        b'"action":"OBSERVE","epcList":[ "urn:x:\\u00e9" ],"example:number":1.50e+3 ,"example:text":"\\u9762 \\/"'
    )
    body = b'{"@context":["%s",{"example":"http://e.example/"}],' % CONTEXT.encode()
    answered = await epcis.post("/events", body + members.replace(b"urn:x:\\u00e9", b"urn:x:1") + b"}")
    assert answered.status_code == 201, answered.text
    (raw,) = raw_members(await epcis.get("/events"))
    assert raw["epcList"] == b'[ "urn:x:1" ]'
    assert raw["eventTime"] == b'"2020-01-01T00:00:00.1000000Z"'
    assert raw["example:number"] == b"1.50e+3"
    assert raw["example:text"] == b'"\\u9762 \\/"'


async def test_what_comes_along_as_record_time_is_not_believed(epcis: Epcis) -> None:
    await epcis.capture(SHIPPED | {"recordTime": "1999-01-01T00:00:00Z"})
    (found,) = await epcis.events()
    assert not found["recordTime"].startswith("1999")


REFUSED = {
    "bizStep": (changed(SHIPPED, "bizStep", "shiping"), "bizStep"),
    "time": (changed(SHIPPED, "eventTime", "2005-04-03T20:33:31"), "eventTime"),
    "EPC": (changed(SHIPPED, "epcList.1", "urn:epc:id:sgtin:0614141.10734.1"), "epcList[1]"),
    "a field too few": (changed(SHIPPED, "action"), "action"),
}


@pytest.mark.parametrize(("event", "path"), REFUSED.values(), ids=REFUSED)
async def test_a_wrong_event_is_refused_with_a_path(epcis: Epcis, event: dict[str, Any], path: str) -> None:
    refused = problem(await epcis.capture_one(event), 400, "ValidationException")
    assert [error["field"] for error in refused["errors"]] == [f"$.{path}"]
    told = await epcis.capture(SHIPPED, event)
    assert (told["running"], told["success"]) == (False, False)
    (error,) = told["errors"]
    assert (error["type"], error["event"]) == ("epcisException:ValidationException", 1)
    assert [each["field"] for each in error["errors"]] == [f"$.epcisBody.eventList[1].{path}"]
    assert await epcis.events() == []


async def test_all_or_nothing_unless_to_proceed_is_asked_for(epcis: Epcis) -> None:
    wrong = changed(RECEIVED, "disposition", "lost")
    told = await epcis.capture(SHIPPED, wrong, PACKED)
    assert (told["success"], told["processedEventCount"], told["failedEventCount"]) == (False, 3, 1)
    assert (told["captureErrorBehaviour"], told["capturedEventCount"]) == ("rollback", 0)
    assert await epcis.events() == []
    told = await epcis.capture(SHIPPED, wrong, PACKED, behaviour="proceed")
    assert (told["success"], told["processedEventCount"], told["failedEventCount"]) == (False, 3, 1)
    assert (told["captureErrorBehaviour"], told["capturedEventCount"]) == ("proceed", 2)
    assert {event["bizStep"] for event in await epcis.events()} == {"shipping", "packing"}


async def test_the_same_document_twice_is_captured_once(epcis: Epcis) -> None:
    first = await epcis.capture(SHIPPED, RECEIVED, RECEIVED)
    again = await epcis.capture(RECEIVED_BY_LINK, SHIPPED)
    assert (first["success"], again["success"]) == (True, True)
    assert len(await epcis.events()) == 2


async def test_an_event_id_is_taken_once(epcis: Epcis) -> None:
    assert (await epcis.capture_one(SHIPPED)).status_code == 201
    for event in (SHIPPED, changed(SHIPPED, "bizStep", "departing")):
        refused = problem(await epcis.capture_one(event), 409, "ResourceAlreadyExistsException")
        assert refused["errors"][0]["field"] == "$.eventID"
    told = await epcis.capture(changed(SHIPPED, "bizStep", "departing"))
    assert (told["success"], told["errors"][0]["status"]) == (False, 409)
    assert told["errors"][0]["errors"][0]["field"] == "$.epcisBody.eventList[0].eventID"
    assert len(await epcis.events()) == 1


async def test_an_event_without_an_id_may_be_sent_again(epcis: Epcis) -> None:
    first, second = await epcis.capture_one(RECEIVED), await epcis.capture_one(RECEIVED_BY_LINK)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.headers["location"] == second.headers["location"]
    assert len(await epcis.events()) == 1


async def test_an_error_declaration_repeats_an_id_and_the_event_with_it(epcis: Epcis) -> None:
    await epcis.capture_one(SHIPPED)
    assert (await epcis.capture_one(WRONG)).status_code == 201
    assert (await epcis.capture_one(WRONG)).status_code == 201
    found = await epcis.events("/events/" + escaped(SHIPPED["eventID"]))
    assert [("errorDeclaration" in event) for event in found].count(True) == 1
    assert len(found) == 2
    other = changed(changed(WRONG, "bizStep", "departing"), "errorDeclaration.declarationTime", "2006-01-01T00:00:00Z")
    refused = problem(await epcis.capture_one(other), 409, "ResourceAlreadyExistsException")
    assert "repeats its event as it was" in refused["detail"]


async def test_a_query_document_can_be_captured_too(epcis: Epcis) -> None:
    await epcis.capture(SHIPPED, RECEIVED)
    exported = (await epcis.get("/events")).content
    async with transaction(epcis.engine) as connection:
        for table in ("epcis_event", "epcis_mention"):
            await connection.execute(
                text(f"DELETE FROM {table} WHERE programme_id = :programme"), {"programme": epcis.programme.id}
            )
    told = await epcis.capture(body=exported)
    assert (told["success"], told["capturedEventCount"]) == (True, 2)
    assert {event["bizStep"] for event in await epcis.events()} == {"shipping", "receiving"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"{", "$"),
        (b"[]", "$"),
        (b"", "$"),
        (document(SHIPPED) | {"type": "EPCISList"}, "$.type"),
        (document(SHIPPED) | {"schemaVersion": "1.2"}, "$.schemaVersion"),
        (document(SHIPPED) | {"creationDate": "today"}, "$.creationDate"),
        (document(SHIPPED) | {"epcisBody": {}}, "$.epcisBody.eventList"),
        (document(SHIPPED) | {"@context": 7}, "$.@context"),
        (document(SHIPPED) | {"note": "?"}, "$.note"),
        ({"type": "EPCISDocument"}, "$.@context"),
        (document(SHIPPED) | {"epcisBody": {"eventList": [SHIPPED, 7]}}, "$.epcisBody.eventList[1]"),
        (encoded(document(SHIPPED)).replace(b'"action"', b'"action" 7'), "$.epcisBody.eventList[0]"),
        (encoded(document(SHIPPED))[:-9], "$.epcisBody.eventList[0]"),
    ],
    ids=str,
)
async def test_what_is_no_document_is_refused_when_it_arrives(epcis: Epcis, body: Any, path: str) -> None:
    refused = problem(await epcis.post("/capture", body), 400, "ValidationException")
    assert path in [error["field"] for error in refused["errors"]]
    assert (await epcis.get("/capture")).json() == []


async def test_jobs_are_listed_newest_first_and_page_by_page(epcis: Epcis) -> None:
    for event in (SHIPPED, RECEIVED, PACKED):
        await epcis.capture(event)
    listed = (await epcis.get("/capture")).json()
    first = await epcis.get("/capture", perPage=2)
    address = first.headers["link"].split(">")[0].removeprefix("<").split("/epcis", 1)[1]
    second = await epcis.get(address)
    assert first.json() + second.json() == listed
    assert [job["createdAt"] for job in listed] == sorted((job["createdAt"] for job in listed), reverse=True)
    assert "link" not in second.headers


async def test_a_job_that_waits_says_so(epcis: Epcis) -> None:
    received = await epcis.post("/capture", document(SHIPPED))
    assert received.headers["GS1-Capture-Error-Behaviour"] == "rollback"
    told = (await epcis.get(received.headers["location"].split("/epcis", 1)[1])).json()
    assert (told["running"], told["success"], told["processedEventCount"], told["eventCount"]) == (True, True, 0, 1)
    assert "finishedAt" not in told
    assert await epcis.events() == []


async def test_a_job_of_another_brand_is_not_there(
    epcis: Epcis, client: httpx.AsyncClient, engine: AsyncEngine, app: Litestar, committed_programme: Any
) -> None:
    other = await make_epcis(client, engine, app, committed_programme)
    told = await epcis.capture(SHIPPED)
    problem(await other.get(f"/capture/{told['captureID']}"), 404, "NoSuchResourceException")
    assert await other.events() == []
    assert (await other.capture_one(SHIPPED)).status_code == 201


async def test_what_is_too_much_is_refused(epcis: Epcis, settings: Settings) -> None:
    tight = msgspec.structs.replace(settings, epcis_capture_events=2, epcis_capture_bytes=4000)
    async with serving(create_app(tight, epcis.engine)) as application:
        transport: Any = httpx.ASGITransport(application, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            narrow = replace(epcis, client=client)
            events = [changed(RECEIVED, "eventTime", f"2020-01-01T00:00:0{n}Z") for n in range(3)]
            for body in (document(*events), document(SHIPPED | {"example:note": "x" * 5000})):
                problem(await narrow.post("/capture", body), 413, "CaptureLimitExceededException")
            assert (await narrow.options("/capture")).headers["GS1-EPCIS-Capture-Limit"] == "2"
    large = alone(SHIPPED) | {"example:note": "x" * EVENT_BYTES_LIMIT}
    problem(await epcis.post("/events", large), 413, "CaptureLimitExceededException")


async def test_many_at_once_with_one_event_id_are_one(epcis: Epcis) -> None:
    answers = await asyncio.gather(*(epcis.capture_one(SHIPPED) for _ in range(6)))
    assert sorted(answered.status_code for answered in answers) == [201, 409, 409, 409, 409, 409]
    assert len(await epcis.events()) == 1
