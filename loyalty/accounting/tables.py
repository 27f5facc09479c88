"""The accounting policies' table, as `migrations/sql/0011_books_tables.sql` makes it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, DateTime, Integer, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

accounting_policy_table: Final = Table(
    "accounting_policy",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("policy", JSONB, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("published_by", Text, nullable=False),
    CheckConstraint("version > 0", name="version"),
)
