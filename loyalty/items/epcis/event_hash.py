"""The event hash id: a name that follows from what an event says, whoever computes it.

The algorithm is that of CBV 2.0, section 8.9.2. An event is written as one string in a fixed order, with every value in
its one spelling, and the string is hashed. Left out are `eventID`, `recordTime`, `errorDeclaration` and
`certificationInfo`, so an error declaration has the id of the event that it takes back. As in the reference
implementation for CBV 2.0 (epcis-event-hash-generator), the name `sensorElementList` is not written, and extensions of
places and sensors stand behind the ilmd, each after the name of what they extend.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from loyalty.items.epcis import vocabulary
from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.epcs import canonical_link
from loyalty.items.epcis.moments import hash_moment
from loyalty.items.epcis.vocabulary import Vocabulary

_EPC_LISTS: Final = ("epcList", "inputEPCList", "childEPCs", "outputEPCList")
_QUANTITY_LISTS: Final = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")
_TYPED_LISTS: Final = {
    "bizTransactionList": ("bizTransaction", vocabulary.BIZ_TRANSACTION_TYPE),
    "sourceList": ("source", vocabulary.SOURCE_DESTINATION_TYPE),
    "destinationList": ("destination", vocabulary.SOURCE_DESTINATION_TYPE),
}
_ORDER: Final = (
    "eventTime", "eventTimeZoneOffset", "epcList", "parentID", "inputEPCList", "childEPCs", "quantityList",
    "childQuantityList", "inputQuantityList", "outputEPCList", "outputQuantityList", "action", "transformationID",
    "bizStep", "disposition", "persistentDisposition", "readPoint", "bizLocation", "bizTransactionList", "sourceList",
    "destinationList", "sensorElementList", "ilmd",
)  # fmt: skip
_METADATA_ORDER: Final = (
    "time", "startTime", "endTime", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules",
)  # fmt: skip
_REPORT_ORDER: Final = (
    "type", "exception", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "time", "microorganism",
    "chemicalSubstance", "value", "component", "stringValue", "booleanValue", "hexBinaryValue", "uriValue", "minValue",
    "maxValue", "meanValue", "sDev", "percRank", "percValue", "uom", "coordinateReferenceSystem",
)  # fmt: skip
_NOT_HASHED: Final = frozenset({
    "@context", "type", "eventID", "recordTime", "errorDeclaration", "certificationInfo", "rdfs:comment",
})  # fmt: skip
_MOMENTS: Final = frozenset({"eventTime", "time", "startTime", "endTime"})
_WORDS: Final = {
    "bizStep": vocabulary.BIZ_STEP,
    "disposition": vocabulary.DISPOSITION,
    "component": vocabulary.COMPONENT,
    "exception": vocabulary.SENSOR_ALERT,
}
_URNS: Final = (
    vocabulary.BIZ_STEP, vocabulary.DISPOSITION, vocabulary.BIZ_TRANSACTION_TYPE, vocabulary.SOURCE_DESTINATION_TYPE,
    vocabulary.ERROR_REASON,
)  # fmt: skip
_NUMBER: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_MASTER_DATA: Final = "urn:epcglobal:cbv:mda"
"""CBV's master data attributes: in the hash their namespace has no colon at its end, as in XML."""


def event_hash_id(plain: dict[str, Any], context: Context) -> str:
    """The id of an event that is right, such as `ni:///sha-256;…?ver=CBV2.0`."""
    return named_by(pre_hash(plain, context))


def named_by(said: str) -> str:
    """The id of an event whose pre-hash string is this (RFC 6920)."""
    return f"ni:///sha-256;{hashlib.sha256(said.encode()).hexdigest()}?ver=CBV2.0"


def pre_hash(plain: dict[str, Any], context: Context) -> str:
    """The string that is hashed: an event in its one spelling."""
    return _Writer(context).event(plain)


