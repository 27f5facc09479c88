"""Links: where a product's code leads, for programs that manage it."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from litestar import Response, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.links.levels import write_path
from loyalty.items.links.link import add_link, change_link, get_link, link_uuid, list_links, remove_link
from loyalty.web.api import links_schemas as shapes
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
    write_cursor,
)
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

LinkId = Annotated[
    str, PathParameter(pattern=f"^{shapes.LINK_PREFIX}_[0-9A-Za-z]{{26}}$", description="The link's id.")
]
KeyName = Annotated[str, QueryParameter(pattern="^[0-9]{2,4}$", description="The GS1 key, 01 for a GTIN.")]
KeyValue = Annotated[str, QueryParameter(min_length=1, max_length=30, description="Its value; a GTIN with 14 digits.")]


@get(
    "/links",
    operation_id="listLinks",
    summary="List links",
    guards=[Require("items:read")],
    responses=problems(),
)
async def list_all_links(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    value: KeyValue,
    key: KeyName = "01",
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Links:
    """Where a thing leads: the links of a key, then those of its variants, lots and items."""
    after = read_cursor(cursor, tuple[str, UUID]) if cursor is not None else None
    async with services.transaction() as connection:
        found = await list_links(
            connection, programme_id=caller.programme_id, key=key, value=value, after=after, limit=limit
        )
    last = found[-1] if len(found) == limit else None
    return shapes.Links(
        data=[shapes.link_answer(link) for link in found],
        next_cursor=write_cursor(write_path(last.qualifiers), last.id) if last else None,
    )


@post(
    "/links",
    operation_id="addLink",
    summary="Add a link",
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def add_one_link(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.LinkRequest],
) -> Response[shapes.LinkAnswer]:
    """Say where a product, a variant, a lot or an item leads. The resolver offers it at once."""

    async def work(connection: AsyncConnection) -> shapes.LinkAnswer:
        added = await add_link(
            connection,
            programme_id=caller.programme_id,
            wanted=shapes.wanted_link(data),
            https_only=not services.settings.http_links,
            own_address=services.settings.public_url,
        )
        return shapes.link_answer(added)

    return await once(services, caller, idempotency_key, operation="addLink", request=data, status=201, work=work)


@get(
    "/links/{link_id:str}",
    operation_id="getLink",
    summary="A link",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_one_link(
    services: NamedDependency[Services], caller: NamedDependency[Caller], link_id: LinkId
) -> shapes.LinkAnswer:
    """One link."""
    async with services.transaction() as connection:
        found = await get_link(connection, programme_id=caller.programme_id, link_id=link_uuid(link_id))
    return shapes.link_answer(found)


@put(
    "/links/{link_id:str}",
    operation_id="changeLink",
    summary="Change a link",
    guards=[Require("items:write")],
    responses=body_problems(404, 409),
)
async def change_one_link(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    link_id: LinkId,
    data: JSONBody[shapes.LinkRequest],
) -> shapes.LinkAnswer:
    """Make a link what the request says, whole. Repeating it changes nothing more."""
    async with services.transaction() as connection:
        changed = await change_link(
            connection,
            programme_id=caller.programme_id,
            link_id=link_uuid(link_id),
            wanted=shapes.wanted_link(data),
            https_only=not services.settings.http_links,
            own_address=services.settings.public_url,
        )
    return shapes.link_answer(changed)


@delete(
    "/links/{link_id:str}",
    operation_id="removeLink",
    summary="Remove a link",
    guards=[Require("items:write")],
    responses=problems(404),
)
async def remove_one_link(
    services: NamedDependency[Services], caller: NamedDependency[Caller], link_id: LinkId
) -> None:
    """Remove a link. The resolver offers it no more."""
    async with services.transaction() as connection:
        await remove_link(connection, programme_id=caller.programme_id, link_id=link_uuid(link_id))


router: Final = Router(
    path="/",
    tags=["Items"],
    route_handlers=[list_all_links, add_one_link, get_one_link, change_one_link, remove_one_link],
)
