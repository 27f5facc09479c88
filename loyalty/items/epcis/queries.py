"""Asking: the events that a query is about, captured ones and the brand's own, in one order and page by page."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, Text, and_, cast, false, func, literal, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.own_events import OwnEvents
from loyalty.items.epcis.parameters import Mention, Query, QueryParameterError
from loyalty.items.epcis.tables import epcis_event_table, epcis_mention_table, epcis_value_table
from loyalty.items.epcis.vocabulary import BIZ_STEP, DISPOSITION
from loyalty.kit.errors import DomainError

ValueKind = Literal["eventType", "bizStep", "disposition", "readPoint", "bizLocation"]

_event: Final = epcis_event_table.c
_mention: Final = epcis_mention_table.c
_FOREIGN: Final = "is not a token that was given here"


class QueryTooLargeError(DomainError):
    """More events than the query's `maxEventCount` allows."""

    status = 413
    type = "epcis-query-too-large"
    title = "More events than this query allows"


class FoundEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that answers a query. `given` is its JSON; `context` that of the document that it came in."""

    key: UUID
    at: datetime
    record_time: datetime
    event_id: str
    context: Context
    given: bytes


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some events of an answer, and where to go on; None at the end."""

    events: list[FoundEvent]
    next_token: str | None


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """A place in an answer: the last event that was told, and how many were."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    key: UUID
    told: int


async def find_events(
    connection: AsyncConnection, query: Query, *, programme_id: UUID, own: OwnEvents, token: str | None = None
) -> Page:
    """One page of the events that a query is about, from the place of a token on.

    Raises QueryParameterError for a token that was not given here, QueryTooLargeError where the query says so.
    """
    place = None if token is None else _read_token(token)
    told = 0 if place is None else place.told
    size = query.page_size if query.most is None else min(query.page_size, query.most - told)
    if place is None and query.refuse_above is not None:
        await _refuse(connection, query, programme_id=programme_id, own=own)
    if size <= 0:
        return Page(events=[], next_token=None)
    after = None if place is None else (place.at, place.key)
    captured = await _captured(connection, query, programme_id=programme_id, after=after, limit=size + 1)
    ours = [
        FoundEvent(
            key=event.key,
            at=event.at,
            record_time=event.record_time,
            event_id=event.event_id,
            context=event.context,
            given=msgspec.json.encode(event.plain),
        )
        for event in await own.find(connection, query, after=after, limit=size + 1)
    ]
    by_recording = query.order_by == "record_time"

    def order(event: FoundEvent) -> tuple[datetime, UUID]:
        return (event.record_time if by_recording else event.at), event.key

    merged = sorted([*captured, *ours], key=order, reverse=not query.ascending)
    events = merged[:size]
    more = len(merged) > size and (query.most is None or told + size < query.most)
    return Page(events=events, next_token=_write_token(_Token(*order(events[-1]), told + size)) if more else None)


async def _captured(
    connection: AsyncConnection,
    query: Query,
    *,
    programme_id: UUID,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[FoundEvent]:
    order = (_event[query.order_by], _event.key)
    statement = _matching(query, programme_id)
    if after is not None:
        mine, theirs = tuple_(*order), tuple_(*(literal(part) for part in after))
        statement = statement.where(mine > theirs if query.ascending else mine < theirs)
    sorting = [column if query.ascending else column.desc() for column in order]
    columns = (_event.key, _event.event_time, _event.record_time, _event.event_id, _event.context)
    rows = await connection.execute(
        statement.with_only_columns(*columns, cast(_event.given, Text).label("given")).order_by(*sorting).limit(limit)
    )
    return [
        FoundEvent(
            key=row.key,
            at=row.event_time,
            record_time=row.record_time,
            event_id=row.event_id,
            context=msgspec.convert(row.context, Context),
            given=row.given.encode(),
        )
        for row in rows
    ]


def _matching(query: Query, programme_id: UUID) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [_event.programme_id == programme_id]
    conditions += [_event[column].in_(values) for column, values in query.equal.items()]
    for column, places in query.within.items():
        inner = [_event[column].like(f"{place}/254/%") for place in places if place.startswith("414/")]
        conditions.append(or_(_event[column].in_(places), *inner))
    conditions += [_event[column] >= moment for column, moment in query.since.items()]
    conditions += [_event[column] < moment for column, moment in query.before.items()]
    if query.declared is not None:
        conditions.append(_event.declared_at.is_not(None) if query.declared else _event.declared_at.is_(None))
    conditions += [_event.key.in_(_mentioning(mention, programme_id)) for mention in query.mentions]
    return select(_event.key).where(*conditions)


def _mentioning(mention: Mention, programme_id: UUID) -> Select[Any]:
    starting = [
        and_(_mention.name >= prefix, _mention.name < prefix[:-1] + chr(ord(prefix[-1]) + 1))
        for prefix in mention.prefixes
    ]
    return select(_mention.event_key).where(
        or_(false(), _mention.name.in_(mention.names), *starting),
        _mention.role.in_(mention.roles),
        _mention.programme_id == programme_id,
    )


async def _refuse(connection: AsyncConnection, query: Query, *, programme_id: UUID, own: OwnEvents) -> None:
    most = query.refuse_above or 0
    first = _matching(query, programme_id).limit(most + 1).subquery()
    count = await connection.scalar(select(func.count()).select_from(first)) or 0
    count += await own.count(connection, query, limit=most + 1)
    if count > most:
        message = f"there are more than {most} events"
        raise QueryTooLargeError(message, field="maxEventCount")


async def list_values(
    connection: AsyncConnection,
    kind: ValueKind,
    *,
    programme_id: UUID,
    own: OwnEvents,
    after: str = "",
    limit: int = 30,
) -> list[tuple[str, str]]:
    """Event types, business steps, … that there are events of, each with the spelling to tell it in, by value."""
    value = epcis_value_table.c
    query = select(value.value, value.told).where(
        value.programme_id == programme_id, value.kind == kind, value.value > after
    )
    rows = await connection.execute(query.order_by(value.value).limit(limit))
    known = {row.value: row.told for row in rows}
    for event_type, step in await own.steps(connection):
        told = {
            "eventType": event_type,
            "bizStep": step.biz_step and BIZ_STEP.address + step.biz_step,
            "disposition": step.disposition and DISPOSITION.address + step.disposition,
        }.get(kind)
        if told is not None and told > after:
            known.setdefault(told, told)
    spelled = {"bizStep": BIZ_STEP.word, "disposition": DISPOSITION.word}.get(kind, str)
    return [(name, spelled(known[name])) for name in sorted(known)[:limit]]


_NEXT_NAMES: Final = text("""
    WITH RECURSIVE walk AS (
        (SELECT name FROM epcis_mention WHERE name > :after AND role = ANY (:roles) AND programme_id = :programme
         ORDER BY name LIMIT 1)
        UNION ALL
        SELECT (SELECT m.name FROM epcis_mention m
                WHERE m.name > walk.name AND m.role = ANY (:roles) AND m.programme_id = :programme
                ORDER BY m.name LIMIT 1)
        FROM walk WHERE walk.name IS NOT NULL
    )
    SELECT name FROM walk WHERE name IS NOT NULL LIMIT :limit
""")


async def list_objects(
    connection: AsyncConnection, *, programme_id: UUID, roles: tuple[str, ...], after: str = "", limit: int = 30
) -> list[str]:
    """Objects that captured events name, each once, in the order of their canonical names."""
    values = {"after": after, "roles": list(roles), "programme": programme_id, "limit": limit}
    return [row.name for row in await connection.execute(_NEXT_NAMES, values)]


def write_place(*parts: Any) -> str:
    """A place in a list, for the next request to go on from."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def read_place(token: str, kind: Any) -> Any:
    """The parts of a place that was written here, as a tuple type. Raises QueryParameterError."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        place = msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise QueryParameterError(_FOREIGN, field="nextPageToken") from error
    if b"\\u0000" in raw:  # no name that we keep has it
        raise QueryParameterError(_FOREIGN, field="nextPageToken")
    return place


def _write_token(token: _Token) -> str:
    return write_place(token.at, token.key, token.told)


def _read_token(token: str) -> _Token:
    place: _Token = read_place(token, _Token)
    return place
