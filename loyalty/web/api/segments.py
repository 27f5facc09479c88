"""Segments: groups of members by rule, for programs that send to them; and the tags of members."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from litestar import Response, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments.audience import audience, count
from loyalty.campaigns.segments.segment import (
    SEGMENT_PREFIX,
    create_segment,
    get_segment,
    get_version,
    list_segments,
    list_versions,
    read_rule,
    save_version,
    segment_audience,
    segment_uuid,
)
from loyalty.campaigns.segments.tags import LONGEST, add_tag, remove_tag, tags_of
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.api import segments_schemas as shapes
from loyalty.web.api.operations import (
    PAGE_SIZE,
    Cursor,
    IdempotencyKey,
    Limit,
    Require,
    body_problems,
    keyed_problems,
    problems,
    read_cursor,
    tell,
    write_cursor,
)
from loyalty.web.api.people import MemberId, reading_member, writing_member
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

SegmentId = Annotated[
    str, PathParameter(pattern=f"^{SEGMENT_PREFIX}_[0-9A-Za-z]{{26}}$", description="The segment's id.")
]
TagName = Annotated[str, PathParameter(min_length=1, max_length=LONGEST, description="The tag.")]
Version = Annotated[
    int | None, QueryParameter(ge=1, le=2**31 - 1, description="A saved version; left out, the newest.")
]


@get(
    "/segments",
    operation_id="listSegments",
    summary="List segments",
    guards=[Require("members:read")],
    responses=problems(),
)
async def list_all_segments(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> shapes.Segments:
    """The segments in use, by name."""
    async with services.transaction() as connection:
        found = await list_segments(connection, programme_id=caller.programme_id)
    return shapes.Segments(data=[shapes.segment_answer(segment) for segment in found])


@post(
    "/segments",
    operation_id="createSegment",
    summary="Make a segment",
    guards=[Require("members:write")],
    responses=keyed_problems(),
)
async def create_one_segment(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.SegmentRequest],
) -> Response[shapes.SegmentAnswer]:
    """Make a segment with its first version."""

    async def work(connection: AsyncConnection) -> shapes.SegmentAnswer:
        mine = caller.programme_id
        made = await create_segment(connection, programme_id=mine, name=data.name)
        await save_version(
            connection, programme_id=mine, segment_id=made.id, rule=data.rule, note=data.note, saved_by=_by(caller)
        )
        return shapes.segment_answer(await get_segment(connection, programme_id=mine, segment_id=made.id))

    return await once(services, caller, idempotency_key, operation="createSegment", request=data, status=201, work=work)


def _by(caller: Caller) -> str:
    return f"api:{caller.key.prefix}"


@post(
    "/segments/count",
    operation_id="countByRule",
    summary="Count members by a rule",
    guards=[Require("members:read")],
    responses=body_problems(),
    status_code=200,
)
async def count_by_rule(
    services: NamedDependency[Services], caller: NamedDependency[Caller], data: JSONBody[shapes.CountRequest]
) -> shapes.CountAnswer:
    """How many members a rule matches now; of a large programme an estimate. Nothing is kept."""
    rule = read_rule(data.rule)
    async with services.transaction() as connection:
        found = await count(connection, await audience(connection, programme_id=caller.programme_id, rule=rule))
    return tell(shapes.CountAnswer, found)


@get(
    "/segments/{segment_id:str}",
    operation_id="getSegment",
    summary="A segment",
    guards=[Require("members:read")],
    responses=problems(404),
)
async def get_one_segment(
    services: NamedDependency[Services], caller: NamedDependency[Caller], segment_id: SegmentId
) -> shapes.SegmentAnswer:
    """One segment."""
    async with services.transaction() as connection:
        found = await get_segment(connection, programme_id=caller.programme_id, segment_id=segment_uuid(segment_id))
    return shapes.segment_answer(found)


@get(
    "/segments/{segment_id:str}/versions",
    operation_id="listSegmentVersions",
    summary="A segment's versions",
    guards=[Require("members:read")],
    responses=problems(404),
)
async def list_segment_versions(
    services: NamedDependency[Services], caller: NamedDependency[Caller], segment_id: SegmentId
) -> shapes.Versions:
    """Every version that was saved, newest first, with its rule."""
    mine, identifier = caller.programme_id, segment_uuid(segment_id)
    async with services.transaction() as connection:
        await get_segment(connection, programme_id=mine, segment_id=identifier)
        found = await list_versions(connection, programme_id=mine, segment_id=identifier)
    return shapes.Versions(data=[shapes.version_answer(version) for version in found])


@post(
    "/segments/{segment_id:str}/versions",
    operation_id="saveSegmentVersion",
    summary="Save a segment's next version",
    guards=[Require("members:write")],
    responses=keyed_problems(404),
)
async def save_segment_version(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    segment_id: SegmentId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.VersionRequest],
) -> Response[shapes.VersionAnswer]:
    """Save the next version. One equal to the newest saves nothing and is answered."""

    async def work(connection: AsyncConnection) -> shapes.VersionAnswer:
        saved = await save_version(
            connection,
            programme_id=caller.programme_id,
            segment_id=segment_uuid(segment_id),
            rule=data.rule,
            note=data.note,
            saved_by=_by(caller),
        )
        return shapes.version_answer(saved)

    request = {"segment": segment_id, "version": data}
    return await once(
        services, caller, idempotency_key, operation="saveSegmentVersion", request=request, status=201, work=work
    )


@get(
    "/segments/{segment_id:str}/count",
    operation_id="countSegment",
    summary="Count a segment's members",
    guards=[Require("members:read")],
    responses=problems(404),
)
async def count_segment(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    segment_id: SegmentId,
    version: Version = None,
) -> shapes.CountAnswer:
    """How many members a saved version has now; of a large programme an estimate."""
    async with services.transaction() as connection:
        asked = await segment_audience(
            connection, programme_id=caller.programme_id, segment_id=segment_uuid(segment_id), version=version
        )
        found = await count(connection, asked)
    return tell(shapes.CountAnswer, found)


@get(
    "/segments/{segment_id:str}/members",
    operation_id="listSegmentMembers",
    summary="A segment's members",
    guards=[Require("members:read")],
    responses=problems(404),
)
async def list_segment_members(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    segment_id: SegmentId,
    version: Version = None,
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.SegmentMembers:
    """Who is in a saved version now, in the order of their ids; later pages keep to the version of the first."""
    after, pinned = read_cursor(cursor, tuple[UUID, int]) if cursor is not None else (None, version)
    here = {"programme_id": caller.programme_id, "segment_id": segment_uuid(segment_id)}
    async with services.transaction() as connection:
        saved = await get_version(connection, **here, version=pinned)
        asked = await audience(connection, programme_id=caller.programme_id, rule=saved.rule)
        found = list(await connection.scalars(asked.page(after=after, limit=limit)))
    return shapes.SegmentMembers(
        data=[public_id(MEMBER_PREFIX, member_id) for member_id in found],
        version=saved.version,
        next_cursor=write_cursor(found[-1], saved.version) if len(found) == limit else None,
    )


@get(
    "/members/{member_id:str}/tags",
    operation_id="listTags",
    summary="A member's tags",
    guards=[Require("members:read")],
    responses=problems(404),
)
async def list_member_tags(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> shapes.Tags:
    """The words that staff and systems put on the member."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        tags = await tags_of(connection, member_id=member.id)
    return shapes.Tags(data=tags)


