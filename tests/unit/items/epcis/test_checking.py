"""What is right is taken, and what is wrong is refused with its path; each rule names where it comes from."""

from __future__ import annotations

from typing import Any

import pytest

from loyalty.items.epcis.checking import EVENT_BYTES_LIMIT, check_event
from loyalty.items.epcis.contexts import Context, read_context
from loyalty.items.epcis.faults import MOST_FAULTS, InvalidEventError
from tests.epcis_examples import (
    ASSOCIATED,
    COMMISSIONED,
    CONTEXT,
    DISPOSED,
    PACKED,
    PREFIXES,
    RECEIVED,
    RECEIVED_BY_LINK,
    SENSED,
    SENSED_PLACE,
    SHIPPED,
    STANDARD,
    TRANSACTED,
    TRANSFORMED,
    UNPACKED_WHOLE,
    WRONG,
    changed,
    encoded,
)

DOCUMENT, _ = read_context([CONTEXT, PREFIXES], "$")


def faults(event: Any, context: Context = DOCUMENT, **options: Any) -> dict[str, str]:
    raw = event if isinstance(event, bytes) else encoded(event)
    with pytest.raises(InvalidEventError) as caught:
        check_event(raw, context, **options)
    return {fault.path: fault.reason for fault in caught.value.faults}


@pytest.mark.parametrize("event", [*STANDARD.values(), RECEIVED_BY_LINK], ids=[*STANDARD, "by link"])
def test_the_standards_examples_are_taken(event: dict[str, Any]) -> None:
    checked = check_event(encoded(event), DOCUMENT)
    assert checked.plain == event
    assert checked.event_time.utcoffset() is not None


def test_names_and_words_are_read_in_their_one_spelling() -> None:
    urns, links = (check_event(encoded(event), DOCUMENT) for event in (RECEIVED, RECEIVED_BY_LINK))
    assert urns.names["epcList[0]"].canonical == links.names["epcList[0]"].canonical == "01/10614141073464/21/2018"
    assert urns.names["bizLocation.id"].canonical == links.names["bizLocation.id"].canonical == "414/0012345111112"
    assert check_event(encoded(DISPOSED), DOCUMENT).words["bizStep"] == "https://ref.gs1.org/cbv/BizStep-inspecting"


