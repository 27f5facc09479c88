"""The ledger's tables, as `migrations/sql/0002_ledger_tables.sql` makes them.

Only this package touches them. Writers are the functions of `posting.py`; these definitions serve reading, and the
test that the schema is the sum of its migrations.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    column,
    func,
    table,
    text,
)

from loyalty.kit.db import metadata

SCHEMA: Final = "ledger"
_moment: Final = DateTime(timezone=True)

unit_table: Final = Table(
    "unit",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("spendable", Boolean, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("expiry_kind", Text, nullable=False),
    Column("expiry_months", Integer),
    Column("expiry_days", Integer),
    Column("expiry_month", Integer),
    Column("expiry_day", Integer),
    Column("shortfall", Text, nullable=False),
    Column("expired_return_days", Integer),
    Column("reinstate_days", Integer, nullable=False),
    Column("adjust_limit", BigInteger, nullable=False),
    Column("created_at", _moment, nullable=False, server_default=func.now()),
    Column("day_from", _moment),
    Column("day_until", _moment),
    Column("day_expires", _moment),
    schema=SCHEMA,
)

account_table: Final = Table(
    "account",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("posted", BigInteger, nullable=False, server_default=text("0")),
    Column("pending", BigInteger, nullable=False, server_default=text("0")),
    Column("held", BigInteger, nullable=False, server_default=text("0")),
    Column("debt", BigInteger, nullable=False, server_default=text("0")),
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
    Column("next_due", _moment),
    Column("idle_expires_at", _moment),
    Column("last_at", _moment, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("inline_lots", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("inline_left", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("inline_expires", ARRAY(DateTime(timezone=True)), nullable=False, server_default=text("'{}'")),
    Column("filed", Boolean, nullable=False, server_default=text("false")),
    Index("account_next_due_idx", "next_due", postgresql_where=text("next_due IS NOT NULL")),
    schema=SCHEMA,
)

entry_table: Final = Table(
    "entry",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("programme_id", Uuid, nullable=False),
    Column("posting", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("posted", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("debt", BigInteger, nullable=False),
    Column("idem_key", Text),
    Column("request_hash", LargeBinary),
    Column("reverses_member", Uuid),
    Column("reverses", BigInteger),
    Column("hold_id", Uuid),
    Column("peer_id", Uuid),
    Column("opens_lot", Boolean, nullable=False),
    Column("lot_expires_at", _moment),
    Column("lot_available_at", _moment),
    Column("lot_priority", Integer),
    Column("lot_origin_member", Uuid),
    Column("lot_origin_seq", BigInteger),
    Column("hold_expires_at", _moment),
    Column("idle_expires_at", _moment),
    Column("source", Text, nullable=False),
    Column("reason", Text),
    Column("actor", Text),
    Column("approved_by", Text),
    Column("rule_version", Text),
    Column("effective_at", _moment, nullable=False),
    Column("recorded_at", _moment, nullable=False),
    Column("lots", ARRAY(BigInteger)),
    Column("amounts", ARRAY(BigInteger)),
    Column("hash", LargeBinary, nullable=False),
    Index(
        "entry_member_id_idem_key_idx",
        "member_id",
        "idem_key",
        unique=True,
        postgresql_where=text("idem_key IS NOT NULL"),
    ),
    Index(
        "entry_member_id_unit_reverses_idx",
        "member_id",
        "unit",
        "reverses",
        postgresql_where=text("reverses IS NOT NULL"),
    ),
    Index(
        "entry_recorded_at_effective_at_idx",
        "recorded_at",
        "effective_at",
        postgresql_using="brin",
        postgresql_ops={"effective_at": "timestamptz_minmax_multi_ops"},
        postgresql_with={"pages_per_range": 64, "autosummarize": "on"},
    ),
    schema=SCHEMA,
)

filed_lot_table: Final = Table(
    "filed_lot",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("granted", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False, server_default=text("0")),
    Column("expires_at", _moment),
    Column("available_at", _moment),
    Column("priority", Integer, nullable=False),
    Column("origin_member", Uuid),
    Column("origin_seq", BigInteger),
    Column("open", Boolean, nullable=False),
    Column("pending", Boolean, nullable=False),
    CheckConstraint("remaining >= 0 AND expired >= 0 AND open = (remaining > 0)", name="remaining"),
    Index(
        "filed_lot_spend_order_idx",
        "member_id",
        "unit",
        "priority",
        "expires_at",
        "seq",
        postgresql_where=text("open"),
    ),
    Index(
        "filed_lot_origin_idx",
        "member_id",
        "unit",
        "origin_member",
        "origin_seq",
        postgresql_where=text("origin_member IS NOT NULL"),
    ),
    schema=SCHEMA,
)

lot_view: Final = table(
    "lot",
    *(column(each.name, each.type) for each in filed_lot_table.columns),
    schema=SCHEMA,
)
"""Every lot, whether it is filed, stands in its account's row, or is used up."""

hold_table: Final = Table(
    "hold",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("hold_id", Uuid, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("released", BigInteger, nullable=False),
    Column("lots", ARRAY(BigInteger), nullable=False),
    Column("amounts", ARRAY(BigInteger), nullable=False),
    Column("expires_at", _moment, nullable=False),
    Column("state", Text, nullable=False),
    CheckConstraint(
        "amount > 0 AND captured >= 0 AND released >= 0 AND captured + released <= amount",
        name="amount",
    ),
    Index("hold_member_id_unit_idx", "member_id", "unit", postgresql_where=text("state = 'open'")),
    schema=SCHEMA,
)

closing_table: Final = Table(
    "closing",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("closed_at", _moment, nullable=False),
    Column("complete_until", _moment, nullable=False),
    Column("accounts", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    CheckConstraint("accounts > 0 AND entries >= accounts", name="counts"),
    schema=SCHEMA,
)

closed_head_table: Final = Table(
    "closed_head",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("closing", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Index("closed_head_closing_idx", "closing", "member_id", "unit"),
    schema=SCHEMA,
)

book_table: Final = Table(
    "book",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("time_zone", Text, nullable=False),
    schema=SCHEMA,
)

flow_table: Final = Table(
    "flow",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("recorded_day", Date, primary_key=True),
    Column("effective_day", Date, primary_key=True),
    Column("cohort_month", Date, primary_key=True),
    Column("expiry_month", Date, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("debit", Text, primary_key=True),
    Column("credit", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("opened", BigInteger, nullable=False),
    schema=SCHEMA,
)

checkpoint_table: Final = Table(
    "checkpoint",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("after_seq", BigInteger, nullable=False),
    Column("least_effective_at", _moment, nullable=False),
    Column("lots", ARRAY(BigInteger), nullable=False),
    Column("spendable", ARRAY(BigInteger), nullable=False),
    Column("pending", ARRAY(BigInteger), nullable=False),
    Column("held", ARRAY(BigInteger), nullable=False),
    Index("checkpoint_late_idx", "member_id", "unit", "seq", "after_seq", "least_effective_at"),
    schema=SCHEMA,
)

seal_table: Final = Table(
    "seal",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("sealed_at", _moment, nullable=False),
    Column("first_closing", BigInteger, nullable=False),
    Column("last_closing", BigInteger, nullable=False),
    Column("complete_until", _moment, nullable=False),
    Column("leaves", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    CheckConstraint("first_closing <= last_closing", name="closings"),
    schema=SCHEMA,
)
