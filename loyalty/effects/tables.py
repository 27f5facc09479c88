"""The tables of campaigns that were sent and are measured."""

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
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from loyalty.kit.db import metadata

sent_campaign_table: Final = Table(
    "sent_campaign",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("channel_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default=text("''")),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("channel_id", "code"),
    CheckConstraint("first_day <= last_day", name="days"),
    Index(None, "programme_id"),
)

sent_campaign_member_table: Final = Table(
    "sent_campaign_member",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("campaign_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Index(None, "campaign_id", "member_id"),
)
"""Who was sent a campaign."""

sent_campaign_use_table: Final = Table(
    "sent_campaign_use",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("campaign_id", Uuid, primary_key=True),
    Column("customer", Text, primary_key=True),
    Column("benefit", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("programme_id", Uuid, nullable=False),
    Column("store", Text, nullable=False, server_default=text("''")),
    Column("clerk", Text, nullable=False, server_default=text("''")),
    Column("discount_minor", BigInteger),
    Index(None, "campaign_id"),
)
"""A benefit of a campaign that came back: `number` tells apart those of one customer on one day."""
