"""Holds: points set aside for a purchase that is not finished yet."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from ledger import reading
from loyalty.web.api import points_schemas as shapes
from loyalty.web.api import postings
from loyalty.web.api.operations import IdempotencyKey, Require, keyed_problems, problems
from loyalty.web.api.people import MemberId, reading_member
from loyalty.web.api.plain import PlainPosting
from loyalty.web.api.postings import hold_uuid, post_one
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

HoldId = Annotated[
    str, PathParameter(pattern=f"^{shapes.HOLD_PREFIX}_[0-9A-Za-z]{{26}}$", description="The hold's id.")
]


@post(
    "/members/{member_id:str}/holds",
    operation_id="holdPoints",
    summary="Set points aside",
    guards=[Require("points:write")],
    middleware=[PlainPosting(shapes.HoldRequest, postings.hold)],
    responses=keyed_problems(404),
)
async def hold_points(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.HoldRequest],
) -> Response[shapes.PostingAnswer]:
    """Set points aside; `hold_id` of the answer names them. They free themselves when the time is over."""
    return await post_one(services, caller, idempotency_key, member_id, data, postings.hold)


@get(
    "/members/{member_id:str}/holds/{hold_id:str}",
    operation_id="getHold",
    summary="A hold",
    guards=[Require("points:read")],
    responses=problems(404),
)
async def get_hold(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId, hold_id: HoldId
) -> shapes.HoldAnswer:
    """What is on hold, what of it was captured or released, and until when."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await reading.get_hold(connection, member_id=member.id, hold_id=hold_uuid(hold_id))
    return shapes.hold_answer(found)


@post(
    "/members/{member_id:str}/holds/{hold_id:str}/capture",
    operation_id="captureHold",
    summary="Spend points on hold",
    guards=[Require("points:write")],
    middleware=[PlainPosting(shapes.EndHoldRequest, postings.capture)],
    responses=keyed_problems(404),
)
async def capture_hold(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    hold_id: HoldId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.EndHoldRequest],
) -> Response[shapes.PostingAnswer]:
    """Spend what is on hold, all that is left or a part; the rest stays on hold."""
    return await post_one(services, caller, idempotency_key, member_id, data, postings.capture, hold_id=hold_id)


@post(
    "/members/{member_id:str}/holds/{hold_id:str}/release",
    operation_id="releaseHold",
    summary="Free points on hold",
    guards=[Require("points:write")],
    middleware=[PlainPosting(shapes.EndHoldRequest, postings.release)],
    responses=keyed_problems(404),
)
async def release_hold(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    hold_id: HoldId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.EndHoldRequest],
) -> Response[shapes.PostingAnswer]:
    """Free what is on hold, all that is left or a part."""
    return await post_one(services, caller, idempotency_key, member_id, data, postings.release, hold_id=hold_id)


router: Final = Router(path="/", tags=["Holds"], route_handlers=[hold_points, get_hold, capture_hold, release_hold])
