"""An order as it stands in the tables: its lines, what it earned, and the sums of its refunds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import case, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.channels.orders.shapes import Order
from loyalty.channels.orders.shares import LineRefunds, OrderRefunds
from loyalty.channels.orders.tables import (
    order_earning_table,
    order_line_table,
    purchase_order_table,
    refund_line_table,
    refund_table,
)
from loyalty.kit.apportion import apportion
from loyalty.kit.db import to_json
from loyalty.kit.programme import Channel


class BookedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a booked order, with what was refunded of it by name."""

    line_number: int
    line_id: str
    refunds: LineRefunds


class Earning(msgspec.Struct, frozen=True, kw_only=True):
    """What an order earned in one unit: `sequence` is its posting, `line_points` the lines' shares."""

    unit: str
    points: int
    taken_back: int
    line_points: Sequence[int]
    sequence: int


class BookedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order with all that a refund of it has to know. `member_id` is whose it was when it came."""

    member_id: UUID
    order_id: UUID
    external_id: str
    receipt_number: str
    placed_at: datetime
    currency: str
    lines: Sequence[BookedLine]
    unnamed_minor: int
    cancelled: bool
    earnings: Sequence[Earning]

    @property
    def refunds(self) -> OrderRefunds:
        """The sums of its refunds so far."""
        return OrderRefunds(
            lines=[line.refunds for line in self.lines], unnamed_minor=self.unnamed_minor, cancelled=self.cancelled
        )


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to be stored."""

    member_id: UUID
    order_id: UUID
    order: Order
    paid_minor: Sequence[int]
    policy_version: int
    tier_code: str | None


class NewEarning(msgspec.Struct, frozen=True, kw_only=True):
    """What a new order earned in one unit, about to be stored."""

    member_id: UUID
    order_id: UUID
    unit: str
    points: int
    line_points: Sequence[int]
    rules: Any
    ledger_sequence: int


_INSERT_ORDERS: Final = text("""
    INSERT INTO purchase_order
        (programme_id, channel_id, member_id, order_id, external_id, receipt_number, placed_at, currency, total_minor,
         discount_minor, tier_code, policy_version)
    SELECT :programme, :channel, * FROM unnest(
        CAST(:members AS uuid[]), CAST(:orders AS uuid[]), CAST(:numbers AS text[]), CAST(:receipts AS text[]),
        CAST(:placed AS timestamptz[]), CAST(:currencies AS text[]), CAST(:totals AS bigint[]),
        CAST(:discounts AS bigint[]), CAST(:tiers AS text[]), CAST(:versions AS integer[])
    )
""")
_INSERT_LINES: Final = text("""
    INSERT INTO order_line
        (member_id, order_id, line_number, line_id, sku, category, description, quantity, amount_minor, paid_minor)
    SELECT * FROM json_to_recordset(CAST(:lines AS json)) AS new (
        member_id uuid, order_id uuid, line_number integer, line_id text, sku text, category text, description text,
        quantity bigint, amount_minor bigint, paid_minor bigint
    )
""")
"""JSON, because it is written several times faster than arrays of so many values are."""
_INSERT_EARNINGS: Final = text("""
    INSERT INTO order_earning (member_id, order_id, unit, points, line_points, rules, ledger_sequence)
    SELECT * FROM json_to_recordset(CAST(:earnings AS json)) AS new (
        member_id uuid, order_id uuid, unit text, points bigint, line_points bigint[], rules jsonb,
        ledger_sequence bigint
    )
""")
"""JSON, because arrays of arrays of different lengths are no array."""


def spread_discount(order: Order) -> list[int]:
    """What was paid for each line: its amount less its share of the order's discount; the sum is exact."""
    amounts = [line.amount_minor for line in order.lines]
    if not order.discount_minor:
        return amounts
    shares = apportion(order.discount_minor, amounts)
    return [amount - share for amount, share in zip(amounts, shares, strict=True)]


def receipt_number_of(order: Order) -> str:
    """The number under which a till captured what was redeemed for an order: the order's own where it says no other."""
    return order.receipt_number or order.external_id


