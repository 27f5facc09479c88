"""Earning points and taking a posting back: both count towards the member's tier."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from ledger.operations import ON_EVENT, UNIT_POLICY, Expiry
from ledger.posting import Posting
from ledger.reading import posting_entries
from loyalty.campaigns.awards import LADDER_UNITS, award
from loyalty.kit.errors import InvalidInputError
from loyalty.members.member import person_ids
from loyalty.web.api import points_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Require, keyed_problems
from loyalty.web.api.people import MemberId, member_uuid
from loyalty.web.api.points import make_posting
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from tiers.counting import Activity, count_activities

_ISSUED: Final = "issued"


@post(
    "/members/{member_id:str}/points/earn",
    operation_id="earnPoints",
    summary="Give points",
    guards=[Require("points:write")],
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
    expires_at, available_at = _expiry(data), _availability(data)

    async def make(connection: AsyncConnection, account: UUID, key: str) -> Posting:
        return await award(
            connection,
            programme_id=caller.programme_id,
            member_id=account,
            unit=data.unit,
            amount=data.amount,
            key=key,
            source=data.source,
            effective_at=data.effective_at,
            expires_at=expires_at,
            available_at=available_at,
        )

    return await make_posting(services, caller, idempotency_key, member_id, data.source, make)


def _expiry(data: shapes.EarnRequest) -> Expiry:
    if data.never_expires and data.expires_at is not None:
        raise InvalidInputError("give expires_at or never_expires, not both", field="expires_at")
    return None if data.never_expires else data.expires_at or UNIT_POLICY


def _availability(data: shapes.EarnRequest) -> datetime | Literal["on_event"] | None:
    if data.pending and data.available_at is not None:
        raise InvalidInputError("give available_at or pending, not both", field="available_at")
    return ON_EVENT if data.pending else data.available_at


@post(
    "/members/{member_id:str}/points/reverse",
    operation_id="reversePosting",
    summary="Take a posting back",
    guards=[Require("points:write")],
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

    async def make(connection: AsyncConnection, account: UUID, key: str) -> Posting:
        origin = member_uuid(member_id)
        reversed_ = await posting.reverse(
            connection,
            member_id=account,
            unit=data.unit,
            sequence=data.sequence,
            amount=data.amount,
            key=key,
            source=data.source,
            effective_at=data.effective_at,
            origin_member_id=origin,
            accounts=await person_ids(connection, member_id=account),
        )
        if data.unit in LADDER_UNITS and not reversed_.replayed:
            await _count_off(connection, caller, origin, data, reversed_)
        return reversed_

    return await make_posting(services, caller, idempotency_key, member_id, data.source, make)


async def _count_off(
    connection: AsyncConnection, caller: Caller, origin: UUID, data: shapes.ReverseRequest, reversed_: Posting
) -> None:
    """Take what is no longer earned off the day on which it counted towards the member's tier."""
    entries = await posting_entries(
        connection, member_id=reversed_.member_id, unit=data.unit, sequence=reversed_.sequence
    )
    taken = sum(entry.amount for entry in entries if entry.credit == _ISSUED)
    if not taken:
        return
    earned = (await posting_entries(connection, member_id=origin, unit=data.unit, sequence=data.sequence))[0]
    lost = Activity(
        member_id=reversed_.member_id,
        metric=data.unit,
        amount=-taken,
        counts_at=earned.effective_at,
        happened_at=data.effective_at or reversed_.recorded_at,
        cause=data.source,
    )
    await count_activities(connection, programme_id=caller.programme_id, activities=[lost])


router: Final = Router(path="/", tags=["Points"], route_handlers=[earn_points, reverse_posting])
