"""The trace desk: one box that takes anything, and the page of a code with its whole life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.exceptions import change_item, clear_suspicion
from loyalty.items.precedence import NextState
from loyalty.items.printers import list_printers
from loyalty.items.products import get_product
from loyalty.items.ranges import RangeStateError
from loyalty.items.trace.alerts import change_alert, count_open
from loyalty.items.trace.life import Dossier, NotAnItem, read_dossier
from loyalty.items.trace.searching import QUERY_LIMIT, Finding, find_anything
from loyalty.items.trace.sightings import LoggedScan
from loyalty.items.verdicts import Item
from loyalty.kit.errors import DomainError, InvalidInputError, NotFoundError
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.members.profile import read_profiles
from loyalty.web.charts import Spot, place_map
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.regions import region_name
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Formats, Translator, catalogue
from loyalty.web.security.staff_actions import Action, list_actions, record_action, subject_of
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

REFUSED: Final = 422
REASON_LIMIT: Final = 500
TRACE: Final = "/console/trace"
_ITEM_FIELDS: Final = ("gtin", "serial", "act", "reason")
_ACTS: Final[dict[str, Action]] = {
    "recall": "recall-item",
    "release": "release-item",
    "retire": "retire-item",
    "clear": "clear-suspicion",
}
_TABLE_ROWS: Final = 50


class ReasonMissingError(InvalidInputError):
    """Something is to be done without a word why."""


def actor_of(desk: Desk) -> str:
    """Who does something, as the records have it."""
    return f"staff:{desk.staff.username}"


def need_reason(form: dict[str, str]) -> str:
    """The reason that was typed. Raises ReasonMissingError."""
    if not form["reason"]:
        raise ReasonMissingError("say why: somebody will ask", field="reason")
    return form["reason"]


def item_page(gtin: str, serial: str) -> str:
    """The address of a code's page in the console."""
    return f"{TRACE}/item?{urlencode({'gtin': gtin, 'serial': serial})}"


def lot_page(gtin: str, lot: str) -> str:
    """The address of a lot's page."""
    return f"{TRACE}/lot?{urlencode({'gtin': gtin, 'lot': lot})}"


def unit_page(sscc: str) -> str:
    """The address of a case's or pallet's page."""
    return f"{TRACE}/unit?{urlencode({'sscc': sscc})}"


def finding_page(finding: Finding) -> str:
    """Where a finding leads."""
    match finding.kind:
        case "item":
            return item_page(finding.gtin, finding.serial)
        case "unit":
            return unit_page(finding.sscc)
        case "lot":
            return lot_page(finding.gtin, finding.lot)
        case "order":
            return f"/console/codes/{finding.range_id}"
        case "product":
            return f"/console/links/{quote(finding.gtin)}"


@get("/trace")
async def show_trace(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The box, and what a text may mean. Where it can be only one thing, its page at once."""
    typed = request.query_params.get("q", "").strip()[:QUERY_LIMIT]
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        programme_id = desk.programme.id
        found = (
            await find_anything(connection, services.item_keys, programme_id=programme_id, typed=typed) if typed else []
        )
        open_alerts = await count_open(connection, programme_id=programme_id)
        products = (
            {
                each.gtin: (await get_product(connection, programme_id=programme_id, gtin=each.gtin)).names
                for each in found
                if each.kind != "item" and each.gtin
            }
            if len(found) > 1
            else {}
        )
    if len(found) == 1:
        return see_other(finding_page(found[0]))
    return console_page(
        request,
        "console/trace.html",
        desk,
        section="trace",
        typed=typed,
        found=[(each, finding_page(each)) for each in found],
        products=products,
        open_alerts=open_alerts,
    )


@get("/trace/item")
async def show_item(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """A code: what it is, what it would be told, why, where it has been."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        gtin, serial = (request.query_params.get(name, "")[:100] for name in ("gtin", "serial"))
        return await _show(request, services, connection, desk, gtin=gtin, serial=serial)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    *,
    gtin: str,
    serial: str,
    error: DomainError | None = None,
    reason: str = "",
) -> Response[Any]:
    t, formats = words(request, desk)
    programme_id = desk.programme.id
    read = await read_dossier(connection, services.item_keys, programme_id=programme_id, gtin=gtin, serial=serial)
    printers = {printer.id: printer.name for printer in await list_printers(connection, programme_id=programme_id)}
    common: dict[str, Any] = {
        "section": "trace",
        "here": item_page(gtin, serial),
        "exports": [(each, printers.get(each.printer_id) if each.printer_id else None) for each in read.exports],
    }
    if isinstance(read, NotAnItem):
        return console_page(request, "console/trace_nothing.html", desk, status_code=404, read=read, **common)
    return console_page(
        request,
        "console/trace_item.html",
        desk,
        status_code=REFUSED if error else 200,
        read=read,
        claimant=await _claimant(connection, services, read.item),
        actions=await list_actions(connection, programme_id=programme_id, subject_id=item_subject(desk, read)),
        acts=_possible(read) if desk.staff.may("admin") else [],
        map=draw_map(read.scans, t, formats),
        rows=read.scans[:_TABLE_ROWS],
        region_name=lambda code: region_name(t, code),
        step_word=lambda step: step_word(t, step.source, step.what),
        lot_page=lot_page,
        unit_page=unit_page,
        range_address=f"/console/codes/{read.item.range.public_id}",
        page_address=f"{services.settings.public_url}/01/{read.code.gtin}/21/{quote(read.serial, safe='')}",
        notice=None if error is None else t(f"trace.refused.{'reason' if error.field == 'reason' else 'state'}"),
        reason=reason,
        done=request.query_params.get("done") if request.query_params.get("done") in _ACTS else None,
        **common,
    )


