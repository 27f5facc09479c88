"""Redeeming: points for money off, for a catalogue item, or a benefit used, at a till or in a shop."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.giving import facts_of_member
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import parse_public_id
from loyalty.members.member import person_ids
from loyalty.web.api import redemptions_schemas as shapes
from loyalty.web.api.operations import (
    PAGE_SIZE,
    Cursor,
    IdempotencyKey,
    Limit,
    Require,
    acting_channel,
    body_problems,
    keyed_problems,
    problems,
    read_cursor,
    tell,
    write_cursor,
)
from loyalty.web.api.people import MemberId, reading_member, writing_member
from loyalty.web.idempotency import ledger_key, once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from redemption.catalogue import list_items
from redemption.errors import UnknownRedemptionError
from redemption.reading import find_by_receipt, get_redemption, quote_for_member, redemptions_of_member
from redemption.till import Redemption, begin, capture, refund, void

RedemptionId = Annotated[
    str, PathParameter(pattern=f"^{shapes.REDEMPTION_PREFIX}_[0-9A-Za-z]{{26}}$", description="The redemption's id.")
]


def _uuid(redemption_id: str) -> UUID:
    return parse_public_id(shapes.REDEMPTION_PREFIX, redemption_id, field="redemption_id")


async def _own(connection: AsyncConnection, caller: Caller, redemption_id: str) -> Redemption:
    """The redemption, if the caller may touch it: a channel's key, those of its channel alone.

    Raises UnknownRedemptionError, also for another channel's: its ids are nobody else's business.
    """
    found = await get_redemption(connection, programme_id=caller.programme_id, redemption_id=_uuid(redemption_id))
    if caller.channel is not None and found.channel_id != caller.channel.id:
        raise UnknownRedemptionError("there is no such redemption on this channel", field="redemption_id")
    return found


@get(
    "/catalogue",
    operation_id="listCatalogue",
    summary="The catalogue",
    guards=[Require("redemptions:read")],
    responses=problems(),
)
async def list_catalogue(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> shapes.Catalogue:
    """What points buy now, cheapest first."""
    async with services.transaction() as connection:
        items = await list_items(connection, programme_id=caller.programme_id)
    return shapes.Catalogue(data=[shapes.catalogue_item_answer(item) for item in items])


@post(
    "/redemptions/quote",
    operation_id="quoteRedemption",
    summary="What points can take off a basket",
    status_code=200,
    guards=[Require("redemptions:read")],
    responses=body_problems(404, 409),
)
async def quote_redemption(
    services: NamedDependency[Services], caller: NamedDependency[Caller], data: JSONBody[shapes.QuoteRequest]
) -> shapes.QuoteAnswer:
    """How many of the member's points this basket takes, and what they are worth. Changes nothing and takes no key."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, data.member_id)
        quote = await quote_for_member(
            connection,
            programme_id=caller.programme_id,
            member_id=member.id,
            basket_minor=data.basket_minor,
            currency=data.currency,
        )
    return tell(shapes.QuoteAnswer, quote, reasons=[tell(shapes.ReasonAnswer, reason) for reason in quote.reasons])


@post(
    "/redemptions",
    operation_id="beginRedemption",
    summary="Begin a redemption",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def begin_redemption(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.BeginRequest],
) -> Response[shapes.RedemptionAnswer]:
    """Hold what is to be redeemed until it is captured or voided; held for longer than asked, it frees itself."""
    wanted = [data.points, data.catalogue_item, data.coupon]
    if sum(each is not None for each in wanted) != 1:
        raise InvalidInputError("give exactly one of points, catalogue_item and coupon", field="points")

    async def work(connection: AsyncConnection) -> shapes.RedemptionAnswer:
        channel = await acting_channel(connection, caller, data.channel)
        member = await writing_member(connection, caller, data.member_id)
        begun = await begin(
            connection,
            programme_id=caller.programme_id,
            member_id=member.id,
            channel_id=channel.id,
            key=ledger_key(caller, idempotency_key),
            clerk=data.clerk,
            basket_minor=data.basket_minor,
            currency=data.currency,
            points=data.points,
            catalogue_item=data.catalogue_item,
            coupon=data.coupon,
            hold_seconds=data.expires_in_seconds,
            person_ids=await person_ids(connection, member_id=member.id),
            facts=await facts_of_member(connection, programme_id=caller.programme_id, member_id=member.id),
        )
        return shapes.redemption_answer(begun)

    return await once(
        services, caller, idempotency_key, operation="beginRedemption", request=data, status=201, work=work
    )


