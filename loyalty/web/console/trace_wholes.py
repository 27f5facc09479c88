"""Cases, pallets and lots at the trace desk: what is in them, in which state, who has it, and calling it back."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.lots import get_lot, set_lot_state
from loyalty.items.packing.moving import move_unit
from loyalty.items.packing.reading import all_items, contents, packing_history
from loyalty.items.products import LocalText, get_product
from loyalty.items.ranges import RangeStateError, assign_dealer
from loyalty.items.trace.claimants import (
    Claimant,
    Contact,
    claimants_of,
    count_items,
    intervals_of_lot,
    read_contacts,
)
from loyalty.items.trace.parts import Part, parts_of
from loyalty.kit.cells import plain_cell
from loyalty.kit.errors import DomainError, InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.members.profile import read_profiles
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.regions import region_name
from loyalty.web.console.trace import (
    REASON_LIMIT,
    REFUSED,
    ReasonMissingError,
    actor_of,
    lot_page,
    need_reason,
    unit_page,
)
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.security.staff_actions import Action, list_actions, record_action, subject_of
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

_SHOWN: Final = 50
_UNIT_FIELDS: Final = ("sscc", "act", "reason", "dealer", "region")
_LOT_FIELDS: Final = ("gtin", "lot", "act", "reason")


async def _names(connection: AsyncConnection, desk: Desk, parts: list[Part]) -> dict[str, LocalText]:
    return {
        gtin: (await get_product(connection, programme_id=desk.programme.id, gtin=gtin)).names
        for gtin in dict.fromkeys(part.gtin for part in parts)
    }


@get("/trace/unit")
async def show_unit(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """A case or a pallet: what is in it, what it lies in, what was done with it."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show_unit(request, connection, desk, request.query_params.get("sscc", "")[:60])


async def _show_unit(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    sscc: str,
    *,
    form: dict[str, str] | None = None,
    error: DomainError | None = None,
) -> Response[Any]:
    t, _ = words(request, desk)
    programme_id = desk.programme.id
    try:
        unit = await contents(connection, programme_id=programme_id, sscc=sscc)
    except InvalidInputError as wrong:
        return console_page(
            request, "console/trace_unit_nothing.html", desk, section="trace", status_code=404, sscc=sscc, wrong=wrong
        )
    intervals = await all_items(connection, programme_id=programme_id, sscc=unit.sscc)
    parts = await parts_of(connection, programme_id=programme_id, intervals=intervals)
    return console_page(
        request,
        "console/trace_unit.html",
        desk,
        section="trace",
        status_code=REFUSED if error else 200,
        here=unit_page(sscc),
        unit=unit,
        inside=parts,
        names=await _names(connection, desk, parts),
        counts=await count_items(connection, intervals),
        history=await packing_history(connection, programme_id=programme_id, sscc=unit.sscc),
        actions=await list_actions(
            connection, programme_id=programme_id, subject_id=subject_of(programme_id, "unit", unit.sscc)
        ),
        may_act=desk.staff.may("admin"),
        unit_page=unit_page,
        lot_page=lot_page,
        range_address=lambda part: f"/console/codes/{public_id('rng', part.range_id)}",
        region_name=lambda code: region_name(t, code),
        form=form or dict.fromkeys(_UNIT_FIELDS, ""),
        notice=_say(t, error),
        done=request.query_params.get("done"),
    )


def _say(t: Translator, error: DomainError | None) -> str | None:
    if error is None:
        return None
    return t("trace.refused.reason") if error.field == "reason" else t("trace.refused.state")


