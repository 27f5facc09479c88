"""Asking: every parameter finds what it is about and nothing else, whatever spelling it comes in."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.programme import Programme
from tests.epcis_examples import (
    ASSOCIATED,
    COMMISSIONED,
    CONTEXT,
    DISPOSED,
    PACKED,
    RECEIVED,
    SENSED,
    SENSED_PLACE,
    SHIPPED,
    STANDARD,
    TRANSACTED,
    TRANSFORMED,
    UNPACKED_WHOLE,
    WRONG,
    changed,
)
from tests.web.epcis.conftest import Epcis, escaped, make_epcis, problem

NAMES: dict[str, dict[str, Any]] = {
    "shipped": SHIPPED,
    "received": RECEIVED,
    "commissioned": COMMISSIONED,
    "packed": PACKED,
    "unpacked": UNPACKED_WHOLE,
    "transformed": TRANSFORMED,
    "transacted": TRANSACTED,
    "associated": ASSOCIATED,
    "sensed": SENSED,
    "sensed place": SENSED_PLACE,
    "disposed": DISPOSED,
    "wrong": WRONG,
}


@pytest.fixture
async def filled(epcis: Epcis) -> Epcis:
    """All of the standard's examples, captured."""
    told = await epcis.capture(*STANDARD.values())
    assert told["success"]
    return epcis


async def found(epcis: Epcis, path: str = "/events", **parameters: Any) -> set[str]:
    """The examples that answer a query, by name."""
    names = set()
    for event in await epcis.events(path, perPage=1000, **parameters):
        del event["recordTime"]
        matching = [name for name, given in NAMES.items() if event in (given, given | {"eventID": event["eventID"]})]
        assert len(matching) == 1, event
        names.add(matching[0])
    return names


