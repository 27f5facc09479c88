"""A member: one person in a programme, under one id for good, whoever they were found to be since."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, NotFoundError, UnavailableError
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.members.tables import member_table

MEMBER_PREFIX: Final = "mem"

_MOST_TRIES: Final = 5


class MemberErasedError(ConflictError):
    """The member asked to be forgotten; nothing is posted or recorded for it any more."""

    type = "member-erased"
    title = "This member was erased"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One person in a programme. Personal data is not here: see `profile.read_profiles`.

    `merged_into` is set when `state` is `merged`: this was found to be the same person as that member.
    `joined_channel` is the code of the channel through which the person first came; `locale` is `zh`, `en` or None.
    """

    id: UUID
    programme_id: UUID
    state: Literal["active", "merged", "erased"]
    merged_into: UUID | None
    joined_at: datetime
    joined_channel: str
    locale: str | None

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it: `mem_01K5...`."""
        return public_id(MEMBER_PREFIX, self.id)


MEMBER_COLUMNS: Final = [member_table.c[name] for name in Member.__struct_fields__]


def member_of_row(row: Row[Any]) -> Member:
    """A member from a row that has MEMBER_COLUMNS."""
    return Member(**{name: getattr(row, name) for name in Member.__struct_fields__})


_CHAIN: Final = text("""
    WITH RECURSIVE chain AS (
        SELECT id, merged_into, 0 AS depth FROM member WHERE id = :id AND programme_id = :programme
        UNION ALL
        SELECT m.id, m.merged_into, chain.depth + 1 FROM chain JOIN member m ON m.id = chain.merged_into
    )
    SELECT m.*, chain.depth FROM chain JOIN member m USING (id) ORDER BY chain.depth
""")


async def get_member(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID | str, follow_merges: bool = True
) -> Member:
    """The member of an id (a UUID or `mem_...`); of one that was merged, the member it was merged into.

    With `follow_merges` off, the member as it is, even merged. Raises NotFoundError (member_id).
    """
    identifier = (
        parse_public_id(MEMBER_PREFIX, member_id, field="member_id") if isinstance(member_id, str) else member_id
    )
    rows = (await connection.execute(_CHAIN, {"id": identifier, "programme": programme_id})).all()
    if not rows:
        message = f"there is no member {public_id(MEMBER_PREFIX, identifier)} in this programme"
        raise NotFoundError(message, field="member_id")
    return member_of_row(rows[-1] if follow_merges else rows[0])


async def keep_unmerged(connection: AsyncConnection, *, programme_id: UUID, member_id: UUID) -> Member:
    """The member of an id, as `get_member` gives it, and held: nobody merges or erases it before this transaction ends.

    For a posting that must not land on a member who is being merged at the same moment. Others may do the same at the
    same time. Raises NotFoundError (member_id), UnavailableError.
    """
    identifier = member_id
    for _ in range(_MOST_TRIES):
        member = await get_member(connection, programme_id=programme_id, member_id=identifier)
        held = await connection.scalar(text("SELECT state FROM member WHERE id = :id FOR KEY SHARE"), {"id": member.id})
        if held == member.state:
            return member
    message = "the member is being merged; try again"
    raise UnavailableError(message, field="member_id")


async def person_ids(connection: AsyncConnection, *, member_id: UUID) -> list[UUID]:
    """The ids under which one person has been a member: `member_id` first, then all that were merged into it.

    History, consents and reversals of a merged person are spread over these; the ledger's `reverse` takes them as
    `accounts`.
    """
    rows = await connection.execute(_PERSON, {"id": member_id})
    return list(rows.scalars())


_PERSON: Final = text("""
    WITH RECURSIVE person AS (
        SELECT CAST(:id AS uuid) AS id, 0 AS depth
        UNION ALL
        SELECT m.id, person.depth + 1 FROM person JOIN member m ON m.merged_into = person.id
    )
    SELECT id FROM person ORDER BY depth, id
""")
