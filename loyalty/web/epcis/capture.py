"""Capturing: documents, whose capture is a job that can be asked about, and single events at once."""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.items.epcis.capturing import (
    Capture,
    ErrorBehaviour,
    EventError,
    begin_capture,
    capture_event,
    get_capture,
    list_captures,
    receive_document,
)
from loyalty.items.epcis.checking import EVENT_BYTES_LIMIT
from loyalty.items.epcis.moments import write_moment
from loyalty.items.epcis.queries import read_place, write_place
from loyalty.items.epcis.storing import join_members
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.web.epcis.headers import Admit, caller_of, check_body_type, json_answer, one_of
from loyalty.web.epcis.paging import next_link, page_size
from loyalty.web.epcis.problems import exception_name
from loyalty.web.state import Services

CAPTURE_PREFIX: Final = "cap"
_BEHAVIOUR: Final = "GS1-Capture-Error-Behaviour"


def limits(services: Services) -> dict[str, str]:
    """The headers that say how much is captured at once."""
    return {
        "GS1-EPCIS-Capture-Limit": str(services.settings.epcis_capture_events),
        "GS1-EPCIS-Capture-File-Size-Limit": str(services.settings.epcis_capture_bytes),
    }


@post("/capture", guards=[Admit("epcis:write")], request_max_body_size=None, status_code=HTTPStatus.ACCEPTED)
async def capture_document(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """Receive a document; it is captured by a job that the Location header names."""
    check_body_type(request)
    behaviour = one_of(("rollback", "proceed"), _BEHAVIOUR, request.headers.get(_BEHAVIOUR, "rollback"))
    caller = caller_of(request)
    received = await receive_document(
        request.stream(),
        most_events=services.settings.epcis_capture_events,
        most_bytes=services.settings.epcis_capture_bytes,
    )
    with closing(received):
        async with services.transaction() as connection:
            capture_id = await begin_capture(
                connection,
                received,
                programme_id=caller.programme_id,
                error_behaviour=cast("ErrorBehaviour", behaviour),
                actor=f"api:{caller.key.prefix}",
            )
    location = f"{services.settings.public_url}/epcis/capture/{public_id(CAPTURE_PREFIX, capture_id)}"
    headers = {"Location": location, _BEHAVIOUR: behaviour, **limits(services)}
    return Response(b"", status_code=HTTPStatus.ACCEPTED, headers=headers)


@get("/capture", guards=[Admit("epcis:read")])
async def capture_jobs(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """The capture jobs, newest first."""
    size, token = page_size(request)
    before = None if token is None else read_place(token, tuple[UUID])[0]
    async with services.transaction() as connection:
        found = await list_captures(
            connection, programme_id=caller_of(request).programme_id, before=before, limit=size + 1
        )
    following = write_place(found[size - 1].id) if len(found) > size else None
    content = msgspec.json.encode([_told(capture) for capture in found[:size]])
    return json_answer(content, request, headers=next_link(request, services, following))


@get("/capture/{capture_id:str}", guards=[Admit("epcis:read")])
async def capture_job(
    request: Request[Any, Any, Any], services: NamedDependency[Services], capture_id: FromPath[str]
) -> Response[bytes]:
    """What became of a document so far."""
    identifier = parse_public_id(CAPTURE_PREFIX, capture_id, field="captureID")
    async with services.transaction() as connection:
        found = await get_capture(connection, programme_id=caller_of(request).programme_id, capture_id=identifier)
    return json_answer(msgspec.json.encode(_told(found)), request, headers={_BEHAVIOUR: found.error_behaviour})


@post("/events", guards=[Admit("epcis:write")], request_max_body_size=EVENT_BYTES_LIMIT)
async def capture_one(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """Capture one event, at once."""
    check_body_type(request)
    caller = caller_of(request)
    raw = await request.body()
    async with services.transaction() as connection:
        event = await capture_event(
            connection,
            raw,
            programme_id=caller.programme_id,
            item_keys=services.item_keys,
            actor=f"api:{caller.key.prefix}",
        )
    members = msgspec.json.decode(event.given, type=dict[str, msgspec.Raw])
    members.setdefault("eventID", msgspec.Raw(msgspec.json.encode(event.event_id)))
    location = f"{services.settings.public_url}/epcis/events/{quote(event.event_id, safe='')}"
    return json_answer(join_members(members), request, status=HTTPStatus.CREATED, headers={"Location": location})


def _told(capture: Capture) -> dict[str, Any]:
    told = {
        "captureID": public_id(CAPTURE_PREFIX, capture.id),
        "createdAt": write_moment(capture.created_at),
        "running": capture.running,
        "success": capture.success,
        "captureErrorBehaviour": capture.error_behaviour,
        "errors": [_problem(error) for error in capture.errors],
        "eventCount": capture.event_count,
        "processedEventCount": capture.processed,
        "capturedEventCount": capture.captured,
        "failedEventCount": capture.failed,
    }
    if capture.finished_at is not None:
        told["finishedAt"] = write_moment(capture.finished_at)
    return told


def _problem(error: EventError) -> dict[str, Any]:
    status = HTTPStatus.BAD_REQUEST if error.kind == "invalid" else HTTPStatus.CONFLICT
    return {
        "type": exception_name("", status),
        "title": "This event is not valid" if error.kind == "invalid" else "This event is there already",
        "status": status,
        "detail": "; ".join(f"{fault.path}: {fault.reason}" for fault in error.faults[:3]),
        "errors": [{"field": fault.path, "reason": fault.reason} for fault in error.faults],
        "event": error.event,
    }


HANDLERS: Final = [capture_document, capture_jobs, capture_job, capture_one]
