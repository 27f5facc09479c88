"""The tables of benefits. What members hold starts with the member; no foreign key crosses members."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
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
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

budget_table: Final = Table(
    "benefit_budget",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", JSONB, nullable=False),
    Column("currency", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "code"),
)
"""A budget that several templates share, such as a campaign's. Its figures are quotas that it owns."""

template_table: Final = Table(
    "benefit_template",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("draft", JSONB(none_as_null=True)),
    Column("stock", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "code"),
    CheckConstraint("state IN ('draft', 'published', 'retired')", name="state"),
    CheckConstraint("version >= 0", name="version"),
    CheckConstraint("stock IN ('unlimited', 'counted', 'codes')", name="stock"),
)
"""One row a template. `version` is the one in force, 0 before the first; stock and budgets are of all versions."""

version_table: Final = Table(
    "benefit_version",
    metadata,
    Column("template_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSONB, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("published_by", Text, nullable=False),
    CheckConstraint("version > 0", name="version"),
)
"""What a benefit in a wallet keeps for good."""

change_table: Final = Table(
    "benefit_change",
    metadata,
    Column("template_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("before", JSONB(none_as_null=True)),
    Column("after", JSONB(none_as_null=True)),
    Column("undone", Boolean, nullable=False, server_default=text("false")),
)
"""Who did what to a template, and how its draft was before and after."""

code_table: Final = Table(
    "benefit_code",
    metadata,
    Column("template_id", Uuid, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("free", Boolean, nullable=False, server_default=text("true")),
    Column("taken_by", Uuid),
    Column("taken_at", DateTime(timezone=True)),
    Index("benefit_code_free_idx", "template_id", "code", postgresql_where=text("free")),
)
"""Codes that were imported, each handed out once."""

benefit_table: Final = Table(
    "benefit",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("template_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("campaign", Text),
    Column("issue_key", Text, nullable=False),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("valid_from", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("locked_by", Uuid),
    Column("locked_until", DateTime(timezone=True)),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    CheckConstraint(
        "state IN ('issued', 'locked', 'used', 'returned', 'expired', 'revoked', 'transferred')", name="state"
    ),
    Index("benefit_issued_once_idx", "member_id", "issue_key", unique=True),
    Index("benefit_code_idx", "code"),
    Index("benefit_template_id_idx", "template_id"),
    Index("benefit_open_idx", "expires_at", postgresql_where=text("open")),
    postgresql_with={"fillfactor": 90},
)
"""One benefit of one member. `open` while it may still be used; it flips once, but for a return."""

holder_table: Final = Table(
    "benefit_holder",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("template_id", Uuid, primary_key=True),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    postgresql_with={"fillfactor": 90},
)
"""What is locked while a member's limit of a template is looked at."""

event_table: Final = Table(
    "benefit_event",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("benefit_id", Uuid, nullable=False),
    Column("programme_id", Uuid, nullable=False),
    Column("template_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("campaign", Text),
    Column("channel_id", Uuid),
    Column("clerk", Text),
    Column("actor", Text),
    Column("order_number", Text),
    Column("amount_minor", BigInteger),
    Column("currency", Text),
    CheckConstraint(
        "kind IN ('issued', 'seen', 'locked', 'used', 'released', 'returned', 'revoked', 'expired', 'transferred')",
        name="kind",
    ),
    Index("benefit_event_template_id_at_idx", "template_id", "at"),
)
"""What happened to benefits; append-only."""

issue_table: Final = Table(
    "benefit_issue",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("template_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("campaign", Text),
    Column("audience", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("total", BigInteger),
    Column("cursor", Uuid),
    Column("done", BigInteger, nullable=False, server_default=text("0")),
    Column("issued", BigInteger, nullable=False, server_default=text("0")),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('gathering', 'running', 'done', 'stopped')", name="state"),
    Index("benefit_issue_template_id_idx", "template_id"),
    Index("benefit_issue_unfinished_idx", "id", postgresql_where=text("finished_at IS NULL")),
)
"""An issue to many members, and how far it is."""

issue_member_table: Final = Table(
    "benefit_issue_member",
    metadata,
    Column("issue_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
)
"""Whom an issue is for, as they were when it began."""
