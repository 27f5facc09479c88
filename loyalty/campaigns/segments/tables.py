"""The tables of segments."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
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

segment_table: Final = Table(
    "segment",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("draft", JSONB(none_as_null=True)),
    Column("draft_number", Integer, nullable=False, server_default=text("0")),
    Column("draft_by", Text),
    Column("retired_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "name"),
)
"""`version` is the newest saved one, 0 where there is none. `draft` is what somebody works on, null where nobody does;
`draft_number` counts its changes, so that two people do not overwrite each other."""

segment_version_table: Final = Table(
    "segment_version",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("programme_id", Uuid, nullable=False),
    Column("rule", JSONB, nullable=False),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("saved_by", Text, nullable=False),
    Column("saved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("version > 0", name="version"),
    ForeignKeyConstraint(["segment_id"], ["segment.id"]),
)
"""Rules as saved. A trigger refuses to change or delete one: campaigns and issues are pinned to these versions."""

member_tag_table: Final = Table(
    "member_tag",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index(None, "programme_id", "tag"),
)
"""Words that staff or a system put on members. A merged member's tags count for the person."""
