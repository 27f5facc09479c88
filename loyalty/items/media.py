"""Pictures and documents of products: stored here by the hash of what is in them, or links to elsewhere.

What is stored is what was understood. A picture is drawn anew, which leaves out what it hides (where it was taken, a
second file behind it) and makes it no larger than a phone shows; a document has to be a PDF.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import RowMapping, delete, exists, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.media_tables import product_media_table, stored_file_table
from loyalty.items.products import LocalText, get_product
from loyalty.items.tables import product_table
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, public_id

MEDIA_PREFIX: Final = "med"
PICTURE_BYTES_LIMIT: Final = 8 * 1024 * 1024
DOCUMENT_BYTES_LIMIT: Final = 10 * 1024 * 1024
PIXELS_LIMIT: Final = 40_000_000
LONGEST_SIDE: Final = 1600
"""What a picture is scaled down to, in pixels: sharp on any phone."""
MOST_OF_A_KIND: Final = 20

MediaKind = Literal["picture", "document"]

_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_QUALITY: Final = 82
_PDF: Final = b"%PDF-"
_PDF_END: Final = b"%%EOF"
_END_BYTES: Final = 1024
_LINK_LIMIT: Final = 2000
_TITLE_LIMIT: Final = 200
_ENDINGS: Final[Mapping[str, str]] = {"image/webp": "webp", "application/pdf": "pdf"}
_media: Final = product_media_table.c


class TooManyMediaError(ConflictError):
    """A product has as many pictures, or documents, as it can have."""

    type = "too-many-media"
    title = "This product has enough of these"


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A picture or a document of a product, in its place: a file of ours (`sha256`), or a `link`."""

    id: UUID
    gtin: str
    kind: MediaKind
    place: int
    titles: LocalText
    sha256: bytes | None
    link: str | None
    media_type: str | None
    size: int | None
    width: int | None
    height: int | None
    created_at: datetime

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id(MEDIA_PREFIX, self.id)

    @property
    def address(self) -> str:
        """Where it is to be had: a path of this server, which is that file for ever, or the link."""
        if self.sha256 is None:
            return self.link or ""
        return f"/files/{self.sha256.hex()}.{_ENDINGS[self.media_type or '']}"


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file and what it is."""

    media_type: str
    content: bytes


async def add_media(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    kind: MediaKind,
    content: bytes | None = None,
    link: str | None = None,
    titles: LocalText | None = None,
) -> Media:
    """Give a product a picture or a document, after those it has: a file's content, or a link to one.

    Raises NotFoundError where the programme has no such product, InvalidInputError naming the field, TooManyMediaError.
    """
    product = await get_product(connection, programme_id=programme_id, gtin=gtin)
    titles = titles or LocalText()
    if max(len(titles.zh), len(titles.en)) > _TITLE_LIMIT:
        raise InvalidInputError(f"a title has at most {_TITLE_LIMIT} characters", field="titles")
    if (content is None) == (link is None):
        raise InvalidInputError("either a file or a link to one is needed", field="content")
    values: dict[str, Any] = {"link": _checked_link(link)} if link is not None else {}
    if content is not None:
        values = read_picture(content) if kind == "picture" else _read_document(content)
        stored = upsert(stored_file_table).values(
            sha256=values["sha256"], media_type=values["media_type"], content=values.pop("content")
        )
        await connection.execute(stored.on_conflict_do_nothing(index_elements=["sha256"]))
    # Who adds at the same time waits, so that two do not get one place.
    await connection.execute(select(product_table.c.gtin).where(product_table.c.gtin == product.gtin).with_for_update())
    query = select(func.count(), func.coalesce(func.max(_media.place), 0)).where(
        _media.gtin == product.gtin, _media.kind == kind
    )
    count, last = (await connection.execute(query)).one()
    if count >= MOST_OF_A_KIND:
        raise TooManyMediaError(f"a product has at most {MOST_OF_A_KIND} of a kind", field="kind")
    values |= {"id": new_id(), "gtin": product.gtin, "programme_id": programme_id, "kind": kind}
    values |= {"place": last + 1, "titles": titles}
    made = insert(product_media_table).values(values).returning(product_media_table)
    return _read((await connection.execute(made)).mappings().one())


async def list_media(connection: AsyncConnection, *, gtins: list[str], kind: MediaKind | None = None) -> list[Media]:
    """The pictures and documents of products (14 digits) in their order."""
    query = select(product_media_table).where(_media.gtin.in_(gtins))
    if kind is not None:
        query = query.where(_media.kind == kind)
    rows = await connection.execute(query.order_by(_media.gtin, _media.kind.desc(), _media.place))
    return [_read(row) for row in rows.mappings()]


async def remove_media(connection: AsyncConnection, *, programme_id: UUID, gtin: str, media_id: UUID) -> None:
    """Take a picture or a document away, and its file where nothing else shows it. Raises NotFoundError."""
    removed = delete(product_media_table).where(
        _media.id == media_id, _media.gtin == gtin, _media.programme_id == programme_id
    )
    row = (await connection.execute(removed.returning(_media.sha256))).first()
    if row is None:
        raise NotFoundError("this product has no such picture or document", field="media")
    shown = exists().where(_media.sha256 == stored_file_table.c.sha256)
    await connection.execute(delete(stored_file_table).where(stored_file_table.c.sha256 == row.sha256, ~shown))


async def read_file(connection: AsyncConnection, digest: bytes) -> StoredFile | None:
    """A stored file by its SHA-256; None where there is none."""
    stored = stored_file_table.c
    row = (await connection.execute(select(stored.media_type, stored.content).where(stored.sha256 == digest))).first()
    return None if row is None else StoredFile(media_type=row.media_type, content=bytes(row.content))


def read_picture(content: bytes) -> dict[str, Any]:
    """A JPEG, PNG or WebP, drawn anew as WebP. Raises InvalidInputError (`content`) where it is none, or too large."""
    if len(content) > PICTURE_BYTES_LIMIT:
        raise InvalidInputError(f"a picture has at most {PICTURE_BYTES_LIMIT // 2**20} MiB", field="content")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            if opened.width * opened.height > PIXELS_LIMIT:
                message = f"a picture has at most {PIXELS_LIMIT // 10**6} million pixels"
                raise InvalidInputError(message, field="content")
            upright = ImageOps.exif_transpose(opened)
            transparent = upright.has_transparency_data
            drawn = upright.convert("RGBA" if transparent else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInputError("this is not a picture: a JPEG, PNG or WebP is needed", field="content") from error
    drawn.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    written = io.BytesIO()
    drawn.save(written, format="WEBP", quality=_QUALITY, method=4, exif=b"", icc_profile=b"", xmp=b"")
    return _stored(written.getvalue(), "image/webp") | {"width": drawn.width, "height": drawn.height}


def _read_document(content: bytes) -> dict[str, Any]:
    if len(content) > DOCUMENT_BYTES_LIMIT:
        raise InvalidInputError(f"a document has at most {DOCUMENT_BYTES_LIMIT // 2**20} MiB", field="content")
    if not content.startswith(_PDF) or _PDF_END not in content[-_END_BYTES:]:
        raise InvalidInputError("this is not a document: a PDF is needed", field="content")
    return _stored(content, "application/pdf")


def _stored(content: bytes, media_type: str) -> dict[str, Any]:
    return {
        "sha256": sha256(content).digest(),
        "media_type": media_type,
        "content": content,
        "size": len(content),
    }


def _checked_link(link: str) -> str:
    text = link.strip()
    try:
        split = urlsplit(text)
        named = split.scheme == "https" and bool(split.hostname)
    except ValueError:
        named = False
    if not named or len(text) > _LINK_LIMIT or not text.isascii() or any(character.isspace() for character in text):
        raise InvalidInputError("a link begins with https:// and names a host", field="link")
    return text


def _read(values: RowMapping | Mapping[str, Any]) -> Media:
    fields = {name: values[name] for name in Media.__struct_fields__}
    return Media(**fields | {"titles": msgspec.convert(values["titles"], LocalText)})
