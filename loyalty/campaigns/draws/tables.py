"""Tables of prize draws. What belongs to a member starts its key with `member_id`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

draw_table: Final = Table(
    "prize_draw",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("opens_at", DateTime(timezone=True), nullable=False),
    Column("closes_at", DateTime(timezone=True), nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("sealed_seed", LargeBinary, nullable=False),
    Column("entries", Integer, nullable=False, server_default=text("0")),
    Column("withdrawn_at", DateTime(timezone=True)),
    Column("withdrawn_by", Text),
    Column("seed", LargeBinary),
    Column("beacon", Text),
    Column("drawn_at", DateTime(timezone=True)),
    Column("drawn_by", Text),
    Column("published_by", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "code"),
    CheckConstraint("closes_at > opens_at", name="span"),
    CheckConstraint("withdrawn_by IS NULL OR withdrawn_at IS NOT NULL", name="withdrawn"),
    CheckConstraint("(seed IS NULL) = (drawn_at IS NULL)", name="drawn"),
    Index(None, "programme_id", "closes_at"),
)
"""Draws as published: only entries are added, and once the seed is revealed nothing. `entries` is the last number."""

entry_table: Final = Table(
    "prize_draw_entry",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("draw_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("programme_id", Uuid, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("entry_key", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("entered_at", DateTime(timezone=True), nullable=False),
    Column("prize", Text),
    Column("given_at", DateTime(timezone=True)),
    Column("given_to", Uuid),
    Column("problem", Text),
    UniqueConstraint("member_id", "draw_id", "entry_key"),
    Index(None, "draw_id", "number"),
    Index("prize_draw_entry_waiting_idx", "draw_id", postgresql_where=text("prize IS NOT NULL AND given_at IS NULL")),
)
"""Who entered, in the order of `number`, for how many points; what the entry won, and to whom that was given."""
