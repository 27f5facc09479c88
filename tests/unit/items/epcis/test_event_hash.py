"""Event hash ids against values that were published.

The first three are the worked examples of the reference implementation's README for CBV 2.0 (github.com/RalphTro/
epcis-event-hash-generator, "Worked examples"); the pre-hash strings after them are its expected ones for CBV 2.0
(tests/examples/expected/CBV2.0; the last is an excerpt of ObjectEvent_all_possible_fields). Events are written out by
hand.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from loyalty.items.epcis.contexts import read_context
from loyalty.items.epcis.event_hash import event_hash_id, pre_hash
from tests.epcis_examples import CONTEXT, RECEIVED, RECEIVED_BY_LINK, SHIPPED, WRONG, changed

CONTEXT_OF_EXAMPLES, _ = read_context([CONTEXT, {"example": "https://ns.example.com/epcis/"}], "$")

EXAMPLE_1 = {
    "type": "ObjectEvent",
    "eventTime": "2020-03-04T11:00:30.000+01:00",
    "eventTimeZoneOffset": "+01:00",
    "recordTime": "2020-03-04T11:00:30.999+01:00",
    "epcList": [
        "urn:epc:id:sscc:4012345.0000000333",
        "urn:epc:id:sscc:4012345.0000000111",
        "urn:epc:id:sscc:4012345.0000000222",
    ],
    "action": "OBSERVE",
    "bizStep": "departing",
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00011.987"},
    "example:myField1": {"example:mySubField1": "2", "example:mySubField2": "5"},
    "example:myField2": "0",
    "example:myField3": {"example:mySubField3": ["3", "1"]},
}
EXAMPLE_2 = {
    "type": "ObjectEvent",
    "eventTime": "2020-04-01T15:00:00+01:00",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["urn:epc:id:sgtin:4012345.011111.9876"],
    "action": "OBSERVE",
    "bizStep": "inspecting",
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00005.0"},
    "sensorElementList": [
        {
            "sensorMetadata": {
                "deviceID": "urn:epc:id:giai:4000001.111",
                "deviceMetadata": "https://id.gs1.org/8004/4000001111",
            },
            "sensorReport": [
                {"type": "Temperature", "value": 26, "sDev": 0.1, "uom": "CEL"},
                {"type": "AbsoluteHumidity", "value": 12.1, "uom": "A93"},
                {
                    "type": "Dimensionless",
                    "microorganism": "https://www.ncbi.nlm.nih.gov/taxonomy/1126011",
                    "value": 0.05,
                    "uom": "C35",
                },
                {
                    "type": "Dimensionless",
                    "chemicalSubstance": "https://identifiers.org/inchikey:CZMRCDWAGMRECN-UGDNZRGBSA-N",
                    "value": 0.18,
                    "uom": "C35",
                },
            ],
        }
    ],
}
EXAMPLE_3 = {
    "type": "ObjectEvent",
    "eventTime": "2020-03-04T11:00:30+01:00",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["urn:epc:id:sgtin:0614141.011111.987"],
    "action": "OBSERVE",
    "bizStep": "departing",
    "disposition": "in_transit",
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00011.0", "example:myField1": "AB-12"},
    "bizTransactionList": [{"type": "po", "bizTransaction": "urn:epc:id:gdti:4012345.11111.123"}],
    "sourceList": [{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00000"}],
    "destinationList": [{"type": "owning_party", "destination": "urn:epc:id:pgln:0614141.00000"}],
    "example:userExt": "CD-34",
}


@pytest.mark.parametrize(
    ("event", "digest"),
    [
        (EXAMPLE_1, "6ae96341e0acc6d7a261364751f60e68278a81cdf51da0abb6b4e617014e39d7"),
        (EXAMPLE_2, "271565c346ae2fb28c4583c4dca4ab4772d465eb4e0b6e548d77d8b49377d95c"),
        (EXAMPLE_3, "3ae14c02c4bdc220cc31942cf804f6845eb8dec96ba6483391c92a9b165f9329"),
    ],
    ids=["1: extensions", "2: sensors", "3: transactions and an extended read point"],
)
def test_the_published_examples_have_their_published_ids(event: dict[str, Any], digest: str) -> None:
    assert event_hash_id(event, CONTEXT_OF_EXAMPLES) == f"ni:///sha-256;{digest}?ver=CBV2.0"


PRE_HASHES: dict[str, tuple[dict[str, Any], str]] = {
    "every GS1 key": (
        {
            "type": "ObjectEvent",
            "eventTime": "2023-03-27T11:30:00.0Z",
            "eventTimeZoneOffset": "+01:00",
            "epcList": [
                "urn:epc:id:sgtin:4012345.012345.12",
                "urn:epc:id:sscc:4012345.0000000333",
                "https://id.gs1.org/00/040123450000003338",
                "urn:epc:id:grai:4012345.66666.87",
                "urn:epc:id:giai:4012345.AAbb",
                "urn:epc:id:gsrn:4012345.9876540000",
                "urn:epc:id:gsrnp:4012345.0000098765",
                "urn:epc:id:gdti:4012345.55555.98",
                "urn:epc:id:cpi:4012345.ABC.123",
                "urn:epc:id:sgcn:4012345.99999.44",
                "urn:epc:id:ginc:4012345.333",
                "urn:epc:id:gsin:4012345.999987654",
                "urn:epc:id:itip:4012345.012345.01.02.999",
                "urn:epc:id:upui:4012345.012345.AB12",
            ],
            "quantityList": [
                {"epcClass": "urn:epc:class:lgtin:4054739.099914.20160711"},
                {"epcClass": "urn:epc:idpat:sgtin:4054739.099914.*"},
                {"epcClass": "urn:epc:idpat:grai:4012345.66666.*"},
                {"epcClass": "urn:epc:idpat:gdti:4012345.55555.*"},
                {"epcClass": "urn:epc:idpat:sgcn:4012345.99999.*"},
                {"epcClass": "urn:epc:idpat:cpi:4012345.ABC.*"},
                {"epcClass": "urn:epc:idpat:itip:4012345.012345.01.02.*"},
            ],
            "action": "OBSERVE",
            "bizStep": "other",
            "readPoint": {"id": "urn:epc:id:sgln:4012345.00011.987"},
        },
        (
            "eventType=ObjectEventeventTime=2023-03-27T11:30:00.000ZeventTimeZoneOffset=+01:00epcList"
            "epc=https://id.gs1.org/00/040123450000003338epc=https://id.gs1.org/00/040123450000003338"
            "epc=https://id.gs1.org/01/04012345123456/21/12epc=https://id.gs1.org/01/04012345123456/235/AB12"
            "epc=https://id.gs1.org/253/401234555555498epc=https://id.gs1.org/255/401234599999044"
            "epc=https://id.gs1.org/401/4012345333epc=https://id.gs1.org/402/40123459999876541"
            "epc=https://id.gs1.org/8003/0401234566666387epc=https://id.gs1.org/8004/4012345AAbb"
            "epc=https://id.gs1.org/8006/040123451234560102/21/999epc=https://id.gs1.org/8010/4012345ABC/8011/123"
            "epc=https://id.gs1.org/8017/401234500000987658epc=https://id.gs1.org/8018/401234598765400000"
            "quantityListquantityElementepcClass=https://id.gs1.org/01/04054739999148"
            "quantityElementepcClass=https://id.gs1.org/01/04054739999148/10/20160711"
            "quantityElementepcClass=https://id.gs1.org/253/4012345555554"
            "quantityElementepcClass=https://id.gs1.org/255/4012345999990"
            "quantityElementepcClass=https://id.gs1.org/8003/04012345666663"
            "quantityElementepcClass=https://id.gs1.org/8006/040123451234560102"
            "quantityElementepcClass=https://id.gs1.org/8010/4012345ABCaction=OBSERVE"
            "bizStep=https://ref.gs1.org/cbv/BizStep-otherreadPointid=https://id.gs1.org/414/4012345000115/254/987"
        ),
    ),
    "moments are rounded to milliseconds": (
        {
            "type": "ObjectEvent",
            "eventTime": "2023-02-12T11:04:03.1415Z",
            "eventTimeZoneOffset": "+01:00",
            "certificationInfo": "https://accreditation-council.example.org/certificate/ABC12345",
            "epcList": ["https://id.gs1.de/01/04012345999990/21/XYZ-1234"],
            "action": "OBSERVE",
            "bizStep": "receiving",
            "disposition": "in_progress",
            "readPoint": {"id": "https://id.gs1.de/414/4012345000115"},
            "sensorElementList": [
                {
                    "sensorMetadata": {
                        "time": "2023-02-12T11:04:03.1007Z",
                        "bizRules": "https://id.example.com/253/4012345000054987",
                    },
                    "sensorReport": [
                        {
                            "type": "Dimensionless",
                            "exception": "ALARM_CONDITION",
                            "coordinateReferenceSystem": "http://www.opengis.net/def/crs/EPSG/0/27700",
                        }
                    ],
                }
            ],
        },
        (
            "eventType=ObjectEventeventTime=2023-02-12T11:04:03.142ZeventTimeZoneOffset=+01:00epcList"
            "epc=https://id.gs1.org/01/04012345999990/21/XYZ-1234action=OBSERVE"
            "bizStep=https://ref.gs1.org/cbv/BizStep-receivingdisposition=https://ref.gs1.org/cbv/Disp-in_progress"
            "readPointid=https://id.gs1.org/414/4012345000115sensorElementsensorMetadatatime=2023-02-12T11:04:03.101Z"
            "bizRules=https://id.gs1.org/253/4012345000054987sensorReporttype=https://ref.gs1.org/voc/Dimensionless"
            "exception=https://ref.gs1.org/voc/ALARM_CONDITION"
            "coordinateReferenceSystem=http://www.opengis.net/def/crs/EPSG/0/27700"
        ),
    ),
    "compact names": (
        {
            "type": "ObjectEvent",
            "eventTime": "2022-04-07T10:00:00.000Z",
            "eventTimeZoneOffset": "+01:00",
            "epcList": ["https://id.example.com/8003/040123450007718765"],
            "action": "OBSERVE",
            "bizStep": "sensor_reporting",
            "readPoint": {"id": "https://id.example.com/414/4012345000054"},
            "sensorElementList": [
                {
                    "sensorReport": [
                        {
                            "type": "gs1:Angle",
                            "value": 42.698334,
                            "component": "cbv:Comp-latitude",
                            "uom": "DD",
                            "coordinateReferenceSystem": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
                        }
                    ]
                }
            ],
        },
        (
            "eventType=ObjectEventeventTime=2022-04-07T10:00:00.000ZeventTimeZoneOffset=+01:00epcList"
            "epc=https://id.gs1.org/8003/040123450007718765action=OBSERVE"
            "bizStep=https://ref.gs1.org/cbv/BizStep-sensor_reportingreadPointid=https://id.gs1.org/414/4012345000054"
            "sensorElementsensorReporttype=https://ref.gs1.org/voc/Anglevalue=42.698334"
            "component=https://ref.gs1.org/cbv/Comp-latitudeuom=DD"
            "coordinateReferenceSystem=http://www.opengis.net/def/crs/OGC/1.3/CRS84"
        ),
    ),
    "a transformation, error declaration left out": (
        {
            "type": "TransformationEvent",
            "eventTime": "2020-01-14T00:00:00.000+01:00",
            "eventTimeZoneOffset": "+01:00",
            "eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
            "inputEPCList": ["urn:epc:id:sgtin:4012345.011111.987"],
            "outputEPCList": ["urn:epc:id:sgtin:4012345.033333.AGHFG"],
            "inputQuantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.022222.87545GHGH"}],
            "outputQuantityList": [
                {"epcClass": "urn:epc:idpat:sgtin:4012345.044444.*", "quantity": 452.0, "uom": "KGM"}
            ],
            "bizStep": "commissioning",
            "readPoint": {"id": "urn:epc:id:sgln:4012345.00000.0"},
            "errorDeclaration": {"declarationTime": "2020-01-15T00:00:00.000+01:00", "reason": "incorrect_data"},
        },
        (
            "eventType=TransformationEventeventTime=2020-01-13T23:00:00.000ZeventTimeZoneOffset=+01:00inputEPCList"
            "epc=https://id.gs1.org/01/04012345111118/21/987inputQuantityListquantityElement"
            "epcClass=https://id.gs1.org/01/04012345222227/10/87545GHGHoutputEPCList"
            "epc=https://id.gs1.org/01/04012345333336/21/AGHFGoutputQuantityListquantityElement"
            "epcClass=https://id.gs1.org/01/04012345444445quantity=452uom=KGM"
            "bizStep=https://ref.gs1.org/cbv/BizStep-commissioningreadPointid=https://id.gs1.org/414/4012345000009"
        ),
    ),
    "parents after objects, transactions in their order": (
        {
            "type": "TransactionEvent",
            "eventTime": "2005-04-04T02:33:31.116Z",
            "eventTimeZoneOffset": "-06:00",
            "bizTransactionList": [
                {"type": "po", "bizTransaction": "urn:epc:id:gdti:0614141.00001.1618034"},
                {"type": "pedigree", "bizTransaction": "urn:epc:id:gsrn:0614141.0000010253"},
            ],
            "parentID": "urn:epc:id:sscc:0614141.1234567890",
            "epcList": ["urn:epc:id:sgtin:0614141.107346.2017", "urn:epc:id:sgtin:0614141.107346.2018"],
            "action": "ADD",
            "bizStep": "shipping",
            "disposition": "in_transit",
            "readPoint": {"id": "urn:epc:id:sgln:0614141.07346.1234"},
            "bizLocation": {"id": "urn:epc:id:sgln:0614141.00888.0"},
            "quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.011111.4444", "quantity": 10, "uom": "KGM"}],
        },
        (
            "eventType=TransactionEventeventTime=2005-04-04T02:33:31.116ZeventTimeZoneOffset=-06:00epcList"
            "epc=https://id.gs1.org/01/10614141073464/21/2017epc=https://id.gs1.org/01/10614141073464/21/2018"
            "parentID=https://id.gs1.org/00/106141412345678908quantityListquantityElement"
            "epcClass=https://id.gs1.org/01/04012345111118/10/4444quantity=10uom=KGMaction=ADD"
            "bizStep=https://ref.gs1.org/cbv/BizStep-shippingdisposition=https://ref.gs1.org/cbv/Disp-in_transit"
            "readPointid=https://id.gs1.org/414/0614141073467/254/1234bizLocationid=https://id.gs1.org/414/0614141008889"
            "bizTransactionListtype=https://ref.gs1.org/cbv/BTT-pedigree"
            "bizTransaction=https://id.gs1.org/8018/061414100000102534type=https://ref.gs1.org/cbv/BTT-po"
            "bizTransaction=https://id.gs1.org/253/06141410000121618034"
        ),
    ),
    "ilmd and extensions of sensors behind it": (
        {
            "type": "ObjectEvent",
            "eventTime": "2005-04-05T02:33:31.116Z",
            "eventTimeZoneOffset": "-06:00",
            "epcList": ["urn:epc:id:sgtin:0614141.107346.2018"],
            "action": "ADD",
            "sensorElementList": [
                {
                    "sensorMetadata": {"example:someFurtherMetadata": "someText"},
                    "sensorReport": [{"type": "Temperature", "value": 26, "example:someFurtherReportData": "someText"}],
                    "example:array": ["12", {"example:object": {"example:array": ["23.0"]}}],
                }
            ],
            "ilmd": {"cbvmda:lotNumber": "ABC123", "cbvmda:grossWeight": "3.50"},
        },
        (
            "eventType=ObjectEventeventTime=2005-04-05T02:33:31.116ZeventTimeZoneOffset=-06:00epcList"
            "epc=https://id.gs1.org/01/10614141073464/21/2018action=ADDsensorElementsensorReport"
            "type=https://ref.gs1.org/voc/Temperaturevalue=26"
            "ilmd{urn:epcglobal:cbv:mda}grossWeight=3.5{urn:epcglobal:cbv:mda}lotNumber=ABC123"
            "sensorElementsensorMetadata{https://ns.example.com/epcis/}someFurtherMetadata=someText"
            "sensorReport{https://ns.example.com/epcis/}someFurtherReportData=someText"
            "{https://ns.example.com/epcis/}array=12{https://ns.example.com/epcis/}array"
            "{https://ns.example.com/epcis/}object{https://ns.example.com/epcis/}array=23"
        ),
    ),
}


@pytest.mark.parametrize(("event", "expected"), PRE_HASHES.values(), ids=PRE_HASHES.keys())
def test_an_event_is_written_as_the_reference_implementation_writes_it(event: dict[str, Any], expected: str) -> None:
    assert pre_hash(event, CONTEXT_OF_EXAMPLES) == expected
    digest = hashlib.sha256(expected.encode()).hexdigest()
    assert event_hash_id(event, CONTEXT_OF_EXAMPLES) == f"ni:///sha-256;{digest}?ver=CBV2.0"


def test_the_same_event_in_other_spellings_has_the_same_id() -> None:
    context, _ = read_context([CONTEXT, {"example": "http://ns.example.com/epcis/"}], "$")
    other, _ = read_context([CONTEXT, {"ex": "http://ns.example.com/epcis/"}], "$")
    first = event_hash_id(RECEIVED, context)
    spelled = changed(
        changed(RECEIVED_BY_LINK, "bizStep", "urn:epcglobal:cbv:bizstep:receiving"),
        "eventTime",
        "2005-04-05T02:33:31.1160Z",
    )
    spelled["ex:myField"] = spelled.pop("example:myField")
    assert event_hash_id(spelled, other) == first


def test_an_error_declaration_has_the_id_of_its_event() -> None:
    assert event_hash_id(WRONG, CONTEXT_OF_EXAMPLES) == event_hash_id(SHIPPED, CONTEXT_OF_EXAMPLES)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("eventTime", "2005-04-03T20:33:31.117-06:00"),
        ("eventTimeZoneOffset", "-07:00"),
        ("epcList", ["urn:epc:id:sgtin:0614141.107346.2017"]),
        ("bizStep", "departing"),
        ("bizTransactionList.0.type", "poc"),
        ("example:new", "1"),
    ],
)
def test_another_event_has_another_id(path: str, value: Any) -> None:
    other = changed(SHIPPED, path, value)
    assert event_hash_id(other, CONTEXT_OF_EXAMPLES) != event_hash_id(SHIPPED, CONTEXT_OF_EXAMPLES)
