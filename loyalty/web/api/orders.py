"""Orders, refunds and cancellations as a channel's own programs post them."""

from __future__ import annotations

from typing import Final

from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.channels.orders import accept_cancellation, accept_order, accept_refund
from loyalty.web.api import orders_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Require, acting_channel, keyed_problems
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


router: Final = Router(path="/", tags=["Orders"], route_handlers=[post_order, post_refund, post_cancellation])
