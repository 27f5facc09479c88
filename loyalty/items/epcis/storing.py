"""Keeping events: each once, as it was given, with rows by which it is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.epcis.checking import CheckedEvent
from loyalty.items.epcis.contexts import Context, read_context
from loyalty.items.epcis.event_hash import named_by, pre_hash
from loyalty.items.epcis.moments import parse_moment
from loyalty.items.epcis.own_items import find_own_items
from loyalty.items.keys import MasterKeys
from loyalty.kit.db import to_json

Outcome = Literal["stored", "same", "other"]
"""`same`: it was there already. `other`: another event has its eventID, or an error declaration changes its event."""

KnownValue = tuple[str, str, str]
"""A business step, a place, … that there are events of: its kind, its one spelling, and the spelling to tell it in."""

OBJECT_ROLES: Final = ("epc", "child", "parent", "input", "output")
"""Roles in which objects are mentioned: what `MATCH_anyEPC` asks for."""
CLASS_ROLES: Final = ("class", "inputClass", "outputClass")

_ROLES: Final = {
    "epcList": "epc",
    "childEPCs": "child",
    "parentID": "parent",
    "inputEPCList": "input",
    "outputEPCList": "output",
    "quantityList": "class",
    "childQuantityList": "class",
    "inputQuantityList": "inputClass",
    "outputQuantityList": "outputClass",
}
_TYPED: Final = {"bizTransactionList": "bizTransaction", "sourceList": "source", "destinationList": "destination"}


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is right, ready to be kept. `key` is the same whenever it comes again."""

    key: UUID
    event_id: str
    id_was_given: bool
    content: bytes
    given: bytes
    checked: CheckedEvent
    document: Context
    """The context of the document that it came in; its own, where it has one, is in what was given."""

    @property
    def is_declaration(self) -> bool:
        """Whether this is an error declaration."""
        return self.checked.event.error_declaration is not UNSET


def prepare(raw: bytes, checked: CheckedEvent, document: Context, *, programme_id: UUID) -> NewEvent:
    """Make an event ready to be kept: its id, by what it says where none was given, and its bytes member by member.

    What comes along as `recordTime` is left out: it is for the repository to say (EPCIS 2.0, section 7.4.1).
    """
    event = checked.event
    given_id = event.event_id if event.event_id is not UNSET else None
    said = pre_hash(checked.plain, checked.context)
    event_id = given_id or named_by(said)
    declaration = checked.plain.get("errorDeclaration")
    beside = [declaration, checked.plain.get("certificationInfo")]
    content = said.encode() + msgspec.json.encode(beside, order="deterministic")
    marker = b"" if declaration is None else msgspec.json.encode(declaration, order="deterministic")
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    members.pop("recordTime", None)
    return NewEvent(
        key=event_key(programme_id, event_id, marker),
        event_id=event_id,
        id_was_given=given_id is not None,
        content=hashlib.sha256(content).digest(),
        given=join_members(members),
        checked=checked,
        document=document,
    )


def event_key(programme_id: UUID, event_id: str, declaration: bytes = b"") -> UUID:
    """The key of an event, or of an error declaration of it."""
    named = b"\0".join([programme_id.bytes, event_id.encode(), declaration])
    return UUID(bytes=hashlib.sha256(named).digest()[:16])


def join_members(members: dict[str, msgspec.Raw]) -> bytes:
    """A JSON object of members whose values stay as they are, byte for byte."""
    parts = (msgspec.json.encode(name) + b":" + bytes(value) for name, value in members.items())
    return b"{" + b",".join(parts) + b"}"


async def store_events(
    connection: AsyncConnection,
    events: Sequence[NewEvent],
    *,
    programme_id: UUID,
    record_time: datetime,
    item_keys: MasterKeys | None = None,
    capture_id: UUID | None = None,
    actor: str | None = None,
    known: set[KnownValue] | None = None,
) -> list[Outcome]:
    """Keep events; answers for each what became of it. With `item_keys`, the brand's own items among them are found.

    Locks the events in the order of their keys, and after them their values (`keep_values`), in order too. Who calls
    this more than once in a transaction gives a set, `known`, keeps its values at the end, and sees to it that nobody
    else does so at the same time.
    """
    outcomes = await _unlike_their_events(connection, events, programme_id=programme_id)
    wanted: dict[UUID, NewEvent] = {}
    for event, outcome in zip(events, outcomes, strict=True):
        if outcome is None:
            wanted.setdefault(event.key, event)
    columns = _event_columns(sorted(wanted.values(), key=lambda event: event.key))
    values = {"programme": programme_id, "recorded": record_time, "capture": capture_id, "actor": actor, **columns}
    stored: dict[UUID, NewEvent] = {}
    if wanted:
        stored = {row.key: wanted[row.key] for row in await connection.execute(_INSERT, values)}
    if stored:
        await _index(connection, list(stored.values()), programme_id=programme_id, item_keys=item_keys)
        said = {each for event in stored.values() for each in _values(event.checked)}
        if known is None:
            await keep_values(connection, said, programme_id=programme_id)
        else:
            known |= said
    there = await _contents(connection, [key for key in wanted if key not in stored])
    there |= {key: event.content for key, event in stored.items()}
    return [
        outcome or _outcome(event, stored.get(event.key), there)
        for event, outcome in zip(events, outcomes, strict=True)
    ]


