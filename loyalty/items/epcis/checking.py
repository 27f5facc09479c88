"""Whether an event is right: its shape, its words, its moments, its names, and which fields go together.

`check_event` reads one event's bytes and answers all that storing and asking need; what is wrong is told with a JSON
path each. Shapes come from the types. The rules about fields that go together are those of EPCIS 2.0, section 7.4,
and of epcis-json-schema.json 2.0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET

from loyalty.items.epcis import vocabulary
from loyalty.items.epcis.combinations import combination_faults
from loyalty.items.epcis.contexts import Context, read_context
from loyalty.items.epcis.epcs import Epc, Level, parse_epc
from loyalty.items.epcis.faults import MOST_FAULTS, Fault, InvalidEventError, shape_fault
from loyalty.items.epcis.moments import is_offset, parse_moment
from loyalty.items.epcis.types import (
    AnyEvent,
    BizTransaction,
    Destination,
    ErrorDeclaration,
    Event,
    Part,
    PersistentDisposition,
    QuantityElement,
    SensorReport,
    Source,
    known_members,
)
from loyalty.items.epcis.uris import is_uri

EVENT_BYTES_LIMIT: Final = 1_000_000
"""The largest event that is read. One with ten thousand EPCs takes half of it."""
NESTING_LIMIT: Final = 64
"""How many lists and objects may stand in each other."""

_decoder: Final = msgspec.json.Decoder(AnyEvent)
_known: Final = {kind: known_members(kind) for kind in Part.__subclasses__()}
_closed: Final = (QuantityElement, BizTransaction, Source, Destination, PersistentDisposition)
"""Objects that take no extensions."""

_MOMENTS: Final = frozenset({"eventTime", "recordTime", "declarationTime", "time", "startTime", "endTime"})
_URIS: Final = frozenset({
    "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules", "microorganism", "chemicalSubstance",
    "coordinateReferenceSystem", "uriValue", "correctiveEventIDs",
})  # fmt: skip
_NAMES: Final = frozenset({
    "epcList", "childEPCs", "inputEPCList", "outputEPCList", "parentID", "epcClass", "id", "source", "destination",
    "bizTransaction", "transformationID",
})  # fmt: skip
_OBJECTS: Final = frozenset({"epcList", "childEPCs", "inputEPCList", "outputEPCList", "parentID"})
_WORDS: Final[dict[tuple[type[Part], str], vocabulary.Vocabulary]] = {
    (Event, "bizStep"): vocabulary.BIZ_STEP,
    (Event, "disposition"): vocabulary.DISPOSITION,
    (PersistentDisposition, "set"): vocabulary.DISPOSITION,
    (PersistentDisposition, "unset"): vocabulary.DISPOSITION,
    (BizTransaction, "type"): vocabulary.BIZ_TRANSACTION_TYPE,
    (Source, "type"): vocabulary.SOURCE_DESTINATION_TYPE,
    (Destination, "type"): vocabulary.SOURCE_DESTINATION_TYPE,
    (ErrorDeclaration, "reason"): vocabulary.ERROR_REASON,
    (SensorReport, "type"): vocabulary.MEASUREMENT,
    (SensorReport, "exception"): vocabulary.SENSOR_ALERT,
    (SensorReport, "component"): vocabulary.COMPONENT,
}


class CheckedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is right. `words` and `names` have its values in their one spelling, by path within the event."""

    event: AnyEvent
    plain: dict[str, Any]
    """The same as plain JSON, extensions included."""
    context: Context
    event_time: datetime
    words: dict[str, str]
    names: dict[str, Epc]


