"""Tables of campaigns."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

earn_policy_version_table: Final = Table(
    "earn_policy_version",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSONB, nullable=False),
    Column("valid_from", DateTime(timezone=True), nullable=False),
    Column("published_by", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Earn policies as published. A trigger refuses to change or delete a row: orders are pinned to these versions."""

member_trade_table: Final = Table(
    "member_trade",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("channel_id", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("orders", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 90},
)
"""What a member bought on one day of the programme's calendar in one channel, refunds taken off the order's day."""

holdout_table: Final = Table(
    "holdout",
    metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("share_bp", Integer, nullable=False),
    Column("defined_by", Text, nullable=False),
    Column("defined_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("share_bp BETWEEN 0 AND 5000", name="share"),
    Index(None, "programme_id"),
)
"""Which share of members is held out of a campaign; under a programme's own id, of all of its campaigns."""

held_out_table: Final = Table(
    "held_out",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("campaign_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("held_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index(None, "campaign_id", "member_id"),
)
"""Members who would have been in a campaign and were held out of it: its control group."""
