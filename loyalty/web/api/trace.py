"""The trace of an item, and alerts: for a brand's own systems of quality and protection."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Response, Router, get, patch, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter

from loyalty.items.ranges import assign_dealer, get_range
from loyalty.items.trace.alerts import (
    ALERT_PREFIX,
    AlertState,
    Place,
    alert_history,
    change_alert,
    get_alert,
    list_alerts,
    record_evidence,
)
from loyalty.items.trace.evidence import pack_evidence, read_records
from loyalty.items.trace.life import NotAnItem, read_dossier
from loyalty.items.trace.observing import AlertKind
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.web.api import trace_schemas as shapes
from loyalty.web.api.items import GtinPath, RangeId
from loyalty.web.api.items_schemas import RANGE_PREFIX
from loyalty.web.api.operations import (
    PAGE_SIZE,
    Cursor,
    Limit,
    Require,
    body_problems,
    problems,
    read_cursor,
    write_cursor,
)
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

AlertId = Annotated[str, PathParameter(pattern=f"^{ALERT_PREFIX}_[0-9A-Za-z]{{26}}$", description="The alert's id.")]
_NOT_CLOSED: Final[tuple[AlertState, ...]] = ("open", "acknowledged")


@get(
    "/items/{gtin:str}/{serial:str}/trace",
    operation_id="traceItem",
    summary="All that is known of an item",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def trace_item(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    gtin: GtinPath,
    serial: Annotated[str, PathParameter(max_length=64, description="The serial of its code.")],
) -> shapes.ItemTrace:
    """An item's state with the reason, its case, its claim, its latest scans and its whole life. It is no scan.

    A code that is not an item of the programme is answered 404 with why.
    """
    async with services.transaction() as connection:
        read = await read_dossier(
            connection, services.item_keys, programme_id=caller.programme_id, gtin=gtin, serial=serial
        )
    if isinstance(read, NotAnItem):
        message = f"this is not an item of ours: {read.reason}"
        raise NotFoundError(message, field="serial", reason=read.reason)
    return shapes.item_trace(read)


@get(
    "/alerts",
    operation_id="listAlerts",
    summary="List alerts",
    guards=[Require("items:read")],
    responses=problems(),
)
async def list_all_alerts(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    in_state: Annotated[
        AlertState | None, QueryParameter(name="state", description="Left out: all that are not closed.")
    ] = None,
    kind: Annotated[AlertKind | None, QueryParameter(description="Of one kind.")] = None,
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Alerts:
    """What scans give reason to look at, what was seen last first: copies, diversion, leaked files, false codes."""
    after = read_cursor(cursor, Place) if cursor is not None else None
    async with services.transaction() as connection:
        found = await list_alerts(
            connection,
            programme_id=caller.programme_id,
            states=_NOT_CLOSED if in_state is None else (in_state,),
            kind=kind,
            after=after,
            limit=limit,
        )
    return shapes.Alerts(
        data=[shapes.alert_answer(alert) for alert in found],
        next_cursor=write_cursor(found[-1].last_at, found[-1].id) if len(found) == limit else None,
    )


@get(
    "/alerts/{alert_id:str}",
    operation_id="getAlert",
    summary="An alert",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_one_alert(
    services: NamedDependency[Services], caller: NamedDependency[Caller], alert_id: AlertId
) -> shapes.AlertDetails:
    """One alert, and what was done about it."""
    async with services.transaction() as connection:
        alert = await get_alert(connection, programme_id=caller.programme_id, alert_id=alert_id)
        history = await alert_history(connection, alert)
    return shapes.alert_details(alert, history)


@patch(
    "/alerts/{alert_id:str}",
    operation_id="changeAlert",
    summary="Take on, close or reopen an alert",
    guards=[Require("items:write")],
    responses=body_problems(404, 409),
)
async def change_one_alert(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    alert_id: AlertId,
    data: JSONBody[shapes.AlertChange],
) -> shapes.AlertDetails:
    """Change an alert's state. Closing takes a note. Said again, nothing changes."""
    async with services.transaction() as connection:
        alert = await change_alert(
            connection,
            programme_id=caller.programme_id,
            alert_id=alert_id,
            state=data.state,
            note=data.note,
            actor=data.actor or f"api:{caller.key.prefix}",
        )
        history = await alert_history(connection, alert)
    return shapes.alert_details(alert, history)


@get(
    "/alerts/{alert_id:str}/evidence",
    operation_id="takeEvidence",
    summary="The evidence of an alert",
    guards=[Require("items:read")],
    media_type="application/zip",
    responses=problems(404)
    | {200: ResponseSpec(bytes, description="A ZIP archive.", media_type="application/zip", generate_examples=False)},
)
async def take_evidence(
    services: NamedDependency[Services], caller: NamedDependency[Caller], alert_id: AlertId
) -> Response[bytes]:
    """Scans, print orders and files concerned as a ZIP of tables with hashes. The archive's hash is kept."""
    actor = f"api:{caller.key.prefix}"
    async with services.transaction() as connection:
        alert = await get_alert(connection, programme_id=caller.programme_id, alert_id=alert_id)
        records = await read_records(connection, services.item_keys, alert)
    packed = await asyncio.to_thread(pack_evidence, records, taken_at=utc_now(), taken_by=actor)
    async with services.transaction() as connection:
        await record_evidence(connection, alert, sha256=packed.sha256, actor=actor)
    headers = {"Content-Disposition": f'attachment; filename="{packed.name}"', "Cache-Control": "no-store"}
    return Response(packed.content, media_type="application/zip", headers=headers)


@put(
    "/ranges/{range_id:str}/dealer",
    operation_id="assignDealer",
    summary="Say which dealer codes were sold to",
    guards=[Require("items:write")],
    responses=body_problems(404, 409),
)
async def assign_one_dealer(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    range_id: RangeId,
    data: JSONBody[shapes.DealerRequest],
) -> shapes.DealerParts:
    """Whose goods they are from now on: scans outside their region are counted by dealer. Cuts ranges at the ends."""
    if (data.lo is None) != (data.hi is None):
        raise InvalidInputError("give both lo and hi, or neither", field="hi")
    identifier: UUID = parse_public_id(RANGE_PREFIX, range_id, field="range_id")
    async with services.transaction() as connection:
        found = await get_range(connection, programme_id=caller.programme_id, range_id=identifier)
        where: dict[str, Any] = {"programme_id": caller.programme_id, "gtin": found.gtin, "kid": found.kid}
        parts = await assign_dealer(
            connection,
            lo=found.lo if data.lo is None else data.lo,
            hi=found.hi if data.hi is None else data.hi,
            dealer=data.dealer,
            region=data.region,
            **where,
        )
    return shapes.DealerParts(
        data=[
            shapes.DealerPart(
                range_id=public_id(RANGE_PREFIX, each.id),
                lo=each.lo,
                hi=each.hi,
                dealer=each.dealer,
                region=each.region,
            )
            for each in parts
        ]
    )


router: Final = Router(
    path="/",
    tags=["Trace"],
    route_handlers=[
        trace_item,
        list_all_alerts,
        get_one_alert,
        change_one_alert,
        take_evidence,
        assign_one_dealer,
    ],
)
