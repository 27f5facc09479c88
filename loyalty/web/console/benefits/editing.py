"""The form of a benefit: first the way of giving is chosen, then its sentences are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError
from loyalty.kit.ids import new_id
from loyalty.web.benefit_words import read_names
from loyalty.web.console.benefits import form as forms
from loyalty.web.console.benefits.form import read_benefit_form
from loyalty.web.console.benefits.reading import definition_of
from loyalty.web.console.benefits.shown import REFUSALS, REFUSED, refusal
from loyalty.web.console.benefits.writing import fits, form_of
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import see_other
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits import templates
from redemption.benefits.budgets import list_budgets
from redemption.benefits.templates import Template


def address_of(code: str) -> str:
    """The page of a benefit."""
    return f"/console/benefits/{code}"


@get("/benefits/new")
async def choose_kind(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The ways of giving; once one is chosen (`gives`), the sentences of it."""
    gives = request.query_params.get("gives", "")
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        if gives not in forms.GIVES:
            return console_page(request, "console/benefit_kinds.html", desk, section="benefits", kinds=forms.GIVES)
        return await _show(request, connection, desk, dict(forms.EMPTY) | {"gives": gives})


async def _show(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    form: Mapping[str, str],
    *,
    template: Template | None = None,
    error: DomainError | None = None,
) -> Response[Any]:
    t, _ = words(request, desk)
    currency = desk.programme.currency
    budgets = await list_budgets(connection, programme_id=desk.programme.id)
    address = f"{address_of(template.code)}/edit" if template else "/console/benefits"
    here = address if template else f"{address}/new"
    return console_page(
        request,
        "console/benefit_edit.html",
        desk,
        section="benefits",
        status_code=REFUSED if error else 200,
        here=f"{here}?gives={form['gives']}",
        address=address,
        benefit=template,
        kinds=forms.GIVES,
        of_a_basket=form["gives"] in forms.OF_A_BASKET,
        form=form,
        ticked={name: set(form[name].split(",")) for name in forms.MANY},
        names=await read_names(connection, desk.programme, t, utc_now()),
        budgets=budgets,
        budget_choices=[("", t("benefits.edit.no_budget")), *((each.code, each.name[t.language]) for each in budgets)],
        currency=t("benefits.currency_cny") if currency == "CNY" else currency,
        wrong=forms.field_of(error.field) if error else None,
        error=refusal(error, t) if error else None,
    )


@post("/benefits", status_code=303)
async def create_benefit(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Save a new benefit's first draft. A code that there is already belongs to another one."""
    form = await read_benefit_form(request)
    code = form["code"] or f"b-{new_id().hex[-10:]}"
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            if await templates.find_template(connection, programme_id=desk.programme.id, code=code):
                raise ConflictError("there is a benefit of this code", field="code", reason="code_taken")
            await _save(connection, desk, code, form)
    except REFUSALS as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            return await _show(request, connection, desk, form, error=error)
    return see_other(address_of(code))


async def _save(connection: AsyncConnection, desk: Desk, code: str, form: Mapping[str, str]) -> None:
    await templates.save_draft(
        connection,
        programme_id=desk.programme.id,
        code=code,
        definition=definition_of(form, desk.programme.currency),
        actor=desk.staff.username,
    )


@get("/benefits/{code:str}/edit")
async def edit_benefit(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """The form with what the draft says, or the version in force; another way of giving where `gives` asks for one."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        template = await templates.get_template(connection, programme_id=desk.programme.id, code=code)
        of = template.draft or template.definition
        if not fits(of, desk.programme.currency):
            return see_other(address_of(code))
        form = form_of(code, of, desk.programme.currency) | {"seen": template.changed_at.isoformat()}
        gives = request.query_params.get("gives", "")
        return await _show(
            request, connection, desk, form | ({"gives": gives} if gives in forms.GIVES else {}), template=template
        )


@post("/benefits/{code:str}/edit", status_code=303)
async def save_benefit(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """Save the draft; refused where somebody changed the benefit since the form was shown."""
    form = await read_benefit_form(request)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            found = await templates.lock_template(connection, programme_id=desk.programme.id, code=code)
            if found.changed_at.isoformat() != form["seen"]:
                raise ConflictError("somebody changed it meanwhile", field="seen", reason="stale")
            if not fits(found.draft or found.definition, desk.programme.currency):
                raise InvalidInputError("it says more than this form has room for", field="definition")
            await _save(connection, desk, code, form)
    except REFUSALS as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            template = await templates.get_template(connection, programme_id=desk.programme.id, code=code)
            return await _show(request, connection, desk, form, template=template, error=error)
    return see_other(address_of(code))
