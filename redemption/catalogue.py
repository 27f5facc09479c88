"""The catalogue: what points buy. An item is handed over at the till, a coupon goes into the wallet."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, NotFoundError
from loyalty.kit.ids import new_id
from redemption.benefits.templates import get_template, lock_template, note
from redemption.checks import MAX_POINTS, check_code, check_name, check_range
from redemption.tables import catalogue_item_table


class CatalogueItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something points buy. `stock` None is unlimited; `name` is by locale (`zh`, `en`)."""

    id: UUID
    programme_id: UUID
    code: str
    name: dict[str, str]
    kind: Literal["item", "coupon"]
    points_cost: int
    coupon_template_code: str | None
    stock: int | None
    active: bool


async def save_item(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    code: str,
    name: dict[str, str],
    points_cost: int,
    coupon_template_code: str | None = None,
    stock: int | None = None,
    active: bool = True,
) -> CatalogueItem:
    """Add an item, or change the one of this code, stock included; an item with a template buys a coupon.

    What was redeemed before keeps its price. Raises InvalidInputError naming the field, NotFoundError for the template.
    """
    check_code(code)
    check_name(name)
    check_range(points_cost, "points_cost", least=1, most=MAX_POINTS)
    if stock is not None:
        check_range(stock, "stock", least=0, most=MAX_POINTS)
    if coupon_template_code is not None:
        await get_template(connection, programme_id=programme_id, code=coupon_template_code)
    changeable = {
        "name": name,
        "kind": "item" if coupon_template_code is None else "coupon",
        "points_cost": points_cost,
        "coupon_template_code": coupon_template_code,
        "stock": stock,
        "active": active,
    }
    query = (
        insert(catalogue_item_table)
        .values(id=new_id(), programme_id=programme_id, code=code, **changeable)
        .on_conflict_do_update(index_elements=["programme_id", "code"], set_=changeable)
        .returning(catalogue_item_table)
    )
    return _item((await connection.execute(query)).one())


async def get_item(connection: AsyncConnection, *, programme_id: UUID, code: str) -> CatalogueItem:
    """An item by its code, active or not. Raises NotFoundError."""
    query = select(catalogue_item_table).filter_by(programme_id=programme_id, code=code)
    row = (await connection.execute(query)).first()
    if row is None:
        message = f"there is no {code[:40]!r} in the catalogue"
        raise NotFoundError(message, field="catalogue_item")
    return _item(row)


async def list_items(
    connection: AsyncConnection, *, programme_id: UUID, active_only: bool = True
) -> list[CatalogueItem]:
    """The catalogue, cheapest first."""
    columns = catalogue_item_table.c
    query = select(catalogue_item_table).filter_by(programme_id=programme_id)
    if active_only:
        query = query.where(columns.active)
    return [_item(row) for row in await connection.execute(query.order_by(columns.points_cost, columns.code))]


async def find_price(connection: AsyncConnection, *, programme_id: UUID, template_code: str) -> int | None:
    """How many points buy one of a template; None where it is not for sale."""
    query = select(catalogue_item_table.c.points_cost).filter_by(
        programme_id=programme_id, code=template_code, coupon_template_code=template_code, active=True
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def set_price(
    connection: AsyncConnection, *, programme_id: UUID, code: str, points: int | None, actor: str
) -> None:
    """Sell a template's benefits for so many points, or no more; in the catalogue they are under the template's code.

    Raises UnknownTemplateError, InvalidInputError, ConflictError where the catalogue has something else of this code.
    """
    template = await lock_template(connection, programme_id=programme_id, code=code)
    query = select(catalogue_item_table).filter_by(programme_id=programme_id, code=code)
    row = (await connection.execute(query)).first()
    known = None if row is None else _item(row)
    if known is not None and known.coupon_template_code != code:
        raise ConflictError("the catalogue has something else of this code", field="points_cost", reason="other_item")
    cost = points
    if cost is None:
        if known is None:
            return
        cost = known.points_cost
    await save_item(
        connection,
        programme_id=programme_id,
        code=code,
        name=template.name,
        points_cost=cost,
        coupon_template_code=code,
        stock=known.stock if known else None,
        active=points is not None,
    )
    await note(connection, template.id, "price", actor, after={"points": points})


async def take_from_stock(connection: AsyncConnection, *, item_id: UUID) -> bool:
    """Count one off where one is left and the item is still offered: one statement, so that stock is never oversold."""
    columns = catalogue_item_table.c
    query = (
        update(catalogue_item_table)
        .where(columns.id == item_id, columns.active, columns.stock.is_(None) | (columns.stock > 0))
        .values(stock=columns.stock - 1)
        .returning(columns.id)
    )
    return (await connection.execute(query)).first() is not None


async def return_to_stock(connection: AsyncConnection, *, item_id: UUID, count: int = 1) -> None:
    """Count some back on; nothing where stock is unlimited."""
    columns = catalogue_item_table.c
    query = update(catalogue_item_table).where(columns.id == item_id, columns.stock.is_not(None))
    await connection.execute(query.values(stock=columns.stock + count))


def _item(row: Row[Any]) -> CatalogueItem:
    return CatalogueItem(**{field: getattr(row, field) for field in CatalogueItem.__struct_fields__})
