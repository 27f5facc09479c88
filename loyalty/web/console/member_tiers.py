"""A tier given by hand: to one member, until a day, for a reason; and taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import end_of_local_day, utc_now
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError, NotFoundError
from loyalty.kit.ids import parse_public_id
from loyalty.members.member import MEMBER_PREFIX, Member, get_member, keep_unmerged
from loyalty.members.profile import read_profiles
from loyalty.web.console.desk import console_page
from loyalty.web.console.members import member_address
from loyalty.web.forms import read_form, see_other
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from tiers.grants import MAX_REASON, grant_tier, list_grants, withdraw_grant
from tiers.reading import standing
from tiers.versions import policy_at

_REFUSED: Final = 400
_FIELDS: Final = ("tier", "until", "reason")
_NAMES: Final = {"tier_code": "tier", "ends_at": "until"}


@get("/members/{member_id:str}/tier")
async def show_grants(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """The form to give a tier, and the tiers that were given before."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
        return await _show(request, services, connection, desk, member)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    member: Member,
    *,
    form: Mapping[str, str] | None = None,
    error: DomainError | None = None,
) -> Response[Any]:
    now = utc_now()
    found = await standing(connection, programme_id=desk.programme.id, member_id=member.id, moment=now)
    policy = await policy_at(connection, programme_id=desk.programme.id, moment=now)
    tiers = policy.policy.tiers if policy else ()
    profiles = await read_profiles(connection, services.keyring, [member.id])
    field = _NAMES.get(error.field or "", error.field) if error else None
    notice = request.query_params.get("done")
    return console_page(
        request,
        "console/member_tier.html",
        desk,
        section="members",
        status_code=_REFUSED if error else 200,
        here=f"{member_address(member)}/tier",
        name=profiles[member.id].display_name,
        address=member_address(member),
        active=member.state == "active",
        standing=found,
        above=[tier for tier in tiers if found and (tier.rank, found.granted) >= (found.tier.rank, True)],
        names={tier.code: tier.name for tier in tiers},
        grants=await list_grants(connection, member_id=member.id),
        now=now,
        form=form or dict.fromkeys(_FIELDS, ""),
        refused=field if field in _FIELDS else "state" if error else None,
        notice=notice if notice in ("given", "withdrawn") else None,
        first_day=(now.astimezone(desk.programme.zone).date() + timedelta(days=1)).isoformat(),
        longest_reason=MAX_REASON,
    )


@post("/members/{member_id:str}/tier", status_code=303)
async def give_tier(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """Give a tier through a day. What was typed wrong is said beside its field, and nothing is given."""
    return await _change(request, services, member_id, withdrawing=False)


@post("/members/{member_id:str}/tier/withdraw", status_code=303)
async def withdraw_tier(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """Take a given tier back: from now on the rules say where the member is."""
    return await _change(request, services, member_id, withdrawing=True)


async def _change(
    request: Request[Any, Any, Any], services: Services, member_id: str, *, withdrawing: bool
) -> Response[Any]:
    form = await read_form(request, *_FIELDS)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            member = await keep_unmerged(
                connection,
                programme_id=desk.programme.id,
                member_id=parse_public_id(MEMBER_PREFIX, member_id, field="member_id"),
            )
            who: dict[str, Any] = {"programme_id": desk.programme.id, "member_id": member.id, "by": desk.staff.name}
            if withdrawing:
                await withdraw_grant(connection, **who, moment=utc_now())
            else:
                await grant_tier(
                    connection,
                    **who,
                    tier_code=form["tier"],
                    ends_at=_end_of(form["until"], desk),
                    reason=form["reason"],
                    moment=utc_now(),
                )
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
            return await _show(request, services, connection, desk, member, form=form, error=error)
    return see_other(f"{member_address(member)}/tier?done={'withdrawn' if withdrawing else 'given'}")


def _end_of(text: str, desk: Desk) -> datetime:
    """The moment a typed day is over. Raises InvalidInputError."""
    try:
        day = date.fromisoformat(text)
        return end_of_local_day(day, desk.programme.time_zone)
    except (ValueError, OverflowError):
        raise InvalidInputError("choose the last day", field="until") from None


HANDLERS: Final = (show_grants, give_tier, withdraw_tier)
