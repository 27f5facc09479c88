"""Redeeming at the till: hold what was chosen, then take it under the receipt's number."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import balance, posting_entries
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError, InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX, person_ids
from loyalty.members.profile import Profile, read_profile
from loyalty.web.forms import read_form, see_other
from loyalty.web.pos.amounts import LONGEST_AMOUNT, parse_amount, write_amount
from loyalty.web.pos.customer import active_member, customer_page, read_points
from loyalty.web.pos.desk import own_redemption, redemption_address, say, till_page
from loyalty.web.pos.steps import REFUSALS, Find, Show, show_found, status_of, take_step
from loyalty.web.staff.person import TillDesk, read_clerk
from loyalty.web.state import Services
from redemption.till import Redemption, begin, capture


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A redemption as its page shows it.

    `to_pay_minor` is the basket less what was taken off, `seconds_left` until a hold frees itself, `balance_after` the
    points the member could spend once it was taken, `amount` the basket as it is typed.
    """

    redemption: Redemption
    profile: Profile
    address: str
    member_address: str
    seconds_left: int
    to_pay_minor: int | None
    balance_after: int
    amount: str


@post("/members/{member_id:str}/redeem", status_code=303)
async def begin_redemption(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """Hold points or an item of the catalogue for this customer; sent twice, one hold."""
    form = await read_form(request, "key", "amount", "points", "item")
    try:
        async with services.transaction() as connection:
            desk = await read_clerk(request, services, connection)
            member = await active_member(connection, desk, member_id)
            if member is None:
                return see_other("/till")
            held = await begin(
                connection,
                programme_id=desk.programme.id,
                member_id=member.id,
                channel_id=desk.channel.id,
                key=form["key"],
                clerk=desk.staff.username,
                person_ids=await person_ids(connection, member_id=member.id),
                **_choice(form, desk.channel.currency),
            )
    except REFUSALS as error:
        return await refuse_begin(request, services, member_id, form, error)
    return see_other(redemption_address(held.id))


def _choice(form: dict[str, str], currency: str) -> dict[str, Any]:
    """What was chosen, as `begin` takes it. Raises InvalidInputError."""
    if form["item"]:
        return {"catalogue_item": form["item"]}
    basket = {"basket_minor": parse_amount(form["amount"], currency), "currency": currency}
    points = read_points(form["points"])
    if points is None:
        raise InvalidInputError("a whole number of points is needed", field="points")
    return basket | {"points": points}


async def refuse_begin(
    request: Request[Any, Any, Any], services: Services, member_id: str, form: dict[str, str], error: DomainError
) -> Response[Any]:
    """Show the customer again, with what was typed and why nothing was held."""
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        member = await active_member(connection, desk, member_id)
        if member is None:
            return see_other("/till")
        return await customer_page(
            request,
            services,
            connection,
            desk,
            member,
            amount=form["amount"][:LONGEST_AMOUNT],
            points=read_points(form.get("points", "")),
            error=say(request, desk, error),
            status_code=status_of(error),
        )


@get("/redemptions/{redemption_id:str}")
async def show_redemption(
    request: Request[Any, Any, Any], services: NamedDependency[Services], redemption_id: FromPath[str]
) -> Response[Any]:
    """Where a redemption stands and what to do next: the receipt's number, the printed slip, or a new start."""
    return await show_found(
        request, services, find=redemption_of(redemption_id), show=redemption_shown(request, services)
    )


def redemption_of(redemption_id: str) -> Find[Redemption]:
    """Finds a redemption of the till by its public id."""

    async def find(connection: AsyncConnection, desk: TillDesk) -> Redemption:
        return await own_redemption(connection, desk, redemption_id)

    return find


def redemption_shown(
    request: Request[Any, Any, Any],
    services: Services,
    *,
    template: str = "pos/redemption.html",
    receipt: str = "",
) -> Show[Redemption]:
    """Shows a redemption on its page, or on another one about it, with what was typed and just refused."""

    async def show(
        connection: AsyncConnection, desk: TillDesk, redemption: Redemption, error: DomainError | None
    ) -> Response[Any]:
        return till_page(
            request,
            template,
            desk,
            status_code=200 if error is None else status_of(error),
            here=redemption_address(redemption.id),
            sale=await _read_sale(connection, services, redemption),
            receipt=receipt,
            error=None if error is None else say(request, desk, error),
        )

    return show


async def _read_sale(connection: AsyncConnection, services: Services, redemption: Redemption) -> Sale:
    now = utc_now()
    basket_minor, currency = redemption.basket_minor, redemption.currency
    return Sale(
        redemption=redemption,
        profile=await read_profile(connection, services.keyring, member_id=redemption.member_id),
        address=redemption_address(redemption.id),
        member_address=f"/till/members/{public_id(MEMBER_PREFIX, redemption.member_id)}",
        seconds_left=max(0, math.ceil((redemption.hold_expires_at - now).total_seconds())),
        to_pay_minor=None if basket_minor is None else basket_minor - redemption.amount_minor,
        balance_after=await _balance_after(connection, redemption),
        amount="" if basket_minor is None or currency is None else write_amount(basket_minor, currency),
    )


async def _balance_after(connection: AsyncConnection, redemption: Redemption) -> int:
    """The points that were left when it was taken, as printed once and for ever; else those of now."""
    if redemption.state == "captured" and redemption.capture_sequence is not None:
        taken = await posting_entries(connection, member_id=redemption.member_id, sequence=redemption.capture_sequence)
        return taken[-1].posted
    return (await balance(connection, member_id=redemption.member_id)).spendable


@post("/redemptions/{redemption_id:str}/capture", status_code=303)
async def capture_redemption(
    request: Request[Any, Any, Any], services: NamedDependency[Services], redemption_id: FromPath[str]
) -> Response[Any]:
    """Take what was held, under the receipt's number."""
    form = await read_form(request, "key", "receipt", limit=100)

    async def act(connection: AsyncConnection, desk: TillDesk, redemption: Redemption) -> None:
        if not form["receipt"]:
            raise InvalidInputError("the receipt's number is needed", field="receipt")
        await capture(
            connection,
            programme_id=desk.programme.id,
            redemption_id=redemption.id,
            receipt_number=form["receipt"],
            key=form["key"],
        )

    return await take_step(
        request,
        services,
        find=redemption_of(redemption_id),
        act=act,
        show=redemption_shown(request, services, receipt=form["receipt"]),
        address=f"/till/redemptions/{redemption_id}",
    )