def check_event(raw: bytes, document: Context, *, path: str = "$", alone: bool = False) -> CheckedEvent:
    """Read and check one event within a document's context; `alone` is one that has to bring its own context.

    Raises InvalidEventError with every fault, by its path below `path`.
    """
    if len(raw) > EVENT_BYTES_LIMIT:
        raise InvalidEventError([Fault(path, f"is larger than {EVENT_BYTES_LIMIT} bytes")])
    try:
        event = _decoder.decode(raw)
        plain: dict[str, Any] = msgspec.json.decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidEventError([_told(shape_fault(str(error), path))]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError([Fault(path, f"is not JSON: {error}")]) from error
    except RecursionError as error:
        raise InvalidEventError([Fault(path, "is nested too deeply")]) from error
    if is_nested_deeper(raw, plain, NESTING_LIMIT):
        raise InvalidEventError([Fault(path, f"is nested deeper than {NESTING_LIMIT} levels")])
    context = document
    faults: list[Fault] = []
    if "@context" in plain:
        inner, faults = read_context(plain["@context"], f"{path}.@context")
        context = document.with_inner(inner)
    elif alone:
        faults.append(Fault(f"{path}.@context", "is required"))
    if b"\\u0000" in raw:
        faults += [Fault(place, "contains the character U+0000, which cannot be kept") for place in _nuls(plain, path)]
    walk = _Walk(context, path)
    walk.part(event, plain, path)
    faults += [*walk.faults, *combination_faults(event, path)]
    if faults:
        raise InvalidEventError(faults[:MOST_FAULTS])
    return CheckedEvent(
        event=event,
        plain=plain,
        context=context,
        event_time=parse_moment(event.event_time),
        words=walk.words,
        names=walk.names,
    )


def is_nested_deeper(raw: bytes, plain: Any, limit: int) -> bool:
    """Whether JSON, read and as it came, has more than so many lists and objects in each other."""
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    level = [plain]
    for _ in range(limit):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


class _Walk:
    """One pass through an event: what is wrong, and the one spelling of what is right."""

    def __init__(self, context: Context, path: str) -> None:
        self._context = context
        self._root = len(path) + 1
        self.faults: list[Fault] = []
        self.words: dict[str, str] = {}
        self.names: dict[str, Epc] = {}

    def part(self, part: Part, plain: dict[str, Any], path: str) -> None:
        """Check the members of an object, and the objects in it."""
        kind = type(part)
        base = Event if isinstance(part, Event) else kind
        self._extensions(kind, plain, path)
        for field, name in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
            value = getattr(part, field)
            if value is UNSET:
                continue
            place = f"{path}.{name}"
            check = self._check_of(base, name)
            if isinstance(value, Part):
                self.part(value, plain[name], place)
            elif isinstance(value, list):
                self._list(value, plain[name], place, check)
            elif check is not None and isinstance(value, str):
                self._try(check, value, place)
            elif name == "ilmd":
                self._ilmd(value, place)

    def _list(self, values: list[Any], plain: list[Any], path: str, check: Callable[[str, str], None] | None) -> None:
        seen: set[str] = set()
        for at, value in enumerate(values):
            place = f"{path}[{at}]"
            if isinstance(value, Part):
                self.part(value, plain[at], place)
            elif isinstance(value, str) and check is not None:
                if value in seen:
                    self.faults.append(Fault(place, f"{value[:80]!r} is there twice"))
                seen.add(value)
                self._try(check, value, place)

    def _check_of(self, base: type[Part], name: str) -> Callable[[str, str], None] | None:
        """How the values of a member are checked; None where the type says it all."""
        words = _WORDS.get((base, name))
        if words is not None:
            return lambda value, place: self._word(words, value, place)
        if name in _NAMES:
            return lambda value, place: self._name(name, value, place)
        if name in _MOMENTS:
            return lambda value, _place: _check_moment(value)
        if name in _URIS or name == "certificationInfo":
            return lambda value, _place: _check_uri(self._context.expand(value))
        return {"eventID": _check_event_id, "eventTimeZoneOffset": _check_offset}.get(name)

    def _try(self, check: Callable[[str, str], None], value: str, place: str) -> None:
        try:
            check(value, place)
        except ValueError as error:
            self.faults.append(Fault(place, str(error)))

    def _word(self, words: vocabulary.Vocabulary, value: str, place: str) -> None:
        self.words[place[self._root :]] = words.canonical(value, self._context)

    def _name(self, name: str, value: str, place: str) -> None:
        epc = parse_epc(self._context.expand(value))
        if name in _OBJECTS and epc.level == "class":
            message = f"{value[:120]!r} names a class of objects, not one; classes go into a quantity list"
            raise ValueError(message)
        if name == "epcClass" and epc.level in _NO_CLASS:
            message = f"{value[:120]!r} names one object, not a class of them"
            raise ValueError(message)
        self.names[place[self._root :]] = epc

    def _extensions(self, kind: type[Part], plain: dict[str, Any], path: str) -> None:
        if len(plain) == len(kind.__struct_fields__):
            return
        for name in plain.keys() - _members(kind):
            if kind in _closed or not self._context.knows(name):
                known = "is not a field of " + kind.__name__
                more = "" if kind in _closed else ", nor under a prefix that a context declares"
                self.faults.append(Fault(f"{path}.{name}", known + more))

    def _ilmd(self, ilmd: dict[str, Any], path: str) -> None:
        self.faults += [
            Fault(f"{path}.{name}", "is not under a prefix that a context declares")
            for name in ilmd
            if not self._context.knows(name)
        ]


_NO_CLASS: Final[frozenset[Level]] = frozenset({"instance", "place"})


def _members(kind: type[Part]) -> frozenset[str]:
    members = _known.get(kind)
    if members is None:
        members = _known[kind] = known_members(kind)
    return members


def _check_moment(value: str) -> None:
    parse_moment(value)


def _check_uri(value: str) -> None:
    if not is_uri(value):
        message = f"{value[:80]!r} is not a URI"
        raise ValueError(message)


def _check_event_id(value: str, _place: str) -> None:
    if value.startswith("_:"):
        message = "is a name within one document; leave it out, and the event gets an id by what it says"
        raise ValueError(message)
    _check_uri(value)


def _check_offset(value: str, _place: str) -> None:
    if not is_offset(value):
        message = f"{value[:20]!r} is not an offset such as +08:00, from -14:00 to +14:00"
        raise ValueError(message)


def _told(fault: Fault) -> Fault:
    """An unknown event type, said as what it is."""
    if fault.path.endswith(".type") and fault.reason.startswith("Invalid value"):
        return Fault(fault.path, f"{fault.reason.removeprefix('Invalid value ')} is none of the five event types")
    return fault


def _nuls(value: Any, path: str) -> Iterator[str]:
    """Where U+0000 is: in a string, or in the name of a member."""
    if isinstance(value, str):
        if "\0" in value:
            yield path
    elif isinstance(value, list):
        for at, member in enumerate(value):
            yield from _nuls(member, f"{path}[{at}]")
    elif isinstance(value, dict):
        for name, member in value.items():
            if "\0" in name:
                yield path
            yield from _nuls(member, f"{path}.{name}")
