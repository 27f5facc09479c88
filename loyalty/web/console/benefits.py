"""Benefits: coupons as sentences that are filled in, published, stocked and issued, and how far they are used."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.giving import check_audience
from loyalty.campaigns.segments.segment import Segment, list_segments
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.quotas import Level
from loyalty.members.member import get_member
from loyalty.web.benefit_words import Names, conditions, gives, read_names, rules_of_giving, validity
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.pos.amounts import parse_amount
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits import stock, templates
from redemption.benefits.budgets import figures_of
from redemption.benefits.bulk import Issue, begin_issue, list_issues
from redemption.benefits.definition import Coupon, DaysFromIssue, Definition
from redemption.benefits.issuing import issue
from redemption.benefits.templates import Change, Template
from redemption.terms import Audience, Effect, FixedOff, Minimum, PercentOff, Places, Terms

_REFUSED: Final = (ConflictError, InvalidInputError, NotFoundError)
_FIELDS: Final = (
    "code",
    "name_zh",
    "name_en",
    "effect",
    "amount",
    "minimum",
    "where",
    "tier",
    "days",
    "per_member",
)
_KINDS: Final = {"stores": ("store",), "online": ("online",)}
_PERCENT_BP: Final = 100
_DIGITS: Final = 9


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A template in words, with how far it is used up and by how many states its benefits are."""

    template: Template
    gives: str
    told: list[str]
    rules: list[str]
    figures: dict[str, Level]
    states: dict[str, int]