class _Writer:
    """Writes within a context."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def event(self, plain: dict[str, Any]) -> str:
        regular = [f"eventType={plain['type']}", *(self._member(name, plain[name]) for name in _ORDER if name in plain)]
        places = [
            name + extensions
            for name in ("readPoint", "bizLocation")
            if name in plain and (extensions := self._extensions(plain[name], {"id"}))
        ]
        sensors = sorted(filter(None, (self._sensor_extensions(each) for each in plain.get("sensorElementList", ()))))
        return "".join([*regular, *places, *sensors, self._extensions(plain, {*_ORDER, *_NOT_HASHED})])

    def _member(self, name: str, value: Any) -> str:  # noqa: PLR0911  (one line for each shape that a member has)
        if name in _EPC_LISTS:
            return _list(name, (self._pair("epc", each) for each in value))
        if name in _QUANTITY_LISTS:
            order = ("epcClass", "quantity", "uom")
            return _list(name, (f"quantityElement{self._ordered(each, order)}" for each in value))
        if name in _TYPED_LISTS:
            field, types = _TYPED_LISTS[name]
            return _list(name, (self._typed(each, field, types) for each in value))
        if name == "persistentDisposition":
            words = [self._words(way, value.get(way, ()), vocabulary.DISPOSITION) for way in ("set", "unset")]
            return name + "".join(words)
        if name in ("readPoint", "bizLocation"):
            return f"{name}{self._pair('id', value['id'])}"
        if name == "sensorElementList":
            return "".join(sorted(self._sensor(each) for each in value))
        if name == "ilmd":
            content = self._extensions(value, set())
            return f"{name}{content}" if content else ""
        return self._pair(name, value)

    def _sensor(self, element: dict[str, Any]) -> str:
        metadata = self._ordered(element.get("sensorMetadata", {}), _METADATA_ORDER)
        reports = sorted(f"sensorReport{self._report(each)}" for each in element["sensorReport"])
        return "".join(["sensorElement", f"sensorMetadata{metadata}" if metadata else "", *reports])

    def _report(self, report: dict[str, Any]) -> str:
        kind = self._words("type", [report["type"]], vocabulary.MEASUREMENT) if "type" in report else ""
        return kind + self._ordered(report, _REPORT_ORDER[1:])

    def _sensor_extensions(self, element: dict[str, Any]) -> str:
        metadata = self._extensions(element.get("sensorMetadata", {}), set(_METADATA_ORDER))
        reports = [self._extensions(each, set(_REPORT_ORDER)) for each in element["sensorReport"]]
        parts = [f"sensorMetadata{metadata}"] if metadata else []
        parts += sorted(f"sensorReport{each}" for each in reports if each)
        own = self._extensions(element, {"sensorMetadata", "sensorReport"})
        content = "".join(parts) + own
        return f"sensorElement{content}" if content else ""

    def _ordered(self, plain: dict[str, Any], order: Iterable[str]) -> str:
        return "".join(self._pair(name, plain[name]) for name in order if name in plain)

    def _typed(self, plain: dict[str, Any], field: str, types: Vocabulary) -> str:
        kind = self._words("type", [plain["type"]], types) if "type" in plain else ""
        return kind + self._pair(field, plain[field])

    def _words(self, name: str, values: Iterable[str], words: Vocabulary) -> str:
        return "".join(sorted(f"{name}={words.canonical(value, self._context)}" for value in values))

    def _pair(self, name: str, value: Any) -> str:
        if name in _MOMENTS:
            return f"{name}={hash_moment(value)}"
        if name in _WORDS:
            return self._words(name, [value], _WORDS[name])
        return f"{name}={self._value(value)}"

    def _value(self, value: Any) -> str:
        """A value in its one spelling: numbers without trailing zeros, words and names of GS1's in full."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return _number(repr(value))
        text = str(value).strip()
        if _NUMBER.fullmatch(text):
            return _number(text)
        text = self._context.expand(text)
        for words in _URNS:
            if text.startswith(words.urn):
                return words.address + text.removeprefix(words.urn)
        return canonical_link(text) or text

    def _extensions(self, plain: dict[str, Any], known: set[str]) -> str:
        return "".join(sorted(self._extension_parts(plain, known)))

    def _extension_parts(self, plain: dict[str, Any], known: set[str]) -> Iterator[str]:
        for name, value in plain.items():
            if name not in known and name not in ("rdfs:comment", "@context"):
                told = self._name(name)
                for each in value if isinstance(value, list) else [value]:
                    yield told + self._content(each)

    def _content(self, value: Any) -> str:
        if isinstance(value, dict):
            return self._extensions(value, set())
        if isinstance(value, list):
            return "".join(sorted(self._content(each) for each in value))
        text = "" if value is None else self._value(value)
        return f"={text}" if text else ""

    def _name(self, name: str) -> str:
        """The name of an extension: `{namespace}local`."""
        prefix, _, local = name.partition(":")
        if prefix == "cbvmda" and prefix not in self._context.declared:
            return f"{{{_MASTER_DATA}}}{local}"
        namespace = self._context.namespace(prefix)
        if namespace is not None and not local.startswith("//"):
            return f"{{{namespace}}}{local}"
        at = max(name.rfind(mark) for mark in "/#:")
        return f"{{{name[: at + 1]}}}{name[at + 1 :]}" if at > 0 else name


def _list(name: str, members: Iterable[str]) -> str:
    ordered = sorted(members)
    return name + "".join(ordered) if ordered else ""


def _number(text: str) -> str:
    written = format(Decimal(text), "f")
    written = written.rstrip("0").rstrip(".") if "." in written else written
    return "0" if written in ("-0", "") else written
