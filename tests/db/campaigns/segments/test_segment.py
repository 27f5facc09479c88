"""Segments: drafts that are changed and given up, versions that never change, tags."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments.segment import (
    DraftChangedError,
    change_draft,
    create_segment,
    get_segment,
    get_version,
    list_segments,
    list_versions,
    rename_segment,
    retire_segment,
    save_version,
    segment_audience,
)
from loyalty.campaigns.segments.tags import add_tag, list_tags, read_tag, remove_tag, tags_of
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from loyalty.members.tables import member_table

ZH = {"rule": "compare", "field": "language", "op": "eq", "value": "zh"}
EN = {"rule": "compare", "field": "language", "op": "eq", "value": "en"}


async def test_a_segment_is_its_saved_versions_and_a_draft(connection: AsyncConnection, programme: Programme) -> None:
    mine: dict[str, Any] = {"programme_id": programme.id}
    segment = await create_segment(connection, **mine, name="  Chinese   speakers ")
    here: dict[str, Any] = mine | {"segment_id": segment.id}
    assert (segment.name, segment.version, segment.draft) == ("Chinese speakers", 0, None)
    with pytest.raises(NotFoundError):
        await get_version(connection, **here)

    drafted = await change_draft(connection, **here, draft=ZH, seen_number=0, changed_by="Ann")
    with pytest.raises(DraftChangedError, match="Ann"):
        await change_draft(connection, **here, draft=EN, seen_number=0, changed_by="Bob")
    first = await save_version(connection, **here, rule=drafted.draft, saved_by="Ann", note="to begin with")
    assert await save_version(connection, **here, rule=ZH, saved_by="Bob") == first  # nothing new
    second = await save_version(connection, **here, rule=EN, saved_by="Bob")

    after = await get_segment(connection, **here)
    assert (after.version, after.draft) == (2, None)
    assert list(await list_versions(connection, **here)) == [second, first]
    assert (await segment_audience(connection, **here)).rule == second.rule
    assert (await segment_audience(connection, **here, version=1)).rule == first.rule
    with pytest.raises(InvalidInputError) as refused:
        await save_version(connection, **here, rule=ZH | {"field": "phone"}, saved_by="Ann")
    assert refused.value.field == "rule.field"
    with pytest.raises(DBAPIError, match="never changes"):
        await connection.execute(text("UPDATE segment_version SET note = 'x'"))


async def test_names_are_taken_once_and_retired_segments_are_out_of_the_way(
    connection: AsyncConnection, programme: Programme
) -> None:
    mine: dict[str, Any] = {"programme_id": programme.id}
    one = await create_segment(connection, **mine, name="One")
    two = await create_segment(connection, **mine, name="Two")
    for name in ("One", "", "x" * 81):
        with pytest.raises((ConflictError, InvalidInputError)):
            await create_segment(connection, **mine, name=name)
    with pytest.raises(ConflictError):
        await rename_segment(connection, **mine, segment_id=two.id, name="One")
    await rename_segment(connection, **mine, segment_id=two.id, name="Deux")
    await retire_segment(connection, **mine, segment_id=one.id)
    assert [each.name for each in await list_segments(connection, **mine)] == ["Deux"]
    assert [each.name for each in await list_segments(connection, **mine, retired=True)] == ["Deux", "One"]
    with pytest.raises(NotFoundError):
        await get_segment(connection, programme_id=new_id(), segment_id=one.id)


async def make_member(connection: AsyncConnection, programme: Programme, merged_into: UUID | None = None) -> UUID:
    member_id = new_id()
    await connection.execute(
        insert(member_table).values(
            id=member_id,
            programme_id=programme.id,
            state="merged" if merged_into else "active",
            merged_into=merged_into,
            joined_at=utc_now(),
            joined_channel="online",
        )
    )
    return member_id


async def test_tags_are_a_persons_whichever_member_got_them(connection: AsyncConnection, programme: Programme) -> None:
    member = await make_member(connection, programme)
    absorbed = await make_member(connection, programme, merged_into=member)
    mine: dict[str, Any] = {"programme_id": programme.id, "added_by": "test"}
    assert await add_tag(connection, **mine, member_ids=[member, absorbed], tag=" ＶＩＰ ") == "vip"
    assert await add_tag(connection, **mine, member_ids=[absorbed], tag="老客户") == "老客户"
    assert await tags_of(connection, member_id=member) == ["vip", "老客户"]
    assert [each.tag for each in await list_tags(connection, programme_id=programme.id)] == ["vip", "老客户"]
    await remove_tag(connection, member_id=member, tag="VIP")
    assert await tags_of(connection, member_id=member) == ["老客户"]
    for text_ in ("", "a:b", "a=b", "x" * 41, "a,b"):
        with pytest.raises(InvalidInputError):
            read_tag(text_)
    for number in range(49):
        await add_tag(connection, **mine, member_ids=[absorbed], tag=f"tag {number}")
    with pytest.raises(ConflictError):
        await add_tag(connection, **mine, member_ids=[absorbed], tag="one too many")