async def insert_orders(connection: AsyncConnection, *, channel: Channel, orders: Sequence[NewOrder]) -> None:
    """Store new orders and their lines, a statement for each table however many there are."""
    await connection.execute(
        _INSERT_ORDERS,
        {
            "programme": channel.programme_id,
            "channel": channel.id,
            "members": [new.member_id for new in orders],
            "orders": [new.order_id for new in orders],
            "numbers": [new.order.external_id for new in orders],
            "receipts": [receipt_number_of(new.order) for new in orders],
            "placed": [new.order.placed_at for new in orders],
            "currencies": [new.order.currency for new in orders],
            "totals": [sum(new.paid_minor) for new in orders],
            "discounts": [new.order.discount_minor for new in orders],
            "tiers": [new.tier_code for new in orders],
            "versions": [new.policy_version for new in orders],
        },
    )
    lines = [
        {
            "member_id": new.member_id,
            "order_id": new.order_id,
            "line_number": number,
            "line_id": line.line_id,
            "sku": line.sku,
            "category": line.category,
            "description": line.description,
            "quantity": line.quantity,
            "amount_minor": line.amount_minor,
            "paid_minor": paid_minor,
        }
        for new in orders
        for number, (line, paid_minor) in enumerate(zip(new.order.lines, new.paid_minor, strict=True))
    ]
    await connection.execute(_INSERT_LINES, {"lines": to_json(lines)})


async def insert_earnings(connection: AsyncConnection, earnings: Sequence[NewEarning]) -> None:
    """Store what new orders earned."""
    if earnings:
        await connection.execute(_INSERT_EARNINGS, {"earnings": to_json(earnings)})


async def load_order(connection: AsyncConnection, *, member_id: UUID, order_id: UUID) -> BookedOrder:
    """Read an order that the register knows. The caller holds its number's lock, so the sums stay as they are read."""
    orders, earnings = purchase_order_table.c, order_earning_table.c
    head = (
        await connection.execute(
            select(purchase_order_table).where(orders.member_id == member_id, orders.order_id == order_id)
        )
    ).one()
    earned = await connection.execute(
        select(order_earning_table)
        .where(earnings.member_id == member_id, earnings.order_id == order_id)
        .order_by(earnings.unit)
    )
    unnamed_minor, cancelled = await _unnamed(connection, member_id, order_id)
    return BookedOrder(
        member_id=member_id,
        order_id=order_id,
        external_id=head.external_id,
        receipt_number=head.receipt_number,
        placed_at=head.placed_at,
        currency=head.currency,
        lines=await _lines(connection, member_id, order_id),
        unnamed_minor=unnamed_minor,
        cancelled=cancelled,
        earnings=[
            Earning(
                unit=row.unit,
                points=row.points,
                taken_back=row.taken_back,
                line_points=row.line_points,
                sequence=row.ledger_sequence,
            )
            for row in earned
        ],
    )


async def _unnamed(connection: AsyncConnection, member_id: UUID, order_id: UUID) -> tuple[int, bool]:
    """What was refunded without naming lines, and whether the order was cancelled."""
    columns = refund_table.c
    by_amount = case((columns.by_amount, columns.amount_minor), else_=0)
    row = (
        await connection.execute(
            select(func.coalesce(func.sum(by_amount), 0), func.bool_or(columns.kind == "cancellation")).where(
                columns.member_id == member_id, columns.order_id == order_id
            )
        )
    ).one()
    return int(row[0]), bool(row[1])


async def _lines(connection: AsyncConnection, member_id: UUID, order_id: UUID) -> list[BookedLine]:
    lines, parts, refunds = order_line_table, refund_line_table, refund_table
    refunded = (
        select(
            parts.c.line_number,
            func.sum(parts.c.amount_minor).label("amount_minor"),
            func.sum(parts.c.quantity).label("quantity"),
        )
        .join(refunds, (refunds.c.member_id == parts.c.member_id) & (refunds.c.refund_id == parts.c.refund_id))
        .where(refunds.c.member_id == member_id, refunds.c.order_id == order_id)
        .group_by(parts.c.line_number)
        .subquery()
    )
    rows = await connection.execute(
        select(
            lines.c.line_number,
            lines.c.line_id,
            lines.c.paid_minor,
            lines.c.quantity,
            func.coalesce(refunded.c.amount_minor, 0).label("refunded_minor"),
            func.coalesce(refunded.c.quantity, 0).label("refunded_quantity"),
        )
        .join(refunded, refunded.c.line_number == lines.c.line_number, isouter=True)
        .where(lines.c.member_id == member_id, lines.c.order_id == order_id)
        .order_by(lines.c.line_number)
    )
    return [
        BookedLine(
            line_number=row.line_number,
            line_id=row.line_id,
            refunds=LineRefunds(
                paid_minor=row.paid_minor,
                quantity=row.quantity,
                refunded_minor=int(row.refunded_minor),
                refunded_quantity=int(row.refunded_quantity),
            ),
        )
        for row in rows
    ]


async def add_taken_back(connection: AsyncConnection, *, order: BookedOrder, unit: str, points: int) -> None:
    """Note that more of what an order earned was taken back."""
    columns = order_earning_table.c
    await connection.execute(
        update(order_earning_table)
        .where(columns.member_id == order.member_id, columns.order_id == order.order_id, columns.unit == unit)
        .values(taken_back=columns.taken_back + points)
    )
