"""Giving a benefit: to one member, or to many by an issue that is followed, stopped, resumed, or taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.giving import check_audience
from loyalty.campaigns.holdout import define_holdout
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, parse_public_id
from loyalty.members.identity import find
from loyalty.members.listed import Listed, read_list
from loyalty.members.member import Member
from loyalty.web.api.benefits_schemas import ISSUE_PREFIX
from loyalty.web.console.benefits.figures import FILE_BYTES, uploaded
from loyalty.web.console.benefits.page import benefit_page, issue_id
from loyalty.web.console.benefits.shown import REFUSALS
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits import bulk
from redemption.benefits.events import Doer
from redemption.benefits.issuing import issue
from redemption.benefits.templates import get_template

WHOM: Final = ("member", "segment", "tiers", "list", "everybody")
_STEPS: Final = {"stop": bulk.stop_issue, "resume": bulk.resume_issue, "revoke": bulk.revoke_issue}
_REFUSED_SHOWN: Final = 20
_MOST_HELD_OUT: Final = 50


class RefusedList(msgspec.Struct, frozen=True, kw_only=True):
    """Why a list was not taken: how many of its lines name nobody, and the first of them."""

    named: int
    refused: int
    first: Sequence[tuple[int, str]]


@post("/benefits/{code:str}/issues", status_code=303, request_max_body_size=FILE_BYTES)
async def give_benefit(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """Give one to a member, or begin an issue to a segment, tiers, a list or everybody; a form sent twice gives one."""
    form = await read_form(request, "key", "whom", "who", "segment", "name", "held_out", "skip")
    tiers = [each for each in (await request.form()).getall("tier", []) if isinstance(each, str)]
    told: dict[str, Any] = {}
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            if form["whom"] == "member":
                await _give_one(services, connection, desk, code, form)
                return see_other(f"/console/benefits/{code}?done=given")
            listed = await _read_file(request, services, connection, desk) if form["whom"] == "list" else None
            if listed is None or not listed.refused or (form["skip"] == "yes" and listed.members):
                await _begin(request, connection, desk, code, form, tiers, listed)
                return see_other(f"/console/benefits/{code}?done=issuing#issues")
            lines = [(each.line, each.reason) for each in listed.refused[:_REFUSED_SHOWN]]
            told["refused_lines"] = RefusedList(named=len(listed.members), refused=len(listed.refused), first=lines)
    except REFUSALS as refused:
        told["error"] = refused
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await benefit_page(request, connection, desk, code, **told)


async def find_one(services: Services, connection: AsyncConnection, desk: Desk, typed: str) -> Member:
    """The one active member that a text names. Raises NotFoundError, InvalidInputError for several."""
    found = await find(connection, services.keyring, programme_id=desk.programme.id, text=typed)
    if not found or found[0].state != "active":
        raise NotFoundError("this names no member", field="who", reason="no_member")
    if len(found) > 1:
        raise InvalidInputError("this names several members", field="who", reason="several_members")
    return found[0]


async def _give_one(
    services: Services, connection: AsyncConnection, desk: Desk, code: str, form: dict[str, str]
) -> None:
    member = await find_one(services, connection, desk, form["who"])
    await issue(
        connection,
        programme_id=desk.programme.id,
        member_id=member.id,
        template_code=code,
        key=form["key"],
        source=f"desk:{desk.staff.username}",
        by=Doer(actor=desk.staff.username),
    )


async def _read_file(
    request: Request[Any, Any, Any], services: Services, connection: AsyncConnection, desk: Desk
) -> Listed:
    file = await uploaded(request)
    return await read_list(connection, services.keyring, programme_id=desk.programme.id, lines=file)


async def _begin(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    code: str,
    form: dict[str, str],
    tiers: list[str],
    listed: Listed | None,
) -> None:
    if form["whom"] not in WHOM:
        raise InvalidInputError("nobody is named", field="audience")
    described: dict[str, Any] = {"kind": form["whom"]}
    if form["whom"] == "tiers":
        described["tiers"] = tiers
    if form["whom"] == "segment":
        described["segment"] = form["segment"]
    t, formats = words(request, desk)
    named = form["name"] or t(f"benefits.give.named_{described['kind']}", day=formats.day(utc_now()))
    begun = await bulk.begin_issue(
        connection,
        programme_id=desk.programme.id,
        template_code=code,
        name=named,
        audience=await check_audience(connection, programme_id=desk.programme.id, audience=described),
        members=listed.members if listed else (),
        actor=desk.staff.username,
        issue_id=_id_of(form["key"]),
    )
    if form["held_out"] and listed is None:
        await define_holdout(
            connection,
            programme_id=desk.programme.id,
            campaign_id=begun.id,
            share_bp=_share_bp(form["held_out"]),
            defined_by=desk.staff.username,
        )


def _id_of(key: str) -> UUID:
    """The issue that a form begins, by the key it was shown with."""
    try:
        return UUID(key.rpartition(":")[2])
    except ValueError:
        return new_id()


def _share_bp(typed: str) -> int:
    if not (typed.isascii() and typed.isdecimal() and 0 <= int(typed[:3]) <= _MOST_HELD_OUT):
        raise InvalidInputError(f"a whole percentage up to {_MOST_HELD_OUT}", field="held_out", reason="held_out")
    return int(typed) * 100


@post("/benefits/{code:str}/issues/{issue:str}/{step:str}", status_code=303)
async def steer_issue(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    code: FromPath[str],
    issue: FromPath[str],
    step: FromPath[str],
) -> Response[Any]:
    """Stop an issue, go on with it, or take back all of it that is not used."""
    identifier = parse_public_id(ISSUE_PREFIX, issue, field="issue")
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        if step not in _STEPS:
            raise NotFoundError("there is no such page", field="step")
        await _STEPS[step](connection, programme_id=desk.programme.id, issue_id=identifier, actor=desk.staff.username)
    return see_other(f"/console/benefits/{code}?done=steered#issues")


@get("/benefits/{code:str}/issues")
async def show_issues(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """The part of the page that moves while an issue is under way."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        template = await get_template(connection, programme_id=desk.programme.id, code=code)
        issues = await bulk.list_issues(connection, template_id=template.id)
    return console_page(
        request,
        "console/benefit_issues.html",
        desk,
        section="benefits",
        code=code,
        issues=issues,
        issue_id=issue_id,
    )
