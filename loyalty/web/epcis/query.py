"""Asking: events by parameters or by one of their values, and the lists of the values that there are."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar import Request, Response, get
from litestar.di import NamedDependency

from loyalty.items.epcis.answers import collection, query_document
from loyalty.items.epcis.epcs import CANONICAL_DOMAIN, parse_epc
from loyalty.items.epcis.own_events import OwnEvents
from loyalty.items.epcis.parameters import Mention, Query, read_query
from loyalty.items.epcis.queries import (
    Page,
    ValueKind,
    find_events,
    list_objects,
    list_values,
    read_place,
    write_place,
)
from loyalty.items.epcis.storing import CLASS_ROLES, OBJECT_ROLES
from loyalty.items.epcis.types import EVENT_TYPES
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import NotFoundError
from loyalty.web.epcis.headers import Admit, caller_of, epc_format, json_answer, segments_after
from loyalty.web.epcis.paging import next_link, page_size, parameters, take_token
from loyalty.web.state import Services

_KINDS: Final[dict[str, tuple[ValueKind, str]]] = {
    "eventTypes": ("eventType", "eventType"),
    "bizSteps": ("bizStep", "EQ_bizStep"),
    "bizLocations": ("bizLocation", "EQ_bizLocation"),
    "readPoints": ("readPoint", "EQ_readPoint"),
    "dispositions": ("disposition", "EQ_disposition"),
}
_TYPES: Final = {kind.__name__ for kind in EVENT_TYPES}
_GS1: Final = re.compile(r"\d{2,4}/")
_EVENTS: Final = "events"


def _own(request: Request[Any, Any, Any], services: Services) -> OwnEvents:
    return OwnEvents(caller_of(request).programme, services.item_keys, services.settings.public_url)


async def _answer(
    request: Request[Any, Any, Any], services: Services, query: Query, token: str | None
) -> Response[bytes]:
    async with services.transaction() as connection:
        page = await find_events(
            connection,
            query,
            programme_id=caller_of(request).programme_id,
            own=_own(request, services),
            token=token,
        )
    return _document(request, services, page)


def _document(request: Request[Any, Any, Any], services: Services, page: Page) -> Response[bytes]:
    form = epc_format(request)
    headers = {"GS1-EPC-Format": form, **next_link(request, services, page.next_token)}
    return json_answer(query_document(page.events, created=utc_now(), form=form), request, headers=headers)


@get("/events", guards=[Admit("epcis:read")])
async def events(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """The events that the query's parameters are about."""
    given = parameters(request)
    token = take_token(given)
    return await _answer(request, services, read_query(given), token)


@get("/events/{rest:path}", guards=[Admit("epcis:read")])
async def event(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """The event of an eventID, with the error declarations of it."""
    (event_id,) = _one(segments_after(request, _EVENTS))
    given = parameters(request)
    query = read_query({**given, "EQ_eventID": [event_id]})
    async with services.transaction() as connection:
        page = await find_events(
            connection, query, programme_id=caller_of(request).programme_id, own=_own(request, services)
        )
    if not page.events:
        raise NotFoundError(f"there is no event {event_id[:200]}", field="eventID")
    return _document(request, services, page)


def _one(segments: list[str]) -> list[str]:
    if len(segments) != 1 or not segments[0]:
        raise NotFoundError("there is nothing at this address; names in it are percent-encoded", field="path")
    return segments


@get(["/eventTypes", "/bizSteps", "/bizLocations", "/readPoints", "/dispositions"], guards=[Admit("epcis:read")])
async def values(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """The event types, business steps, … that there are events of."""
    kind, _ = _KINDS[request.url.path.strip("/").split("/")[1]]
    size, token = page_size(request)
    after = "" if token is None else read_place(token, tuple[str])[0]
    async with services.transaction() as connection:
        found = await list_values(
            connection,
            kind,
            programme_id=caller_of(request).programme_id,
            own=_own(request, services),
            after=after,
            limit=size + 1,
        )
    following = write_place(found[size - 1][0]) if len(found) > size else None
    content = collection([told for _, told in found[:size]])
    return json_answer(content, request, headers=next_link(request, services, following))


@get("/epcs", guards=[Admit("epcis:read")])
async def epcs(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """The objects that captured events name. The brand's own codes are not listed: there may be 100 million."""
    size, token = page_size(request)
    after = "" if token is None else read_place(token, tuple[str])[0]
    async with services.transaction() as connection:
        found = await list_objects(
            connection,
            programme_id=caller_of(request).programme_id,
            roles=OBJECT_ROLES,
            after=after,
            limit=size + 1,
        )
    following = write_place(found[size - 1]) if len(found) > size else None
    told = [CANONICAL_DOMAIN + name if _GS1.match(name) else name for name in found[:size]]
    return json_answer(collection(told), request, headers=next_link(request, services, following))


@get("/epcs/{rest:path}", guards=[Admit("epcis:read")])
async def epc_events(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """What there is about an object or a class of objects: its events."""
    name, rest = _named(segments_after(request, "epcs"))
    given = parameters(request)
    token = take_token(given)
    try:
        epc = parse_epc(name)
    except ValueError as error:
        raise NotFoundError(str(error), field="epc") from error
    if not rest:
        return json_answer(collection([_EVENTS]), request)
    query = read_query(given)
    parameter, roles = ("MATCH_anyEPCClass", CLASS_ROLES) if epc.level == "class" else ("MATCH_anyEPC", OBJECT_ROLES)
    query.mentions.append(Mention(parameter, (epc.canonical,), (), tuple(roles)))
    return await _answer(request, services, query, token)


@get(
    [f"/{resource}/{{rest:path}}" for resource in _KINDS],
    guards=[Admit("epcis:read")],
)
async def value_events(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """What there is about an event type, a business step, …: its events."""
    resource = request.url.path.strip("/").split("/")[1]
    name, rest = _named(segments_after(request, resource))
    if resource == "eventTypes" and name not in _TYPES:
        raise NotFoundError(f"{name[:80]!r} is none of the five event types", field="eventType")
    given = parameters(request)
    token = take_token(given)
    _, parameter = _KINDS[resource]
    about = read_query({parameter: [name.replace("|", "%7C")]})
    if not rest:
        return json_answer(collection([_EVENTS]), request)
    query = read_query(given)
    for column, wanted in about.equal.items():
        query.equal[column] = tuple(each for each in query.equal.get(column, wanted) if each in wanted)
    return await _answer(request, services, query, token)


def _named(segments: list[str]) -> tuple[str, list[str]]:
    """The name in a path, and what follows it: nothing, or `events`."""
    if not segments or not segments[0] or segments[1:] not in ([], [_EVENTS]):
        raise NotFoundError("there is nothing at this address; names in it are percent-encoded", field="path")
    return segments[0], segments[1:]


HANDLERS: Final = [events, event, values, epcs, epc_events, value_events]