def _outcome(event: NewEvent, stored: NewEvent | None, there: dict[UUID, bytes]) -> Outcome:
    if event is stored:
        return "stored"
    return "same" if there[event.key] == event.content else "other"


async def _unlike_their_events(
    connection: AsyncConnection, events: Sequence[NewEvent], *, programme_id: UUID
) -> list[Outcome | None]:
    """`other` for error declarations of an event that is there and says something else (EPCIS 2.0, section 7.4.1.2)."""
    declarations = {event.key: event for event in events if event.is_declaration}
    if not declarations:
        return [None] * len(events)
    originals = {key: event_key(programme_id, event.event_id) for key, event in declarations.items()}
    query = text("SELECT key, given::text AS given, context FROM epcis_event WHERE key = ANY (:keys)")
    rows = await connection.execute(query, {"keys": list(originals.values())})
    said = {row.key: _said(msgspec.json.decode(row.given), row.context) for row in rows}

    def changed(event: NewEvent) -> bool:
        before = said.get(originals[event.key])
        return before is not None and before != pre_hash(event.checked.plain, event.checked.context)

    return ["other" if event.is_declaration and changed(event) else None for event in events]


def _said(plain: dict[str, Any], context: dict[str, Any]) -> str:
    inner, _ = read_context(plain.get("@context", []), "$")
    return pre_hash(plain, msgspec.convert(context, Context).with_inner(inner))


async def _contents(connection: AsyncConnection, keys: list[UUID]) -> dict[UUID, bytes]:
    if not keys:
        return {}
    query = text("SELECT key, content FROM epcis_event WHERE key = ANY (:keys)")
    return {row.key: bytes(row.content) for row in await connection.execute(query, {"keys": keys})}


def _event_columns(events: list[NewEvent]) -> dict[str, list[Any]]:
    checked = [event.checked for event in events]
    declarations = [each.event.error_declaration for each in checked]
    return {
        "keys": [event.key for event in events],
        "ids": [event.event_id for event in events],
        "types": [each.plain["type"] for each in checked],
        "actions": [each.plain.get("action") for each in checked],
        "times": [each.event_time for each in checked],
        "steps": [each.words.get("bizStep") for each in checked],
        "dispositions": [each.words.get("disposition") for each in checked],
        "read_points": [_name(each, "readPoint.id") for each in checked],
        "locations": [_name(each, "bizLocation.id") for each in checked],
        "transformations": [_name(each, "transformationID") for each in checked],
        "declared": [parse_moment(each.declaration_time) if each is not UNSET else None for each in declarations],
        "reasons": [each.words.get("errorDeclaration.reason") for each in checked],
        "contexts": [to_json(event.document) for event in events],
        "given": [event.given.decode() for event in events],
        "contents": [event.content for event in events],
    }


def _name(checked: CheckedEvent, path: str) -> str | None:
    epc = checked.names.get(path)
    return None if epc is None else epc.canonical


async def _index(
    connection: AsyncConnection, events: list[NewEvent], *, programme_id: UUID, item_keys: MasterKeys | None
) -> None:
    mentions = sorted({(name, event.key, role) for event in events for name, role in mentions_of(event.checked)})
    names, keys, roles = zip(*mentions, strict=True) if mentions else ((), (), ())
    await connection.execute(
        _MENTION, {"programme": programme_id, "names": list(names), "keys": list(keys), "roles": list(roles)}
    )
    if item_keys is not None:
        items = await _own_items(connection, events, programme_id=programme_id, item_keys=item_keys)
        if items:
            await connection.execute(_ITEMS, {"programme": programme_id, **items})


async def keep_values(connection: AsyncConnection, known: set[KnownValue], *, programme_id: UUID) -> None:
    """Keep the values that events have, to be listed; the last thing that a transaction locks."""
    if known:
        kinds, values, told = zip(*sorted(known), strict=True)
        await connection.execute(
            _VALUES, {"programme": programme_id, "kinds": list(kinds), "values": list(values), "told": list(told)}
        )


