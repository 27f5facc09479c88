"""Postings that somebody asks for: many in one transaction, each with a result of its own.

What one request alone is owed, every one of a batch is: it is posted to whoever the member is today, a repetition is
answered as it was at first, wherever that was posted, what was earned counts towards tiers at once and what was taken
back no longer does. A batch takes three round trips, however many it holds: members and ledger together, the tiers, the
COMMIT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.batch import Batch, post_many
from ledger.operations import ClawBack, Earn, Hold, Operation, Reverse
from ledger.posted import Reversal, keys_posted, sources, taken_back
from ledger.posting import Posting
from loyalty.campaigns.awards import LADDER_UNITS
from loyalty.kit.driver import lock_patience, uuid_array
from loyalty.kit.errors import DomainError, IdempotencyMismatchError
from loyalty.members.holding import hold_active, persons_ids
from loyalty.members.member import MemberErasedError, keep_unmerged
from redemption.checks import read_clock
from tiers.counting import Activity, count_activities

Result = Posting | DomainError

_POST_TO_ACTIVE: Final = "SELECT place, refusal, figures, (answer).* FROM post_to_active(%s, %s, %s::uuid[], %s::json)"


class HoldFor(msgspec.Struct, frozen=True, kw_only=True):
    """Points to set aside for so many seconds from when it is posted, by the ledger's clock."""

    member_id: UUID
    unit: str = "points"
    amount: int
    hold_id: UUID
    seconds: int
    key: str
    source: str


Request = Operation | HoldFor
"""What can be asked for. `member_id` is whoever the caller means, merged or not."""


async def post_requests(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    requests: Sequence[Request],
    lock_patience_ms: int | None = None,
) -> list[Result]:
    """Post each request, those of one member in their order, and answer each: its posting, or why it was refused.

    What is refused is undone alone; the rest is committed with the transaction. `lock_patience_ms` bounds how long to
    wait for each member that somebody else works on. Raises what the database raises, such as UnavailableError for a
    member that stays locked: then nothing is posted.
    """
    operations = _as_asked(requests)
    answers = await _post_to_active(connection, programme_id, operations, lock_patience_ms) if operations else None
    places: Sequence[int] = range(len(requests))
    results: list[Result | None] = [None] * len(requests)
    if operations is None or answers is None:
        accounts = await _accounts(connection, programme_id, requests, lock_patience_ms)
        results = [account if isinstance(account, DomainError) else None for account in accounts]
        places = [place for place, result in enumerate(results) if result is None]
        operations = await _address(
            connection, [requests[place] for place in places], [accounts[place] for place in places]
        )
        answers = await post_many(connection, programme_id=programme_id, postings=operations)
    answers = await _refuse_other_sources(connection, operations, answers)
    activities = await _activities(connection, operations, answers)
    await count_activities(connection, programme_id=programme_id, activities=activities)
    for place, answer in zip(places, answers, strict=True):
        results[place] = answer
    return [result for result in results if result is not None]


def _as_asked(requests: Sequence[Request]) -> Sequence[Operation] | None:
    """The requests themselves, where they are what the ledger posts once their members are known to be active."""
    operations = [request for request in requests if not isinstance(request, HoldFor | Reverse)]
    return operations if len(operations) == len(requests) else None


async def _post_to_active(
    connection: AsyncConnection, programme_id: UUID, operations: Sequence[Operation], lock_patience_ms: int | None
) -> list[Result] | None:
    """Hold the members and post, in one statement; None, with nothing posted, where one is merged, erased or unknown.

    It is what nearly every batch is: while it is under way the process answers the batch before.
    """
    batch = Batch(operations)
    members = uuid_array({operation.member_id for operation in operations})
    return await batch.fetch(
        connection, _POST_TO_ACTIVE, (programme_id, lock_patience(lock_patience_ms), members, batch.items)
    )


async def _accounts(
    connection: AsyncConnection, programme_id: UUID, requests: Sequence[Request], lock_patience_ms: int | None
) -> list[UUID | DomainError]:
    """Whose account each request is posted to: nobody merges or erases them before the transaction ends."""
    active = await hold_active(
        connection,
        programme_id=programme_id,
        member_ids=[request.member_id for request in requests],
        lock_patience_ms=lock_patience_ms,
    )
    others = {request.member_id for request in requests} - active
    if not others:
        return [request.member_id for request in requests]
    now = {member_id: await _member_now(connection, programme_id, member_id) for member_id in sorted(others)}
    # A posting that is repeated after a merge is answered by the account that it was posted to.
    before = await keys_posted(
        connection, keys=[(request.member_id, request.key) for request in requests if request.member_id in others]
    )
    return [
        request.member_id
        if request.member_id in active or (request.member_id, request.key) in before
        else now[request.member_id]
        for request in requests
    ]


