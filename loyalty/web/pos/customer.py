"""The customer at the till: what they have, and what this basket can use of it."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import NotFoundError
from loyalty.members.member import Member, get_member
from loyalty.web.forms import see_other
from loyalty.web.pos.amounts import LONGEST_AMOUNT
from loyalty.web.pos.desk import till_page, words
from loyalty.web.pos.finding import member_address
from loyalty.web.pos.offers import read_customer, read_offers
from loyalty.web.staff.person import TillDesk, read_clerk
from loyalty.web.state import Services

_POINTS_DIGITS = 9


@get("/members/{member_id:str}")
async def show_customer(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """The member, and, once the basket's `amount` is in the address, what it can use."""
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        member = await active_member(connection, desk, member_id)
        if member is None:
            return see_other("/till")
        return await customer_page(request, services, connection, desk, member)


async def customer_page(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: TillDesk,
    member: Member,
    *,
    amount: str | None = None,
    points: int | None = None,
    error: str | None = None,
    status_code: int = 200,
) -> Response[Any]:
    """The page of a member, with the `error` of what was just refused."""
    t, formats = words(request, desk)
    customer = await read_customer(connection, services, desk, member)
    typed = request.query_params.get("amount", "").strip()[:LONGEST_AMOUNT] if amount is None else amount
    offers = await read_offers(connection, customer, desk.channel, t, formats, amount=typed, points=points)
    return till_page(
        request,
        "pos/customer.html",
        desk,
        status_code=status_code,
        here=member_address(member),
        customer=customer,
        offers=offers,
        address=member_address(member),
        error=error,
    )


@get("/members/{member_id:str}/offers")
async def show_offers(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """The part of the page that changes with `amount` and `points`, for a page that follows what is typed."""
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        member = await active_member(connection, desk, member_id)
        if member is None:
            raise NotFoundError("there is no such member", field="member_id")
        t, formats = words(request, desk)
        customer = await read_customer(connection, services, desk, member)
        offers = await read_offers(
            connection,
            customer,
            desk.channel,
            t,
            formats,
            amount=request.query_params.get("amount", "").strip()[:LONGEST_AMOUNT],
            points=read_points(request.query_params.get("points", "")),
        )
    return till_page(request, "pos/offers.html", desk, customer=customer, offers=offers, address=member_address(member))


async def active_member(connection: AsyncConnection, desk: TillDesk, member_id: str) -> Member | None:
    """The member of a public id, merges followed; None where there is none, or it was erased."""
    try:
        member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
    except NotFoundError:
        return None
    return member if member.state == "active" else None


def read_points(text: str) -> int | None:
    """A number of points as typed; None where it is no whole number."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= _POINTS_DIGITS else None
