"""Which member an operation is about."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar.params import PathParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import find_posting
from loyalty.kit.errors import ConflictError
from loyalty.kit.ids import parse_public_id
from loyalty.members.member import MEMBER_PREFIX, Member, get_member, keep_unmerged
from loyalty.web.security.api_keys import Caller

MemberId = Annotated[
    str,
    PathParameter(
        pattern=f"^{MEMBER_PREFIX}_[0-9A-Za-z]{{26}}$",
        description="The member's id. One that was merged means the member it was merged into.",
    ),
]


class MemberErasedError(ConflictError):
    """The member asked to be forgotten; nothing is posted or recorded for it any more."""

    type = "member-erased"
    title = "This member was erased"


def member_uuid(member_id: str, *, field: str = "member_id") -> UUID:
    """The UUID in a member's id. Raises NotFoundError."""
    return parse_public_id(MEMBER_PREFIX, member_id, field=field)


async def reading_member(connection: AsyncConnection, caller: Caller, member_id: str) -> Member:
    """The member to read about, merges followed. Raises NotFoundError."""
    return await get_member(connection, programme_id=caller.programme_id, member_id=member_id)


async def writing_member(
    connection: AsyncConnection, caller: Caller, member_id: str, *, field: str = "member_id"
) -> Member:
    """The member to write to, merges followed; nobody merges or erases it meanwhile.

    Raises NotFoundError and MemberErasedError.
    """
    identifier = member_uuid(member_id, field=field)
    member = await keep_unmerged(connection, programme_id=caller.programme_id, member_id=identifier)
    if member.state == "erased":
        raise MemberErasedError("this member was erased", field=field)
    return member


async def posting_member(connection: AsyncConnection, caller: Caller, member_id: str, *, key: str) -> UUID:
    """The account to post to: `writing_member`'s, or, for a posting repeated after a merge, the one it was posted to.

    Raises NotFoundError and MemberErasedError.
    """
    asked = member_uuid(member_id)
    member = await writing_member(connection, caller, member_id)
    if member.id != asked and await find_posting(connection, member_id=asked, key=key):
        return asked
    return member.id
