"""The tables of tiers. Member-owned keys start with the member; no foreign key leaves this folder."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

ladder_table: Final = Table(
    "ladder",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

ladder_version_table: Final = Table(
    "ladder_version",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("ladder_code", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSONB, nullable=False),
    Column("effective_at", DateTime(timezone=True), nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("version > 0", name="version"),
    ForeignKeyConstraint(["programme_id", "ladder_code"], ["ladder.programme_id", "ladder.code"]),
)

member_tier_table: Final = Table(
    "member_tier",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("ladder_code", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("tier_code", Text, nullable=False),
    Column("tier_rank", Integer, nullable=False),
    Column("ladder_version", Integer, nullable=False),
    Column("since", DateTime(timezone=True)),
    Column("changed_at", DateTime(timezone=True)),
    Column("valid_until", DateTime(timezone=True)),
    Column("grace_until", DateTime(timezone=True)),
    Column("review_at", DateTime(timezone=True)),
    Column("change_sequence", Integer, nullable=False),
    Index(
        "member_tier_due_idx",
        "programme_id",
        "ladder_code",
        "review_at",
        "member_id",
        postgresql_where=text("review_at IS NOT NULL"),
    ),
    Index(None, "programme_id", "ladder_code", "tier_code"),
    postgresql_with={"fillfactor": 90},
)

tier_change_table: Final = Table(
    "tier_change",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("ladder_code", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("programme_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("ladder_version", Integer, nullable=False),
    Column("from_tier", Text, nullable=False),
    Column("to_tier", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("window_kind", Text, nullable=False),
    Column("window_first_day", Date),
    Column("window_last_day", Date, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("valid_until", DateTime(timezone=True)),
    Column("grace_until", DateTime(timezone=True)),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    CheckConstraint("kind IN ('upgrade', 'downgrade', 'kept', 'grace', 'merge', 'unmerge')", name="kind"),
)

tier_activity_table: Final = Table(
    "tier_activity",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 90},
)
"""What counted towards a metric on one day of the programme's calendar, refunds already taken off."""

tier_merge_table: Final = Table(
    "tier_merge",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("absorbed_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("merged_at", DateTime(timezone=True), nullable=False),
    Column("states", JSONB, nullable=False),
)
"""The tiers both members had when they became one, kept so that an unmerge can give them back."""

tier_activity_moved_table: Final = Table(
    "tier_activity_moved",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("absorbed_id", Uuid, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["member_id", "absorbed_id"], ["tier_merge.member_id", "tier_merge.absorbed_id"], ondelete="CASCADE"
    ),
)
"""Exactly what a merge added to the survivor's roll-up."""
