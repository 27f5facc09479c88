"""The tables of the trace desk, as migration 0019 makes them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

alert_table: Final = Table(
    "alert",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("about", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("times", BigInteger, nullable=False),
    Column("raised_at", DateTime(timezone=True), nullable=False),
    Column("state_at", DateTime(timezone=True), nullable=False),
    Column("state_by", Text),
    Column("note", Text, nullable=False, server_default=""),
    CheckConstraint("state IN ('open', 'acknowledged', 'closed')", name="state"),
    CheckConstraint("times > 0", name="times"),
    Index(
        "alert_unclosed_idx", "programme_id", "kind", "subject", unique=True, postgresql_where=text("state <> 'closed'")
    ),
    Index("alert_closed_idx", "programme_id", "kind", "subject", "state_at", postgresql_where=text("state = 'closed'")),
    Index("alert_programme_id_last_at_id_idx", "programme_id", "last_at", "id"),
)
"""What scans give reason to look at. `subject` names the same thing in the same words; one of it is not closed."""

alert_event_table: Final = Table(
    "alert_event",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text),
    Column("note", Text, nullable=False, server_default=""),
)
"""What was done about an alert, by whom; only ever added to."""

alert_settings_table: Final = Table(
    "alert_settings",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("settings", JSONB, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text),
)
"""From when on something is an alert, where a brand has said so."""

scan_day_table: Final = Table(
    "scan_day",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("gtin", Text, primary_key=True),
    Column("origin_id", Uuid, primary_key=True),
    Column("dealer", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("verdict", Text, primary_key=True),
    Column("scans", BigInteger, nullable=False),
)
"""Scans of a local day, counted from the log up to `scan_day_progress.counted_until`; what is not known is empty."""

scan_day_progress_table: Final = Table(
    "scan_day_progress",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("counted_until", DateTime(timezone=True), nullable=False),
)
"""How far the log is counted. Locking its row orders those who count."""

item_join_table: Final = Table(
    "item_join",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("gtin", Text, nullable=False),
    Column("kid", SmallInteger, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("item_join_programme_id_at_idx", "programme_id", "at"),
)
"""Members who joined from an item's page, and which item that was."""