def item_subject(desk: Desk, read: Dossier) -> UUID:
    """The id under which staff actions about an item are kept."""
    return subject_of(desk.programme.id, "item", read.code.gtin, read.code.kid, read.code.index)


async def _claimant(connection: AsyncConnection, services: Services, item: Item) -> tuple[str, str] | None:
    """Who claimed it: the address of their page and what to call them."""
    if item.claim is None:
        return None
    profiles = await read_profiles(connection, services.keyring, [item.claim.member_id])
    address = f"/console/members/{public_id(MEMBER_PREFIX, item.claim.member_id)}"
    return address, profiles[item.claim.member_id].display_name


def _possible(read: Dossier) -> list[str]:
    """What can be done with it now, in the order of the buttons."""
    record, state = read.item.record, read.item.state
    possible = {
        "recall": state not in ("recalled", "retired"),
        "release": state == "recalled" or (state == "retired" and record.state != "retired"),
        "clear": record.suspected_at is not None or record.pin_failures > 0,
        "retire": state != "retired",
    }
    return [act for act, holds in possible.items() if holds]


@post("/trace/item", status_code=303)
async def act_on_item(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Recall an item, find it good, take it out of use, or clear a suspicion: with a reason, which is kept."""
    form = await read_form(request, *_ITEM_FIELDS, limit=REASON_LIMIT)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            await _act(connection, services, desk, form)
    except (ReasonMissingError, RangeStateError) as error:
        async with services.transaction() as connection:
            how: dict[str, Any] = {"gtin": form["gtin"], "serial": form["serial"], "reason": form["reason"]}
            return await _show(request, services, connection, desk, error=error, **how)
    return see_other(f"{item_page(form['gtin'], form['serial'])}&done={form['act']}")


async def _act(connection: AsyncConnection, services: Services, desk: Desk, form: dict[str, str]) -> None:
    if form["act"] not in _ACTS:
        raise InvalidInputError("is not something that can be done here", field="act")
    reason = need_reason(form)
    programme_id, actor = desk.programme.id, actor_of(desk)
    read = await read_dossier(
        connection, services.item_keys, programme_id=programme_id, gtin=form["gtin"], serial=form["serial"]
    )
    if isinstance(read, NotAnItem):
        raise NotFoundError("this is not an item of ours", field="serial")
    where: dict[str, Any] = {"programme_id": programme_id, "code": read.code}
    match form["act"]:
        case "recall":
            await change_item(connection, state="recalled", actor=actor, **where)
        case "retire":
            await change_item(connection, state="retired", actor=actor, **where)
        case "release":
            await change_item(connection, state=_live_state(read.item), exempt=True, actor=actor, **where)
        case _:
            await clear_suspicion(connection, **where)
            for alert in read.alerts:
                if alert.state != "closed" and alert.kind == "suspected_copy":
                    await change_alert(
                        connection,
                        programme_id=programme_id,
                        alert_id=alert.id,
                        state="closed",
                        note=reason,
                        actor=actor,
                    )
    await record_action(
        connection,
        programme_id=programme_id,
        staff_id=desk.staff.id,
        action=_ACTS[form["act"]],
        subject_id=item_subject(desk, read),
        note=reason,
    )


def _live_state(item: Item) -> NextState:
    """Where an item that is found good stands: as far as it or its range had come, and on sale at least."""
    stands = {item.record.state, item.range.state}
    return "sold" if "sold" in stands else "shipped" if "shipped" in stands else "activated"


def step_word(t: Translator, source: str, what: str) -> str:
    """What happened, in words. A partner's step that we have no word for is told as it came."""
    words = catalogue(t.language)
    if source == "scan":
        return t(f"trace.verdict.{what}")
    if source == "alert":
        return t(f"alerts.kind.{what}")
    if source == "packing":
        return t(f"trace.packing.{what}")
    return t(f"trace.step.{what}") if f"trace.step.{what}" in words else what.replace("_", " ")


def draw_map(scans: Sequence[LoggedScan], t: Translator, formats: Formats) -> Any:
    """Where items were scanned; None where no scan says so. The way between scans is drawn where it is one item's."""
    located = [scan for scan in scans if scan.latitude is not None and scan.longitude is not None]
    if not located:
        return None
    one_item = len({(scan.gtin, scan.kid, scan.index) for scan in located}) == 1
    return place_map(
        [
            Spot(
                label=scan.city or region_name(t, scan.region),
                tip=f"{formats.moment(scan.at)} · {scan.city or region_name(t, scan.region)}",
                latitude=scan.latitude or 0.0,
                longitude=scan.longitude or 0.0,
                marked=scan.verdict in ("suspected_copy", "amber") or scan.diverted,
            )
            for scan in reversed(located)
        ],
        title=t("trace.map.title"),
        description=t("trace.map.description", n=len(located)),
        way=one_item,
    )


HANDLERS: Final = (show_trace, show_item, act_on_item)
