"""The tables of items. Keys start with (gtin, kid, index), so that a GTIN's rows can live together on one shard."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
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
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

product_table: Final = Table(
    "product",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("names", JSONB, nullable=False),
    Column("descriptions", JSONB, nullable=False),
    Column("category", Text, nullable=False, server_default=""),
    Column("points_on_claim", BigInteger, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("points_on_claim >= 0", name="points_on_claim"),
    Index("product_programme_id_idx", "programme_id"),
)
"""What is sold under a GTIN. The GTIN alone is the key: an item's address names no programme, so one brand owns it."""

code_series_table: Final = Table(
    "code_series",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("next_index", BigInteger, nullable=False),
    CheckConstraint("next_index BETWEEN 0 AND 34359738368", name="next_index"),
)
"""The next free index of each (gtin, kid). Locking its row orders everything that cuts or takes intervals."""

code_range_table: Final = Table(
    "code_range",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("lo", BigInteger, primary_key=True),
    Column("hi", BigInteger, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("origin_id", Uuid, nullable=False),
    Column("programme_id", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("print_order", Text, nullable=False),
    Column("lot", Text),
    Column("region", Text),
    Column("expires_on", Date),
    Column("policy", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("state_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("exempt_at", DateTime(timezone=True)),
    Column("honey_export_id", Uuid),
    Column("dealer", Text),
    CheckConstraint("lo >= 0 AND lo <= hi AND hi < 34359738368", name="interval"),
    Index("code_range_id_idx", "id"),
    Index("code_range_origin_id_idx", "origin_id"),
    Index("code_range_programme_id_id_idx", "programme_id", "id"),
    Index("code_range_gtin_lot_idx", "gtin", "lot"),
    Index("code_range_dealer_idx", "programme_id", "dealer", postgresql_where=text("dealer IS NOT NULL")),
)
"""Intervals of codes, ends included, that share lot, state, region and policy; they never overlap.

`origin_id` is the id of the range that was minted: the pieces of a split keep it, so that a print order stays whole.
`exempt_at`: what was said of its lot or key by then does not hold for it. `honey_export_id`: codes that are in one
export's file and are never sold. `dealer`: who these were sold to, to sell on.
"""

range_event_table: Final = Table(
    "range_event",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("lo", BigInteger, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("hi", BigInteger, nullable=False),
    Column("programme_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("places", JSONB),
    Column("public", Boolean, nullable=False),
    Column("actor", Text),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("lo >= 0 AND lo <= hi AND hi < 34359738368", name="interval"),
)
"""What happened to an interval of items, whatever ranges it is cut into later."""

item_table: Final = Table(
    "item",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("state", Text),
    Column("scan_count", Integer, nullable=False, server_default="0"),
    Column("first_scanned_at", DateTime(timezone=True)),
    Column("first_device", LargeBinary),
    Column("first_member_id", Uuid),
    Column("first_city", Text),
    Column("last_scanned_at", DateTime(timezone=True)),
    Column("suspected_at", DateTime(timezone=True)),
    Column("cleared_at", DateTime(timezone=True)),
    Column("pin_failures", SmallInteger, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("exempt_at", DateTime(timezone=True)),
    Index("item_suspected_idx", "programme_id", "suspected_at", postgresql_where=text("suspected_at IS NOT NULL")),
)
"""Items that something happened to. `state` is an item's own, null where its range speaks for it; `exempt_at`: what
was said of its range, lot or key by then does not hold for it."""

item_scan_table: Final = Table(
    "item_scan",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("device", LargeBinary, nullable=False),
    Column("member_id", Uuid),
    Column("address_prefix", Text),
    Column("city", Text),
    Column("region", Text),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("place_source", Text),
    Column("verdict", Text, nullable=False),
    Column("diverted", Boolean, nullable=False, server_default="false"),
    Index("item_scan_programme_id_at_idx", "programme_id", "at"),
    Index("item_scan_member_id_at_idx", "member_id", "at", postgresql_where=text("member_id IS NOT NULL")),
    Index("item_scan_diverted_idx", "programme_id", "at", postgresql_where=text("diverted")),
    postgresql_partition_by="RANGE (at)",
)
"""Every scan of a true code, and what it was told, in a partition for each month (see `scan_log`)."""

refused_scan_table: Final = Table(
    "refused_scan",
    metadata,
    Column("device", LargeBinary, primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("address_prefix", Text),
    Column("gtin", Text, nullable=False),
    Column("serial", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("refused_scan_address_prefix_at_idx", "address_prefix", "at"),
    Index("refused_scan_programme_id_at_idx", "programme_id", "at"),
    Index("refused_scan_honey_idx", "programme_id", "at", postgresql_where=text("reason = 'honey'")),
    Index("refused_scan_gtin_serial_at_idx", "gtin", "serial", "at"),
    postgresql_partition_by="RANGE (at)",
)
"""Tries of codes that are not ours, and of wrong PINs: what throttling counts and the brand is alerted
to, in a partition for each month."""

item_settings_table: Final = Table(
    "item_settings",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("settings", JSONB, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""The thresholds of scans and claims that a brand has set; what it has not, `ItemSettings` says."""

item_claim_table: Final = Table(
    "item_claim",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("device", LargeBinary, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("points", BigInteger, nullable=False),
    Index("item_claim_member_id_at_idx", "member_id", "at"),
    Index("item_claim_programme_id_at_idx", "programme_id", "at"),
)
"""Claim once: the primary key is the rule."""

claim_tally_table: Final = Table(
    "claim_tally",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("claims", Integer, nullable=False),
)
"""Claims of a member (`member:{uuid}`) or a device (`device:{hash}`) on one local day: what the daily caps count."""