WRONG_VALUES: dict[str, tuple[dict[str, Any], str, str]] = {
    # CBV 2.0, section 7.1.3: the business steps
    "unknown bizStep": (changed(SHIPPED, "bizStep", "shiping"), "$.bizStep", "no business step of CBV 2.0"),
    "GS1's bizStep that is none": (
        changed(SHIPPED, "bizStep", "https://ref.gs1.org/cbv/BizStep-posting"),
        "$.bizStep",
        "no business step",
    ),
    "URN of another vocabulary": (
        changed(SHIPPED, "bizStep", "urn:epcglobal:cbv:disp:in_transit"),
        "$.bizStep",
        "in GS1's namespace",
    ),
    "bizStep no URI": (changed(SHIPPED, "bizStep", "my step:x y"), "$.bizStep", "neither a word of CBV 2.0 nor a URI"),
    "unknown disposition": (changed(SHIPPED, "disposition", "lost"), "$.disposition", "no disposition"),
    "unknown persistent disposition": (
        changed(DISPOSED, "persistentDisposition.set.0", "complete"),
        "$.persistentDisposition.set[0]",
        "no disposition",
    ),
    "unknown transaction type": (
        changed(SHIPPED, "bizTransactionList.0.type", "order"),
        "$.bizTransactionList[0].type",
        "no type of business transaction",
    ),
    "unknown source type": (
        changed(TRANSACTED, "sourceList.0.type", "party"),
        "$.sourceList[0].type",
        "no type of source",
    ),
    "unknown error reason": (
        changed(WRONG, "errorDeclaration.reason", "typo"),
        "$.errorDeclaration.reason",
        "no error reason",
    ),
    "unknown measurement": (
        changed(SENSED, "sensorElementList.0.sensorReport.0.type", "Temp"),
        "$.sensorElementList[0].sensorReport[0].type",
        "no measurement",
    ),
    "unknown alert": (
        changed(SENSED, "sensorElementList.0.sensorReport.3.exception", "FIRE"),
        "$.sensorElementList[0].sensorReport[3].exception",
        "no sensor alert",
    ),
    "unknown component": (
        changed(SENSED, "sensorElementList.0.sensorReport.1.component", "w"),
        "$.sensorElementList[0].sensorReport[1].component",
        "no component",
    ),
    # EPCIS 2.0, section 7.4.1: xsd:dateTimeStamp, which has a zone
    "no zone": (changed(SHIPPED, "eventTime", "2005-04-03T20:33:31"), "$.eventTime", "says no time zone"),
    "no time": (changed(SHIPPED, "eventTime", "2005-04-03"), "$.eventTime", "not a date and time"),
    "no such day": (changed(SHIPPED, "eventTime", "2005-02-30T20:33:31Z"), "$.eventTime", "does not exist"),
    "hour 24": (changed(SHIPPED, "eventTime", "2005-02-03T24:00:00Z"), "$.eventTime", "does not exist"),
    "time as a number": (changed(SHIPPED, "eventTime", 1112581991), "$.eventTime", "expected str, got int"),
    "zone beyond 14 hours": (
        changed(SHIPPED, "eventTimeZoneOffset", "+15:00"),
        "$.eventTimeZoneOffset",
        "not an offset",
    ),
    "zone by name": (changed(SHIPPED, "eventTimeZoneOffset", "Z"), "$.eventTimeZoneOffset", "not an offset"),
    "recordTime wrong": (SHIPPED | {"recordTime": "now"}, "$.recordTime", "not a date and time"),
    "declarationTime wrong": (
        changed(WRONG, "errorDeclaration.declarationTime", "2005"),
        "$.errorDeclaration.declarationTime",
        "not a date and time",
    ),
    "sensor time wrong": (
        changed(SENSED, "sensorElementList.0.sensorMetadata.time", "14:05"),
        "$.sensorElementList[0].sensorMetadata.time",
        "not a date and time",
    ),
    # EPC Tag Data Standard, section 6.3
    "GTIN too short": (
        changed(SHIPPED, "epcList.1", "urn:epc:id:sgtin:0614141.10734.2018"),
        "$.epcList[1]",
        "prefix and item 13 digits",
    ),
    "no such scheme": (
        changed(SHIPPED, "epcList.0", "urn:epc:id:sgtn:0614141.107346.1"),
        "$.epcList[0]",
        "no EPC scheme",
    ),
    "character in a serial": (
        changed(SHIPPED, "epcList.0", "urn:epc:id:sgtin:0614141.107346.a^b"),
        "$.epcList[0]",
        "is not of the form",
    ),
    "SSCC too long": (changed(PACKED, "parentID", "urn:epc:id:sscc:0614141.12345678901"), "$.parentID", "17 digits"),
    # GS1 General Specifications, section 7.9: check digits; Digital Link URI Syntax 1.6, section 4
    "check digit": (
        changed(SHIPPED, "epcList.0", "https://example.com/01/10614141073465/21/2017"),
        "$.epcList[0]",
        "check digit of 10614141073465 should be 4",
    ),
    "qualifier of another key": (
        changed(SHIPPED, "epcList.0", "https://example.com/01/10614141073464/254/2017"),
        "$.epcList[0]",
        "not a qualifier of 01",
    ),
    "qualifiers out of order": (
        changed(SHIPPED, "epcList.0", "https://example.com/01/10614141073464/21/2017/10/a"),
        "$.epcList[0]",
        "not in its place",
    ),
    "blank in a URI": (changed(SHIPPED, "epcList.0", "urn:example:a b"), "$.epcList[0]", "not a URI"),
    "no URI at all": (changed(SHIPPED, "epcList.0", "4012345"), "$.epcList[0]", "not a URI"),
    # EPCIS 2.0, section 7.3.3: instances in EPC lists, classes in quantity lists
    "class in an EPC list": (
        changed(SHIPPED, "epcList.0", "https://example.com/01/10614141073464/10/lot"),
        "$.epcList[0]",
        "names a class of objects",
    ),
    "instance in a quantity list": (
        changed(COMMISSIONED, "quantityList.0.epcClass", "urn:epc:id:sgtin:0614141.107346.2018"),
        "$.quantityList[0].epcClass",
        "names one object",
    ),
    "twice": (changed(SHIPPED, "epcList.1", SHIPPED["epcList"][0]), "$.epcList[1]", "is there twice"),
    "zero": (changed(COMMISSIONED, "quantityList.0.quantity", 0), "$.quantityList[0].quantity", "not positive"),
    "half a thing": (
        changed(COMMISSIONED, "quantityList.1.quantity", 1.5),
        "$.quantityList[1].quantity",
        "whole number",
    ),
    "unit of nothing": (
        changed(COMMISSIONED, "quantityList.2.uom", "KGM"),
        "$.quantityList[2].uom",
        "there is none",
    ),
    "unit in words": (
        changed(COMMISSIONED, "quantityList.0.uom", "kilo"),
        "$.quantityList[0].uom",
        "expected str matching regex",
    ),
    # RFC 3986
    "readPoint": (changed(SHIPPED, "readPoint.id", "warehouse 7"), "$.readPoint.id", "not a URI"),
    "eventID": (SHIPPED | {"eventID": "1"}, "$.eventID", "not a URI"),
    "eventID of a document": (SHIPPED | {"eventID": "_:event1"}, "$.eventID", "leave it out"),
    "device": (
        changed(SENSED, "sensorElementList.0.sensorMetadata.deviceID", "7"),
        "$.sensorElementList[0].sensorMetadata.deviceID",
        "not a URI",
    ),
    "certificate": (changed(DISPOSED, "certificationInfo.0", "ABC"), "$.certificationInfo[0]", "not a URI"),
    "hexadecimal": (
        changed(SENSED, "sensorElementList.0.sensorReport.2.hexBinaryValue", "xyz"),
        "$.sensorElementList[0].sensorReport[2].hexBinaryValue",
        "expected str matching regex",
    ),
    "number as text": (
        changed(SENSED, "sensorElementList.0.sensorReport.0.value", "26"),
        "$.sensorElementList[0].sensorReport[0].value",
        "expected int | float, got str",
    ),
    "null": (changed(SHIPPED, "disposition", None), "$.disposition", "expected str, got null"),
    "action": (changed(SHIPPED, "action", "add"), "$.action", "Invalid enum value 'add'"),
    "type": (changed(SHIPPED, "type", "QuantityEvent"), "$.type", "none of the five event types"),
    "unknown field": (SHIPPED | {"epclist": []}, "$.epclist", "is not a field of ObjectEvent"),
    "field of another event": (PACKED | {"ilmd": {}}, "$.ilmd", "is not a field of AggregationEvent"),
    "undeclared prefix": (SHIPPED | {"ex:note": 1}, "$.ex:note", "nor under a prefix that a context declares"),
    "undeclared prefix in ilmd": (
        changed(COMMISSIONED, "ilmd.lot", "1"),
        "$.ilmd.lot",
        "not under a prefix that a context declares",
    ),
    "extension where none may be": (
        changed(SHIPPED, "bizTransactionList.0.example:note", "1"),
        "$.bizTransactionList[0].example:note",
        "is not a field of BizTransaction",
    ),
}


