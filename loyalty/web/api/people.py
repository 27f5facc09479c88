"""Which member an operation is about."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from litestar.params import PathParameter
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import find_posting
from loyalty.kit.ids import parse_public_id
from loyalty.members.member import (
    MEMBER_COLUMNS,
    MEMBER_PREFIX,
    Member,
    MemberErasedError,
    get_member,
    keep_unmerged,
    member_of_row,
)
from loyalty.members.tables import member_table
from loyalty.web.security.api_keys import Caller

MemberId = Annotated[
    str,
    PathParameter(
        pattern=f"^{MEMBER_PREFIX}_[0-9A-Za-z]{{26}}$",
        description="The member's id. One that was merged means the member it was merged into.",
    ),
]


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
    # Nearly always the member is simply there: then reading and holding it is one statement.
    parameters = {"member": identifier, "programme": caller.programme_id}
    row = (await connection.execute(_HELD, parameters)).first()
    if row is not None and row.state == "active":
        return member_of_row(row)
    member = await keep_unmerged(connection, programme_id=caller.programme_id, member_id=identifier)
    if member.state == "erased":
        raise MemberErasedError("this member was erased", field=field)
    return member


_HELD: Final = (
    select(*MEMBER_COLUMNS)
    .where(member_table.c.id == bindparam("member"), member_table.c.programme_id == bindparam("programme"))
    .with_for_update(read=True, key_share=True)
)


async def posting_member(connection: AsyncConnection, caller: Caller, member_id: str, *, key: str) -> UUID:
    """The account to post to: `writing_member`'s, or, for a posting repeated after a merge, the one it was posted to.

    Raises NotFoundError and MemberErasedError.
    """
    asked = member_uuid(member_id)
    member = await writing_member(connection, caller, member_id)
    if member.id != asked and await find_posting(connection, member_id=asked, key=key):
        return asked
    return member.id
