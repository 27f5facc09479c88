"""The tables of EPCIS. Mentions start with the name, item rows with (gtin, kid, index): each lies with its own."""

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
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from loyalty.kit.db import metadata

epcis_event_table: Final = Table(
    "epcis_event",
    metadata,
    Column("key", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("action", Text),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("record_time", DateTime(timezone=True), nullable=False),
    Column("biz_step", Text),
    Column("disposition", Text),
    Column("read_point", Text),
    Column("biz_location", Text),
    Column("transformation_id", Text),
    Column("declared_at", DateTime(timezone=True)),
    Column("error_reason", Text),
    Column("context", JSON, nullable=False),
    Column("given", JSON, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("capture_id", Uuid),
    Column("actor", Text),
    Index("epcis_event_event_id_idx", "event_id"),
    Index("epcis_event_programme_id_event_time_key_idx", "programme_id", "event_time", "key"),
    Index("epcis_event_programme_id_record_time_key_idx", "programme_id", "record_time", "key"),
)
"""Events, each as it was given (`json` keeps every byte; `jsonb` would not), with what it is asked by.

`key` follows from programme, eventID and error declaration, so that nothing is there twice. `content` is a digest of
what the event says. `declared_at` is the time of an error declaration, and null in every other event.
"""

epcis_mention_table: Final = Table(
    "epcis_mention",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("event_key", Uuid, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
)
"""What events mention, in its one spelling: objects, classes, documents, parties, and in which role."""

epcis_item_table: Final = Table(
    "epcis_item",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("event_key", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
)
"""Events that name one of the brand's own items."""

epcis_value_table: Final = Table(
    "epcis_value",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("told", Text, nullable=False),
)
"""Event types, business steps, dispositions, read points and business locations that were captured so far."""

epcis_capture_table: Final = Table(
    "epcis_capture",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    Column("error_behaviour", Text, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("part_count", Integer, nullable=False),
    Column("next_part", Integer, nullable=False, server_default="0"),
    Column("envelope", JSON, nullable=False),
    Column("actor", Text),
    CheckConstraint("error_behaviour IN ('rollback', 'proceed')", name="error_behaviour"),
    Index("epcis_capture_programme_id_id_idx", "programme_id", "id"),
    Index("epcis_capture_unfinished_idx", "created_at", postgresql_where=text("finished_at IS NULL")),
)
"""Documents that were received, and what became of them. The envelope is the document without its events."""

epcis_capture_progress_table: Final = Table(
    "epcis_capture_progress",
    metadata,
    Column("capture_id", Uuid, primary_key=True),
    Column("processed", Integer, nullable=False, server_default="0"),
    Column("captured", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("errors", JSON, nullable=False, server_default=text("'[]'")),
)
"""How far a capture is. A row of its own: who works on the capture holds the other one locked."""

epcis_capture_part_table: Final = Table(
    "epcis_capture_part",
    metadata,
    Column("capture_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("first_event", Integer, nullable=False),
    Column("events", LargeBinary, nullable=False),
)
"""The events of a document that waits to be captured, some hundred to a row, as a JSON array of what was given."""

epcis_public_step_table: Final = Table(
    "epcis_public_step",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("biz_step", Text, primary_key=True),
    Column("kind", Text, nullable=False),
)
"""Business steps of captured events that shoppers are shown, and as what."""

epcis_place_table: Final = Table(
    "epcis_place",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("names", JSON, nullable=False),
)
"""What places are called where shoppers read of them."""
