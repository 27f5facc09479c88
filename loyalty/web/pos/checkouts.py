"""Coupons at the till, several and with points: held together, taken under the receipt's number, given back together.

The same checkout that online shops use, so that the same basket has the same answer on both.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import balance
from loyalty.campaigns.giving import facts_of_member
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError, InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX, person_ids
from loyalty.members.profile import Profile, read_profile
from loyalty.web.basket_reasons import reason_sentence
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import catalogue
from loyalty.web.pos.amounts import LONGEST_AMOUNT, parse_amount, write_amount
from loyalty.web.pos.customer import active_member, customer_page
from loyalty.web.pos.desk import checkout_address, own_checkout, say, till_page, words
from loyalty.web.pos.offers import whole_sum
from loyalty.web.pos.redeeming import refuse_begin
from loyalty.web.pos.steps import REFUSALS, Find, Show, show_found, status_of, take_step
from loyalty.web.staff.person import TillDesk, read_clerk
from loyalty.web.state import Services
from redemption.basket import Reason
from redemption.checkout.errors import CheckoutRefusedError
from redemption.checkout.finishing import refund, release, use
from redemption.checkout.locking import lock
from redemption.checkout.quoting import MAX_COUPONS, Wish
from redemption.checkout.record import Checkout

_LONGEST_CODE = 200


class CheckoutSale(msgspec.Struct, frozen=True, kw_only=True):
    """A checkout as its page shows it; `amount` is the basket as it is typed, `balance` what points are left now."""

    checkout: Checkout
    profile: Profile
    address: str
    member_address: str
    seconds_left: int
    off_minor: int
    balance: int
    amount: str


@post("/members/{member_id:str}/checkout", status_code=303)
async def begin_checkout(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """Hold the chosen benefits together, and as many points as can pay beside them where that is wished."""
    form = await read_form(request, "key", "amount", "with_points")
    codes = [str(each)[:_LONGEST_CODE] for each in (await request.form()).getall("coupon", [])][:MAX_COUPONS]
    currency = ""
    try:
        async with services.transaction() as connection:
            desk = await read_clerk(request, services, connection)
            currency = desk.channel.currency
            member = await active_member(connection, desk, member_id)
            if member is None:
                return see_other("/till")
            if not codes:
                raise InvalidInputError("nothing was chosen", field="coupon", reason="none")
            basket_minor = parse_amount(form["amount"], currency) if form["amount"] else 0
            held = await lock(
                connection,
                channel=desk.channel,
                member_id=member.id,
                wish=Wish(
                    currency=currency,
                    lines=(whole_sum(basket_minor),),
                    coupons=tuple(codes),
                    points="most" if form["with_points"] else None,
                ),
                facts=await facts_of_member(connection, programme_id=desk.programme.id, member_id=member.id),
                key=form["key"],
                clerk=desk.staff.username,
                person_ids=await person_ids(connection, member_id=member.id),
            )
    except CheckoutRefusedError as error:
        return await _refuse_choice(request, services, member_id, form, error)
    except REFUSALS as error:
        return await refuse_begin(request, services, member_id, form, error)
    return see_other(checkout_address(held.id))


async def _refuse_choice(
    request: Request[Any, Any, Any],
    services: Services,
    member_id: str,
    form: dict[str, str],
    error: CheckoutRefusedError,
) -> Response[Any]:
    """Show the customer again, with why each of those that were chosen does not apply."""
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        member = await active_member(connection, desk, member_id)
        if member is None:
            return see_other("/till")
        t, formats = words(request, desk)
        told = []
        for each in error.members["refused"]:
            name = each["name"].get(t.language, each["code"]) if "name" in each else t("pos.points.label")
            code = each.get("reason", each["code"])
            if f"pos.coupon_state.{code}" in catalogue(t.language):
                why = t("pos.refused.benefit_not_usable", state=t(f"pos.coupon_state.{code}"))
            else:
                reason = Reason(code=code, parameters=each.get("parameters", {}))
                why = reason_sentence(t, formats, reason, currency=desk.channel.currency)
            told.append(t("pos.coupon.refused", name=name, why=why))
        return await customer_page(
            request,
            services,
            connection,
            desk,
            member,
            amount=form["amount"][:LONGEST_AMOUNT],
            error=" ".join(told),
            status_code=error.status,
        )


@get("/checkouts/{checkout_id:str}")
async def show_checkout(
    request: Request[Any, Any, Any], services: NamedDependency[Services], checkout_id: FromPath[str]
) -> Response[Any]:
    """Where a checkout stands and what to do next."""
    return await show_found(request, services, find=_checkout_of(checkout_id), show=_shown(request, services))


def _checkout_of(checkout_id: str) -> Find[Checkout]:
    async def find(connection: AsyncConnection, desk: TillDesk) -> Checkout:
        return await own_checkout(connection, desk, checkout_id)

    return find


def _shown(request: Request[Any, Any, Any], services: Services, *, receipt: str = "") -> Show[Checkout]:
    async def show(
        connection: AsyncConnection, desk: TillDesk, found: Checkout, error: DomainError | None
    ) -> Response[Any]:
        sale = await _read_sale(connection, services, found)
        return till_page(
            request,
            "pos/checkout.html",
            desk,
            status_code=200 if error is None else status_of(error),
            here=sale.address,
            sale=sale,
            receipt=receipt,
            error=None if error is None else say(request, desk, error),
        )

    return show


async def _read_sale(connection: AsyncConnection, services: Services, found: Checkout) -> CheckoutSale:
    points_minor = found.quote.points.amount_minor if found.quote.points else 0
    return CheckoutSale(
        checkout=found,
        profile=await read_profile(connection, services.keyring, member_id=found.member_id),
        address=checkout_address(found.id),
        member_address=f"/till/members/{public_id(MEMBER_PREFIX, found.member_id)}",
        seconds_left=max(0, math.ceil((found.expires_at - utc_now()).total_seconds())),
        off_minor=found.quote.discount_minor + points_minor,
        balance=(await balance(connection, member_id=found.member_id)).spendable,
        amount=write_amount(found.total_minor, found.currency) if found.total_minor else "",
    )


@post("/checkouts/{checkout_id:str}/use", status_code=303)
async def use_checkout(
    request: Request[Any, Any, Any], services: NamedDependency[Services], checkout_id: FromPath[str]
) -> Response[Any]:
    """Take what was held, under the receipt's number."""
    form = await read_form(request, "key", "receipt", limit=100)

    async def act(connection: AsyncConnection, desk: TillDesk, found: Checkout) -> None:
        if not form["receipt"]:
            raise InvalidInputError("the receipt's number is needed", field="receipt")
        await use(
            connection,
            programme_id=desk.programme.id,
            checkout_id=found.id,
            order_number=form["receipt"],
            key=form["key"],
        )

    return await take_step(
        request,
        services,
        find=_checkout_of(checkout_id),
        act=act,
        show=_shown(request, services, receipt=form["receipt"]),
        address=f"/till/checkouts/{checkout_id}",
    )


