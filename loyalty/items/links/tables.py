"""The table of links. Its key begins with what a link is about, so that a product's links live together."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Index, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import ARRAY

from loyalty.kit.db import metadata

digital_link_table: Final = Table(
    "digital_link",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("link_type", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("languages", ARRAY(Text), nullable=False),
    Column("media_type", Text, nullable=False),
    Column("contexts", ARRAY(Text), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("valid_from", DateTime(timezone=True)),
    Column("valid_until", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("valid_from < valid_until", name="validity"),
    Index("digital_link_id_idx", "id"),
    Index("digital_link_programme_id_idx", "programme_id", "key", "value"),
)
"""Where things lead. `path` is what qualifies the key: empty for the product itself, `/10/L1` for a lot, `/10/*` for
every lot."""