@get(
    "/redemptions",
    operation_id="findRedemptions",
    summary="Redemptions of a receipt",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def find_redemptions(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    receipt_number: Annotated[str, QueryParameter(min_length=1, max_length=100, description="The till's number.")],
    channel: Annotated[
        str | None, QueryParameter(max_length=40, description="A channel's code; the key's own if left out.")
    ] = None,
) -> shapes.Redemptions:
    """What was redeemed on a receipt of a channel, newest first."""
    async with services.transaction() as connection:
        where = await acting_channel(connection, caller, channel)
        found = await find_by_receipt(connection, channel_id=where.id, receipt_number=receipt_number)
    return shapes.Redemptions(data=[shapes.redemption_answer(each) for each in found], next_cursor=None)


@get(
    "/redemptions/{redemption_id:str}",
    operation_id="getRedemption",
    summary="A redemption",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def get_one_redemption(
    services: NamedDependency[Services], caller: NamedDependency[Caller], redemption_id: RedemptionId
) -> shapes.RedemptionAnswer:
    """One redemption, and how far it has come."""
    async with services.transaction() as connection:
        found = await _own(connection, caller, redemption_id)
    return shapes.redemption_answer(found)


@get(
    "/members/{member_id:str}/redemptions",
    operation_id="listRedemptions",
    summary="A member's redemptions",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def list_redemptions(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Redemptions:
    """What the member redeemed, newest first."""
    before = read_cursor(cursor, tuple[UUID])[0] if cursor is not None else None
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await redemptions_of_member(connection, member_id=member.id, limit=limit, before=before)
    return shapes.Redemptions(
        data=[shapes.redemption_answer(each) for each in found],
        next_cursor=write_cursor(found[-1].id) if len(found) == limit else None,
    )


@post(
    "/redemptions/{redemption_id:str}/capture",
    operation_id="captureRedemption",
    summary="Capture a redemption",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def capture_redemption(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    redemption_id: RedemptionId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.CaptureRequest],
) -> Response[shapes.RedemptionAnswer]:
    """Take what was held, under the receipt's number."""

    async def work(connection: AsyncConnection) -> shapes.RedemptionAnswer:
        await _own(connection, caller, redemption_id)
        taken = await capture(
            connection,
            programme_id=caller.programme_id,
            redemption_id=_uuid(redemption_id),
            receipt_number=data.receipt_number,
            key=ledger_key(caller, idempotency_key),
        )
        return shapes.redemption_answer(taken)

    request = {"redemption": redemption_id, "capture": data}
    return await once(
        services, caller, idempotency_key, operation="captureRedemption", request=request, status=201, work=work
    )


@post(
    "/redemptions/{redemption_id:str}/void",
    operation_id="voidRedemption",
    summary="Void a redemption",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def void_redemption(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    redemption_id: RedemptionId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.VoidRequest],
) -> Response[shapes.RedemptionAnswer]:
    """Undo a redemption whole: what was held is free, what was captured is given back with its old expiry."""

    async def work(connection: AsyncConnection) -> shapes.RedemptionAnswer:
        await _own(connection, caller, redemption_id)
        voided = await void(
            connection,
            programme_id=caller.programme_id,
            redemption_id=_uuid(redemption_id),
            key=ledger_key(caller, idempotency_key),
        )
        return shapes.redemption_answer(voided)

    request = {"redemption": redemption_id, "void": data}
    return await once(
        services, caller, idempotency_key, operation="voidRedemption", request=request, status=201, work=work
    )


@post(
    "/redemptions/{redemption_id:str}/refund",
    operation_id="refundRedemption",
    summary="Refund a redemption",
    guards=[Require("redemptions:write")],
    responses=keyed_problems(404),
)
async def refund_redemption(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    redemption_id: RedemptionId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.RefundRedemptionRequest],
) -> Response[shapes.RedemptionAnswer]:
    """Give back a captured redemption, whole or in part; parts add up exactly to the whole."""

    async def work(connection: AsyncConnection) -> shapes.RedemptionAnswer:
        await _own(connection, caller, redemption_id)
        refunded = await refund(
            connection,
            programme_id=caller.programme_id,
            redemption_id=_uuid(redemption_id),
            key=ledger_key(caller, idempotency_key),
            points=data.points,
            amount_minor=data.amount_minor,
            clerk=data.clerk,
        )
        return shapes.redemption_answer(refunded)

    request = {"redemption": redemption_id, "refund": data}
    return await once(
        services, caller, idempotency_key, operation="refundRedemption", request=request, status=201, work=work
    )


router: Final = Router(
    path="/",
    tags=["Redemptions"],
    route_handlers=[
        list_catalogue,
        quote_redemption,
        begin_redemption,
        find_redemptions,
        get_one_redemption,
        list_redemptions,
        capture_redemption,
        void_redemption,
        refund_redemption,
    ],
)
