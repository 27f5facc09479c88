"""EPCIS events to test with, written out by hand from the standard's own examples and from what it says of each field.

`STANDARD` are those of EPCIS 2.0, section 9.6 (9.6.1 object events, 9.6.2 with quantities and ilmd, 9.6.3 aggregation,
9.6.4 transformation), with the same in Digital Links, and of its text on transactions, associations, sensors,
persistent dispositions and error declarations.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.1/epcis-context.jsonld"
PREFIXES = {"example": "http://ns.example.com/epcis/"}

SHIPPED: dict[str, Any] = {
    "eventID": "ni:///sha-256;df7bb3c352fef055578554f09f5e2aa41782150ced7bd0b8af24dd3ccb30ba69?ver=CBV2.0",
    "type": "ObjectEvent",
    "action": "OBSERVE",
    "bizStep": "shipping",
    "disposition": "in_transit",
    "epcList": ["urn:epc:id:sgtin:0614141.107346.2017", "urn:epc:id:sgtin:0614141.107346.2018"],
    "eventTime": "2005-04-03T20:33:31.116000-06:00",
    "eventTimeZoneOffset": "-06:00",
    "readPoint": {"id": "urn:epc:id:sgln:0614141.07346.1234"},
    "bizTransactionList": [{"type": "po", "bizTransaction": "http://transaction.acme.com/po/12345678"}],
}
RECEIVED: dict[str, Any] = {
    "type": "ObjectEvent",
    "action": "OBSERVE",
    "bizStep": "receiving",
    "disposition": "in_progress",
    "epcList": ["urn:epc:id:sgtin:0614141.107346.2018"],
    "eventTime": "2005-04-04T20:33:31.116-06:00",
    "eventTimeZoneOffset": "-06:00",
    "readPoint": {"id": "urn:epc:id:sgln:0012345.11111.400"},
    "bizLocation": {"id": "urn:epc:id:sgln:0012345.11111.0"},
    "bizTransactionList": [
        {"type": "po", "bizTransaction": "http://transaction.acme.com/po/12345678"},
        {"type": "desadv", "bizTransaction": "urn:epcglobal:cbv:bt:0614141073467:1152"},
    ],
    "example:myField": "Example of a vendor/user extension",
}
RECEIVED_BY_LINK: dict[str, Any] = RECEIVED | {
    "epcList": ["https://example.com/01/10614141073464/21/2018?11=050401"],
    "readPoint": {"id": "https://id.gs1.org/414/0012345111112/254/400"},
    "bizLocation": {"id": "https://id.gs1.org/414/0012345111112"},
}
"""The same event, its names as Digital Links."""
COMMISSIONED: dict[str, Any] = {
    "type": "ObjectEvent",
    "action": "ADD",
    "bizStep": "commissioning",
    "disposition": "active",
    "eventTime": "2013-06-08T14:58:56.591+02:00",
    "eventTimeZoneOffset": "+02:00",
    "epcList": [],
    "quantityList": [
        {"epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 200.5, "uom": "KGM"},
        {"epcClass": "urn:epc:idpat:sgtin:4012345.012345.*", "quantity": 10},
        {"epcClass": "https://id.gs1.org/01/04012345123456/10/998878"},
    ],
    "readPoint": {"id": "urn:epc:id:sgln:0614141.00777.0", "example:door": "7"},
    "bizLocation": {"id": "urn:epc:id:sgln:0614141.00888.0"},
    "ilmd": {
        "cbvmda:lotNumber": "ABC123",
        "cbvmda:bestBeforeDate": "2014-03-10",
        "example:nested": {"example:list": ["1", 2, True, {"example:deep": None}]},
    },
}
PACKED: dict[str, Any] = {
    "type": "AggregationEvent",
    "action": "ADD",
    "bizStep": "packing",
    "disposition": "in_progress",
    "eventTime": "2013-06-08T14:58:56.591Z",
    "eventTimeZoneOffset": "+02:00",
    "parentID": "urn:epc:id:sscc:0614141.1234567890",
    "childEPCs": ["urn:epc:id:sgtin:0614141.107346.2017", "urn:epc:id:sgtin:0614141.107346.2018"],
    "childQuantityList": [
        {"epcClass": "urn:epc:idpat:sgtin:4012345.098765.*", "quantity": 10},
        {"epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 200.5, "uom": "KGM"},
    ],
    "readPoint": {"id": "urn:epc:id:sgln:0614141.00777.0"},
    "bizLocation": {"id": "urn:epc:id:sgln:0614141.00888.0"},
    "example:myField": "Example of a vendor/user extension",
}
UNPACKED_WHOLE: dict[str, Any] = {
    "type": "AggregationEvent",
    "action": "DELETE",
    "bizStep": "unpacking",
    "eventTime": "2013-06-09T14:58:56.591Z",
    "eventTimeZoneOffset": "+02:00",
    "parentID": "https://example.com/00/106141412345678908",
}
TRANSFORMED: dict[str, Any] = {
    "type": "TransformationEvent",
    "bizStep": "commissioning",
    "disposition": "in_progress",
    "eventTime": "2013-10-31T14:58:56.591Z",
    "eventTimeZoneOffset": "+02:00",
    "transformationID": "urn:epc:id:gdti:0614141.12345.400",
    "inputEPCList": ["urn:epc:id:sgtin:4012345.011122.25", "urn:epc:id:sgtin:4000001.065432.99886655"],
    "inputQuantityList": [
        {"epcClass": "urn:epc:class:lgtin:4012345.011111.4444", "quantity": 10, "uom": "KGM"},
        {"epcClass": "urn:epc:class:lgtin:0614141.077777.987", "quantity": 30},
    ],
    "outputEPCList": ["urn:epc:id:sgtin:4012345.077889.25", "urn:epc:id:sgtin:4012345.077889.26"],
    "outputQuantityList": [{"epcClass": "urn:epc:idpat:sgtin:4012345.066666.*", "quantity": 220}],
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00001.0"},
    "ilmd": {"example:bestBeforeDate": "2014-12-10", "example:batch": "XYZ"},
    "example:myField": "Example of a vendor/user extension",
}
TRANSACTED: dict[str, Any] = {
    "type": "TransactionEvent",
    "action": "ADD",
    "bizStep": "shipping",
    "disposition": "in_transit",
    "eventTime": "2020-03-15T00:00:00-06:00",
    "eventTimeZoneOffset": "-06:00",
    "bizTransactionList": [
        {"type": "po", "bizTransaction": "urn:epc:id:gdti:0614141.00001.1618034"},
        {"bizTransaction": "urn:epc:id:gsrn:0614141.0000010253"},
    ],
    "parentID": "urn:epc:id:sscc:0614141.1234567890",
    "epcList": ["urn:epc:id:sgtin:0614141.107340.1"],
    "sourceList": [{"type": "possessing_party", "source": "urn:epc:id:pgln:4012345.00225"}],
    "destinationList": [
        {"type": "owning_party", "destination": "https://id.gs1.org/417/0614141007776"},
        {"type": "location", "destination": "urn:epc:id:sgln:0614141.00777.0"},
    ],
}
ASSOCIATED: dict[str, Any] = {
    "type": "AssociationEvent",
    "action": "ADD",
    "bizStep": "assembling",
    "eventTime": "2019-11-01T14:00:00.000+01:00",
    "eventTimeZoneOffset": "+01:00",
    "parentID": "urn:epc:id:grai:4012345.55555.987",
    "childEPCs": ["urn:epc:id:giai:4000001.12345"],
    "childQuantityList": [{"epcClass": "urn:epc:idpat:sgtin:4012345.098765.*", "quantity": 10}],
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00001.0"},
}
SENSED: dict[str, Any] = {
    "type": "ObjectEvent",
    "action": "OBSERVE",
    "bizStep": "sensor_reporting",
    "eventTime": "2019-04-02T15:00:00.000+01:00",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["urn:epc:id:sgtin:4012345.011111.9876"],
    "readPoint": {"id": "geo:50.947573340894124,6.922120147375441"},
    "sensorElementList": [
        {
            "sensorMetadata": {
                "time": "2019-04-02T14:05:00.000+01:00",
                "startTime": "2019-04-02T14:00:00.000+01:00",
                "endTime": "2019-04-02T14:05:00.000+01:00",
                "deviceID": "urn:epc:id:giai:4000001.111",
                "deviceMetadata": "https://id.gs1.org/8004/4000001111",
                "rawData": "https://example.org/8004/401234599999",
                "dataProcessingMethod": "https://example.com/253/4012345000054987",
                "bizRules": "https://example.com/253/4012345000054987",
                "example:firmware": "1.0",
            },
            "sensorReport": [
                {
                    "type": "Temperature",
                    "value": 26.0,
                    "minValue": 25.5,
                    "maxValue": 26.2,
                    "meanValue": 25.9,
                    "sDev": 0.1,
                    "percRank": 50,
                    "percValue": 12.7,
                    "uom": "CEL",
                    "time": "2019-04-02T14:05:00.000+01:00",
                    "deviceID": "urn:epc:id:giai:4000001.111",
                    "deviceMetadata": "https://id.gs1.org/8004/4000001111",
                    "rawData": "https://example.org/8004/401234599999",
                    "dataProcessingMethod": "https://example.com/253/4012345000054987",
                    "bizRules": "https://example.com/253/4012345000054987",
                },
                {
                    "type": "gs1:Angle",
                    "component": "cbv:Comp-latitude",
                    "value": 42.698334,
                    "uom": "DD",
                    "coordinateReferenceSystem": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
                },
                {
                    "type": "Dimensionless",
                    "microorganism": "https://www.ncbi.nlm.nih.gov/taxonomy/1126011",
                    "chemicalSubstance": "https://identifiers.org/inchikey:CZMRCDWAGMRECN-UGDNZRGBSA-N",
                    "stringValue": "some",
                    "booleanValue": True,
                    "hexBinaryValue": "f0F0",
                    "uriValue": "https://example.com/a",
                },
                {"exception": "ALARM_CONDITION", "type": "example:shock"},
            ],
            "example:note": "kept",
        },
        {"sensorReport": [{"type": "https://gs1.org/voc/Mass", "value": 1, "uom": "KGM"}]},
    ],
}
SENSED_PLACE: dict[str, Any] = {
    "type": "ObjectEvent",
    "action": "OBSERVE",
    "bizStep": "sensor_reporting",
    "eventTime": "2019-04-02T16:00:00Z",
    "eventTimeZoneOffset": "+01:00",
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00001.0"},
    "sensorElementList": [{"sensorReport": [{"type": "RelativeHumidity", "value": 12.1, "uom": "P1"}]}],
}
DISPOSED: dict[str, Any] = {
    "type": "ObjectEvent",
    "action": "OBSERVE",
    "bizStep": "https://ref.gs1.org/cbv/BizStep-inspecting",
    "disposition": "urn:epcglobal:cbv:disp:in_progress",
    "persistentDisposition": {"set": ["completeness_verified"], "unset": ["completeness_inferred"]},
    "certificationInfo": ["https://accreditation-council.example.org/certificate/ABC12345"],
    "eventTime": "2020-06-30T12:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "epcList": ["urn:epc:id:sscc:4001356.5900000817"],
}
WRONG: dict[str, Any] = SHIPPED | {
    "errorDeclaration": {
        "declarationTime": "2005-04-07T12:00:00Z",
        "reason": "incorrect_data",
        "correctiveEventIDs": ["urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"],
        "example:vendorExtension": "Test1",
    }
}
"""SHIPPED, declared to be wrong."""

STANDARD: dict[str, dict[str, Any]] = {
    "9.6.1 shipped": SHIPPED,
    "9.6.1 received": RECEIVED,
    "9.6.2 commissioned": COMMISSIONED,
    "9.6.3 packed": PACKED,
    "unpacked whole": UNPACKED_WHOLE,
    "9.6.4 transformed": TRANSFORMED,
    "transacted": TRANSACTED,
    "associated": ASSOCIATED,
    "sensed": SENSED,
    "sensed place": SENSED_PLACE,
    "disposed": DISPOSED,
    "error declaration": WRONG,
}


def document(*events: dict[str, Any], **members: Any) -> dict[str, Any]:
    """An EPCISDocument with these events."""
    return {
        "@context": [CONTEXT, PREFIXES],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2005-07-11T11:30:47.0Z",
        "epcisBody": {"eventList": list(events)},
    } | members


def alone(event: dict[str, Any]) -> dict[str, Any]:
    """An event that brings its own context."""
    return {"@context": [CONTEXT, PREFIXES]} | event


def changed(event: dict[str, Any], path: str, value: Any = ...) -> dict[str, Any]:
    """A copy of an event with one member changed, or left out where no value is given: `readPoint.id`, `epcList.0`."""
    copy = deepcopy(event)
    *way, last = path.split(".")
    place: Any = copy
    for step in way:
        place = place[int(step) if step.isdecimal() else step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdecimal() else last] = value
    return copy


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)