QUERIES: list[tuple[dict[str, Any], str]] = [
    # EPCIS 2.0, section 8.2.7.1: what each parameter of SimpleEventQuery is about
    ({}, ", ".join(NAMES)),
    ({"eventType": "AggregationEvent"}, "packed, unpacked"),
    ({"eventType": "TransactionEvent|AssociationEvent"}, "transacted, associated"),
    ({"GE_eventTime": "2019-11-01T13:00:00Z"}, "associated, transacted, disposed"),
    ({"GE_eventTime": "2019-11-01T21:00:00.000+08:00"}, "associated, transacted, disposed"),
    ({"LT_eventTime": "2005-04-04T20:33:31.116-06:00"}, "shipped, wrong"),
    ({"GE_eventTime": "2005-04-05T02:33:31.116Z", "LT_eventTime": "2005-04-05T02:33:31.117Z"}, "received"),
    ({"GE_recordTime": "2199-01-01T00:00:00Z"}, ""),
    ({"LT_recordTime": "2199-01-01T00:00:00Z", "eventType": "TransformationEvent"}, "transformed"),
    ({"EQ_action": "DELETE"}, "unpacked"),
    ({"EQ_action": "DELETE|ADD", "eventType": "AggregationEvent"}, "packed, unpacked"),
    ({"EQ_bizStep": "receiving"}, "received"),
    ({"EQ_bizStep": "urn:epcglobal:cbv:bizstep:receiving"}, "received"),
    ({"EQ_bizStep": "cbv:BizStep-receiving|https://ref.gs1.org/cbv/BizStep-unpacking"}, "received, unpacked"),
    ({"EQ_bizStep": "inspecting"}, "disposed"),  # which was captured by its address
    ({"EQ_disposition": "in_transit"}, "shipped, wrong, transacted"),
    ({"EQ_persistentDisposition_set": "completeness_verified"}, "disposed"),
    ({"EQ_persistentDisposition_unset": "completeness_verified"}, ""),
    ({"EQ_readPoint": "urn:epc:id:sgln:0614141.07346.1234"}, "shipped, wrong"),
    ({"EQ_readPoint": "https://example.com/414/0614141073467/254/1234"}, "shipped, wrong"),
    ({"EQ_readPoint": "geo:50.947573340894124,6.922120147375441"}, "sensed"),
    ({"EQ_readPoint": "urn:epc:id:sgln:0614141.07346.0"}, ""),
    ({"WD_readPoint": "urn:epc:id:sgln:0614141.07346.0"}, "shipped, wrong"),
    ({"WD_readPoint": "https://id.gs1.org/414/0012345111112"}, "received"),
    ({"EQ_bizLocation": "https://id.gs1.org/414/0012345111112"}, "received"),
    ({"WD_bizLocation": "urn:epc:id:sgln:0012345.11111.0|urn:epc:id:sgln:0614141.00888.0"},
     "received, commissioned, packed"),
    ({"EQ_transformationID": "urn:epc:id:gdti:0614141.12345.400"}, "transformed"),
    ({"EQ_transformationID": "https://id.gs1.org/253/0614141123452400"}, "transformed"),
    ({"EQ_eventID": SHIPPED["eventID"]}, "shipped, wrong"),
    ({"EQ_bizTransaction_po": "http://transaction.acme.com/po/12345678"}, "shipped, wrong, received"),
    ({"EQ_bizTransaction_desadv": "urn:epcglobal:cbv:bt:0614141073467:1152"}, "received"),
    ({"EQ_bizTransaction_desadv": "http://transaction.acme.com/po/12345678"}, ""),
    ({"EQ_bizTransaction_po": "https://id.gs1.org/253/06141410000121618034"}, "transacted"),
    ({"EQ_source_possessing_party": "urn:epc:id:pgln:4012345.00225"}, "transacted"),
    ({"EQ_source_possessing_party": "https://id.gs1.org/417/4012345002256"}, "transacted"),
    ({"EQ_destination_location": "urn:epc:id:sgln:0614141.00777.0"}, "transacted"),
    ({"EQ_destination_owning_party": "urn:epc:id:sgln:0614141.00777.0"}, ""),
    ({"MATCH_epc": "urn:epc:id:sgtin:0614141.107346.2018"}, "shipped, wrong, received, packed"),
    ({"MATCH_epc": "https://id.gs1.org/01/10614141073464/21/2018"}, "shipped, wrong, received, packed"),
    ({"MATCH_epc": "https://brand.example/a/01/10614141073464/10/X/21/2018?17=260101"},
     "shipped, wrong, received, packed"),
    ({"MATCH_epc": "urn:epc:id:sgtin:0614141.107346.2017"}, "shipped, wrong, packed"),
    ({"MATCH_epc": "urn:epc:id:sgtin:0614141.107346.201"}, ""),
    ({"MATCH_epc": "urn:epc:idpat:sgtin:0614141.107346.*"}, "shipped, wrong, received, packed"),
    ({"MATCH_epc": "urn:epc:id:sscc:0614141.1234567890"}, ""),  # a parent; parents are asked for by themselves
    ({"MATCH_parentID": "urn:epc:id:sscc:0614141.1234567890"}, "packed, unpacked, transacted"),
    ({"MATCH_parentID": "https://id.gs1.org/00/106141412345678908"}, "packed, unpacked, transacted"),
    ({"MATCH_anyEPC": "urn:epc:id:sscc:0614141.1234567890"}, "packed, unpacked, transacted"),
    ({"MATCH_anyEPC": "urn:epc:id:sgtin:4012345.077889.26"}, "transformed"),
    ({"MATCH_inputEPC": "urn:epc:id:sgtin:4012345.011122.25"}, "transformed"),
    ({"MATCH_inputEPC": "urn:epc:id:sgtin:4012345.077889.25"}, ""),
    ({"MATCH_outputEPC": "urn:epc:id:sgtin:4012345.077889.25"}, "transformed"),
    ({"MATCH_epcClass": "urn:epc:class:lgtin:4012345.012345.998877"}, "commissioned, packed"),
    ({"MATCH_epcClass": "https://id.gs1.org/01/04012345123456/10/998877"}, "commissioned, packed"),
    ({"MATCH_epcClass": "urn:epc:idpat:sgtin:4012345.098765.*"}, "packed, associated"),
    ({"MATCH_inputEPCClass": "urn:epc:class:lgtin:4012345.011111.4444"}, "transformed"),
    ({"MATCH_outputEPCClass": "urn:epc:class:lgtin:4012345.011111.4444"}, ""),
    ({"MATCH_outputEPCClass": "urn:epc:idpat:sgtin:4012345.066666.*"}, "transformed"),
    ({"MATCH_anyEPCClass": "urn:epc:idpat:sgtin:4012345.066666.*|urn:epc:idpat:sgtin:4012345.098765.*"},
     "transformed, packed, associated"),
    ({"EXISTS_errorDeclaration": "true"}, "wrong"),
    ({"EXISTS_errorDeclaration": "false", "EQ_eventID": SHIPPED["eventID"]}, "shipped"),
    ({"GE_errorDeclaration_Time": "2005-04-07T12:00:00Z"}, "wrong"),
    ({"LT_errorDeclaration_Time": "2005-04-07T12:00:00Z"}, ""),
    ({"EQ_errorReason": "incorrect_data"}, "wrong"),
    ({"EQ_errorReason": "urn:epcglobal:cbv:er:did_not_occur"}, ""),
    ({"EQ_correctiveEventID": "urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"}, "wrong"),
    # parameters are conditions that all hold
    ({"EQ_bizStep": "shipping", "EQ_action": "OBSERVE", "EXISTS_errorDeclaration": "false"}, "shipped"),
    ({"EQ_bizStep": "shipping", "eventType": "TransactionEvent", "MATCH_epc": "urn:epc:id:sgtin:0614141.107340.1"},
     "transacted"),
    ({"EQ_bizStep": "shipping", "EQ_disposition": "in_progress"}, ""),
]  # fmt: skip


