"""Reading members for the console and the API: pages, and how many there are."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import exists, func, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError
from loyalty.members.member import MEMBER_COLUMNS, Member, member_of_row
from loyalty.members.tables import member_identity_table, member_table

_MOST_A_PAGE: Final = 1000
_member: Final = member_table.c
_identity: Final = member_identity_table.c


class Place(NamedTuple):
    """Where a page of members ended; the next one begins after it, however many joined meanwhile."""

    joined_at: datetime
    member_id: UUID


class ChannelCount(msgspec.Struct, frozen=True, kw_only=True):
    """Members of one channel: `joined` came through it first and sum to the programme's; `known` are all it knows."""

    channel: str
    joined: int
    known: int


class MemberCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many members a programme has. Merged and erased ones are not among the active."""

    active: int
    merged: int
    erased: int


async def list_members(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    state: Literal["active", "merged", "erased"] | None = "active",
    channel: str | None = None,
    after: Place | None = None,
    limit: int = 50,
) -> list[Member]:
    """A page of members, who joined last first. `channel` keeps those who joined through it or whom it knows.

    The next page is `after=place_of(members[-1])`. Raises InvalidInputError (limit).
    """
    if not 1 <= limit <= _MOST_A_PAGE:
        message = f"from 1 to {_MOST_A_PAGE}"
        raise InvalidInputError(message, field="limit")
    query = select(*MEMBER_COLUMNS).where(_member.programme_id == programme_id)
    if state is not None:
        query = query.where(_member.state == state)
    if channel is not None:
        known = exists().where(_identity.member_id == _member.id, _identity.scope == channel)
        query = query.where(or_(_member.joined_channel == channel, known))
    if after is not None:
        query = query.where(tuple_(_member.joined_at, _member.id) < tuple_(*after))
    query = query.order_by(_member.joined_at.desc(), _member.id.desc()).limit(limit)
    return [member_of_row(row) for row in await connection.execute(query)]


def place_of(member: Member) -> Place:
    """Where in the list a member stands."""
    return Place(member.joined_at, member.id)


async def count_by_channel(connection: AsyncConnection, *, programme_id: UUID) -> list[ChannelCount]:
    """Active members of each channel that has any, the biggest first. Who is known to two channels counts in both."""
    rows = await connection.execute(_COUNT_BY_CHANNEL, {"programme": programme_id})
    return [ChannelCount(channel=row.channel, joined=row.joined, known=row.known) for row in rows]


async def count_members(connection: AsyncConnection, *, programme_id: UUID) -> MemberCounts:
    """How many members a programme has, by state."""
    query = select(_member.state, func.count().label("members")).where(_member.programme_id == programme_id)
    rows = await connection.execute(query.group_by(_member.state))
    counts = {row.state: row.members for row in rows}
    return MemberCounts(active=counts.get("active", 0), merged=counts.get("merged", 0), erased=counts.get("erased", 0))


_COUNT_BY_CHANNEL: Final = text("""
    SELECT channel, count(*) FILTER (WHERE joined) AS joined, count(DISTINCT id) AS known
    FROM (
        SELECT joined_channel AS channel, id, TRUE AS joined FROM member
        WHERE programme_id = :programme AND state = 'active'
        UNION ALL
        SELECT DISTINCT i.scope, i.member_id, FALSE FROM member_identity i JOIN member m ON m.id = i.member_id
        WHERE i.programme_id = :programme AND i.scope <> '' AND m.state = 'active'
    ) AS known
    GROUP BY channel ORDER BY known DESC, channel
""")
