"""The table of checkouts. Its parts are redemptions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

checkout_table: Final = Table(
    "checkout",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("channel_id", Uuid, nullable=False),
    Column("clerk", Text),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("basket", JSONB, nullable=False),
    Column("quote", JSONB, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("payable_minor", BigInteger, nullable=False),
    Column("locked_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("order_number", Text),
    Column("used_at", DateTime(timezone=True)),
    Column("refunded_lines", JSONB, nullable=False, server_default=text("'[]'")),
    Column("closed_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('locked', 'used', 'released', 'refunded', 'expired')", name="state"),
    Index("checkout_id_idx", "id"),
    Index("checkout_order_idx", "channel_id", "order_number", postgresql_where=text("order_number IS NOT NULL")),
    Index("checkout_stale_idx", "expires_at", postgresql_where=text("state = 'locked'")),
    postgresql_with={"fillfactor": 90},
)
