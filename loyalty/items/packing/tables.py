"""The tables of cases and pallets, as migration 0017 makes them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, SmallInteger, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

logistic_unit_table: Final = Table(
    "logistic_unit",
    metadata,
    Column("sscc", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("parent", Text),
    Column("packed_at", DateTime(timezone=True), nullable=False),
    Index("logistic_unit_parent_idx", "parent", postgresql_where=text("parent IS NOT NULL")),
    Index("logistic_unit_programme_id_packed_at_idx", "programme_id", "packed_at"),
)
"""A case or a pallet that is packed. `parent`: what it lies in."""

packed_interval_table: Final = Table(
    "packed_interval",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("lo", BigInteger, primary_key=True, autoincrement=False),
    Column("hi", BigInteger, nullable=False),
    Column("sscc", Text, nullable=False),
    CheckConstraint("lo >= 0 AND lo <= hi", name="interval"),
    Index(None, "sscc"),
)
"""The items that lie in a unit: intervals that never overlap, whatever unit they belong to."""

packing_event_table: Final = Table(
    "packing_event",
    metadata,
    Column("sscc", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("intervals", JSONB, nullable=False),
    Column("units", JSONB, nullable=False),
    Column("actor", Text),
    Index("packing_event_programme_id_at_id_idx", "programme_id", "at", "id"),
    Index("packing_event_programme_id_recorded_at_id_idx", "programme_id", "recorded_at", "id"),
    Index("packing_event_units_idx", "units", postgresql_using="gin", postgresql_where=text("units <> '[]'")),
)
"""What was put into a unit or taken out of it; only ever added to."""

PIECE: Final = 1024
"""The most items of a piece: what holds an item begins at most so far before it, however often it was packed."""

packing_event_piece_table: Final = Table(
    "packing_event_piece",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("lo", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Uuid, primary_key=True),
    Column("hi", BigInteger, nullable=False),
    Column("sscc", Text, nullable=False),
)
"""The items of packing events, by which an event is found: intervals of at most PIECE items."""
