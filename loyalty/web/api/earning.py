"""Earning points and taking a posting back: both count towards the member's tier."""

from __future__ import annotations

from typing import Final

from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from loyalty.web.api import points_schemas as shapes
from loyalty.web.api import postings
from loyalty.web.api.operations import IdempotencyKey, Require, keyed_problems
from loyalty.web.api.people import MemberId
from loyalty.web.api.plain import PlainPosting
from loyalty.web.api.postings import post_one
from loyalty.web.api.side_door import EARN
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services


@post(
    "/members/{member_id:str}/points/earn",
    operation_id="earnPoints",
    summary="Give points",
    guards=[Require("points:write")],
    middleware=[EARN],
    responses=keyed_problems(404),
)
async def earn_points(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.EarnRequest],
) -> Response[shapes.PostingAnswer]:
    """Give earned points; debt is repaid first, and a tier that they reach is reached at once.

    What a purchase earns is computed by the server: post the order instead.
    """
    return await post_one(services, caller, idempotency_key, member_id, data, postings.earn)


@post(
    "/members/{member_id:str}/points/reverse",
    operation_id="reversePosting",
    summary="Take a posting back",
    guards=[Require("points:write")],
    middleware=[PlainPosting(shapes.ReverseRequest, postings.reverse)],
    responses=keyed_problems(404),
)
async def reverse_posting(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ReverseRequest],
) -> Response[shapes.PostingAnswer]:
    """Undo an earn or a spend, whole or in part; parts sum exactly to it.

    What was earned is taken from its own lot, then from others, then becomes debt. What was spent goes back to the
    lots it came from, with the expiry they have.
    """
    return await post_one(services, caller, idempotency_key, member_id, data, postings.reverse)


router: Final = Router(path="/", tags=["Points"], route_handlers=[earn_points, reverse_posting])
