"""Tables of orders and refunds.

All but two start their key with `member_id`, like the ledger's. The two that do not are the doors by which a channel
comes in, where the member is not known yet: `order_reference` is the register of a channel's own numbers (and the lock
that an order and its refunds share), and `waiting_refund` keeps refunds whose order has not arrived.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loyalty.kit.db import metadata

order_reference_table: Final = Table(
    "order_reference",
    metadata,
    Column("channel_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("member_id", Uuid),
    Column("document_id", Uuid),
    Column("content_hash", LargeBinary),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""What each number of a channel stands for. `document_id` is null while only a refund of that order was seen."""

waiting_refund_table: Final = Table(
    "waiting_refund",
    metadata,
    Column("channel_id", Uuid, primary_key=True),
    Column("order_external_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("refused_field", Text),
    Column("refused_reason", Text),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Refunds that came before their order. One that does not fit its order when it comes stays, with the reason."""

purchase_order_table: Final = Table(
    "purchase_order",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("order_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("channel_id", Uuid, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("receipt_number", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("tier_code", Text),
    Column("policy_version", Integer, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index(None, "member_id", "placed_at", "order_id"),
    Index(None, "order_id"),
)

order_line_table: Final = Table(
    "order_line",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("order_id", Uuid, primary_key=True),
    Column("line_number", Integer, primary_key=True, autoincrement=False),
    Column("line_id", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("category", Text),
    Column("description", Text),
    Column("quantity", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(["member_id", "order_id"], ["purchase_order.member_id", "purchase_order.order_id"]),
)
"""`paid_minor` is `amount_minor` less the line's share of the order's discount."""

order_earning_table: Final = Table(
    "order_earning",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("order_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("points", BigInteger, nullable=False),
    Column("taken_back", BigInteger, nullable=False, server_default=text("0")),
    Column("line_points", ARRAY(BigInteger), nullable=False),
    Column("rules", JSONB, nullable=False),
    Column("ledger_sequence", BigInteger, nullable=False),
    ForeignKeyConstraint(["member_id", "order_id"], ["purchase_order.member_id", "purchase_order.order_id"]),
    CheckConstraint("taken_back BETWEEN 0 AND points", name="taken_back"),
)
"""What an order earned in one unit: the posting it is pinned to, and each line's share, in the order of its lines."""

refund_table: Final = Table(
    "refund",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("refund_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("channel_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("order_id", Uuid),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("by_amount", Boolean, nullable=False),
    Column("refunded_at", DateTime(timezone=True), nullable=False),
    Column("policy_version", Integer),
    Column("taken_back", JSONB, nullable=False),
    Column("given_back", JSONB, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index(None, "member_id", "order_id"),
    Index(None, "member_id", "refunded_at", "refund_id"),
)
"""A refund or cancellation that was booked. `taken_back` is points by unit, `given_back` points by redemption."""

refund_line_table: Final = Table(
    "refund_line",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("refund_id", Uuid, primary_key=True),
    Column("line_number", Integer, primary_key=True, autoincrement=False),
    Column("quantity", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(["member_id", "refund_id"], ["refund.member_id", "refund.refund_id"]),
)
