"""Alerts: what scans give reason to look at, who looks at it, and the evidence to take along."""

from __future__ import annotations

import asyncio
from typing import Any, Final, get_args

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.exports import EXPORT_PREFIX, Export
from loyalty.items.printers import list_printers
from loyalty.items.products import LocalText, list_products
from loyalty.items.trace.alerts import (
    Alert,
    AlertReopenedError,
    AlertState,
    Place,
    alert_history,
    change_alert,
    get_alert,
    list_alerts,
    record_evidence,
)
from loyalty.items.trace.evidence import Records, pack_evidence, read_records
from loyalty.items.trace.observing import AlertKind
from loyalty.items.trace.settings import AlertSettings, read_alert_settings, save_alert_settings
from loyalty.items.trace.sightings import count_regions, find_leaps
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError, InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.regions import region_name
from loyalty.web.console.trace import REFUSED, actor_of, draw_map, item_page
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.security.staff_actions import record_action
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

ALERTS: Final = "/console/alerts"
PAGE: Final = 30
_ROWS: Final = 50
_LOOKED_AT: Final = 1000
"""The newest scans that the map and the regions of a page are made of; the evidence has all."""
_FILTERS: Final[dict[str, tuple[AlertState, ...]]] = {
    "due": ("open", "acknowledged"),
    "closed": ("closed",),
    "all": ("open", "acknowledged", "closed"),
}
SETTING_NAMES: Final = tuple(field.name for field in msgspec.structs.fields(AlertSettings))


