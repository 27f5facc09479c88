"""Tables of campaigns."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, DateTime, Integer, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

earn_policy_version_table: Final = Table(
    "earn_policy_version",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSONB, nullable=False),
    Column("valid_from", DateTime(timezone=True), nullable=False),
    Column("published_by", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Earn policies as published. A trigger refuses to change or delete a row: orders are pinned to these versions."""
