"""All benefits, and the budgets that several share."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError
from loyalty.web.benefit_words import read_names
from loyalty.web.console.benefits.reading import read_amount, read_number
from loyalty.web.console.benefits.shown import REFUSALS, REFUSED, read_shown, refusal
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits.budgets import figures_of, list_budgets, save_budget
from redemption.benefits.templates import list_templates

_BUDGET: tuple[str, ...] = ("code", "name_zh", "name_en", "uses", "amount")


@get("/benefits")
async def show_benefits(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """What there is to give, each in a sentence, and how much of shared budgets is left."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _list(request, connection, desk)


async def _list(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    *,
    form: dict[str, str] | None = None,
    error: DomainError | None = None,
) -> Response[Any]:
    t, formats = words(request, desk)
    names = await read_names(connection, desk.programme, t, utc_now())
    templates = await list_templates(connection, programme_id=desk.programme.id)
    budgets = await list_budgets(connection, programme_id=desk.programme.id)
    return console_page(
        request,
        "console/benefits.html",
        desk,
        section="benefits",
        status_code=REFUSED if error else 200,
        here="/console/benefits",
        shown=[await read_shown(connection, template, t, formats, names) for template in templates],
        budgets=[(budget, await figures_of(connection, budget.id)) for budget in budgets],
        currency=desk.programme.currency,
        form=form or dict.fromkeys(_BUDGET, ""),
        error=refusal(error, t) if error else None,
    )


@post("/benefits/budgets", status_code=303)
async def save_shared_budget(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Make a budget that several benefits share, or set its figures anew."""
    form = await read_form(request, *_BUDGET)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            currency = desk.programme.currency
            await save_budget(
                connection,
                programme_id=desk.programme.id,
                code=form["code"],
                name={"zh": form["name_zh"], "en": form["name_en"]},
                currency=currency,
                actor=desk.staff.username,
                uses=read_number(form, "uses"),
                amount_minor=read_amount(form, "amount", currency),
            )
    except REFUSALS as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            return await _list(request, connection, desk, form=form, error=error)
    return see_other("/console/benefits#budgets")
