"""Links as a brand manages them: saved, changed, listed, removed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.digital_link import GTIN, SERIAL
from loyalty.items.links.levels import Qualifiers, check_level, read_path, write_path
from loyalty.items.links.link_types import LINK_TYPES, read_link_type
from loyalty.items.links.tables import digital_link_table
from loyalty.items.links.targets import check_target, guess_media_type
from loyalty.items.products import get_product
from loyalty.items.tables import product_table
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, parse_public_id, public_id

LINK_PREFIX: Final = "lnk"
TITLE_LIMIT: Final = 200
MOST_AT_ONE_LEVEL: Final = 200
_MOST_MARKS: Final = 50
_LANGUAGE: Final = re.compile(r"([A-Za-z]{2})(?:-([A-Za-z]{2}))?")
"""What GS1's schema of a linkset takes (resolver/1.2.0/linkset-schema): `zh`, `en-GB`; of BCP 47 it knows no more."""
_MEDIA_TYPE: Final = re.compile(
    r"(?:application|audio|font|haptics|image|message|model|multipart|text|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}"
)
_CONTEXT: Final = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Where something leads. `qualifiers` with None stand for every variant, lot or item of the key.

    `languages` are those of the target, none for a page that chooses by itself; `contexts` the countries and regions it
    is for (ISO 3166). While `valid_from` ≤ now < `valid_until` it is offered; either may be open. Of the links that are
    the default of one thing, the request chooses; where it does not decide, one of them is *the* default.
    """

    id: UUID
    programme_id: UUID
    key: str
    value: str
    qualifiers: dict[str, str | None]
    link_type: str
    target: str
    title: str
    languages: tuple[str, ...]
    media_type: str
    contexts: tuple[str, ...]
    is_default: bool
    valid_from: datetime | None
    valid_until: datetime | None
    created_at: datetime

    @property
    def public_id(self) -> str:
        """The id that the outside world sees."""
        return public_id(LINK_PREFIX, self.id)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants a link to be, unchecked."""

    key: str = GTIN
    value: str
    qualifiers: Qualifiers = {}
    link_type: str
    target: str
    title: str
    languages: Sequence[str] = ()
    media_type: str | None = None
    contexts: Sequence[str] = ()
    is_default: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None


def _link_from_row(row: RowMapping) -> Link:
    values: dict[str, Any] = {name: row[name] for name in Link.__struct_fields__ if name != "qualifiers"}
    marks = {name: tuple(row[name]) for name in ("languages", "contexts")}
    return Link(**values | marks, qualifiers=read_path(row["path"]))


def _checked(wanted: Wanted, *, https_only: bool, own_address: str | None) -> dict[str, Any]:
    """The columns of a link. Raises InvalidInputError naming the field."""
    qualifiers = check_level(wanted.key, wanted.value, wanted.qualifiers)
    link_type = read_link_type(wanted.link_type)
    if link_type not in LINK_TYPES:
        message = f"{wanted.link_type[:60]!r} is not a link type of the GS1 Web Vocabulary"
        raise InvalidInputError(message, field="link_type")
    title = " ".join(wanted.title.split())
    if not 1 <= len(title) <= TITLE_LIMIT or not title.isprintable():
        raise InvalidInputError(f"has to have 1 to {TITLE_LIMIT} characters that can be read", field="title")
    if wanted.is_default and wanted.key == GTIN and SERIAL in qualifiers:
        message = "an item's default is its own page, which says whether it is genuine"
        raise InvalidInputError(message, field="is_default")
    if wanted.valid_from and wanted.valid_until and wanted.valid_from >= wanted.valid_until:
        raise InvalidInputError("has to be later than valid_from", field="valid_until")
    target = check_target(wanted.target, https_only=https_only, own_address=own_address)
    return {
        "key": wanted.key,
        "value": wanted.value,
        "path": write_path(qualifiers),
        "link_type": link_type,
        "target": target,
        "title": title,
        "languages": _marks(wanted.languages, "languages", read_language),
        "media_type": _media_type(wanted.media_type) or guess_media_type(target),
        "contexts": _marks(wanted.contexts, "contexts", _read_context),
        "is_default": wanted.is_default,
        "valid_from": wanted.valid_from,
        "valid_until": wanted.valid_until,
    }


def _marks(given: Sequence[str], field: str, read: Any) -> list[str]:
    marks = list(dict.fromkeys(read(each.strip()) for each in given))
    if len(marks) > _MOST_MARKS:
        raise InvalidInputError(f"at most {_MOST_MARKS}", field=field)
    return marks


def read_language(text: str) -> str:
    """A language as it is written in a linkset, such as `zh` or `en-GB`. Raises InvalidInputError."""
    match = _LANGUAGE.fullmatch(text)
    if match is None:
        raise InvalidInputError(f"{text[:40]!r} is not a language such as zh or en-GB", field="languages")
    return match[1].lower() + (f"-{match[2].upper()}" if match[2] else "")


def _read_context(text: str) -> str:
    if not _CONTEXT.fullmatch(text.upper()):
        raise InvalidInputError(f"{text[:40]!r} is not a country or region such as CN or CN-31", field="contexts")
    return text.upper()


