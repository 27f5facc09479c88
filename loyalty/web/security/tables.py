"""Tables of those who may ask: API keys, staff, sessions, one-time codes, and the throttle on guessing."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from loyalty.kit.db import metadata

api_key_table: Final = Table(
    "api_key",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("channel_id", Uuid),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False, unique=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("revoked_at", DateTime(timezone=True)),
)

staff_table: Final = Table(
    "staff",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("username", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("channel_id", Uuid),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "username"),
    CheckConstraint("role IN ('clerk', 'crm', 'admin')", name="role"),
    CheckConstraint("role <> 'clerk' OR channel_id IS NOT NULL", name="clerk_has_channel"),
)

session_table: Final = Table(
    "web_session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("programme_id", Uuid, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('staff', 'member')", name="kind"),
    Index(None, "subject_id"),
    Index(None, "expires_at"),
)

one_time_code_table: Final = Table(
    "one_time_code",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("phone_index", LargeBinary, nullable=False),
    Column("code_hash", LargeBinary, nullable=False),
    Column("tries", SmallInteger, nullable=False, server_default=text("0")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Index(None, "programme_id", "purpose", "phone_index"),
    Index(None, "expires_at"),
)

throttle_table: Final = Table(
    "throttle",
    metadata,
    Column("subject", LargeBinary, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("window_ends_at", DateTime(timezone=True), nullable=False),
    Index(None, "window_ends_at"),
)

staff_action_table: Final = Table(
    "staff_action",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("staff_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("done_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("note", Text, nullable=False, server_default=""),
    Index(None, "subject_id", "id"),
)
"""What staff did that leaves no trace elsewhere, such as looking at a member's phone number. Append-only."""
