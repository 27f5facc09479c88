"""Trying a benefit on a real member with a basket, before or after it is published, and taking one back."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.giving import facts_of_member
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.kit.programme import get_channel
from loyalty.members.member import Member, get_member, person_ids
from loyalty.members.profile import read_profile
from loyalty.web.basket_reasons import reason_sentence
from loyalty.web.console.benefits.giving import find_one
from loyalty.web.console.benefits.page import benefit_page
from loyalty.web.console.benefits.reading import read_amount, read_number
from loyalty.web.console.benefits.shown import REFUSALS
from loyalty.web.console.desk import words
from loyalty.web.forms import read_form, see_other
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.basket import Basket, Candidate, Line, Priced, price_basket
from redemption.benefits.events import Doer
from redemption.benefits.templates import Template, get_template
from redemption.benefits.using import revoke
from redemption.benefits.wallet import OPEN, PREFIX, Benefit, wallet
from redemption.terms import FreeShipping, Terms
from tiers.reading import standing

LINES: Final = range(1, 4)
_OF_A_LINE: Final = ("sku", "category", "quantity", "amount")
_FIELDS: Final = ("who", "channel", "shipping", *(f"{name}_{line}" for line in LINES for name in _OF_A_LINE))


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What a benefit does for a member: `priced` with the basket, or `why` not; and what they have of it already.

    Nothing is priced for what is handed over. `enough` says that they have had as many as one may.
    """

    member: Member
    name: str
    tier: str | None
    priced: Priced | None
    total_minor: int
    why: str | None
    held: list[tuple[str, Benefit]]
    enough: bool


@post("/benefits/{code:str}/try", status_code=200)
async def try_member(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """What the draft, or the version in force, would do for a member with a basket. Nothing is written."""
    form = await read_form(request, *_FIELDS)
    told: dict[str, Any] = {"typed": form}
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        template = await get_template(connection, programme_id=desk.programme.id, code=code)
        try:
            told["trial"] = await _try(request, services, connection, desk, template, form)
        except REFUSALS as refused:
            told["error"] = refused
        return await benefit_page(request, connection, desk, code, **told)


async def _try(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    template: Template,
    form: dict[str, str],
) -> Trial:
    t, formats = words(request, desk)
    currency = desk.programme.currency
    definition = template.draft or template.definition
    member = await find_one(services, connection, desk, form["who"])
    stands = await standing(connection, programme_id=desk.programme.id, member_id=member.id, moment=utc_now())
    people = await person_ids(connection, member_id=member.id)
    held = await wallet(connection, member_id=member.id, person_ids=people, usable_only=False)
    own = [benefit for benefit in held if benefit.template_id == template.id]
    priced, total_minor, why = None, 0, None
    if definition.terms is not None:
        basket = await _basket(connection, desk, definition.terms, form)
        facts = await facts_of_member(connection, programme_id=desk.programme.id, member_id=member.id)
        begins, ends = definition.valid_between(basket.moment, basket.time_zone)
        given = Candidate(reference=template.code, terms=definition.terms, valid_from=begins, expires_at=ends)
        priced = price_basket(basket, facts, [given])
        total_minor = sum(line.amount_minor for line in basket.lines) + basket.shipping_minor
        for refused in priced.refused:
            why = reason_sentence(t, formats, refused.reason, currency=currency)
    limit = definition.per_member
    return Trial(
        member=member,
        name=(await read_profile(connection, services.keyring, member_id=member.id)).display_name,
        tier=stands.tier.name.get(t.language, stands.tier.code) if stands else None,
        priced=priced,
        total_minor=total_minor,
        why=why,
        held=[(public_id(PREFIX, benefit.id), benefit) for benefit in own],
        enough=limit is not None and sum(benefit.state != "revoked" for benefit in own) >= limit,
    )


async def _basket(connection: AsyncConnection, desk: Desk, terms: Terms, form: dict[str, str]) -> Basket:
    """The basket that was typed. Raises InvalidInputError naming the field."""
    channel = await get_channel(connection, desk.programme.id, form["channel"])
    lines = tuple(
        Line(
            sku=form[f"sku_{line}"] or "–",
            category=form[f"category_{line}"] or None,
            quantity=read_number(form, f"quantity_{line}") or 1,
            amount_minor=read_amount(form, f"amount_{line}", terms.currency) or 0,
        )
        for line in LINES
        if form[f"amount_{line}"]
    )
    if not lines and not isinstance(terms.effect, FreeShipping):
        raise InvalidInputError("a basket costs something", field="basket", reason="no_basket")
    return Basket(
        currency=terms.currency,
        channel=channel.code,
        channel_kind=channel.kind,
        moment=utc_now(),
        time_zone=desk.programme.time_zone,
        lines=lines,
        shipping_minor=read_amount(form, "shipping", terms.currency) or 0,
    )


@post("/benefits/{code:str}/take-back", status_code=303)
async def take_back(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """Take one back from a member who was given it, unless it was used."""
    form = await read_form(request, "member", "benefit")
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        try:
            member = await get_member(connection, programme_id=desk.programme.id, member_id=form["member"])
            wanted = parse_public_id(PREFIX, form["benefit"], field="benefit")
            people = await person_ids(connection, member_id=member.id)
            owned = await wallet(connection, member_id=member.id, person_ids=people)
            found = next(each for each in owned if each.id == wanted and each.state in OPEN)
            by = Doer(actor=desk.staff.username)
            await revoke(connection, member_id=found.member_id, benefit_id=found.id, by=by)
        except StopIteration:
            error = InvalidInputError("it is over already", field="benefit", reason="benefit_used")
            return await benefit_page(request, connection, desk, code, error=error)
        except REFUSALS as refused:
            return await benefit_page(request, connection, desk, code, error=refused)
    return see_other(f"/console/benefits/{code}?done=taken_back")
