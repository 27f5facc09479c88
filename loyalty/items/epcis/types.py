"""EPCIS 2.0 in types: the document and its five events, with every field of the standard.

Sources: EPCIS 2.0, section 7.4, and epcis-json-schema.json 2.0.1 (names, shapes, what is required). What these types
cannot say (words, URIs, moments, which fields go together) is said by `checking`. Members under a prefix of a context
are extensions; they are kept as they were given and are not read here.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Action = Literal["ADD", "OBSERVE", "DELETE"]
Number = int | float

_SPELLED: Final = {
    "event_id": "eventID",
    "transformation_id": "transformationID",
    "parent_id": "parentID",
    "device_id": "deviceID",
    "subscription_id": "subscriptionID",
    "child_epcs": "childEPCs",
    "input_epc_list": "inputEPCList",
    "output_epc_list": "outputEPCList",
    "corrective_event_ids": "correctiveEventIDs",
}


def _spelled(name: str) -> str:
    """The standard's spelling of a field: `eventTime`, `eventID`."""
    first, *rest = name.split("_")
    return _SPELLED.get(name) or first + "".join(part.capitalize() for part in rest)


class Part(msgspec.Struct, frozen=True, kw_only=True, rename=_spelled):
    """What every object of EPCIS has in common: the standard's names, and members that are no null."""


class QuantityElement(Part, frozen=True, kw_only=True):
    """So much of a class of objects; without a quantity, an unknown amount of it."""

    epc_class: str
    quantity: Number | UnsetType = UNSET
    uom: Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,3}$")] | UnsetType = UNSET
    """UN/ECE Recommendation 20; without it the quantity is a count."""


class BizTransaction(Part, frozen=True, kw_only=True):
    """A document that the event has to do with."""

    biz_transaction: str
    type: str | UnsetType = UNSET


class Source(Part, frozen=True, kw_only=True):
    """Where a transfer begins: a place or a party."""

    type: str
    source: str


class Destination(Part, frozen=True, kw_only=True):
    """Where a transfer ends."""

    type: str
    destination: str


class Place(Part, frozen=True, kw_only=True):
    """A read point or a business location; it may carry extensions."""

    id: str


class PersistentDisposition(Part, frozen=True, kw_only=True):
    """Dispositions that hold until they are unset."""

    set: Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET
    unset: Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET


class ErrorDeclaration(Part, frozen=True, kw_only=True):
    """Says that the event that carries it was wrong; the event is otherwise repeated as it was."""

    declaration_time: str
    reason: str | UnsetType = UNSET
    corrective_event_ids: list[str] | UnsetType = UNSET


class SensorMetadata(Part, frozen=True, kw_only=True):
    """What holds for all reports of a sensor element."""

    time: str | UnsetType = UNSET
    start_time: str | UnsetType = UNSET
    end_time: str | UnsetType = UNSET
    device_id: str | UnsetType = UNSET
    device_metadata: str | UnsetType = UNSET
    raw_data: str | UnsetType = UNSET
    data_processing_method: str | UnsetType = UNSET
    biz_rules: str | UnsetType = UNSET


class SensorReport(Part, frozen=True, kw_only=True):
    """One property that was measured, or an alarm."""

    type: str | UnsetType = UNSET
    exception: str | UnsetType = UNSET
    device_id: str | UnsetType = UNSET
    device_metadata: str | UnsetType = UNSET
    raw_data: str | UnsetType = UNSET
    data_processing_method: str | UnsetType = UNSET
    biz_rules: str | UnsetType = UNSET
    time: str | UnsetType = UNSET
    microorganism: str | UnsetType = UNSET
    chemical_substance: str | UnsetType = UNSET
    coordinate_reference_system: str | UnsetType = UNSET
    value: Number | UnsetType = UNSET
    component: str | UnsetType = UNSET
    string_value: str | UnsetType = UNSET
    boolean_value: bool | UnsetType = UNSET
    hex_binary_value: Annotated[str, Meta(pattern=r"^[A-Fa-f0-9]+$")] | UnsetType = UNSET
    uri_value: str | UnsetType = UNSET
    min_value: Number | UnsetType = UNSET
    max_value: Number | UnsetType = UNSET
    mean_value: Number | UnsetType = UNSET
    s_dev: Number | UnsetType = UNSET
    perc_rank: Number | UnsetType = UNSET
    perc_value: Number | UnsetType = UNSET
    uom: str | UnsetType = UNSET


class SensorElement(Part, frozen=True, kw_only=True):
    """What sensors said, raised to what matters to the business."""

    sensor_report: Annotated[list[SensorReport], Meta(min_length=1)]
    sensor_metadata: SensorMetadata | UnsetType = UNSET


class Event(Part, frozen=True, kw_only=True, tag_field="type"):
    """What all five events have."""

    event_time: str
    event_time_zone_offset: str
    record_time: str | UnsetType = UNSET
    event_id: str | UnsetType = UNSET
    error_declaration: ErrorDeclaration | UnsetType = UNSET
    certification_info: str | list[str | dict[str, Any]] | UnsetType = UNSET
    biz_step: str | UnsetType = UNSET
    disposition: str | UnsetType = UNSET
    persistent_disposition: PersistentDisposition | UnsetType = UNSET
    read_point: Place | UnsetType = UNSET
    biz_location: Place | UnsetType = UNSET
    biz_transaction_list: list[BizTransaction] | UnsetType = UNSET
    source_list: list[Source] | UnsetType = UNSET
    destination_list: list[Destination] | UnsetType = UNSET
    sensor_element_list: list[SensorElement] | UnsetType = UNSET


