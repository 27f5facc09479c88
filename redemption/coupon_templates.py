"""Coupon templates: the terms of a coupon, in versions, so that a coupon in a wallet keeps the terms it came with."""

from __future__ import annotations

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection


class FixedDiscount(msgspec.Struct, frozen=True, kw_only=True, tag="fixed"):
    """Takes `amount_minor` off, never more than the basket."""

    amount_minor: int


class PercentDiscount(msgspec.Struct, frozen=True, kw_only=True, tag="percent"):
    """Takes `percent_bp` of the basket off, floored, and at most `max_amount_minor` where given."""

    percent_bp: int
    max_amount_minor: int | None = None


Discount = FixedDiscount | PercentDiscount


class CouponTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a coupon: what it takes off from which basket, for how many days, and where (None: everywhere)."""

    id: UUID
    programme_id: UUID
    code: str
    version: int
    name: dict[str, str]
    discount: Discount
    currency: str
    minimum_basket_minor: int
    valid_days: int
    channel_codes: list[str] | None

    def discount_minor(self, basket_minor: int) -> int:
        """What a coupon of these terms takes off a basket (whose size was checked), never more than the basket."""
        if isinstance(self.discount, FixedDiscount):
            return min(self.discount.amount_minor, basket_minor)
        share = basket_minor * self.discount.percent_bp // 10_000
        return share if self.discount.max_amount_minor is None else min(share, self.discount.max_amount_minor)


async def publish_template(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    code: str,
    name: dict[str, str],
    discount: Discount,
    currency: str,
    minimum_basket_minor: int = 0,
    valid_days: int,
    channel_codes: list[str] | None = None,
) -> CouponTemplate:
    """Publish a template, or the next version of one; terms equal to the newest version's publish nothing.

    Raises InvalidInputError naming the field, NotFoundError for an unknown channel.
    """
    raise NotImplementedError


async def get_template(connection: AsyncConnection, *, programme_id: UUID, code: str) -> CouponTemplate:
    """The newest version of a template. Raises NotFoundError."""
    raise NotImplementedError


async def list_templates(connection: AsyncConnection, *, programme_id: UUID) -> list[CouponTemplate]:
    """The newest version of every template, by code."""
    raise NotImplementedError
