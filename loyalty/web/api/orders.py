"""Orders, refunds and cancellations as a channel's own programs post them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.channels.orders import accept_cancellation, accept_order, accept_refund
from loyalty.channels.orders.reading import ORDER_PREFIX, find_order, get_order, purchase_history
from loyalty.kit.ids import parse_public_id
from loyalty.web.api import orders_schemas as shapes
from loyalty.web.api.operations import (
    PAGE_SIZE,
    Cursor,
    IdempotencyKey,
    Limit,
    Require,
    acting_channel,
    keyed_problems,
    problems,
    read_cursor,
    write_cursor,
)
from loyalty.web.api.people import MemberId, reading_member
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services


@post(
    "/orders",
    operation_id="postOrder",
    summary="Post an order",
    guards=[Require("orders:write")],
    responses=keyed_problems(404),
)
async def post_order(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.OrderRequest],
) -> Response[shapes.OrderAnswer]:
    """Book a purchase: what it earns is posted by the rules that were in force when it was placed.

    The same order again, whatever the key, earns once. Refunds that came before it are booked with it.
    """

    async def work(connection: AsyncConnection) -> shapes.OrderAnswer:
        channel = await acting_channel(connection, caller, data.channel)
        order = shapes.read_order(data, channel.code)
        return shapes.order_answer(await accept_order(connection, services.keyring, channel=channel, order=order))

    return await once(services, caller, idempotency_key, operation="postOrder", request=data, status=201, work=work)


@post(
    "/refunds",
    operation_id="postRefund",
    summary="Post a refund",
    guards=[Require("orders:write")],
    responses=keyed_problems(404),
)
async def post_refund(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.RefundRequest],
) -> Response[shapes.RefundAnswer]:
    """Book a refund: exactly the share that was earned is taken back, and the share that was spent is given back.

    A refund whose order has not arrived waits for it.
    """

    async def work(connection: AsyncConnection) -> shapes.RefundAnswer:
        channel = await acting_channel(connection, caller, data.channel)
        return shapes.refund_answer(await accept_refund(connection, channel=channel, refund=shapes.read_refund(data)))

    return await once(services, caller, idempotency_key, operation="postRefund", request=data, status=201, work=work)


@post(
    "/cancellations",
    operation_id="postCancellation",
    summary="Post a cancellation",
    guards=[Require("orders:write")],
    responses=keyed_problems(404),
)
async def post_cancellation(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.CancellationRequest],
) -> Response[shapes.RefundAnswer]:
    """Take an order back whole; or goods of orders that are not named, whose points are taken back by today's count."""

    async def work(connection: AsyncConnection) -> shapes.RefundAnswer:
        channel = await acting_channel(connection, caller, data.channel)
        cancellation = shapes.read_cancellation(data, channel.code)
        return shapes.refund_answer(
            await accept_cancellation(connection, services.keyring, channel=channel, cancellation=cancellation)
        )

    return await once(
        services, caller, idempotency_key, operation="postCancellation", request=data, status=201, work=work
    )


@get(
    "/orders/{order_id:str}",
    operation_id="getOrder",
    summary="An order",
    guards=[Require("orders:read")],
    responses=problems(404),
)
async def get_one_order(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    order_id: Annotated[str, PathParameter(pattern=f"^{ORDER_PREFIX}_[0-9A-Za-z]{{26}}$", description="The order.")],
) -> shapes.BookedOrderAnswer:
    """An order with its lines, what each earned and by which rule, and everything that was refunded of it."""
    identifier = parse_public_id(ORDER_PREFIX, order_id, field="order_id")
    async with services.transaction() as connection:
        found = await get_order(connection, programme_id=caller.programme_id, order_id=identifier)
    return shapes.booked_order_answer(found)


@get(
    "/orders",
    operation_id="findOrder",
    summary="An order by its channel's number",
    guards=[Require("orders:read")],
    responses=problems(404),
)
async def find_one_order(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    external_id: Annotated[str, QueryParameter(min_length=1, max_length=100, description="The channel's number.")],
    channel: Annotated[
        str | None, QueryParameter(max_length=40, description="A channel's code; the key's own if left out.")
    ] = None,
) -> shapes.BookedOrderAnswer:
    """The order that a channel knows by this number."""
    async with services.transaction() as connection:
        where = await acting_channel(connection, caller, channel)
        found = await find_order(connection, channel=where, external_id=external_id)
    return shapes.booked_order_answer(found)


@get(
    "/members/{member_id:str}/orders",
    operation_id="listPurchases",
    summary="A member's purchases",
    guards=[Require("orders:read")],
    responses=problems(404),
)
async def list_purchases(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Purchases:
    """What the member bought and cancelled in every channel, newest first."""
    before = read_cursor(cursor, tuple[datetime, UUID]) if cursor is not None else None
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await purchase_history(connection, member_id=member.id, before=before, limit=limit)
    return shapes.Purchases(
        data=[shapes.purchase_answer(purchase) for purchase in found],
        next_cursor=write_cursor(found[-1].at, found[-1].id) if len(found) == limit else None,
    )


router: Final = Router(
    path="/",
    tags=["Orders"],
    route_handlers=[post_order, post_refund, post_cancellation, find_one_order, get_one_order, list_purchases],
)