class ObjectEvent(Event, frozen=True, kw_only=True, tag=True):
    """Something happened to objects (section 7.4.2)."""

    action: Action
    epc_list: list[str] | UnsetType = UNSET
    quantity_list: list[QuantityElement] | UnsetType = UNSET
    ilmd: dict[str, Any] | UnsetType = UNSET


class AggregationEvent(Event, frozen=True, kw_only=True, tag=True):
    """Objects were put into, seen in, or taken out of a parent (section 7.4.3)."""

    action: Action
    parent_id: str | UnsetType = UNSET
    child_epcs: list[str] | UnsetType = UNSET
    child_quantity_list: list[QuantityElement] | UnsetType = UNSET


class TransactionEvent(Event, frozen=True, kw_only=True, tag=True):
    """Objects became part of business transactions (section 7.4.5)."""

    action: Action
    biz_transaction_list: Annotated[list[BizTransaction], Meta(min_length=1)]
    parent_id: str | UnsetType = UNSET
    epc_list: list[str] | UnsetType = UNSET
    quantity_list: list[QuantityElement] | UnsetType = UNSET


class TransformationEvent(Event, frozen=True, kw_only=True, tag=True):
    """Inputs were used up to make outputs (section 7.4.6)."""

    transformation_id: str | UnsetType = UNSET
    input_epc_list: list[str] | UnsetType = UNSET
    input_quantity_list: list[QuantityElement] | UnsetType = UNSET
    output_epc_list: list[str] | UnsetType = UNSET
    output_quantity_list: list[QuantityElement] | UnsetType = UNSET
    ilmd: dict[str, Any] | UnsetType = UNSET


class AssociationEvent(Event, frozen=True, kw_only=True, tag=True):
    """Objects were attached to a parent: a sensor to a crate, a part to a machine (section 7.4.7)."""

    action: Action
    parent_id: str
    child_epcs: list[str] | UnsetType = UNSET
    child_quantity_list: list[QuantityElement] | UnsetType = UNSET


AnyEvent = ObjectEvent | AggregationEvent | TransactionEvent | TransformationEvent | AssociationEvent
EVENT_TYPES: Final[tuple[type[Event], ...]] = (
    ObjectEvent,
    AggregationEvent,
    TransactionEvent,
    TransformationEvent,
    AssociationEvent,
)


class MasterDataAttribute(Part, frozen=True, kw_only=True):
    """One attribute of master data."""

    id: str
    attribute: Any = None


class VocabularyElement(Part, frozen=True, kw_only=True):
    """One thing that master data tells of."""

    id: str
    attributes: list[MasterDataAttribute] = []
    children: list[str] = []


class MasterDataVocabulary(Part, frozen=True, kw_only=True):
    """Master data of one kind of things."""

    type: str
    vocabulary_element_list: list[VocabularyElement] = []


class MasterData(Part, frozen=True, kw_only=True):
    """The master data that a document brings along."""

    vocabulary_list: list[MasterDataVocabulary] = []


class EPCISHeader(Part, frozen=True, kw_only=True):
    """What a document says beside its events."""

    epcis_master_data: MasterData | UnsetType = UNSET


class EPCISBody(Part, frozen=True, kw_only=True):
    """The body of a document that is captured. Its events are read one by one, so the list is not of this type."""

    event_list: list[Any]


class QueryResultsBody(Part, frozen=True, kw_only=True):
    """The events that answer a query."""

    event_list: list[Any]


class QueryResults(Part, frozen=True, kw_only=True):
    """The answer to a query within its document."""

    query_name: str
    results_body: QueryResultsBody
    subscription_id: str | UnsetType = UNSET


class EPCISQueryBody(Part, frozen=True, kw_only=True):
    """The body of a document that answers a query."""

    query_results: QueryResults


class Document(Part, frozen=True, kw_only=True, tag_field="type"):
    """What both kinds of documents have; `@context` is read by `contexts`."""

    context: Any = msgspec.field(name="@context")
    schema_version: Annotated[str, Meta(pattern=r"^\d+(\.\d+)*$")]
    creation_date: str
    id: str | UnsetType = UNSET


class EPCISDocument(Document, frozen=True, kw_only=True, tag=True):
    """A document to be captured (epcis-json-schema.json, epcisDocument)."""

    epcis_body: EPCISBody
    epcis_header: EPCISHeader | UnsetType = UNSET
    instance_identifier: str | UnsetType = UNSET
    sender: str | UnsetType = UNSET
    receiver: str | UnsetType = UNSET


class EPCISQueryDocument(Document, frozen=True, kw_only=True, tag=True):
    """A document that answers a query; it can be captured as well (openapi.json, POST /capture)."""

    epcis_body: EPCISQueryBody


def known_members(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The names of the standard's members of an object, its tag and `@context` included where it has them."""
    tag = kind.__struct_config__.tag_field
    return frozenset(kind.__struct_encode_fields__) | ({tag, "@context"} if tag else frozenset())