@pytest.mark.parametrize(("event", "path", "reason"), WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_a_wrong_value_is_refused_with_its_path(event: dict[str, Any], path: str, reason: str) -> None:
    told = faults(event)
    assert list(told) == [path]
    assert reason in told[path]


COMBINATIONS: dict[str, tuple[dict[str, Any], str]] = {
    # EPCIS 2.0, sections 7.4.2 to 7.4.7; epcis-json-schema.json 2.0.1
    "no action": (changed(SHIPPED, "action"), "$.action"),
    "no eventTime": (changed(SHIPPED, "eventTime"), "$.eventTime"),
    "no offset": (changed(SHIPPED, "eventTimeZoneOffset"), "$.eventTimeZoneOffset"),
    "no type": (changed(SHIPPED, "type"), "$.type"),
    "object event of nothing": (changed(SHIPPED, "epcList"), "$.epcList"),
    "object event of an empty list": (changed(SHIPPED, "epcList", []), "$.epcList"),
    "sensors nowhere": (changed(SENSED_PLACE, "readPoint"), "$.epcList"),
    "ilmd without ADD": (changed(COMMISSIONED, "action", "OBSERVE"), "$.ilmd"),
    "aggregation without a parent": (changed(PACKED, "parentID"), "$.parentID"),
    "disaggregation without a parent": (changed(UNPACKED_WHOLE, "parentID"), "$.parentID"),
    "aggregation of nothing": (changed(changed(PACKED, "childEPCs"), "childQuantityList"), "$.childEPCs"),
    "association without a parent": (changed(ASSOCIATED, "parentID"), "$.parentID"),
    "transaction without one": (changed(TRANSACTED, "bizTransactionList"), "$.bizTransactionList"),
    "transaction with none": (changed(TRANSACTED, "bizTransactionList", []), "$.bizTransactionList"),
    "transaction of nothing": (changed(TRANSACTED, "epcList"), "$.epcList"),
    "transformation without inputs": (
        changed(changed(changed(TRANSFORMED, "transformationID"), "inputEPCList"), "inputQuantityList"),
        "$.inputEPCList",
    ),
    "transformation without outputs": (
        changed(changed(changed(TRANSFORMED, "transformationID"), "outputEPCList"), "outputQuantityList"),
        "$.outputEPCList",
    ),
    "place without an id": (changed(SHIPPED, "readPoint.id"), "$.readPoint.id"),
    "quantity of nothing": (changed(COMMISSIONED, "quantityList.0.epcClass"), "$.quantityList[0].epcClass"),
    "source without a type": (changed(TRANSACTED, "sourceList.0.type"), "$.sourceList[0].type"),
    "sensor without a report": (
        changed(SENSED, "sensorElementList.1.sensorReport"),
        "$.sensorElementList[1].sensorReport",
    ),
    "report of nothing": (
        changed(SENSED, "sensorElementList.1.sensorReport.0.type"),
        "$.sensorElementList[1].sensorReport[0].type",
    ),
    "sensor's time backwards": (
        changed(SENSED, "sensorElementList.0.sensorMetadata.endTime", "2019-04-02T13:59:59+01:00"),
        "$.sensorElementList[0].sensorMetadata.endTime",
    ),
    "persistent disposition of nothing": (changed(DISPOSED, "persistentDisposition", {}), "$.persistentDisposition"),
    "disposition set and unset": (
        changed(DISPOSED, "persistentDisposition.unset", ["completeness_verified"]),
        "$.persistentDisposition.unset",
    ),
    # section 7.4.1.2
    "declaration without its time": (
        changed(WRONG, "errorDeclaration.declarationTime"),
        "$.errorDeclaration.declarationTime",
    ),
    # CBV 2.0, section 7.5.3
    "corrected though it did not occur": (
        changed(WRONG, "errorDeclaration.reason", "did_not_occur"),
        "$.errorDeclaration.correctiveEventIDs",
    ),
}


@pytest.mark.parametrize(("event", "path"), COMBINATIONS.values(), ids=COMBINATIONS)
def test_fields_that_do_not_go_together_are_refused_with_a_path(event: dict[str, Any], path: str) -> None:
    assert list(faults(event)) == [path]


@pytest.mark.parametrize(
    "event",
    [
        changed(changed(PACKED, "action", "OBSERVE"), "parentID"),
        changed(changed(TRANSFORMED, "outputEPCList"), "outputQuantityList"),
        changed(changed(TRANSACTED, "epcList"), "action", "DELETE"),
        changed(SHIPPED, "bizStep"),
        SHIPPED | {"bizStep": "https://brand.example/steps/wrapping", "rdfs:comment": "in paper"},
        SHIPPED | {"bizStep": "example:wrapping"},
        changed(SHIPPED, "epcList", ["urn:epc:id:gid:95100000.12345.400", "https://brand.example/parcels/7"]),
        changed(DISPOSED, "certificationInfo", [{"gs1:certificationStandard": "FSC"}]),
        changed(COMMISSIONED, "quantityList.1.quantity", 10.0),
    ],
    ids=str,
)
def test_what_the_standard_leaves_open_is_open(event: dict[str, Any]) -> None:
    assert check_event(encoded(event), DOCUMENT).plain == event


def test_every_fault_is_told_at_once() -> None:
    event = changed(changed(changed(SHIPPED, "bizStep", "shiping"), "eventTime", "yesterday"), "epcList.0", "x")
    assert set(faults(event, path="$.epcisBody.eventList[7]")) == {
        "$.epcisBody.eventList[7].bizStep",
        "$.epcisBody.eventList[7].eventTime",
        "$.epcisBody.eventList[7].epcList[0]",
    }


def test_an_event_by_itself_brings_its_context() -> None:
    assert faults(SHIPPED, Context(), alone=True) == {"$.@context": "is required"}
    alone = {"@context": [CONTEXT, {"x": "https://x.example/"}], **SHIPPED, "x:note": 1}
    assert check_event(encoded(alone), Context(), alone=True).plain == alone


def test_a_context_of_somebody_else_may_declare_what_it_likes() -> None:
    foreign, told = read_context([CONTEXT, "https://industry.example/context.jsonld"], "$")
    assert told == []
    assert check_event(encoded(SHIPPED | {"theirs:note": 1}), foreign).plain["theirs:note"] == 1


@pytest.mark.parametrize(
    ("context", "path"),
    [
        ("no address", "$.@context"),
        ([CONTEXT, 7], "$.@context[1]"),
        ([CONTEXT, {"x": 7}], "$.@context[1].x"),
        ([CONTEXT, {"x": "nowhere"}], "$.@context[1].x"),
    ],
)
def test_a_context_that_is_none_is_refused(context: Any, path: str) -> None:
    assert path in faults({"@context": context, **SHIPPED}, Context(), alone=True)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "is not JSON"),
        (b"[]", "expected object, got array"),
        (b'{"type":"ObjectEvent","eventTime":"\\ud800"}', "is not JSON"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b'{"a":"' + b"a" * EVENT_BYTES_LIMIT + b'"}', "is larger than"),
    ],
    ids=["cut short", "a list", "half a character", "deep", "large"],
)
def test_what_is_no_event_at_all_is_refused(raw: bytes, reason: str) -> None:
    assert reason in faults(raw)["$"]


def test_the_character_that_no_database_keeps_is_refused_where_it_is() -> None:
    event = SHIPPED | {"example:note": {"example:a": ["b", "c\0"]}}
    assert list(faults(event)) == ["$.example:note.example:a[1]"]


def test_not_more_is_told_of_one_event_than_somebody_reads() -> None:
    event = changed(SHIPPED, "epcList", [f"bad {n}" for n in range(MOST_FAULTS + 10)])
    assert len(faults(event)) == MOST_FAULTS
