"""Points of a member: what there is, what happened, and every posting."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from ledger import reading
from ledger.past import as_of
from ledger.posted import sources
from ledger.transfers import transfer
from loyalty.kit.errors import IdempotencyMismatchError
from loyalty.members.member import person_ids
from loyalty.web.api import points_schemas as shapes
from loyalty.web.api import postings
from loyalty.web.api.operations import (
    PAGE_SIZE,
    Cursor,
    IdempotencyKey,
    Limit,
    Require,
    keyed_problems,
    problems,
    read_cursor,
    write_cursor,
)
from loyalty.web.api.people import MemberId, posting_member, reading_member, writing_member
from loyalty.web.api.plain import PlainPosting
from loyalty.web.api.postings import STATUS, post_one
from loyalty.web.api.proofs import get_entry_proof
from loyalty.web.api.side_door import SPEND
from loyalty.web.idempotency import HEADER, answer, ledger_key
from loyalty.web.requests import utc
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

Unit = Annotated[str, QueryParameter(pattern="^[a-z][a-z0-9_]{0,29}$", description="What is counted.")]


@get(
    "/members/{member_id:str}/points",
    operation_id="getBalances",
    summary="Balances of a member",
    guards=[Require("points:read")],
    responses=problems(404),
)
async def get_balances(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> shapes.Balances:
    """What can be spent, is pending, on hold and owed, for every unit. Points past their moment are not counted."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await reading.balances(connection, member_id=member.id)
    return shapes.Balances(data=[shapes.balance_answer(balance) for balance in found])


@get(
    "/members/{member_id:str}/points/lots",
    operation_id="listLots",
    summary="Lots of a member",
    guards=[Require("points:read")],
    responses=problems(404),
)
async def list_lots(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    unit: Unit = "points",
    *,
    only_open: Annotated[bool, QueryParameter(description="Leave out lots that are used up or expired.")] = True,
) -> shapes.Lots:
    """Points by when they expire, in the order in which they will be spent; at most 1,000."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await reading.lots(connection, member_id=member.id, unit=unit, only_open=only_open)
    return shapes.Lots(data=[shapes.lot_answer(lot) for lot in found])


@get(
    "/members/{member_id:str}/points/entries",
    operation_id="listEntries",
    summary="History of a member's points",
    guards=[Require("points:read")],
    responses=problems(404),
)
async def list_entries(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    unit: Unit = "points",
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Entries:
    """Every entry, newest first, those of members who were merged into this one included."""
    before = read_cursor(cursor, tuple[datetime, int, UUID]) if cursor is not None else None
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        people = await person_ids(connection, member_id=member.id)
        found = await reading.history(connection, member_ids=people, unit=unit, before=before, limit=limit)
    last = found[-1] if len(found) == limit else None
    return shapes.Entries(
        data=[shapes.entry_answer(entry) for entry in found],
        next_cursor=write_cursor(*last.place) if last else None,
    )


@get(
    "/members/{member_id:str}/points/as-of",
    operation_id="getBalanceAsOf",
    summary="Balance at a past moment",
    guards=[Require("points:read")],
    responses=problems(404),
)
async def get_balance_as_of(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    moment: Annotated[datetime, QueryParameter(description="RFC 3339, with its offset.")],
    unit: Unit = "points",
    known: Annotated[
        Literal["then", "now"],
        QueryParameter(description="`then`: what had been recorded by it. `now`: what took effect by it."),
    ] = "now",
) -> shapes.PositionAnswer:
    """The balance as it was, as known then or as known now."""
    moment = utc(moment, field="moment")
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await as_of(connection, member_id=member.id, unit=unit, moment=moment, known=known)
    return shapes.position_answer(found)


@post(
    "/members/{member_id:str}/points/spend",
    operation_id="spendPoints",
    summary="Spend points",
    guards=[Require("points:write")],
    middleware=[SPEND],
    responses=keyed_problems(404),
)
async def spend_points(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.SpendRequest],
) -> Response[shapes.PostingAnswer]:
    """Spend points at once. To set them aside at a till first, use holds or redemptions."""
    return await post_one(services, caller, idempotency_key, member_id, data, postings.spend)


@post(
    "/members/{member_id:str}/points/confirm",
    operation_id="confirmPoints",
    summary="Confirm pending points",
    guards=[Require("points:write")],
    middleware=[PlainPosting(shapes.ConfirmRequest, postings.confirm)],
    responses=keyed_problems(404),
)
async def confirm_points(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ConfirmRequest],
) -> Response[shapes.PostingAnswer]:
    """Make the pending points of an earn spendable, because what they waited for has happened."""
    return await post_one(services, caller, idempotency_key, member_id, data, postings.confirm)


@post(
    "/members/{member_id:str}/points/adjust",
    operation_id="adjustPoints",
    summary="Adjust points by hand",
    guards=[Require("points:write")],
    middleware=[PlainPosting(shapes.AdjustRequest, postings.adjust)],
    responses=keyed_problems(404),
)
async def adjust_points(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.AdjustRequest],
) -> Response[shapes.PostingAnswer]:
    """Give or take points by hand. Above the unit's limit a second person has to approve."""
    return await post_one(services, caller, idempotency_key, member_id, data, postings.adjust)


@post(
    "/members/{member_id:str}/points/transfer",
    operation_id="transferPoints",
    summary="Give points to another member",
    guards=[Require("points:write")],
    responses=keyed_problems(404),
)
async def transfer_points(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.TransferRequest],
) -> Response[shapes.PostingAnswer]:
    """Give points to another member of the programme; they keep their expiry. Answers with the giver's posting."""
    key = ledger_key(caller, idempotency_key)
    async with services.transaction() as connection:
        giver = await posting_member(connection, caller, member_id, key=key)
        receiver = await writing_member(connection, caller, data.to_member_id, field="to_member_id")
        made = await transfer(
            connection,
            programme_id=caller.programme_id,
            from_member_id=giver,
            to_member_id=receiver.id,
            unit=data.unit,
            amount=data.amount,
            key=key,
            source=data.source,
        )
        # The ledger does not count `source` as part of the request; to a client of the API it is.
        if made.replayed and (await sources(connection, postings=[made]))[0] not in (None, data.source):
            raise IdempotencyMismatchError("this key was used for another request", field=HEADER)
    return answer(shapes.posting_answer(made), status=STATUS, replayed=made.replayed)


router: Final = Router(
    path="/",
    tags=["Points"],
    route_handlers=[
        get_balances,
        list_lots,
        list_entries,
        get_balance_as_of,
        get_entry_proof,
        spend_points,
        confirm_points,
        adjust_points,
        transfer_points,
    ],
)