async def test_each_parameter_finds_what_it_is_about(filled: Epcis) -> None:
    for parameters, names in QUERIES:
        assert await found(filled, **parameters) == set(filter(None, names.split(", "))), parameters


PATHS = {
    "/eventTypes/TransformationEvent/events": "transformed",
    "/bizSteps/shipping/events": "shipped, wrong, transacted",
    f"/bizSteps/{escaped('https://ref.gs1.org/cbv/BizStep-shipping')}/events": "shipped, wrong, transacted",
    "/dispositions/in_progress/events": "received, packed, transformed, disposed",
    f"/readPoints/{escaped('urn:epc:id:sgln:4012345.00001.0')}/events": "transformed, associated, sensed place",
    f"/readPoints/{escaped('https://id.gs1.org/414/4012345000016')}/events": "transformed, associated, sensed place",
    f"/bizLocations/{escaped('https://example.com/414/0614141008889')}/events": "commissioned, packed",
    "/epcs/urn:epc:id:sgtin:0614141.107346.2018/events": "shipped, wrong, received, packed",
    f"/epcs/{escaped('https://id.gs1.org/01/10614141073464/21/2018')}/events": "shipped, wrong, received, packed",
    "/epcs/urn:epc:class:lgtin:4012345.012345.998877/events": "commissioned, packed",
    f"/events/{escaped(SHIPPED['eventID'])}": "shipped, wrong",
}


async def test_events_are_below_the_resources_they_are_about(filled: Epcis) -> None:
    for path, names in PATHS.items():
        assert await found(filled, path) == set(names.split(", ")), path
        if path.endswith("/events"):
            assert (await filled.get(path.removesuffix("/events"))).json()["member"] == ["events"]


async def test_a_resource_narrows_a_query_further(filled: Epcis) -> None:
    assert await found(filled, "/bizSteps/shipping/events", eventType="TransactionEvent") == {"transacted"}
    assert await found(filled, "/bizSteps/shipping/events", EQ_bizStep="receiving") == set()
    assert await found(filled, "/epcs/urn:epc:id:sgtin:0614141.107346.2018/events", EQ_action="ADD") == {"packed"}


@pytest.mark.parametrize(
    "path",
    [
        "/events/urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8",
        "/events/a/b",
        "/eventTypes/SaleEvent/events",
        "/epcs/12345/events",
        "/epcs/urn:epc:id:sgtin:1.2.3/events",
        "/bizSteps/shipping/captures",
        "/bizSteps/shipping/events/1",
    ],
)
async def test_what_is_not_there_is_not_found(filled: Epcis, path: str) -> None:
    problem(await filled.get(path), 404, "NoSuchResourceException")


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"EQ_bizstep": "shipping"}, "EQ_bizstep"),
        ({"EQ_bizStep": "shiping"}, "EQ_bizStep"),
        ({"EQ_bizStep": ""}, "EQ_bizStep"),
        ({"eventType": "SaleEvent"}, "eventType"),
        ({"EQ_action": "add"}, "EQ_action"),
        ({"GE_eventTime": "2020-01-01"}, "GE_eventTime"),
        ({"GE_eventTime": "2020-01-01T00:00:00"}, "GE_eventTime"),
        ({"GE_eventTime": ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]}, "GE_eventTime"),
        ({"MATCH_epc": "12345"}, "MATCH_epc"),
        ({"MATCH_epc": "urn:epc:idpat:sgtin:4012345.*.*"}, "MATCH_epc"),
        ({"MATCH_epc": "https://id.gs1.org/01/10614141073465/21/1"}, "MATCH_epc"),
        ({"MATCH_epc": "|".join(["urn:x:1"] * 201)}, "MATCH_epc"),
        ({"perPage": 0}, "perPage"),
        ({"perPage": 1001}, "perPage"),
        ({"orderBy": "bizStep"}, "orderBy"),
        ({"orderDirection": "UP"}, "orderDirection"),
        ({"eventCountLimit": "some"}, "eventCountLimit"),
        ({"maxEventCount": -1}, "maxEventCount"),
        ({"nextPageToken": "eyJ4IjoxfQ"}, "nextPageToken"),
        ({"nextPageToken": "%%%"}, "nextPageToken"),
        ({"GE_quantity": 10}, "GE_quantity"),
        ({"EXISTS_ILMD_example:batch": "true"}, "EXISTS_ILMD_example:batch"),
        ({"GE_value_CEL": 20}, "GE_value_CEL"),
    ],
    ids=str,
)
async def test_a_query_that_is_none_is_refused_and_the_parameter_named(
    epcis: Epcis, parameters: dict[str, Any], field: str
) -> None:
    refused = problem(await epcis.get("/events", **parameters), 400, "QueryParameterException")
    assert [error["field"] for error in refused["errors"]] == [field]


