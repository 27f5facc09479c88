"""Reading: what a member bought and what came back, newest first, and one order with everything about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.channels.orders.register import find_documents
from loyalty.channels.orders.shapes import RefundKind
from loyalty.channels.orders.tables import (
    order_earning_table,
    order_line_table,
    purchase_order_table,
    refund_line_table,
    refund_table,
)
from loyalty.kit.errors import NotFoundError
from loyalty.kit.ids import public_id
from loyalty.kit.programme import Channel, channel_table
from loyalty.members.member import person_ids

ORDER_PREFIX: Final = "ord"
REFUND_PREFIX: Final = "ref"
MAXIMUM_PAGE: Final = 200


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a member's history: an order, or a cancellation whose order the channel did not name.

    `amount_minor` was paid, or, for a cancellation, paid back. `earned` and `taken_back` are points by unit;
    `refunded_minor` and `taken_back` of an order are the sums of its refunds.
    """

    kind: Literal["order", "cancellation"]
    id: UUID
    member_id: UUID
    channel: str
    channel_name: str
    external_id: str
    at: datetime
    currency: str
    amount_minor: int
    refunded_minor: int
    earned: dict[str, int]
    taken_back: dict[str, int]

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it: `ord_...`, or `ref_...` for a cancellation."""
        return public_id(ORDER_PREFIX if self.kind == "order" else REFUND_PREFIX, self.id)


class LineDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order. `paid_minor` is its amount less its share of the discount, `points` its share by unit."""

    line_id: str
    sku: str
    category: str | None
    description: str | None
    quantity: int
    amount_minor: int
    paid_minor: int
    points: dict[str, int]


class EarningDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What an order earned in one unit, and which rule gave what."""

    unit: str
    points: int
    taken_back: int
    rules: dict[str, int]


class RefundedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a refund paid back on one line."""

    line_id: str
    quantity: int
    amount_minor: int


class RefundDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A refund or cancellation of an order, with what it took back by unit and gave back by redemption."""

    id: UUID
    kind: RefundKind
    external_id: str
    refunded_at: datetime
    amount_minor: int
    lines: list[RefundedLine]
    taken_back: dict[str, int]
    given_back: dict[UUID, int]


class OrderDetail(msgspec.Struct, frozen=True, kw_only=True):
    """An order with all about it. `policy_version` is the earn policy that it is pinned to."""

    id: UUID
    member_id: UUID
    channel: str
    channel_name: str
    external_id: str
    receipt_number: str
    placed_at: datetime
    currency: str
    total_minor: int
    discount_minor: int
    refunded_minor: int
    tier_code: str | None
    policy_version: int
    lines: list[LineDetail]
    earnings: list[EarningDetail]
    refunds: list[RefundDetail]


_HISTORY: Final = text("""
    WITH page AS (
        (SELECT 'order' AS kind, order_id AS id, member_id, channel_id, external_id, placed_at AS at, currency,
                total_minor AS amount_minor
         FROM purchase_order
         WHERE member_id = ANY (:people) AND (placed_at, order_id) < (:before_at, :before_id)
         ORDER BY placed_at DESC, order_id DESC LIMIT :most)
        UNION ALL
        (SELECT 'cancellation', refund_id, member_id, channel_id, external_id, refunded_at, currency, amount_minor
         FROM refund
         WHERE member_id = ANY (:people) AND order_id IS NULL AND (refunded_at, refund_id) < (:before_at, :before_id)
         ORDER BY refunded_at DESC, refund_id DESC LIMIT :most)
        ORDER BY at DESC, id DESC LIMIT :most
    )
    SELECT page.*, channel.code AS channel, channel.name AS channel_name,
        coalesce(refunded.amount_minor, 0) AS refunded_minor,
        coalesce(earning.earned, '{}') AS earned,
        coalesce(earning.taken_back, cancelled.taken_back, '{}') AS taken_back
    FROM page
    JOIN channel ON channel.id = page.channel_id
    LEFT JOIN LATERAL (
        SELECT sum(refund.amount_minor)::bigint AS amount_minor FROM refund
        WHERE refund.member_id = page.member_id AND refund.order_id = page.id
    ) refunded ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(unit, points) AS earned,
            jsonb_object_agg(unit, order_earning.taken_back) FILTER (WHERE order_earning.taken_back > 0) AS taken_back
        FROM order_earning
        WHERE order_earning.member_id = page.member_id AND order_earning.order_id = page.id
    ) earning ON true
    LEFT JOIN refund cancelled ON cancelled.member_id = page.member_id AND cancelled.refund_id = page.id
    ORDER BY page.at DESC, page.id DESC
