"""The tables of what codes are printed and handed out by: lots, keys, imported serials, printers, exports."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

lot_table: Final = Table(
    "lot",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("made_on", Date),
    Column("expires_on", Date),
    Column("region", Text),
    Column("note", Text, nullable=False, server_default=""),
    Column("state", Text),
    Column("state_at", DateTime(timezone=True)),
    Column("state_by", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("state IN ('recalled', 'retired')", name="state"),
    Index("lot_programme_id_idx", "programme_id"),
)
"""Goods made together. `state` is what holds for all of them, whatever ranges their codes lie in: one row is a recall.

Where a range says nothing of its own, `expires_on` and `region` are its lot's.
"""

code_key_table: Final = Table(
    "code_key",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("state", Text),
    Column("state_at", DateTime(timezone=True)),
    Column("compromised_at", DateTime(timezone=True)),
    Column("note", Text, nullable=False, server_default=""),
    CheckConstraint("state IN ('recalled', 'retired')", name="state"),
)
"""Key ids of which something is to be said. Codes of a compromised one count if they were handed out before."""

imported_code_table: Final = Table(
    "imported_code",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("serial", Text, primary_key=True),
    Column("index", BigInteger, nullable=False),
    Column("programme_id", Uuid, nullable=False),
    Column("pin_digest", LargeBinary),
    Index("imported_code_gtin_index_idx", "gtin", "index", unique=True),
)
"""A brand's own serials, which prove nothing by themselves. They have key id 0, and an index like all others."""

imported_line_table: Final = Table(
    "imported_line",
    metadata,
    Column("import_id", Uuid, primary_key=True),
    Column("line", BigInteger, primary_key=True),
    Column("serial", Text, nullable=False),
    Column("pin_digest", LargeBinary),
    prefixes=["UNLOGGED"],
)
"""Lines of a file while it is imported: empty before and after."""

printer_table: Final = Table(
    "printer",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("recipient", Text),
    Column("note", Text, nullable=False, server_default=""),
    Column("retired_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "name"),
)
"""Who prints codes, and the public key (age) that what they get is encrypted to."""

code_export_table: Final = Table(
    "code_export",
    metadata,
    Column("gtin", Text, primary_key=True),
    Column("kid", SmallInteger, primary_key=True),
    Column("lo", BigInteger, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("hi", BigInteger, nullable=False),
    Column("programme_id", Uuid, nullable=False),
    Column("range_id", Uuid, nullable=False),
    Column("printer_id", Uuid),
    Column("contents", Text, nullable=False),
    Column("layout", JSONB, nullable=False),
    Column("packed", Boolean, nullable=False, server_default="false"),
    Column("recipient", Text),
    Column("honey_lo", BigInteger),
    Column("honey_hi", BigInteger),
    Column("lines", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("holder", Text),
    Column("size", BigInteger),
    Column("sha256", LargeBinary),
    Column("codes_sha256", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("created_by", Text),
    Column("handed_out_at", DateTime(timezone=True)),
    Column("completed_at", DateTime(timezone=True)),
    CheckConstraint("lo >= 0 AND lo <= hi AND hi < 34359738368", name="interval"),
    CheckConstraint("state IN ('ready', 'begun', 'completed', 'withdrawn')", name="state"),
    Index("code_export_id_idx", "id"),
    Index("code_export_range_id_idx", "range_id"),
    Index("code_export_programme_id_id_idx", "programme_id", "id"),
)
"""The print manifest: every file of codes that was made for somebody, and the hash of what they got."""

code_download_table: Final = Table(
    "code_download",
    metadata,
    Column("export_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("address", Text),
    Column("first_byte", BigInteger, nullable=False),
    Column("sent_bytes", BigInteger),
    Column("sha256", LargeBinary),
    Column("completed", Boolean, nullable=False, server_default="false"),
    Column("ended_at", DateTime(timezone=True)),
)
"""Each time that somebody began to fetch an export. `sent_bytes` is null while it runs, or where the server died."""