async def pages(epcis: Epcis, path: str = "/events", **parameters: Any) -> list[list[Any]]:
    """All pages of an answer, following `Link`."""
    told, answered = [], await epcis.get(path, **parameters)
    while True:
        assert answered.status_code == 200, answered.text
        body = answered.json()
        told.append(
            body["epcisBody"]["queryResults"]["resultsBody"]["eventList"] if "epcisBody" in body else body["member"]
        )
        link = answered.headers.get("link")
        if link is None:
            return told
        address, relation = link.split("; ")
        assert relation == 'rel="next"'
        answered = await epcis.client.get(address.strip("<>"), headers={"Authorization": f"Bearer {epcis.token}"})


def moments(*numbers: int) -> list[str]:
    return [f"2020-01-01T00:00:0{number}.000Z" for number in numbers]


@pytest.fixture
async def ten(epcis: Epcis) -> Epcis:
    """Ten events, a second apart, captured in another order, two of them at one moment."""
    for number in (3, 0, 8, 1, 5, 2, 7, 4, 6):
        answered = await epcis.capture_one(changed(RECEIVED, "eventTime", *moments(number)))
        assert answered.status_code == 201
    same_moment = changed(RECEIVED, "eventTime", *moments(5)) | {"bizStep": "storing"}
    assert (await epcis.capture_one(same_moment)).status_code == 201
    return epcis


async def test_events_are_told_page_by_page_newest_first(ten: Epcis) -> None:
    told = await pages(ten, perPage=4)
    assert [len(page) for page in told] == [4, 4, 2]
    assert [event["eventTime"] for page in told for event in page] == moments(8, 7, 6, 5, 5, 4, 3, 2, 1, 0)
    assert len({event["eventID"] for page in told for event in page}) == 10


async def test_the_order_can_be_chosen(ten: Epcis) -> None:
    told = await pages(ten, perPage=3, orderDirection="ASC")
    assert [event["eventTime"] for page in told for event in page] == moments(0, 1, 2, 3, 4, 5, 5, 6, 7, 8)
    recorded = await pages(ten, perPage=3, orderBy="recordTime", orderDirection="ASC")
    assert [event["eventTime"] for page in recorded for event in page] == moments(3, 0, 8, 1, 5, 2, 7, 4, 6, 5)
    newest = await pages(ten, perPage=7, orderBy="recordTime")
    assert [event["eventTime"] for page in newest for event in page] == moments(5, 6, 4, 7, 2, 5, 1, 8, 0, 3)


async def test_a_page_may_end_at_an_exact_multiple(ten: Epcis) -> None:
    assert [len(page) for page in await pages(ten, perPage=5)] == [5, 5]
    assert [len(page) for page in await pages(ten, perPage=10)] == [10]


async def test_pages_stay_the_same_while_more_is_captured(ten: Epcis) -> None:
    first = await ten.get("/events", perPage=5)
    await ten.capture_one(changed(RECEIVED, "eventTime", *moments(9)))
    address = first.headers["link"].split(">")[0].removeprefix("<").split("/epcis", 1)[1]
    rest = await ten.events(address)
    assert [event["eventTime"] for event in rest] == moments(4, 3, 2, 1, 0)


async def test_no_more_events_than_are_asked_for(ten: Epcis) -> None:
    assert [len(page) for page in await pages(ten, perPage=4, eventCountLimit=7)] == [4, 3]
    assert [len(page) for page in await pages(ten, perPage=4, eventCountLimit=4)] == [4]
    assert [len(page) for page in await pages(ten, eventCountLimit=50)] == [10]


async def test_a_query_with_too_large_an_answer_is_refused(ten: Epcis) -> None:
    problem(await ten.get("/events", maxEventCount=9), 413, "QueryTooLargeException")
    assert len(await ten.events(maxEventCount=10)) == 10
    assert len(await ten.events(maxEventCount=1, EQ_bizStep="storing")) == 1