def _media_type(text: str | None) -> str | None:
    given = (text or "").strip().lower()
    if given and not _MEDIA_TYPE.fullmatch(given):
        raise InvalidInputError(f"{given[:60]!r} is not a media type such as text/html", field="media_type")
    return given or None


async def add_link(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    wanted: Wanted,
    https_only: bool = True,
    own_address: str | None = None,
) -> Link:
    """Add a link. `own_address` is this server's, to which a link must not lead back.

    Raises InvalidInputError naming the field, NotFoundError where the GTIN is not of a product of the programme,
    ConflictError where there are too many links of one thing.
    """
    values = _checked(wanted, https_only=https_only, own_address=own_address)
    await _hold_place(connection, programme_id, values)
    row = await connection.execute(
        insert(digital_link_table)
        .values(id=new_id(), programme_id=programme_id, **values)
        .returning(*digital_link_table.c)
    )
    return _link_from_row(row.mappings().one())


async def _hold_place(connection: AsyncConnection, programme_id: UUID, values: dict[str, Any]) -> None:
    if values["key"] == GTIN:
        await get_product(connection, programme_id=programme_id, gtin=values["value"])
    table = digital_link_table.c
    there = await connection.scalar(
        select(func.count()).where(
            table.programme_id == programme_id, *(table[name] == values[name] for name in ("key", "value", "path"))
        )
    )
    if (there or 0) >= MOST_AT_ONE_LEVEL:
        raise ConflictError(f"there are {MOST_AT_ONE_LEVEL} links of this already", field="value")


async def change_link(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    link_id: UUID,
    wanted: Wanted,
    https_only: bool = True,
    own_address: str | None = None,
) -> Link:
    """Make a link what somebody wants it to be. Raises as add_link, NotFoundError where there is no such link."""
    before = await get_link(connection, programme_id=programme_id, link_id=link_id)
    values = _checked(wanted, https_only=https_only, own_address=own_address)
    if (before.key, before.value, write_path(before.qualifiers)) != (values["key"], values["value"], values["path"]):
        await _hold_place(connection, programme_id, values)
    row = await connection.execute(
        update(digital_link_table)
        .where(digital_link_table.c.id == link_id, digital_link_table.c.programme_id == programme_id)
        .values(updated_at=func.now(), **values)
        .returning(*digital_link_table.c)
    )
    return _link_from_row(row.mappings().one())


async def remove_link(connection: AsyncConnection, *, programme_id: UUID, link_id: UUID) -> None:
    """Remove a link. Raises NotFoundError."""
    removed = await connection.execute(
        delete(digital_link_table)
        .where(digital_link_table.c.id == link_id, digital_link_table.c.programme_id == programme_id)
        .returning(digital_link_table.c.id)
    )
    if removed.first() is None:
        raise NotFoundError("there is no such link", field="link_id")


async def get_link(connection: AsyncConnection, *, programme_id: UUID, link_id: UUID) -> Link:
    """One link of a programme. Raises NotFoundError."""
    table = digital_link_table.c
    query = select(digital_link_table).where(table.id == link_id, table.programme_id == programme_id)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NotFoundError("there is no such link", field="link_id")
    return _link_from_row(row)


async def list_links(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    key: str,
    value: str,
    after: tuple[str, UUID] | None = None,
    limit: int = 1000,
) -> list[Link]:
    """The links of one key, those of the key itself first; `after` is the (stored path, id) of the last one seen."""
    table = digital_link_table.c
    query = select(digital_link_table).where(table.programme_id == programme_id, table.key == key, table.value == value)
    if after is not None:
        query = query.where(tuple_(table.path, table.id) > after)
    query = query.order_by(table.path, table.id).limit(limit)
    return [_link_from_row(row) for row in (await connection.execute(query)).mappings()]


async def count_links(connection: AsyncConnection, *, programme_id: UUID) -> dict[str, int]:
    """How many links each product of a programme has, by GTIN; products without any are there with 0."""
    links, products = digital_link_table.c, product_table.c
    query = (
        select(products.gtin, func.count(links.id).label("links"))
        .select_from(product_table)
        .outerjoin(
            digital_link_table,
            (links.key == GTIN) & (links.value == products.gtin) & (links.programme_id == products.programme_id),
        )
        .where(products.programme_id == programme_id)
        .group_by(products.gtin)
        .order_by(products.gtin)
    )
    return {row.gtin: row.links for row in await connection.execute(query)}


async def read_links(
    connection: AsyncConnection, *, programme_id: UUID, key: str, value: str, paths: Sequence[str], at: datetime
) -> dict[str, list[Link]]:
    """The links stored under these paths that hold at a moment, by path, the oldest first."""
    table = digital_link_table.c
    query = (
        select(digital_link_table)
        .where(
            table.programme_id == programme_id,
            table.key == key,
            table.value == value,
            table.path.in_(paths),
            or_(table.valid_from.is_(None), table.valid_from <= at),
            or_(table.valid_until.is_(None), table.valid_until > at),
        )
        .order_by(table.path, table.id)
    )
    found: dict[str, list[Link]] = {path: [] for path in paths}
    for row in (await connection.execute(query)).mappings():
        found[row["path"]].append(_link_from_row(row))
    return found


def link_uuid(text: str) -> UUID:
    """The UUID in a link's id. Raises NotFoundError."""
    return parse_public_id(LINK_PREFIX, text, field="link_id")
