"""A checkout as it is recorded, and its parts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from redemption.checkout.errors import CheckoutExpiredError, UnknownCheckoutError
from redemption.checkout.quoting import Quote
from redemption.checkout.tables import checkout_table
from redemption.checks import clock
from redemption.record import Redemption, lock_redemptions, read_redemption, select_redemptions
from redemption.tables import redemption_table

CheckoutState = Literal["locked", "used", "released", "refunded", "expired"]
PREFIX: Final = "chk"
"""What the public ids of checkouts begin with."""


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A quote whose coupons and points are locked until `expires_at`, used for an order, or free again.

    One whose time ran out reads `expired`, whether or not anything has swept by. `refunded_lines` are the places of
    the basket's lines that were refunded; when all are, it is `refunded`.
    """

    id: UUID
    programme_id: UUID
    member_id: UUID
    channel_id: UUID
    clerk: str | None
    state: CheckoutState
    currency: str
    quote: Quote
    total_minor: int
    payable_minor: int
    locked_at: datetime
    expires_at: datetime
    order_number: str | None = None
    used_at: datetime | None = None
    refunded_lines: tuple[int, ...] = ()
    closed_at: datetime | None = None


def select_checkouts() -> Select[Any]:
    """Checkouts with the clock beside them, for `read_checkout`."""
    return select(checkout_table, clock().label("now"))


def read_checkout(row: Row[Any]) -> Checkout:
    """Read a row of `select_checkouts`."""
    fields = {field: getattr(row, field) for field in Checkout.__struct_fields__}
    fields["quote"] = msgspec.convert(row.quote, Quote)
    fields["refunded_lines"] = tuple(row.refunded_lines)
    checkout = Checkout(**fields)
    if checkout.state == "locked" and checkout.expires_at <= row.now:
        return msgspec.structs.replace(checkout, state="expired", closed_at=checkout.expires_at)
    return checkout


async def get_checkout(connection: AsyncConnection, *, programme_id: UUID, checkout_id: UUID) -> Checkout:
    """One checkout. Raises UnknownCheckoutError."""
    query = select_checkouts().filter_by(id=checkout_id, programme_id=programme_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise UnknownCheckoutError("there is no such checkout", field="checkout")
    return read_checkout(row)


async def lock_checkout(
    connection: AsyncConnection, *, programme_id: UUID, checkout_id: UUID
) -> tuple[Checkout, datetime]:
    """A checkout, its row locked, and the moment at which it was. Raises UnknownCheckoutError."""
    lock = select(checkout_table.c.id).filter_by(id=checkout_id, programme_id=programme_id).with_for_update()
    await connection.execute(lock)
    # The lock may have to wait, so the clock is read by a statement that follows it.
    query = select_checkouts().filter_by(id=checkout_id, programme_id=programme_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise UnknownCheckoutError("there is no such checkout", field="checkout")
    return read_checkout(row), row.now


async def lock_with_checkouts(
    connection: AsyncConnection, *, programme_id: UUID, redemptions: Collection[Redemption]
) -> list[Redemption]:
    """As `lock_redemptions`; before them the checkouts that they are parts of are locked, in the order of their ids."""
    for checkout_id in sorted({each.checkout_id for each in redemptions if each.checkout_id}):
        await lock_checkout(connection, programme_id=programme_id, checkout_id=checkout_id)
    ids = [each.id for each in redemptions]
    return await lock_redemptions(connection, programme_id=programme_id, redemption_ids=ids)


async def find_by_order(connection: AsyncConnection, *, channel_id: UUID, order_number: str) -> list[Checkout]:
    """The checkouts of an order of a channel, newest first."""
    query = select_checkouts().filter_by(channel_id=channel_id, order_number=order_number)
    rows = await connection.execute(query.order_by(checkout_table.c.id.desc()))
    return [read_checkout(row) for row in rows]


async def parts_of(connection: AsyncConnection, checkout_id: UUID) -> list[Redemption]:
    """The redemptions that a checkout is made of, points first."""
    query = select_redemptions().filter_by(checkout_id=checkout_id).order_by(redemption_table.c.id)
    return _points_first([read_redemption(row) for row in await connection.execute(query)])


async def lock_parts(connection: AsyncConnection, checkout: Checkout) -> list[Redemption]:
    """As `parts_of`, and locked: a clerk may give one of them back by itself. The checkout's row is locked before."""
    ids = [part.id for part in await parts_of(connection, checkout.id)]
    locked = await lock_redemptions(connection, programme_id=checkout.programme_id, redemption_ids=ids)
    return _points_first(locked)


def _points_first(parts: Sequence[Redemption]) -> list[Redemption]:
    return sorted(parts, key=lambda part: part.kind != "money_off")


async def change(connection: AsyncConnection, checkout: Checkout, **after: Any) -> Checkout:
    """Move a checkout, whose row is locked, to its next state."""
    query = update(checkout_table).filter_by(member_id=checkout.member_id, id=checkout.id)
    await connection.execute(query.values(after))
    return msgspec.structs.replace(checkout, **after)


def expired(checkout: Checkout) -> CheckoutExpiredError:
    """The refusal of a checkout whose time ran out."""
    message = f"the time for this checkout ran out at {checkout.expires_at.isoformat()}; all of it is free again"
    return CheckoutExpiredError(message, field="checkout", expired_at=checkout.expires_at)


def all_lines(checkout: Checkout) -> Sequence[int]:
    """The places of the basket's lines."""
    return range(len(checkout.quote.lines))