def mentions_of(checked: CheckedEvent) -> Iterator[tuple[str, str]]:
    """What an event mentions, each with its role."""
    for path, epc in checked.names.items():
        field = path.split("[", 1)[0].split(".", 1)[0]
        if field in _ROLES:
            yield epc.canonical, _ROLES[field]
        elif field in _TYPED:
            yield epc.canonical, f"{_TYPED[field]}:{checked.words.get(path.rsplit('.', 1)[0] + '.type', '')}"
    for path, word in checked.words.items():
        if path.startswith("persistentDisposition."):
            yield word, path.split("[", 1)[0]
    declaration = checked.event.error_declaration
    if declaration is not UNSET:
        for corrective in declaration.corrective_event_ids or ():
            yield corrective, "corrective"


def _values(checked: CheckedEvent) -> Iterator[KnownValue]:
    yield "eventType", checked.plain["type"], checked.plain["type"]
    for kind in ("bizStep", "disposition"):
        if kind in checked.words:
            yield kind, checked.words[kind], checked.words[kind]
    for kind in ("readPoint", "bizLocation"):
        epc = checked.names.get(f"{kind}.id")
        if epc is not None:
            yield kind, epc.canonical, checked.plain[kind]["id"]


async def _own_items(
    connection: AsyncConnection, events: list[NewEvent], *, programme_id: UUID, item_keys: MasterKeys
) -> dict[str, list[Any]] | None:
    """The brand's own items that events name, as columns."""
    named = [
        (event.key, (epc.gtin, epc.serial))
        for event in events
        for path, epc in event.checked.names.items()
        if epc.gtin is not None and epc.serial is not None and path.startswith(tuple(_ROLES))
    ]
    codes = await find_own_items(connection, item_keys, {item for _, item in named}, programme_id=programme_id)
    found = {(code.gtin, code.kid, code.index, key) for key, item in named if (code := codes.get(item)) is not None}
    if not found:
        return None
    products, kids, indexes, keys = zip(*sorted(found), strict=True)
    return {"gtins": list(products), "kids": list(kids), "indexes": list(indexes), "keys": list(keys)}


_INSERT: Final = text("""
    INSERT INTO epcis_event (
        key, programme_id, event_id, event_type, action, event_time, record_time, biz_step, disposition, read_point,
        biz_location, transformation_id, declared_at, error_reason, context, given, content, capture_id, actor)
    SELECT key, :programme, event_id, event_type, action, event_time, :recorded, biz_step, disposition, read_point,
        biz_location, transformation_id, declared_at, error_reason, context::json, given::json, content,
        CAST(:capture AS uuid), CAST(:actor AS text)
    FROM unnest(
        CAST(:keys AS uuid[]), CAST(:ids AS text[]), CAST(:types AS text[]), CAST(:actions AS text[]),
        CAST(:times AS timestamptz[]), CAST(:steps AS text[]), CAST(:dispositions AS text[]),
        CAST(:read_points AS text[]), CAST(:locations AS text[]), CAST(:transformations AS text[]),
        CAST(:declared AS timestamptz[]), CAST(:reasons AS text[]), CAST(:contexts AS text[]), CAST(:given AS text[]),
        CAST(:contents AS bytea[])
    ) AS n (key, event_id, event_type, action, event_time, biz_step, disposition, read_point, biz_location,
        transformation_id, declared_at, error_reason, context, given, content)
    ON CONFLICT (key) DO NOTHING
    RETURNING key
""")

_MENTION: Final = text("""
    INSERT INTO epcis_mention (name, event_key, role, programme_id)
    SELECT name, event_key, role, :programme
    FROM unnest(CAST(:names AS text[]), CAST(:keys AS uuid[]), CAST(:roles AS text[])) AS n (name, event_key, role)
""")

_VALUES: Final = text("""
    INSERT INTO epcis_value (programme_id, kind, value, told)
    SELECT :programme, kind, value, told
    FROM unnest(CAST(:kinds AS text[]), CAST(:values AS text[]), CAST(:told AS text[])) AS n (kind, value, told)
    ON CONFLICT DO NOTHING
""")

_ITEMS: Final = text("""
    INSERT INTO epcis_item (gtin, kid, index, event_key, programme_id)
    SELECT gtin, kid, index, event_key, :programme
    FROM unnest(
        CAST(:gtins AS text[]), CAST(:kids AS smallint[]), CAST(:indexes AS bigint[]), CAST(:keys AS uuid[])
    ) AS n (gtin, kid, index, event_key)
""")