""")
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)
_LAST_ID: Final = UUID(int=(1 << 128) - 1)


async def purchase_history(
    connection: AsyncConnection, *, member_id: UUID, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[Purchase]:
    """What a person bought and cancelled, newest first, also under ids that were merged into this one.

    `before` is the `at` and `id` of the last one of the page before. At most MAXIMUM_PAGE at once.
    """
    before_at, before_id = before or (_END_OF_TIME, _LAST_ID)
    rows = await connection.execute(
        _HISTORY,
        {
            "people": await person_ids(connection, member_id=member_id),
            "before_at": before_at,
            "before_id": before_id,
            "most": min(limit, MAXIMUM_PAGE),
        },
    )
    return [Purchase(**{name: getattr(row, name) for name in Purchase.__struct_fields__}) for row in rows]


async def find_order(connection: AsyncConnection, *, channel: Channel, external_id: str) -> OrderDetail:
    """An order by its channel's number. Raises NotFoundError (external_id)."""
    known = await find_documents(connection, channel=channel, kind="order", external_ids=[external_id])
    if external_id not in known:
        message = f"channel {channel.code} has no order {external_id[:100]!r}"
        raise NotFoundError(message, field="external_id")
    reference, columns = known[external_id], purchase_order_table.c
    return await _detail(
        connection, (columns.member_id == reference.member_id) & (columns.order_id == reference.document_id)
    )


async def get_order(connection: AsyncConnection, *, programme_id: UUID, order_id: UUID) -> OrderDetail:
    """An order by its id. Raises NotFoundError (order_id)."""
    columns = purchase_order_table.c
    return await _detail(connection, (columns.programme_id == programme_id) & (columns.order_id == order_id))


async def _detail(connection: AsyncConnection, wanted: Any) -> OrderDetail:
    orders, channels = purchase_order_table, channel_table
    query = (
        select(orders, channels.c.code.label("channel"), channels.c.name.label("channel_name"))
        .join(channels, channels.c.id == orders.c.channel_id)
        .where(wanted)
    )
    head = (await connection.execute(query)).first()
    if head is None:
        raise NotFoundError("there is no such order", field="order_id")
    lines, earnings = order_line_table.c, order_earning_table.c
    line_rows = (
        await connection.execute(
            select(order_line_table)
            .where(lines.member_id == head.member_id, lines.order_id == head.order_id)
            .order_by(lines.line_number)
        )
    ).all()
    earned = (
        await connection.execute(
            select(order_earning_table)
            .where(earnings.member_id == head.member_id, earnings.order_id == head.order_id)
            .order_by(earnings.unit)
        )
    ).all()
    refunds = await _refunds(connection, head.member_id, head.order_id, [row.line_id for row in line_rows])
    return OrderDetail(
        id=head.order_id,
        member_id=head.member_id,
        channel=head.channel,
        channel_name=head.channel_name,
        external_id=head.external_id,
        receipt_number=head.receipt_number,
        placed_at=head.placed_at,
        currency=head.currency,
        total_minor=head.total_minor,
        discount_minor=head.discount_minor,
        refunded_minor=sum(refund.amount_minor for refund in refunds),
        tier_code=head.tier_code,
        policy_version=head.policy_version,
        lines=[_line(row, earned) for row in line_rows],
        earnings=[
            EarningDetail(
                unit=row.unit,
                points=row.points,
                taken_back=row.taken_back,
                rules={rule["rule"]: rule["points"] for rule in row.rules},
            )
            for row in earned
        ],
        refunds=refunds,
    )


def _line(row: Row[Any], earned: Sequence[Row[Any]]) -> LineDetail:
    return LineDetail(
        line_id=row.line_id,
        sku=row.sku,
        category=row.category,
        description=row.description,
        quantity=row.quantity,
        amount_minor=row.amount_minor,
        paid_minor=row.paid_minor,
        points={earning.unit: earning.line_points[row.line_number] for earning in earned},
    )


async def _refunds(
    connection: AsyncConnection, member_id: UUID, order_id: UUID, line_ids: Sequence[str]
) -> list[RefundDetail]:
    columns, parts = refund_table.c, refund_line_table.c
    heads = (
        await connection.execute(
            select(refund_table)
            .where(columns.member_id == member_id, columns.order_id == order_id)
            .order_by(columns.refunded_at, columns.refund_id)
        )
    ).all()
    rows = await connection.execute(
        select(refund_line_table)
        .where(parts.member_id == member_id, parts.refund_id.in_([head.refund_id for head in heads]))
        .order_by(parts.line_number)
    )
    lines: dict[UUID, list[RefundedLine]] = {}
    for row in rows:
        refunded = RefundedLine(line_id=line_ids[row.line_number], quantity=row.quantity, amount_minor=row.amount_minor)
        lines.setdefault(row.refund_id, []).append(refunded)
    return [
        RefundDetail(
            id=head.refund_id,
            kind=head.kind,
            external_id=head.external_id,
            refunded_at=head.refunded_at,
            amount_minor=head.amount_minor,
            lines=lines.get(head.refund_id, []),
            taken_back=head.taken_back,
            given_back={UUID(redemption): points for redemption, points in head.given_back.items()},
        )
        for head in heads
    ]
