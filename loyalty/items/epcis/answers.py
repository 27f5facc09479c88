"""Writing answers: the EPCISQueryDocument, its context, and its EPCs in the spelling that was asked for.

A member that was given is answered byte for byte. `eventID` is added where none was given, and `recordTime` always
(EPCIS 2.0, section 7.4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from loyalty.items.epcis.contexts import EPCIS_CONTEXT, Context
from loyalty.items.epcis.epcs import canonical_link
from loyalty.items.epcis.moments import write_moment
from loyalty.items.epcis.queries import FoundEvent
from loyalty.items.epcis.storing import join_members

Format = Literal["Never_Translates", "Always_GS1_Digital_Link"]

_NAMES: Final = frozenset({
    "epc", "epcList", "childEPCs", "inputEPCList", "outputEPCList", "parentID", "epcClass", "id", "source",
    "destination", "bizTransaction", "transformationID", "deviceID",
})  # fmt: skip
_QUERY_NAME: Final = "SimpleEventQuery"


def query_document(events: Sequence[FoundEvent], *, created: datetime, form: Format = "Never_Translates") -> bytes:
    """The document that answers a query."""
    context, apart = _common_context(events)
    written = b",".join(_event(event, form, inner) for event, inner in zip(events, apart, strict=True))
    head = msgspec.json.encode({
        "@context": context,
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": write_moment(created),
    })  # fmt: skip
    name = msgspec.json.encode(_QUERY_NAME)
    body = b'"epcisBody":{"queryResults":{"queryName":' + name + b',"resultsBody":{"eventList":[' + written + b"]}}}"
    return head[:-1] + b"," + body + b"}"


def collection(values: Sequence[str]) -> bytes:
    """The document that lists resources."""
    return msgspec.json.encode({"@context": EPCIS_CONTEXT, "type": "Collection", "member": list(values)})


def _common_context(events: Sequence[FoundEvent]) -> tuple[list[Any], list[Context | None]]:
    """The document's context, and for each event what it has to bring itself: all, where it says otherwise."""
    declared: dict[str, str] = {}
    apart: list[Context | None] = []
    for event in events:
        own = event.context
        agrees = all(declared.get(prefix, namespace) == namespace for prefix, namespace in own.declared.items())
        if agrees and not own.addresses:
            declared |= own.declared
            apart.append(None)
        else:
            apart.append(own)
    return [EPCIS_CONTEXT, *([declared] if declared else [])], apart


def _event(event: FoundEvent, form: Format, context: Context | None) -> bytes:
    members = msgspec.json.decode(event.given, type=dict[str, msgspec.Raw])
    if form == "Always_GS1_Digital_Link":
        members = {name: _linked(name, raw) for name, raw in members.items()}
    added: dict[str, msgspec.Raw] = {}
    if context is not None:
        given = members.pop("@context", None)
        inner = msgspec.json.decode(given) if given is not None else []
        parts = [*context.addresses, context.declared, *(inner if isinstance(inner, list) else [inner])]
        added["@context"] = _raw([part for part in parts if part])
    if "eventID" not in members:
        added["eventID"] = _raw(event.event_id)
    added["recordTime"] = _raw(write_moment(event.record_time))
    return join_members({**members, **added})


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _linked(name: str, raw: msgspec.Raw) -> msgspec.Raw:
    """A member with its EPCs as canonical Digital Links; untouched where it has none that is written otherwise."""
    value = msgspec.json.decode(raw)
    changed = _link(name, value)
    return raw if changed == value else _raw(changed)


def _link(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return canonical_link(value) or value if name in _NAMES else value
    if isinstance(value, list):
        return [_link(name, each) for each in value]
    if isinstance(value, dict) and ":" not in name:
        return {inner: _link(inner, each) for inner, each in value.items()}
    return value