async def _member_now(connection: AsyncConnection, programme_id: UUID, member_id: UUID) -> UUID | DomainError:
    try:
        member = await keep_unmerged(connection, programme_id=programme_id, member_id=member_id)
    except DomainError as error:
        return error
    if member.state == "erased":
        return MemberErasedError("this member was erased", field="member_id")
    return member.id


async def _address(
    connection: AsyncConnection, requests: Sequence[Request], accounts: Sequence[UUID | DomainError]
) -> list[Operation]:
    """The requests as they are posted: to the account, and a reversal knowing all accounts of its person."""
    pairs = list(zip(requests, accounts, strict=True))
    reversing = {account for request, account in pairs if isinstance(request, Reverse) and isinstance(account, UUID)}
    people = await persons_ids(connection, member_ids=reversing) if reversing else {}
    now = await read_clock(connection) if any(isinstance(request, HoldFor) for request in requests) else None
    return [_addressed(request, account, people, now) for request, account in pairs if isinstance(account, UUID)]


def _addressed(
    request: Request, account: UUID, people: Mapping[UUID, Sequence[UUID]], now: datetime | None
) -> Operation:
    if isinstance(request, HoldFor):
        assert now is not None  # noqa: S101  (it was read because of this request)
        return Hold(
            member_id=account,
            unit=request.unit,
            amount=request.amount,
            hold_id=request.hold_id,
            expires_at=now + timedelta(seconds=request.seconds),
            key=request.key,
            source=request.source,
        )
    if isinstance(request, Reverse):
        origin = request.origin_member_id or request.member_id
        return msgspec.structs.replace(request, member_id=account, origin_member_id=origin, accounts=people[account])
    return request if request.member_id == account else msgspec.structs.replace(request, member_id=account)


async def _refuse_other_sources(
    connection: AsyncConnection, operations: Sequence[Operation], results: list[Result]
) -> list[Result]:
    """The ledger does not count `source` as part of a request; to who asks for a posting it is."""
    replays = [
        (place, result) for place, result in enumerate(results) if isinstance(result, Posting) and result.replayed
    ]
    if not replays:
        return results
    first = await sources(connection, postings=[posting for _, posting in replays])
    for (place, _), source in zip(replays, first, strict=True):
        if source not in (None, operations[place].source):
            results[place] = IdempotencyMismatchError("this key was used for another request", field="key")
    return results


async def _activities(
    connection: AsyncConnection, operations: Sequence[Operation], results: Sequence[Result]
) -> list[Activity]:
    """What counts towards tiers: earned points, and what is no longer earned off the day on which it counted."""
    activities: list[Activity] = []
    reversals: list[tuple[Reverse, Posting]] = []
    for operation, result in zip(operations, results, strict=True):
        if isinstance(result, DomainError) or result.replayed or operation.unit not in LADDER_UNITS:
            continue
        if isinstance(operation, Earn | ClawBack):
            moment = operation.effective_at or result.recorded_at
            amount = operation.amount if isinstance(operation, Earn) else -operation.amount
            activities.append(
                Activity(
                    member_id=operation.member_id,
                    metric=operation.unit,
                    amount=amount,
                    counts_at=moment,
                    happened_at=moment,
                    cause=operation.source,
                )
            )
        elif isinstance(operation, Reverse):
            reversals.append((operation, result))
    return activities + await _no_longer_earned(connection, reversals)


async def _no_longer_earned(
    connection: AsyncConnection, reversals: Sequence[tuple[Reverse, Posting]]
) -> list[Activity]:
    if not reversals:
        return []
    found = await taken_back(
        connection,
        reversals=[
            Reversal(
                posting=posting,
                origin_member_id=operation.origin_member_id or operation.member_id,
                sequence=operation.sequence,
            )
            for operation, posting in reversals
        ],
    )
    return [
        Activity(
            member_id=operation.member_id,
            metric=operation.unit,
            amount=-taken.amount,
            counts_at=taken.earned_at,
            happened_at=operation.effective_at or posting.recorded_at,
            cause=operation.source,
        )
        for (operation, posting), taken in zip(reversals, found, strict=True)
        if taken is not None
    ]