@put(
    "/members/{member_id:str}/tags/{tag:str}",
    operation_id="addTag",
    summary="Tag a member",
    guards=[Require("members:write")],
    responses=problems(404, 409),
)
async def add_member_tag(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    tag: TagName,
) -> shapes.Tags:
    """Put a tag on the member, kept in lower case. A tag that is there already stays as it is: repeat as you like."""
    async with services.transaction() as connection:
        member = await writing_member(connection, caller, member_id)
        await add_tag(
            connection, programme_id=caller.programme_id, member_ids=[member.id], tag=tag, added_by=_by(caller)
        )
        tags = await tags_of(connection, member_id=member.id)
    return shapes.Tags(data=tags)


@delete(
    "/members/{member_id:str}/tags/{tag:str}",
    operation_id="removeTag",
    summary="Take a tag off a member",
    guards=[Require("members:write")],
    responses=problems(404, 409),
)
async def remove_member_tag(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId, tag: TagName
) -> None:
    """Take a tag off the member. One that is not there is off already."""
    async with services.transaction() as connection:
        member = await writing_member(connection, caller, member_id)
        await remove_tag(connection, member_id=member.id, tag=tag)


router: Final = Router(
    path="/",
    tags=["Segments"],
    route_handlers=[
        list_all_segments,
        create_one_segment,
        count_by_rule,
        get_one_segment,
        list_segment_versions,
        save_segment_version,
        count_segment,
        list_segment_members,
        list_member_tags,
        add_member_tag,
        remove_member_tag,
    ],
)
