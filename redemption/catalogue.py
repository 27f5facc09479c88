"""The catalogue: what points buy. An item is handed over at the till, a coupon goes into the wallet."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection


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
    """Add an item, or change the one of this code; an item with a template buys a coupon.

    What was redeemed before keeps its price. Raises InvalidInputError naming the field, NotFoundError for the template.
    """
    raise NotImplementedError


async def get_item(connection: AsyncConnection, *, programme_id: UUID, code: str) -> CatalogueItem:
    """An item by its code, active or not. Raises NotFoundError."""
    raise NotImplementedError


async def list_items(
    connection: AsyncConnection, *, programme_id: UUID, active_only: bool = True
) -> list[CatalogueItem]:
    """The catalogue, cheapest first."""
    raise NotImplementedError
