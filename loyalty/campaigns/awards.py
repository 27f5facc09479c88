"""Awards: the one place where a purchase, a claim or an earn through the API becomes points and progress.

An award is an earn in the ledger and, for the units that ladders count, activity of the member; a tier is raised at
once. Taking back is the same the other way: a reversal of the pinned earn, and activity taken off the day it counted
on. Tiers are never lowered here: their review does that, with its grace period.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from ledger.batch import earn_many, post_many
from ledger.operations import UNIT_POLICY, ClawBack, Earn, Expiry, Reverse
from ledger.posting import Posting
from loyalty.kit.errors import DomainError
from tiers.counting import Activity, count_activities

LADDER_UNITS: Final = ("points", "growth")
"""Units that ladders count by name; others are only kept in the ledger."""


class Award(msgspec.Struct, frozen=True, kw_only=True):
    """Points to give for something that happened at `effective_at`; `key` makes it happen once for the member."""

    member_id: UUID
    unit: str
    amount: int
    key: str
    source: str
    effective_at: datetime
    rule_version: str | None = None


class TakeBack(msgspec.Struct, frozen=True, kw_only=True):
    """Earned points to take back, of the posting `sequence` where one is known; what is not there becomes debt.

    They count off the ladder's day of `counts_at`. Where members were merged since: `member_id` is who pays now,
    `origin_member_id` whose posting it was, `accounts` all ids of this person.
    """

    member_id: UUID
    unit: str
    amount: int
    key: str
    source: str
    effective_at: datetime
    counts_at: datetime
    sequence: int | None = None
    origin_member_id: UUID | None = None
    accounts: Sequence[UUID] = ()
    rule_version: str | None = None


async def award(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    unit: str = "points",
    amount: int,
    key: str,
    source: str,
    rule_version: str | None = None,
    effective_at: datetime | None = None,
    expires_at: Expiry = UNIT_POLICY,
    available_at: datetime | Literal["on_event"] | None = None,
    priority: int = 0,
) -> Posting:
    """Give points and count them towards the member's tier, at once for both. Arguments and errors as `posting.earn`.

    Points that are pending count already: they were earned. Repeated with its key it answers the first posting, and
    nothing counts twice.
    """
    posted = await posting.earn(
        connection,
        programme_id=programme_id,
        member_id=member_id,
        unit=unit,
        amount=amount,
        key=key,
        source=source,
        rule_version=rule_version,
        effective_at=effective_at,
        expires_at=expires_at,
        available_at=available_at,
        priority=priority,
    )
    if unit in LADDER_UNITS and not posted.replayed:
        moment = effective_at or posted.recorded_at
        earned = Activity(
            member_id=member_id, metric=unit, amount=amount, counts_at=moment, happened_at=moment, cause=source
        )
        await count_activities(connection, programme_id=programme_id, activities=[earned])
    return posted


async def award_many(
    connection: AsyncConnection, *, programme_id: UUID, awards: Sequence[Award], activities: Sequence[Activity] = ()
) -> list[Posting]:
    """Give the points of many awards, in their order, and count them and further `activities` towards tiers.

    Awards of one member should follow each other in time, members in the order of their ids: postings lock accounts,
    and two batches that lock them in the same order do not deadlock.
    """
    earns = [
        Earn(
            member_id=award.member_id,
            unit=award.unit,
            amount=award.amount,
            key=award.key,
            source=award.source,
            effective_at=award.effective_at,
            rule_version=award.rule_version,
        )
        for award in awards
    ]
    postings = await earn_many(connection, programme_id=programme_id, earns=earns)
    earned = [
        Activity(
            member_id=award.member_id,
            metric=award.unit,
            amount=award.amount,
            counts_at=award.effective_at,
            happened_at=award.effective_at,
            cause=award.source,
        )
        for award, posted in zip(awards, postings, strict=True)
        if award.unit in LADDER_UNITS and not posted.replayed
    ]
    await count_activities(connection, programme_id=programme_id, activities=[*earned, *activities])
    return postings


async def take_back(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    take_backs: Sequence[TakeBack],
    activities: Sequence[Activity] = (),
) -> list[Posting]:
    """Take earned points back in the ledger and off the tiers' activity; `activities` count with them.

    Raises OverReversalError where more is taken of a posting than is left of it, EntryNotFoundError.
    """
    postings: list[Posting] = []
    asked = [_asked(taken) for taken in take_backs]
    for result in await post_many(connection, programme_id=programme_id, postings=asked):
        if isinstance(result, DomainError):
            raise result
        postings.append(result)
    lost = [
        Activity(
            member_id=taken.member_id,
            metric=taken.unit,
            amount=-taken.amount,
            counts_at=taken.counts_at,
            happened_at=taken.effective_at,
            cause=taken.source,
        )
        for taken, posted in zip(take_backs, postings, strict=True)
        if taken.unit in LADDER_UNITS and not posted.replayed
    ]
    await count_activities(connection, programme_id=programme_id, activities=[*lost, *activities])
    return postings


def _asked(taken: TakeBack) -> ClawBack | Reverse:
    """What taking back asks of the ledger: the posting's reversal, or a claw-back where none is known."""
    if taken.sequence is None:
        return ClawBack(
            member_id=taken.member_id,
            unit=taken.unit,
            amount=taken.amount,
            key=taken.key,
            source=taken.source,
            rule_version=taken.rule_version,
            effective_at=taken.effective_at,
        )
    return Reverse(
        member_id=taken.member_id,
        unit=taken.unit,
        sequence=taken.sequence,
        amount=taken.amount,
        key=taken.key,
        source=taken.source,
        effective_at=taken.effective_at,
        origin_member_id=taken.origin_member_id,
        accounts=taken.accounts,
    )
