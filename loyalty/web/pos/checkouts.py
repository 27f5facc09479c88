"""Coupons at the till, several and with points: held together, taken under the receipt's number, given back together.

The same checkout that online shops use, so that the same basket has the same answer on both.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import balance
from loyalty.campaigns.giving import facts_of_member
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError, InvalidInputError, NotFoundError
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
from loyalty.web.pos.redeeming import REFUSALS, refuse_begin, status_of
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
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        try:
            found = await own_checkout(connection, desk, checkout_id)
        except NotFoundError:
            return see_other("/till")
        return await _page(request, services, connection, desk, found)


async def _page(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: TillDesk,
    found: Checkout,
    *,
    receipt: str = "",
    error: DomainError | None = None,
) -> Response[Any]:
    points_minor = found.quote.points.amount_minor if found.quote.points else 0
    sale = CheckoutSale(
        checkout=found,
        profile=await read_profile(connection, services.keyring, member_id=found.member_id),
        address=checkout_address(found.id),
        member_address=f"/till/members/{public_id(MEMBER_PREFIX, found.member_id)}",
        seconds_left=max(0, math.ceil((found.expires_at - utc_now()).total_seconds())),
        off_minor=found.quote.discount_minor + points_minor,
        balance=(await balance(connection, member_id=found.member_id)).spendable,
        amount=write_amount(found.total_minor, found.currency) if found.total_minor else "",
    )
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


async def _step(
    request: Request[Any, Any, Any], services: Services, checkout_id: str, step: str, *names: str
) -> Response[Any]:
    """Take a step of a checkout, and show where it stands then, or what was refused."""
    form = await read_form(request, "key", *names, limit=100)
    try:
        async with services.transaction() as connection:
            desk = await read_clerk(request, services, connection)
            found = await own_checkout(connection, desk, checkout_id)
            asked: dict[str, Any] = {"programme_id": desk.programme.id, "checkout_id": found.id, "key": form["key"]}
            people = await person_ids(connection, member_id=found.member_id)
            if step == "use":
                if not form["receipt"]:
                    raise InvalidInputError("the receipt's number is needed", field="receipt")
                await use(connection, order_number=form["receipt"], **asked)
            elif step == "release":
                await release(connection, person_ids=people, **asked)
            else:
                await refund(connection, clerk=desk.staff.username, person_ids=people, **asked)
    except NotFoundError:
        return see_other("/till")
    except REFUSALS as error:
        async with services.transaction() as connection:
            desk = await read_clerk(request, services, connection)
            found = await own_checkout(connection, desk, checkout_id)
            return await _page(request, services, connection, desk, found, receipt=form.get("receipt", ""), error=error)
    return see_other(checkout_address(found.id))


@post("/checkouts/{checkout_id:str}/use", status_code=303)
async def use_checkout(
    request: Request[Any, Any, Any], services: NamedDependency[Services], checkout_id: FromPath[str]
) -> Response[Any]:
    """Take what was held, under the receipt's number."""
    return await _step(request, services, checkout_id, "use", "receipt")


@post("/checkouts/{checkout_id:str}/release", status_code=303)
async def release_checkout(
    request: Request[Any, Any, Any], services: NamedDependency[Services], checkout_id: FromPath[str]
) -> Response[Any]:
    """Free what was held."""
    return await _step(request, services, checkout_id, "release")


@post("/checkouts/{checkout_id:str}/refund", status_code=303)
async def refund_checkout(
    request: Request[Any, Any, Any], services: NamedDependency[Services], checkout_id: FromPath[str]
) -> Response[Any]:
    """Give back what was taken."""
    return await _step(request, services, checkout_id, "refund")
