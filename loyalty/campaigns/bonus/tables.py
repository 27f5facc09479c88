"""Tables of earn campaigns. What belongs to a member starts its key with `member_id`."""

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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loyalty.kit.db import metadata

campaign_table: Final = Table(
    "earn_campaign",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("draft", JSONB),
    Column("changes", Integer, nullable=False, server_default=text("0")),
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("ended_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "code"),
)
"""Campaigns: the draft that is being worked on, the newest version, and when somebody ended it before its time."""

campaign_version_table: Final = Table(
    "earn_campaign_version",
    metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("programme_id", Uuid, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True)),
    Column("published_by", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("withdrawn_at", DateTime(timezone=True)),
    CheckConstraint("ends_at > starts_at", name="span"),
    Index(None, "programme_id", "starts_at"),
)
"""Campaigns as published. A trigger lets a version be withdrawn before it starts, and nothing else of it change."""

campaign_change_table: Final = Table(
    "earn_campaign_change",
    metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("programme_id", Uuid, nullable=False),
    Column("what", Text, nullable=False),
    Column("draft", JSONB),
    Column("version", Integer),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Who did what to a campaign; `draft` is how it stood afterwards, so that a change can be undone."""

campaign_award_table: Final = Table(
    "earn_campaign_award",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("order_id", Uuid, primary_key=True),
    Column("campaign_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("unit", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("taken_back", BigInteger, nullable=False, server_default=text("0")),
    Column("line_points", ARRAY(BigInteger), nullable=False),
    Column("ledger_sequence", BigInteger),
    Column("benefit_id", Uuid),
    Column("day", Date, nullable=False),
    Column("given_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("taken_back BETWEEN 0 AND points", name="taken_back"),
    CheckConstraint("(points > 0) = (ledger_sequence IS NOT NULL)", name="posting"),
    CheckConstraint("points > 0 OR benefit_id IS NOT NULL", name="reward"),
    Index(None, "campaign_id", "day"),
)
"""What a campaign gave for an order: points by a posting, or a benefit, and by which version. `day` is the
programme's."""

campaign_member_table: Final = Table(
    "earn_campaign_member",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("campaign_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("times", Integer, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("days", JSONB, nullable=False),
)
"""What a member got of a campaign that limits it, by day and in all. Whoever adds to it holds the row."""
