"""Which fields of an event go together: by its type and action, and within quantities, sensors and error declarations.

Sources: EPCIS 2.0, sections 7.3.3.3 (quantities), 7.3.7 (sensors), 7.3.8 (ilmd), 7.4.1.2 (error declarations) and
7.4.2 to 7.4.7 (events); CBV 2.0, section 7.5.3 (error reasons).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import UNSET

from loyalty.items.epcis.faults import Fault
from loyalty.items.epcis.moments import parse_moment
from loyalty.items.epcis.types import (
    AggregationEvent,
    AnyEvent,
    AssociationEvent,
    ObjectEvent,
    PersistentDisposition,
    QuantityElement,
    SensorElement,
    TransactionEvent,
    TransformationEvent,
)
from loyalty.items.epcis.vocabulary import ERROR_REASON

_DID_NOT_OCCUR: Final = (
    "did_not_occur",
    "cbv:ER-did_not_occur",
    f"{ERROR_REASON.address}did_not_occur",
    f"{ERROR_REASON.urn}did_not_occur",
)


def combination_faults(event: AnyEvent, path: str) -> Iterator[Fault]:
    """What is wrong between the fields of an event, each right by itself."""
    match event:
        case ObjectEvent():
            yield from _object(event, path)
        case AggregationEvent() | AssociationEvent():
            yield from _containing(event, path)
        case TransactionEvent():
            if event.action != "DELETE" and not (event.epc_list or event.quantity_list):
                yield Fault(f"{path}.epcList", f"is required with {event.action}, or a quantityList")
        case TransformationEvent():
            yield from _transformation(event, path)
    yield from _shared(event, path)


def _shared(event: AnyEvent, path: str) -> Iterator[Fault]:
    """What holds for every type of event."""
    for name, quantities in _quantities(event):
        for at, element in enumerate(quantities):
            yield from _quantity(element, f"{path}.{name}[{at}]")
    for at, sensor in enumerate(event.sensor_element_list or ()):
        yield from _sensor(sensor, f"{path}.sensorElementList[{at}]")
    if event.persistent_disposition is not UNSET:
        yield from _persistent(event.persistent_disposition, f"{path}.persistentDisposition")
    declared = event.error_declaration
    if declared is not UNSET and declared.corrective_event_ids and declared.reason in _DID_NOT_OCCUR:
        yield Fault(f"{path}.errorDeclaration.correctiveEventIDs", "what did not occur has no corrective event")


def _persistent(persistent: PersistentDisposition, path: str) -> Iterator[Fault]:
    if persistent.set is UNSET and persistent.unset is UNSET:
        yield Fault(path, "neither sets nor unsets a disposition")
    for word in sorted(set(persistent.set or ()) & set(persistent.unset or ())):
        yield Fault(f"{path}.unset", f"{word!r} is set as well")


def _object(event: ObjectEvent, path: str) -> Iterator[Fault]:
    sensed = event.sensor_element_list and event.read_point is not UNSET
    if not (event.epc_list or event.quantity_list or sensed):
        yield Fault(f"{path}.epcList", "is required, or a quantityList, or sensorElementList with readPoint")
    if event.ilmd is not UNSET and event.action != "ADD":
        yield Fault(f"{path}.ilmd", "goes with the action ADD alone")


def _containing(event: AggregationEvent | AssociationEvent, path: str) -> Iterator[Fault]:
    if event.parent_id is UNSET and event.action != "OBSERVE":
        yield Fault(f"{path}.parentID", f"is required with {event.action}")
    if event.action != "DELETE" and not (event.child_epcs or event.child_quantity_list):
        yield Fault(f"{path}.childEPCs", f"is required with {event.action}, or a childQuantityList")


def _transformation(event: TransformationEvent, path: str) -> Iterator[Fault]:
    inputs = event.input_epc_list or event.input_quantity_list
    outputs = event.output_epc_list or event.output_quantity_list
    if event.transformation_id is UNSET:
        if not inputs:
            yield Fault(f"{path}.inputEPCList", "inputs are required where there is no transformationID")
        if not outputs:
            yield Fault(f"{path}.outputEPCList", "outputs are required where there is no transformationID")
    elif not (inputs or outputs):
        yield Fault(f"{path}.inputEPCList", "is required, or another list of inputs or outputs")


def _quantities(event: AnyEvent) -> Iterator[tuple[str, list[QuantityElement]]]:
    names = ("quantity_list", "child_quantity_list", "input_quantity_list", "output_quantity_list")
    spelled = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")
    for name, told in zip(names, spelled, strict=True):
        yield told, getattr(event, name, None) or []


def _quantity(element: QuantityElement, path: str) -> Iterator[Fault]:
    if element.quantity is UNSET:
        if element.uom is not UNSET:
            yield Fault(f"{path}.uom", "is the unit of a quantity, and there is none")
    elif element.quantity <= 0:
        yield Fault(f"{path}.quantity", "is not positive")
    elif element.uom is UNSET and element.quantity != int(element.quantity):
        yield Fault(f"{path}.quantity", "is a count where there is no uom: a whole number")


def _sensor(sensor: SensorElement, path: str) -> Iterator[Fault]:
    for at, report in enumerate(sensor.sensor_report):
        if report.type is UNSET and report.exception is UNSET:
            yield Fault(f"{path}.sensorReport[{at}].type", "is required, or exception")
    metadata = sensor.sensor_metadata
    if metadata is not UNSET and metadata.start_time and metadata.end_time:
        try:
            backwards = parse_moment(metadata.start_time) > parse_moment(metadata.end_time)
        except ValueError:
            return  # said by who checks moments
        if backwards:
            yield Fault(f"{path}.sensorMetadata.endTime", "is before startTime")