async def _undo(
    request: Request[Any, Any, Any], services: Services, checkout_id: str, undo: Callable[..., Awaitable[Checkout]]
) -> Response[Any]:
    form = await read_form(request, "key")

    async def act(connection: AsyncConnection, desk: TillDesk, found: Checkout) -> None:
        await undo(
            connection,
            programme_id=desk.programme.id,
            checkout_id=found.id,
            key=form["key"],
            person_ids=await person_ids(connection, member_id=found.member_id),
        )

    return await take_step(
        request,
        services,
        find=_checkout_of(checkout_id),
        act=act,
        show=_shown(request, services),
        address=f"/till/checkouts/{checkout_id}",
    )


@post("/checkouts/{checkout_id:str}/release", status_code=303)
async def release_checkout(
    request: Request[Any, Any, Any], services: NamedDependency[Services], checkout_id: FromPath[str]
) -> Response[Any]:
    """Free what was held."""
    return await _undo(request, services, checkout_id, release)


@post("/checkouts/{checkout_id:str}/refund", status_code=303)
async def refund_checkout(
    request: Request[Any, Any, Any], services: NamedDependency[Services], checkout_id: FromPath[str]
) -> Response[Any]:
    """Give back what was taken."""

    async def give_back(connection: AsyncConnection, **fields: Any) -> Checkout:
        desk = await read_clerk(request, services, connection)
        return await refund(connection, clerk=desk.staff.username, **fields)

    return await _undo(request, services, checkout_id, give_back)