@get("/benefits")
async def show_benefits(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """What there is to give, and the form for another coupon."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _list(request, connection, desk)


async def _list(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    *,
    form: dict[str, str] | None = None,
    error: str | None = None,
) -> Response[Any]:
    t, _ = words(request, desk)
    names = await read_names(connection, desk.programme, t, utc_now())
    found = await templates.list_templates(connection, programme_id=desk.programme.id)
    return console_page(
        request,
        "console/benefits.html",
        desk,
        section="benefits",
        status_code=422 if error else 200,
        shown=[await _shown(request, connection, desk, template, names) for template in found],
        names=names,
        form=form or dict.fromkeys(_FIELDS, "") | {"effect": "fixed", "days": "30"},
        error=error,
    )


async def _shown(
    request: Request[Any, Any, Any], connection: AsyncConnection, desk: Desk, template: Template, names: Names
) -> Shown:
    t, formats = words(request, desk)
    of = template.draft or template.definition
    states = await connection.execute(_STATES, {"template": template.id})
    return Shown(
        template=template,
        gives=gives(of, t, formats),
        told=[*conditions(of, t, formats, names), validity(of.validity, t, formats)],
        rules=rules_of_giving(of, t, names),
        figures=await figures_of(connection, template.id),
        states={str(row[0]): int(row[1]) for row in states},
    )


_STATES: Final = text("SELECT state, count(*) FROM benefit WHERE template_id = :template GROUP BY state")


@post("/benefits", status_code=303)
async def save_coupon(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Save a coupon's draft from its sentence."""
    form = await read_form(request, *_FIELDS)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            await templates.save_draft(
                connection,
                programme_id=desk.programme.id,
                code=form["code"],
                definition=_definition(form, desk.programme.currency),
                actor=desk.staff.username,
            )
    except _REFUSED as refused:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            return await _list(request, connection, desk, form=form, error=_say(request, desk, refused.field))
    return see_other(f"/console/benefits/{form['code']}")


def _say(request: Request[Any, Any, Any], desk: Desk, field: str | None) -> str:
    t, _ = words(request, desk)
    return t("benefits.form.refused", field=field or "")


def _definition(form: dict[str, str], currency: str) -> Definition:
    """A coupon as its sentence says. Raises InvalidInputError naming the field."""
    effect: Effect
    if form["effect"] == "percent":
        effect = PercentOff(percent_bp=_number(form["amount"], "amount") * _PERCENT_BP)
    else:
        effect = FixedOff(amount_minor=parse_amount(form["amount"], currency))
    minimum = parse_amount(form["minimum"], currency) if form["minimum"] else 0
    terms = Terms(
        currency=currency,
        effect=effect,
        minimum=Minimum(amount_minor=minimum),
        places=Places(kinds=_KINDS.get(form["where"], ())),  # type: ignore[arg-type]  # the kinds there are
        audience=Audience(tiers=(form["tier"],) if form["tier"] else ()),
    )
    return Definition(
        name={"zh": form["name_zh"], "en": form["name_en"]},
        gives=Coupon(terms=terms),
        validity=DaysFromIssue(days=_number(form["days"], "days")),
        per_member=_number(form["per_member"], "per_member") if form["per_member"] else None,
    )


def _number(typed: str, field: str) -> int:
    if not (typed.isascii() and typed.isdecimal() and len(typed) <= _DIGITS):
        raise InvalidInputError("a whole number", field=field)
    return int(typed)


@get("/benefits/{code:str}")
async def show_benefit(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """A template: its sentences, what can be done with it, its issues and its history."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _one(request, connection, desk, code)


async def _one(
    request: Request[Any, Any, Any], connection: AsyncConnection, desk: Desk, code: str, *, error: str | None = None
) -> Response[Any]:
    t, _ = words(request, desk)
    template = await templates.get_template(connection, programme_id=desk.programme.id, code=code)
    names = await read_names(connection, desk.programme, t, utc_now())
    issues: list[Issue] = await list_issues(connection, template_id=template.id)
    changes: list[Change] = await templates.history(connection, template_id=template.id)
    segments: list[Segment] = await list_segments(connection, programme_id=desk.programme.id)
    return console_page(
        request,
        "console/benefit.html",
        desk,
        section="benefits",
        status_code=422 if error else 200,
        shown=await _shown(request, connection, desk, template, names),
        issues=issues,
        changes=changes,
        names=names,
        segments=[segment for segment in segments if segment.version],
        error=error,
    )


@post("/benefits/{code:str}/do", status_code=303)
async def change_benefit(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """Publish, undo, retire, set the stock or budget, or issue: what the button says."""
    form = await read_form(request, "key", "step", "total", "uses", "whom", "member", "tier", "segment", "name")
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            await _do(connection, desk, code, form)
    except _REFUSED as refused:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            return await _one(request, connection, desk, code, error=_say(request, desk, refused.field))
    return see_other(f"/console/benefits/{code}")


async def _do(connection: AsyncConnection, desk: Desk, code: str, form: dict[str, str]) -> None:
    asked: dict[str, Any] = {"programme_id": desk.programme.id, "code": code, "actor": desk.staff.username}
    match form["step"]:
        case "publish":
            await templates.publish(connection, **asked)
        case "undo":
            await templates.undo_draft(connection, **asked)
        case "retire":
            await templates.retire(connection, **asked)
        case "stock":
            kind: templates.StockKind = "counted" if form["total"] else "unlimited"
            total = _number(form["total"], "total") if form["total"] else None
            await stock.set_stock(connection, kind=kind, total=total, **asked)
        case "budget":
            await stock.set_budget(connection, uses=_number(form["uses"], "uses"), **asked)
        case "issue":
            await _issue(connection, desk, code, form)
        case _:
            raise InvalidInputError("nothing to do", field="step")


async def _issue(connection: AsyncConnection, desk: Desk, code: str, form: dict[str, str]) -> None:
    programme_id, actor = desk.programme.id, desk.staff.username
    if form["whom"] == "member":
        member = await get_member(connection, programme_id=programme_id, member_id=form["member"])
        await issue(
            connection,
            programme_id=programme_id,
            member_id=member.id,
            template_code=code,
            key=form["key"],
            source=f"desk:{actor}",
        )
        return
    described: dict[str, Any] = {"kind": form["whom"]}
    if form["whom"] == "tiers":
        described["tiers"] = [form["tier"]]
    if form["whom"] == "segment":
        described["segment"] = form["segment"]
    audience = await check_audience(connection, programme_id=programme_id, audience=described)
    await begin_issue(
        connection,
        programme_id=programme_id,
        template_code=code,
        name=form["name"] or form["whom"],
        audience=audience,
        actor=actor,
    )


HANDLERS: Final = (show_benefits, save_coupon, show_benefit, change_benefit)
