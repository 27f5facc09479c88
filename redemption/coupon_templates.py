"""Coupon templates: the terms of a coupon, in versions, so that a coupon in a wallet keeps the terms it came with."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import get_channel
from redemption.checks import MAX_AMOUNT_MINOR, check_code, check_currency, check_name, check_range
from redemption.tables import coupon_template_table

MAX_VALID_DAYS: Final = 3_660
MAX_CHANNELS: Final = 1_000
WHOLE_BP: Final = 10_000


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
        share = basket_minor * self.discount.percent_bp // WHOLE_BP
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

    Raises InvalidInputError naming the field, NotFoundError for an unknown channel, ConflictError where somebody else
    publishes at the same moment.
    """
    newest = await _find(connection, programme_id, code)
    template = CouponTemplate(
        id=newest.id if newest else new_id(),
        programme_id=programme_id,
        code=code,
        version=newest.version if newest else 1,
        name=name,
        discount=discount,
        currency=currency,
        minimum_basket_minor=minimum_basket_minor,
        valid_days=valid_days,
        channel_codes=channel_codes,
    )
    _check(template)
    for channel_code in channel_codes or ():
        await get_channel(connection, programme_id, channel_code)
    if newest is not None:
        if template == newest:
            return newest
        template = msgspec.structs.replace(template, id=new_id(), version=newest.version + 1)
    query = insert(coupon_template_table).values(msgspec.structs.asdict(template)).on_conflict_do_nothing()
    if (await connection.execute(query.returning(coupon_template_table.c.id))).first() is None:
        raise ConflictError("somebody else published this template at the same moment", field="code")
    return template


def _check(template: CouponTemplate) -> None:
    check_code(template.code)
    check_name(template.name)
    check_currency(template.currency)
    check_range(template.minimum_basket_minor, "minimum_basket_minor", least=0, most=MAX_AMOUNT_MINOR)
    check_range(template.valid_days, "valid_days", least=1, most=MAX_VALID_DAYS)
    match template.discount:
        case FixedDiscount(amount_minor=amount_minor):
            check_range(amount_minor, "discount.amount_minor", least=1, most=MAX_AMOUNT_MINOR)
        case PercentDiscount(percent_bp=percent_bp, max_amount_minor=most):
            check_range(percent_bp, "discount.percent_bp", least=1, most=WHOLE_BP)
            if most is not None:
                check_range(most, "discount.max_amount_minor", least=1, most=MAX_AMOUNT_MINOR)
    if template.channel_codes is not None and not 1 <= len(template.channel_codes) <= MAX_CHANNELS:
        raise InvalidInputError(f"1 to {MAX_CHANNELS} channels, or none for everywhere", field="channel_codes")


async def _find(connection: AsyncConnection, programme_id: UUID, code: str) -> CouponTemplate | None:
    query = (
        select(coupon_template_table)
        .filter_by(programme_id=programme_id, code=code)
        .order_by(coupon_template_table.c.version.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return read_template(row) if row else None


async def get_template(connection: AsyncConnection, *, programme_id: UUID, code: str) -> CouponTemplate:
    """The newest version of a template. Raises NotFoundError."""
    found = await _find(connection, programme_id, code)
    if found is None:
        message = f"there is no coupon template {code[:40]!r} in this programme"
        raise NotFoundError(message, field="template")
    return found


async def get_template_version(connection: AsyncConnection, *, template_id: UUID) -> CouponTemplate:
    """The version a redemption is pinned to."""
    row = await connection.execute(select(coupon_template_table).filter_by(id=template_id))
    return read_template(row.one())


async def list_templates(connection: AsyncConnection, *, programme_id: UUID) -> list[CouponTemplate]:
    """The newest version of every template, by code."""
    columns = coupon_template_table.c
    query = (
        select(coupon_template_table)
        .filter_by(programme_id=programme_id)
        .ext(distinct_on(columns.code))
        .order_by(columns.code, columns.version.desc())
    )
    return [read_template(row) for row in await connection.execute(query)]


def read_template(row: Row[Any], prefix: str = "") -> CouponTemplate:
    """Read a row of `coupon_template`, its columns perhaps under a prefix, as in a join."""
    fields = {field: getattr(row, prefix + field) for field in CouponTemplate.__struct_fields__}
    return CouponTemplate(**fields | {"discount": msgspec.convert(fields["discount"], Discount)})
