"""The tables of pictures and documents of products, and of the files they are kept in."""

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
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

stored_file_table: Final = Table(
    "stored_file",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Files by the hash of what is in them, so that one address is for ever one picture. In the database, because web
processes hold no state and a backup should be one thing."""

product_media_table: Final = Table(
    "product_media",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("titles", JSONB, nullable=False),
    Column("sha256", LargeBinary),
    Column("link", Text),
    Column("media_type", Text),
    Column("size", BigInteger),
    Column("width", Integer),
    Column("height", Integer),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("kind IN ('picture', 'document')", name="kind"),
    CheckConstraint("(sha256 IS NULL) <> (link IS NULL)", name="target"),
    Index("product_media_sha256_idx", "sha256"),
)
"""Pictures and documents of a product in their order: stored here, or a link to elsewhere."""