LISTS = {
    "/eventTypes": {
        "ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent",
    },
    "/bizSteps": {
        "shipping", "receiving", "commissioning", "packing", "unpacking", "assembling", "sensor_reporting",
        "inspecting",
    },
    "/dispositions": {"in_transit", "in_progress", "active"},
    "/bizLocations": {"urn:epc:id:sgln:0012345.11111.0", "urn:epc:id:sgln:0614141.00888.0"},
    "/readPoints": {
        "urn:epc:id:sgln:0614141.07346.1234", "urn:epc:id:sgln:0012345.11111.400", "urn:epc:id:sgln:0614141.00777.0",
        "urn:epc:id:sgln:4012345.00001.0", "geo:50.947573340894124,6.922120147375441",
    },
}  # fmt: skip


async def test_what_there_are_events_of_is_listed(filled: Epcis) -> None:
    for path, values in LISTS.items():
        (told,) = await pages(filled, path)
        assert (set(told), len(told)) == (values, len(values)), path
        assert [value for page in await pages(filled, path, perPage=2) for value in page] == told
        for value in told:
            assert await filled.events(f"{path}/{escaped(value)}/events"), value


async def test_objects_are_listed_each_once_in_their_one_spelling(filled: Epcis) -> None:
    told = [epc for page in await pages(filled, "/epcs", perPage=4) for epc in page]
    assert len(told) == len(set(told))
    assert {"https://id.gs1.org/01/10614141073464/21/2018", "https://id.gs1.org/00/106141412345678908"} <= set(told)
    assert not any("/10/" in epc for epc in told)  # classes are no objects
    for epc in told:
        assert await filled.events(f"/epcs/{escaped(epc)}/events"), epc


@pytest.mark.usefixtures("filled")
async def test_brands_do_not_see_each_others_events(
    client: httpx.AsyncClient, engine: AsyncEngine, app: Litestar, committed_programme: Programme
) -> None:
    other = await make_epcis(client, engine, app, committed_programme)
    for path in [*LISTS, "/epcs"]:
        assert (await other.get(path)).json()["member"] == [], path
    for path in PATHS:
        answered = await other.get(path)
        assert answered.status_code == 404 or await other.events(path) == [], path
    assert await other.events(MATCH_anyEPC="urn:epc:id:sgtin:0614141.107346.2018") == []


async def test_names_are_answered_as_digital_links_where_that_is_asked_for(filled: Epcis) -> None:
    headers = {"GS1-EPC-Format": "Always_GS1_Digital_Link"}
    answered = await filled.get("/events", headers, eventType="AggregationEvent", EQ_action="ADD")
    assert answered.headers["GS1-EPC-Format"] == "Always_GS1_Digital_Link"
    (event,) = answered.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert event["parentID"] == "https://id.gs1.org/00/106141412345678908"
    assert event["childEPCs"][1] == "https://id.gs1.org/01/10614141073464/21/2018"
    assert event["childQuantityList"][1]["epcClass"] == "https://id.gs1.org/01/04012345123456/10/998877"
    assert event["readPoint"] == {"id": "https://id.gs1.org/414/0614141007776"}
    assert event["example:myField"] == PACKED["example:myField"]
    as_given = await filled.get("/events", eventType="AggregationEvent", EQ_action="ADD")
    assert as_given.headers["GS1-EPC-Format"] == "Never_Translates"
    (event,) = as_given.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert event["parentID"] == PACKED["parentID"]
    problem(await filled.get("/events", {"GS1-EPC-Format": "Always_EPC_URN"}), 406, "NotAcceptableException")


async def test_contexts_that_say_different_things_stay_apart(epcis: Epcis) -> None:
    """One prefix, two namespaces: each event is answered with its own."""
    for number, namespace in enumerate(("http://a.example/", "http://b.example/")):
        event = changed(RECEIVED, "eventTime", *moments(number))
        answered = await epcis.post("/events", {"@context": [CONTEXT, {"example": namespace}]} | event)
        assert answered.status_code == 201, answered.text
    answered = (await epcis.get("/events", orderDirection="ASC")).json()
    first, second = answered["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    namespaces = []
    for event in (first, second):
        declared: dict[str, str] = {}
        inner = event.get("@context", [])
        for part in [*answered["@context"], *(inner if isinstance(inner, list) else [inner])]:
            declared |= part if isinstance(part, dict) else {}
        namespaces.append(declared["example"])
    assert namespaces == ["http://a.example/", "http://b.example/"]
