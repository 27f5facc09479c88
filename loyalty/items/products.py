"""Products: what is sold under a GTIN, in the words a shopper reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.gtin import normalise_gtin
from loyalty.items.tables import product_table
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError

POINTS_LIMIT = 1_000_000_000
_NAME_LIMIT = 200
_DESCRIPTION_LIMIT = 4000


class LocalText(msgspec.Struct, frozen=True, kw_only=True):
    """The same words in Chinese and in English; either may be missing, and then the other stands in."""

    zh: Annotated[str, msgspec.Meta(max_length=_DESCRIPTION_LIMIT)] = ""
    en: Annotated[str, msgspec.Meta(max_length=_DESCRIPTION_LIMIT)] = ""

    def within(self, locale: str) -> str:
        """The words for a locale such as `zh`, `zh-CN` or `en-GB`."""
        return (self.zh or self.en) if locale.lower().startswith("zh") else (self.en or self.zh)


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What is sold under one GTIN (14 digits). Claiming one item of it brings `points_on_claim`."""

    gtin: str
    programme_id: UUID
    names: LocalText
    descriptions: LocalText
    category: str
    points_on_claim: int


def product_from_row(values: RowMapping | Mapping[str, Any]) -> Product:
    """Read the columns of the product table, by their names."""
    fields = {name: values[name] for name in Product.__struct_fields__}
    texts = {name: msgspec.convert(values[name], LocalText) for name in ("names", "descriptions")}
    return Product(**fields | texts)


async def save_product(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    gtin: str,
    names: LocalText,
    descriptions: LocalText | None = None,
    category: str = "",
    points_on_claim: int = 0,
) -> Product:
    """Create a product, or change the one with this GTIN.

    Raises InvalidInputError naming the field, ConflictError where the GTIN belongs to another programme.
    """
    product = Product(
        gtin=normalise_gtin(gtin),
        programme_id=programme_id,
        names=LocalText(zh=names.zh.strip(), en=names.en.strip()),
        descriptions=descriptions or LocalText(),
        category=category.strip(),
        points_on_claim=points_on_claim,
    )
    if not (product.names.zh or product.names.en):
        raise InvalidInputError("a name is needed, in Chinese or in English", field="names")
    if max(len(product.names.zh), len(product.names.en), len(product.category)) > _NAME_LIMIT:
        raise InvalidInputError(f"a name and a category have at most {_NAME_LIMIT} characters", field="names")
    if not 0 <= points_on_claim <= POINTS_LIMIT:
        raise InvalidInputError(f"points are from 0 to {POINTS_LIMIT}", field="points_on_claim")
    values = msgspec.structs.asdict(product)
    saved = insert(product_table).values(values)
    saved = saved.on_conflict_do_update(
        index_elements=["gtin"],
        set_={name: saved.excluded[name] for name in values if name not in ("gtin", "programme_id")}
        | {"updated_at": func.now()},
        where=product_table.c.programme_id == programme_id,
    )
    if (await connection.execute(saved.returning(product_table.c.gtin))).first() is None:
        raise ConflictError(f"the GTIN {product.gtin} belongs to another programme", field="gtin")
    return product


async def get_product(connection: AsyncConnection, *, programme_id: UUID, gtin: str) -> Product:
    """Find a product of a programme by its GTIN in any length.

    Raises InvalidInputError where it is not a GTIN, NotFoundError where the programme has no such product.
    """
    digits = normalise_gtin(gtin)
    query = select(product_table).where(product_table.c.gtin == digits, product_table.c.programme_id == programme_id)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no product {digits} in this programme", field="gtin")
    return product_from_row(row)


async def find_owner(connection: AsyncConnection, gtin: str) -> UUID | None:
    """The programme that a GTIN (14 digits) belongs to, which is how an item's address finds its brand."""
    return await connection.scalar(select(product_table.c.programme_id).where(product_table.c.gtin == gtin))


async def list_products(
    connection: AsyncConnection, *, programme_id: UUID, after: str = "", limit: int = 100
) -> list[Product]:
    """A programme's products in the order of their GTINs, those after `after`."""
    query = (
        select(product_table)
        .where(product_table.c.programme_id == programme_id, product_table.c.gtin > after)
        .order_by(product_table.c.gtin)
        .limit(limit)
    )
    return [product_from_row(row) for row in (await connection.execute(query)).mappings()]
