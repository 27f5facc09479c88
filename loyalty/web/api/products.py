"""Pictures and documents of products."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.media import (
    DOCUMENT_BYTES_LIMIT,
    MEDIA_PREFIX,
    Media,
    MediaKind,
    add_media,
    list_media,
    remove_media,
)
from loyalty.items.products import LocalText, get_product
from loyalty.kit.ids import parse_public_id
from loyalty.web.api.items import GtinPath
from loyalty.web.api.items_schemas import LocalTextRequest, read_text
from loyalty.web.api.operations import IdempotencyKey, Require, keyed_problems, problems, tell
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

_BODY_BYTES: Final = 15_000_000
MediaId = Annotated[
    str, PathParameter(pattern=f"^{MEDIA_PREFIX}_[0-9A-Za-z]{{26}}$", description="The picture's or document's id.")
]


class MediaRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture or a document: `content`, a file in base64 (JPEG, PNG or WebP; PDF), or a `link` to one."""

    kind: MediaKind
    content: Annotated[bytes, Meta(min_length=1, max_length=DOCUMENT_BYTES_LIMIT)] | None = None
    link: Annotated[str, Meta(max_length=2000, pattern="^https://")] | None = None
    titles: LocalTextRequest | None = None


class MediaAnswer(Struct, frozen=True, kw_only=True):
    """A picture or a document. `url` is for ever this file, or the link; pictures are told with their size."""

    id: str
    kind: MediaKind
    url: str
    titles: LocalText
    media_type: str | None
    size: int | None
    width: int | None
    height: int | None


class MediaList(Struct, frozen=True, kw_only=True):
    """The pictures, then the documents of a product, in their order."""

    data: list[MediaAnswer]


def _answer(services: Services, media: Media) -> MediaAnswer:
    url = media.address if media.sha256 is None else f"{services.settings.public_url}{media.address}"
    return tell(MediaAnswer, media, id=media.public_id, url=url)


@get(
    "/products/{gtin:str}/media",
    operation_id="listMedia",
    summary="Pictures and documents",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def list_product_media(
    services: NamedDependency[Services], caller: NamedDependency[Caller], gtin: GtinPath
) -> MediaList:
    """What a product is shown with."""
    async with services.transaction() as connection:
        product = await get_product(connection, programme_id=caller.programme_id, gtin=gtin)
        found = await list_media(connection, gtins=[product.gtin])
    return MediaList(data=[_answer(services, media) for media in found])


@post(
    "/products/{gtin:str}/media",
    operation_id="addMedia",
    summary="Add a picture or a document",
    request_max_body_size=_BODY_BYTES,
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def add_product_media(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    gtin: GtinPath,
    idempotency_key: IdempotencyKey,
    data: JSONBody[MediaRequest],
) -> Response[MediaAnswer]:
    """Show a product with a picture or a document. Pictures are drawn anew, without what they hide, for phones."""

    async def work(connection: AsyncConnection) -> MediaAnswer:
        media = await add_media(
            connection,
            programme_id=caller.programme_id,
            gtin=gtin,
            kind=data.kind,
            content=data.content,
            link=data.link,
            titles=read_text(data.titles),
        )
        return _answer(services, media)

    request = {"gtin": gtin, "media": data}
    return await once(services, caller, idempotency_key, operation="addMedia", request=request, status=201, work=work)


@delete(
    "/products/{gtin:str}/media/{media_id:str}",
    operation_id="removeMedia",
    summary="Remove a picture or a document",
    guards=[Require("items:write")],
    responses=problems(404),
)
async def remove_product_media(
    services: NamedDependency[Services], caller: NamedDependency[Caller], gtin: GtinPath, media_id: MediaId
) -> None:
    """Show it no more. A file that nothing else shows is deleted."""
    identifier = parse_public_id(MEDIA_PREFIX, media_id, field="media_id")
    async with services.transaction() as connection:
        product = await get_product(connection, programme_id=caller.programme_id, gtin=gtin)
        await remove_media(connection, programme_id=caller.programme_id, gtin=product.gtin, media_id=identifier)


router: Final = Router(
    path="/", tags=["Items"], route_handlers=[list_product_media, add_product_media, remove_product_media]
)