@get("/alerts")
async def show_alerts(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """What is to be looked at, the last seen first."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show_all(request, connection, desk)


async def _show_all(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    *,
    form: dict[str, str] | None = None,
    wrong: str | None = None,
) -> Response[Any]:
    t, _ = words(request, desk)
    programme_id = desk.programme.id
    chosen = request.query_params.get("show", "due")
    chosen = chosen if chosen in _FILTERS else "due"
    asked = request.query_params.get("kind")
    kind = next((each for each in get_args(AlertKind) if each == asked), None)
    after = await _place(connection, desk, request.query_params.get("after"))
    listed = await list_alerts(
        connection, programme_id=programme_id, states=_FILTERS[chosen], kind=kind, after=after, limit=PAGE + 1
    )
    settings = await read_alert_settings(connection, programme_id=programme_id)
    return console_page(
        request,
        "console/alerts.html",
        desk,
        section="alerts",
        status_code=REFUSED if wrong else 200,
        here=ALERTS,
        alerts=listed[:PAGE],
        older=listed[PAGE - 1].public_id if len(listed) > PAGE else None,
        first_page=after is None,
        shown=chosen,
        kind=kind,
        kinds=get_args(AlertKind),
        names=await _product_names(connection, desk),
        region_name=lambda code: region_name(t, code),
        setting_names=SETTING_NAMES,
        form=form or {name: str(getattr(settings, name)) for name in SETTING_NAMES},
        wrong=wrong,
        may_change=desk.staff.may("admin"),
        saved="saved" in request.query_params,
    )


async def _place(connection: AsyncConnection, desk: Desk, text: str | None) -> Place | None:
    """Where a page begins; anything that we did not write begins at the newest."""
    if not text:
        return None
    try:
        last = await get_alert(connection, programme_id=desk.programme.id, alert_id=text)
    except DomainError:
        return None
    return Place(last.last_at, last.id)


async def _product_names(connection: AsyncConnection, desk: Desk) -> dict[str, LocalText]:
    listed = await list_products(connection, programme_id=desk.programme.id, limit=500)
    return {product.gtin: product.names for product in listed}


@post("/alerts/settings", status_code=303)
async def save_settings(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Set from when on something is an alert."""
    form = await read_form(request, *SETTING_NAMES, limit=9)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            settings = AlertSettings(**{name: _number(form[name], name) for name in SETTING_NAMES})
            await save_alert_settings(
                connection, programme_id=desk.programme.id, settings=settings, actor=actor_of(desk)
            )
            await record_action(
                connection,
                programme_id=desk.programme.id,
                staff_id=desk.staff.id,
                action="change-alert-settings",
                subject_id=desk.programme.id,
                note=msgspec.json.encode(settings).decode(),
            )
    except InvalidInputError as error:
        async with services.transaction() as connection:
            return await _show_all(request, connection, desk, form=form, wrong=error.field)
    return see_other(f"{ALERTS}?saved=1#settings")


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise InvalidInputError("a whole number is needed", field=name)
    return int(text)


@get("/alerts/{alert_id:str}")
async def show_alert(
    request: Request[Any, Any, Any], services: NamedDependency[Services], alert_id: FromPath[str]
) -> Response[Any]:
    """One alert: what was seen, where, and what was done about it."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show(request, services, connection, desk, alert_id)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    alert_id: str,
    *,
    note: str = "",
    error: DomainError | None = None,
) -> Response[Any]:
    t, formats = words(request, desk)
    alert = await get_alert(connection, programme_id=desk.programme.id, alert_id=alert_id)
    records = await read_records(connection, services.item_keys, alert, limit=_LOOKED_AT)
    printers = await list_printers(connection, programme_id=desk.programme.id)
    names = {printer.id: printer.name for printer in printers}
    return console_page(
        request,
        "console/alert.html",
        desk,
        section="alerts",
        status_code=REFUSED if error else 200,
        here=f"{ALERTS}/{alert.public_id}",
        alert=alert,
        history=await alert_history(connection, alert),
        records=records,
        scans=records.scans[:_ROWS],
        refusals=records.refusals[:_ROWS],
        regions=count_regions(records.scans),
        leaps=find_leaps(records.scans) if alert.kind == "suspected_copy" else [],
        item_address=_item_address(alert, records),
        serial_of=records.serial,
        item_page=item_page,
        export_name=lambda export: _export_name(export, names),
        order_address=lambda export: f"/console/codes/{public_id('rng', export.range_id)}",
        map=draw_map(records.scans, t, formats),
        names=await _product_names(connection, desk),
        region_name=lambda code: region_name(t, code),
        may_act=desk.staff.may("admin"),
        notice=_say(t, error),
        note=note,
    )


def _item_address(alert: Alert, records: Records) -> str | None:
    if alert.about.gtin is None:
        return None
    serial = alert.about.serial or next(iter(records.serials.values()), None)
    return None if serial is None else item_page(alert.about.gtin, serial)


def _export_name(export: Export, names: dict[Any, str]) -> tuple[str | None, str]:
    return names.get(export.printer_id), public_id(EXPORT_PREFIX, export.id)


def _say(t: Translator, error: DomainError | None) -> str | None:
    if error is None:
        return None
    return t(f"alerts.refused.{'newer' if isinstance(error, AlertReopenedError) else 'note'}")


@post("/alerts/{alert_id:str}", status_code=303)
async def change_state(
    request: Request[Any, Any, Any], services: NamedDependency[Services], alert_id: FromPath[str]
) -> Response[Any]:
    """Take an alert on, close it with a word why, or open it again."""
    form = await read_form(request, "state", "note", limit=2000)
    state = next((each for each in get_args(AlertState) if each == form["state"]), None)
    if state is None:
        raise InvalidInputError("is not a state of alerts", field="state")
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            await change_alert(
                connection,
                programme_id=desk.programme.id,
                alert_id=alert_id,
                state=state,
                note=form["note"],
                actor=actor_of(desk),
            )
    except (InvalidInputError, AlertReopenedError) as error:
        async with services.transaction() as connection:
            return await _show(request, services, connection, desk, alert_id, note=form["note"], error=error)
    return see_other(f"{ALERTS}/{alert_id}#history")


@post("/alerts/{alert_id:str}/evidence.zip", status_code=200)
async def take_evidence(
    request: Request[Any, Any, Any], services: NamedDependency[Services], alert_id: FromPath[str]
) -> Response[bytes]:
    """The evidence as one file. Who took it, and its hash, stand in the alert's history from then on."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection, role="admin")
        alert = await get_alert(connection, programme_id=desk.programme.id, alert_id=alert_id)
        records = await read_records(connection, services.item_keys, alert)
    packed = await asyncio.to_thread(pack_evidence, records, taken_at=utc_now(), taken_by=actor_of(desk))
    async with services.transaction() as connection:
        await record_evidence(connection, alert, sha256=packed.sha256, actor=actor_of(desk))
        await record_action(
            connection,
            programme_id=desk.programme.id,
            staff_id=desk.staff.id,
            action="take-evidence",
            subject_id=alert.id,
            note=packed.sha256,
        )
    headers = {"Content-Disposition": f'attachment; filename="{packed.name}"', "Cache-Control": "no-store"}
    return Response(packed.content, media_type="application/zip", headers=headers)


HANDLERS: Final = (show_alerts, save_settings, show_alert, change_state, take_evidence)
