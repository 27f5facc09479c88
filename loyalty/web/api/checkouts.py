"""Checkouts: coupons and points for one basket, quoted, locked, used and given back together, online and at a till."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.giving import facts_of_member
from loyalty.kit.ids import parse_public_id
from loyalty.members.member import Member, person_ids
from loyalty.web.api import checkouts_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Require, acting_channel, body_problems, keyed_problems, problems
from loyalty.web.api.people import reading_member, writing_member
from loyalty.web.idempotency import ledger_key, once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from redemption.checkout import finishing, locking, quoting
from redemption.checkout.errors import UnknownCheckoutError
from redemption.checkout.record import PREFIX, Checkout, find_by_order, get_checkout

CheckoutId = Annotated[str, PathParameter(pattern=f"^{PREFIX}_[0-9A-Za-z]{{26}}$", description="The checkout's id.")]


async def _own(connection: AsyncConnection, caller: Caller, checkout_id: str) -> Checkout:
    """The checkout, if the caller may touch it: a channel's key, those of its channel alone."""
    identifier = parse_public_id(PREFIX, checkout_id, field="checkout_id")
    found = await get_checkout(connection, programme_id=caller.programme_id, checkout_id=identifier)
    if caller.channel is not None and found.channel_id != caller.channel.id:
        raise UnknownCheckoutError("there is no such checkout on this channel", field="checkout_id")
    return found


async def _asked(
    connection: AsyncConnection, caller: Caller, member: Member, data: shapes.BasketRequest
) -> dict[str, Any]:
    """A basket as quoting and locking take it."""
    return {
        "channel": await acting_channel(connection, caller, data.channel),
        "member_id": member.id,
        "wish": data.wish(),
        "facts": await facts_of_member(connection, programme_id=caller.programme_id, member_id=member.id),
        "person_ids": await person_ids(connection, member_id=member.id),
    }


@post(
    "/checkouts/quote",
    operation_id="quoteCheckout",
    summary="What a basket comes to",
    status_code=200,
    guards=[Require("redemptions:read")],
    responses=body_problems(404, 409),
)
async def quote_checkout(
    services: NamedDependency[Services], caller: NamedDependency[Caller], data: JSONBody[shapes.BasketRequest]
) -> shapes.BasketQuoteAnswer:
    """What coupons and points take off, line by line, and why others do not. Changes nothing and takes no key."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, data.member_id)
        chosen = await quoting.quote(connection, **await _asked(connection, caller, member, data))
    return shapes.quote_answer(chosen.quote)


@post(
    "/checkouts",
    operation_id="lockCheckout",
    summary="Lock coupons and points for a basket",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def lock_checkout(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.LockRequest],
) -> Response[shapes.CheckoutAnswer]:
    """Quote a basket and set aside all that was chosen, or nothing; held for longer than asked, it frees itself."""

    async def work(connection: AsyncConnection) -> shapes.CheckoutAnswer:
        member = await writing_member(connection, caller, data.member_id)
        locked = await locking.lock(
            connection,
            **await _asked(connection, caller, member, data),
            key=ledger_key(caller, idempotency_key),
            clerk=data.clerk,
            hold_seconds=data.expires_in_seconds,
        )
        return shapes.checkout_answer(locked)

    return await once(services, caller, idempotency_key, operation="lockCheckout", request=data, status=201, work=work)


@get(
    "/checkouts",
    operation_id="findCheckouts",
    summary="Checkouts of an order",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def find_checkouts(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    order_number: Annotated[str, QueryParameter(min_length=1, max_length=100, description="The channel's number.")],
    channel: Annotated[
        str | None, QueryParameter(max_length=40, description="A channel's code; the key's own if left out.")
    ] = None,
) -> shapes.Checkouts:
    """What was used for an order of a channel, newest first."""
    async with services.transaction() as connection:
        where = await acting_channel(connection, caller, channel)
        found = await find_by_order(connection, channel_id=where.id, order_number=order_number)
    return shapes.Checkouts(data=[shapes.checkout_answer(each) for each in found])


@get(
    "/checkouts/{checkout_id:str}",
    operation_id="getCheckout",
    summary="A checkout",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def get_one_checkout(
    services: NamedDependency[Services], caller: NamedDependency[Caller], checkout_id: CheckoutId
) -> shapes.CheckoutAnswer:
    """One checkout, and how far it has come."""
    async with services.transaction() as connection:
        found = await _own(connection, caller, checkout_id)
    return shapes.checkout_answer(found)


async def _finish(
    services: Services,
    caller: Caller,
    key: str,
    step: str,
    checkout_id: str,
    data: Any,
    act: Callable[..., Awaitable[Checkout]],
    *,
    people: bool = False,
    **fields: Any,
) -> Response[Any]:
    """Take a step of a checkout, once for its key. With `people`, what comes back comes to whom the person is today."""

    async def work(connection: AsyncConnection) -> shapes.CheckoutAnswer:
        found = await _own(connection, caller, checkout_id)
        if people:
            fields["person_ids"] = await person_ids(connection, member_id=found.member_id)
        done = await act(
            connection,
            programme_id=caller.programme_id,
            checkout_id=found.id,
            key=ledger_key(caller, key),
            **fields,
        )
        return shapes.checkout_answer(done)

    request = {"checkout": checkout_id, step: data}
    return await once(services, caller, key, operation=f"{step}Checkout", request=request, status=201, work=work)


@post(
    "/checkouts/{checkout_id:str}/use",
    operation_id="useCheckout",
    summary="Use a checkout",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def use_checkout(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    checkout_id: CheckoutId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.UseRequest],
) -> Response[shapes.CheckoutAnswer]:
    """The purchase is paid: use all that was locked, under the order's number."""
    return await _finish(
        services, caller, idempotency_key, "use", checkout_id, data, finishing.use, order_number=data.order_number
    )


@post(
    "/checkouts/{checkout_id:str}/release",
    operation_id="releaseCheckout",
    summary="Release a checkout",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def release_checkout(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    checkout_id: CheckoutId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ReleaseRequest],
) -> Response[shapes.CheckoutAnswer]:
    """The purchase is not to be: free all that was locked."""
    return await _finish(
        services, caller, idempotency_key, "release", checkout_id, data, finishing.release, people=True
    )


@post(
    "/checkouts/{checkout_id:str}/refund",
    operation_id="refundCheckout",
    summary="Refund a checkout",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def refund_checkout(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    checkout_id: CheckoutId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.RefundCheckoutRequest],
) -> Response[shapes.CheckoutAnswer]:
    """Give back the points of the lines that are refunded, and with the last of them the coupons."""
    return await _finish(
        services,
        caller,
        idempotency_key,
        "refund",
        checkout_id,
        data,
        finishing.refund,
        people=True,
        lines=data.lines,
        clerk=data.clerk,
    )


router: Final = Router(
    path="/",
    tags=["Checkouts"],
    route_handlers=[
        quote_checkout,
        lock_checkout,
        find_checkouts,
        get_one_checkout,
        use_checkout,
        release_checkout,
        refund_checkout,
    ],
)
