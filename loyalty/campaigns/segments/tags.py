"""Tags: words that staff or a system put on members, for segments to ask for."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments.tables import member_tag_table
from loyalty.kit.errors import ConflictError, InvalidInputError
from loyalty.members.member import person_ids

LONGEST: Final = 40
MOST_OF_A_MEMBER: Final = 50
_REFUSED: Final = frozenset(":=,")


class TagCount(msgspec.Struct, frozen=True, kw_only=True):
    """A tag and how many members have it."""

    tag: str
    members: int


def read_tag(text: str) -> str:
    """A tag as it is kept: one spelling for what looks the same, lower case. Raises InvalidInputError (`tag`)."""
    tag = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    if not tag or len(tag) > LONGEST or not tag.isprintable() or _REFUSED & set(tag):
        raise InvalidInputError(f"a tag has from 1 to {LONGEST} printable characters, without : = and ,", field="tag")
    return tag


async def add_tag(
    connection: AsyncConnection, *, programme_id: UUID, member_ids: Collection[UUID], tag: str, added_by: str
) -> str:
    """Put a tag on members of the programme; those who have it keep it as it is. Answers the tag as it is kept.

    Raises InvalidInputError (`tag`), and ConflictError where a member would have more than 50.
    """
    tag = read_tag(tag)
    columns = member_tag_table.c
    rows = [
        {"member_id": member_id, "tag": tag, "programme_id": programme_id, "added_by": added_by}
        for member_id in sorted(set(member_ids))
    ]
    if rows:
        await connection.execute(insert(member_tag_table).on_conflict_do_nothing(), rows)
        most = select(func.count()).where(columns.member_id.in_(member_ids)).group_by(columns.member_id)
        if any(number > MOST_OF_A_MEMBER for number in await connection.scalars(most)):
            raise ConflictError(f"a member has at most {MOST_OF_A_MEMBER} tags", field="tag")
    return tag


async def remove_tag(connection: AsyncConnection, *, member_id: UUID, tag: str) -> None:
    """Take a tag off a person, under every id they were a member as. A tag that is not there is off already."""
    columns = member_tag_table.c
    ids = await person_ids(connection, member_id=member_id)
    await connection.execute(delete(member_tag_table).where(columns.member_id.in_(ids), columns.tag == read_tag(tag)))


async def tags_of(connection: AsyncConnection, *, member_id: UUID) -> list[str]:
    """The tags of a person, in their order."""
    columns = member_tag_table.c
    ids = await person_ids(connection, member_id=member_id)
    found = await connection.scalars(select(columns.tag).where(columns.member_id.in_(ids)).distinct())
    return sorted(found)


async def list_tags(connection: AsyncConnection, *, programme_id: UUID, limit: int = 200) -> list[TagCount]:
    """The tags of a programme, those that most members have first."""
    columns = member_tag_table.c
    query = (
        select(columns.tag, func.count().label("members"))
        .where(columns.programme_id == programme_id)
        .group_by(columns.tag)
        .order_by(func.count().desc(), columns.tag)
        .limit(limit)
    )
    return [TagCount(**row) for row in (await connection.execute(query)).mappings()]
