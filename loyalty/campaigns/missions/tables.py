"""Tables of missions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

mission_table: Final = Table(
    "mission",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True)),
    Column("ended_by", Text),
    Column("published_by", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("ends_at > starts_at", name="span"),
    CheckConstraint("ended_by IS NULL OR ends_at IS NOT NULL", name="ended"),
    UniqueConstraint("programme_id", "code"),
)
"""Missions as published; only their end may be moved."""

mission_reward_table: Final = Table(
    "mission_reward",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("mission_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("ledger_sequence", BigInteger),
    Column("given_at", DateTime(timezone=True), nullable=False),
    Index(None, "programme_id", "mission_id"),
)
"""Which member collected which mission's reward; `ledger_sequence` is the posting of its points, where it has any."""

member_visit_table: Final = Table(
    "member_visit",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
)
"""The days, of the programme's calendar, on which a member looked at their card or showed it at a till."""