@post("/trace/unit", status_code=303)
async def act_on_unit(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Recall all that is in a case or pallet, or say which dealer it went to."""
    form = await read_form(request, *_UNIT_FIELDS, limit=REASON_LIMIT)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            if form["act"] == "recall":
                await _recall(connection, desk, form)
            else:
                await _sell(connection, desk, form)
    except (ReasonMissingError, RangeStateError) as error:
        async with services.transaction() as connection:
            return await _show_unit(request, connection, desk, form["sscc"], form=form, error=error)
    return see_other(f"{unit_page(form['sscc'])}&done={'recall' if form['act'] == 'recall' else 'dealer'}")


async def _recall(connection: AsyncConnection, desk: Desk, form: dict[str, str]) -> None:
    reason = need_reason(form)
    moved = await move_unit(
        connection, programme_id=desk.programme.id, sscc=form["sscc"], state="recalled", actor=actor_of(desk)
    )
    await _record(connection, desk, "recall-unit", "unit", moved.sscc, note=reason)


async def _sell(connection: AsyncConnection, desk: Desk, form: dict[str, str]) -> None:
    for each in await all_items(connection, programme_id=desk.programme.id, sscc=form["sscc"]):
        await assign_dealer(
            connection,
            programme_id=desk.programme.id,
            gtin=each.gtin,
            kid=each.kid,
            lo=each.lo,
            hi=each.hi,
            dealer=form["dealer"][:200] or None,
            region=form["region"].upper()[:6] or None,
        )


async def _record(connection: AsyncConnection, desk: Desk, action: Action, *names: str, note: str) -> None:
    await record_action(
        connection,
        programme_id=desk.programme.id,
        staff_id=desk.staff.id,
        action=action,
        subject_id=subject_of(desk.programme.id, *names),
        note=note,
    )


@get("/trace/lot")
async def show_lot(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """A lot: its ranges and their states, and who claimed items of it."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        gtin, code = (request.query_params.get(name, "")[:200] for name in ("gtin", "lot"))
        return await _show_lot(request, services, connection, desk, gtin, code)


async def _show_lot(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    gtin: str,
    code: str,
    *,
    confirming: bool = False,
    form: dict[str, str] | None = None,
    error: DomainError | None = None,
) -> Response[Any]:
    t, _ = words(request, desk)
    programme_id = desk.programme.id
    lot = await get_lot(connection, programme_id=programme_id, gtin=gtin, code=code)
    intervals = await intervals_of_lot(connection, programme_id=programme_id, gtin=lot.gtin, lot=lot.code)
    claimants = await claimants_of(connection, programme_id=programme_id, intervals=intervals)
    parts = await parts_of(connection, programme_id=programme_id, intervals=intervals)
    shown = claimants[:_SHOWN]
    profiles = await read_profiles(connection, services.keyring, [each.member_id for each in shown])
    by_state: dict[str, int] = {}
    for part in parts:
        by_state[part.state] = by_state.get(part.state, 0) + part.count
    return console_page(
        request,
        "console/trace_recall.html" if confirming else "console/trace_lot.html",
        desk,
        section="trace",
        status_code=REFUSED if error else 200,
        here=lot_page(gtin, code),
        lot=lot,
        product=await get_product(connection, programme_id=programme_id, gtin=lot.gtin),
        inside=parts,
        by_state=by_state,
        codes=sum(each.count for each in intervals),
        counts=await count_items(connection, intervals),
        claimants=[(each, _member(each), profiles[each.member_id].display_name) for each in shown],
        people=len(claimants),
        erased=sum(1 for each in claimants if each.erased),
        actions=await list_actions(
            connection, programme_id=programme_id, subject_id=subject_of(programme_id, "lot", lot.gtin, lot.code)
        ),
        may_act=desk.staff.may("admin"),
        lot_address=lot_page(lot.gtin, lot.code),
        range_address=lambda part: f"/console/codes/{public_id('rng', part.range_id)}",
        region_name=lambda code: region_name(t, code),
        form=form or dict.fromkeys(_LOT_FIELDS, ""),
        notice=_say(t, error),
        done=request.query_params.get("done"),
    )


def _member(claimant: Claimant) -> str:
    return f"/console/members/{public_id(MEMBER_PREFIX, claimant.member_id)}"


@get("/trace/lot/recall")
async def ask_recall(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Say what a recall of the lot will do, before it does."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection, role="admin")
        gtin, code = (request.query_params.get(name, "")[:200] for name in ("gtin", "lot"))
        return await _show_lot(request, services, connection, desk, gtin, code, confirming=True)


@post("/trace/lot", status_code=303)
async def act_on_lot(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Recall a lot, or take that back."""
    form = await read_form(request, *_LOT_FIELDS, limit=REASON_LIMIT)
    recalls = form["act"] == "recall"
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            reason = need_reason(form)
            lot = await set_lot_state(
                connection,
                programme_id=desk.programme.id,
                gtin=form["gtin"],
                code=form["lot"],
                state="recalled" if recalls else None,
                actor=actor_of(desk),
            )
            action: Action = "recall-lot" if recalls else "release-lot"
            await _record(connection, desk, action, "lot", lot.gtin, lot.code, note=reason)
    except (ReasonMissingError, RangeStateError) as error:
        async with services.transaction() as connection:
            where = (form["gtin"], form["lot"])
            return await _show_lot(
                request, services, connection, desk, *where, confirming=recalls, form=form, error=error
            )
    return see_other(f"{lot_page(form['gtin'], form['lot'])}&done={'recall' if recalls else 'release'}")


@post("/trace/lot/claimants.csv", status_code=200)
async def take_claimants(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """Who claimed items of the lot, with how to reach them, for the mailing of a recall. Who took it is kept.

    With `only` = `agreed`, those alone who agreed to be written to by phone or e-mail.
    """
    form = await read_form(request, "gtin", "lot", "only")
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection, role="admin")
        programme_id = desk.programme.id
        lot = await get_lot(connection, programme_id=programme_id, gtin=form["gtin"], code=form["lot"])
        intervals = await intervals_of_lot(connection, programme_id=programme_id, gtin=lot.gtin, lot=lot.code)
        claimants = await claimants_of(connection, programme_id=programme_id, intervals=intervals)
        contacts = await read_contacts(connection, services.keyring, claimants)
        if form["only"] == "agreed":
            contacts = [each for each in contacts if each.marketing_sms or each.marketing_email]
        await _record(connection, desk, "list-claimants", "lot", lot.gtin, lot.code, note=str(len(contacts)))
    headers = {"Content-Disposition": 'attachment; filename="claimants.csv"', "Cache-Control": "no-store"}
    return Response(_write_contacts(contacts), media_type="text/csv", headers=headers)


def _write_contacts(contacts: list[Contact]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        (
            "member",
            "name",
            "phone",
            "email",
            "language",
            "items",
            "points",
            "first_claim",
            "last_claim",
            "agreed_to_sms",
            "agreed_to_email",
        )
    )
    for each in contacts:
        claimant, profile = each.claimant, each.profile
        writer.writerow(
            [
                public_id(MEMBER_PREFIX, claimant.member_id),
                plain_cell(profile.name),
                plain_cell(profile.phone),
                plain_cell(profile.email),
                claimant.locale or "",
                claimant.items,
                claimant.points,
                claimant.first_at.isoformat(timespec="seconds"),
                claimant.last_at.isoformat(timespec="seconds"),
                "yes" if each.marketing_sms else "no",
                "yes" if each.marketing_email else "no",
            ]
        )
    return b"\xef\xbb\xbf" + out.getvalue().encode()


HANDLERS: Final = (show_unit, act_on_unit, show_lot, ask_recall, act_on_lot, take_claimants)
