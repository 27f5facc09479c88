"""The tables of tiers. Member-owned keys start with the member; no foreign key leaves this folder."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    Column("changes", Integer, nullable=False, server_default=text("0")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

ladder_version_table: Final = Table(
    "ladder_version",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("ladder_code", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("created_by", Text, nullable=False),
    Column("effective_at", DateTime(timezone=True)),
    Column("published_at", DateTime(timezone=True)),
    Column("published_by", Text),
    Column("started_at", DateTime(timezone=True)),
    Column("retired_at", DateTime(timezone=True)),
    Column("retired_by", Text),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("state IN ('draft', 'published', 'retired')", name="state"),
    CheckConstraint("state <> 'published' OR effective_at IS NOT NULL", name="effective_at"),
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
    Column("joined_on", Date),
    Column("counts_from", Date),
    Column("qualified_on", Date),
    Column("qualified_from", Date),
    Column("granted", Boolean, nullable=False, server_default=text("false")),
    Column("former_tier", Text),
    Column("former_rank", Integer),
    Column("former_until", DateTime(timezone=True)),
    Index(
        "member_tier_due_idx",
        "programme_id",
        "ladder_code",
        "review_at",
        "member_id",
        postgresql_where=text("review_at IS NOT NULL"),
    ),
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
    Column("reasons", JSONB, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("valid_until", DateTime(timezone=True)),
    Column("grace_until", DateTime(timezone=True)),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    CheckConstraint(
        "kind IN ('upgrade', 'downgrade', 'kept', 'soft_landing', 'grace', 'undone', 'grant', 'grant_ended', "
        "'merge', 'unmerge')",
        name="kind",
    ),
)

tier_activity_table: Final = Table(
    "tier_activity",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Index(
        "tier_activity_day_idx",
        "day",
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": True},
    ),
    postgresql_with={"fillfactor": 90},
)
"""What counted towards a metric on one day of the programme's calendar, refunds already taken off.

The key includes `amount`, which SQLAlchemy has no word for: sums are read from it alone.
"""

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

ladder_event_table: Final = Table(
    "ladder_event",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("ladder_code", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("changes", JSONB, nullable=False),
    Column("done_by", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    ForeignKeyConstraint(["programme_id", "ladder_code"], ["ladder.programme_id", "ladder.code"]),
)
"""Who changed what in a ladder's policies, and when."""

ladder_simulation_table: Final = Table(
    "ladder_simulation",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("ladder_code", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("result", JSONB, nullable=False),
    Column("simulated_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("simulated_by", Text, nullable=False),
    ForeignKeyConstraint(["programme_id", "ladder_code"], ["ladder.programme_id", "ladder.code"]),
)
"""What a version would have done to the members, of each revision that was tried: the latest."""

tier_grant_table: Final = Table(
    "tier_grant",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("grant_id", Uuid, primary_key=True),
    Column("ladder_code", Text, nullable=False),
    Column("programme_id", Uuid, nullable=False),
    Column("tier_code", Text, nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", DateTime(timezone=True), nullable=False),
    Column("withdrawn_at", DateTime(timezone=True)),
    Column("withdrawn_by", Text),
)
"""Tiers that somebody gave by hand, until when and why."""

tier_warning_table: Final = Table(
    "tier_warning",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("ladder_code", Text, primary_key=True),
    Column("ends_at", DateTime(timezone=True), primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("tier_code", Text, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("warned_at", DateTime(timezone=True), nullable=False),
    Index(None, "programme_id", "ladder_code", "warned_at", "member_id"),
)
"""Who was found to be about to miss a review, and by how much: one warning for each time a tier would end."""
