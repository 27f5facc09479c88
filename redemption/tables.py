"""The tables of redemption. Member-owned keys start with the member; no foreign key leaves this folder."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.kit.db import metadata

redemption_policy_table: Final = Table(
    "redemption_policy",
    metadata,
    Column("programme_id", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("step_points", BigInteger, nullable=False),
    Column("step_amount_minor", BigInteger, nullable=False),
    Column("minimum_points", BigInteger, nullable=False),
    Column("max_share_bp", Integer, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("step_points > 0", name="step_points"),
    CheckConstraint("step_amount_minor > 0", name="step_amount"),
    CheckConstraint("minimum_points > 0", name="minimum"),
    CheckConstraint("max_share_bp BETWEEN 1 AND 10000", name="share"),
)

catalogue_item_table: Final = Table(
    "catalogue_item",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", JSONB, nullable=False),
    Column("kind", Text, nullable=False),
    Column("points_cost", BigInteger, nullable=False),
    Column("coupon_template_code", Text),
    Column("stock", BigInteger),
    Column("active", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("programme_id", "code"),
    CheckConstraint("kind IN ('item', 'coupon')", name="kind"),
    CheckConstraint("points_cost > 0", name="cost"),
    CheckConstraint("stock >= 0", name="stock"),
    CheckConstraint("(kind = 'coupon') = (coupon_template_code IS NOT NULL)", name="template"),
)

redemption_table: Final = Table(
    "redemption",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("channel_id", Uuid, nullable=False),
    Column("clerk", Text),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text),
    Column("basket_minor", BigInteger),
    Column("policy_version", Integer),
    Column("catalogue_item_id", Uuid),
    Column("benefit_member_id", Uuid),
    Column("benefit_id", Uuid),
    Column("benefit_template_id", Uuid),
    Column("benefit_version", Integer),
    Column("checkout_id", Uuid),
    Column("name", JSONB(none_as_null=True)),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Column("hold_expires_at", DateTime(timezone=True), nullable=False),
    Column("receipt_number", Text),
    Column("captured_at", DateTime(timezone=True)),
    Column("capture_sequence", BigInteger),
    Column("refunded_points", BigInteger, nullable=False, server_default=text("0")),
    Column("refunded_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("closed_at", DateTime(timezone=True)),
    CheckConstraint("kind IN ('money_off', 'catalogue', 'coupon', 'benefit')", name="kind"),
    CheckConstraint("state IN ('held', 'captured', 'voided', 'refunded', 'expired')", name="state"),
    CheckConstraint("points >= 0", name="points"),
    CheckConstraint("amount_minor >= 0", name="amount"),
    CheckConstraint(
        "refunded_points BETWEEN 0 AND points AND refunded_minor BETWEEN 0 AND amount_minor", name="refunded"
    ),
    Index("redemption_id_idx", "id"),
    Index(
        "redemption_receipt_idx",
        "channel_id",
        "receipt_number",
        postgresql_where=text("receipt_number IS NOT NULL"),
    ),
    Index("redemption_channel_id_begun_at_idx", "channel_id", "begun_at"),
    Index("redemption_checkout_id_idx", "checkout_id", postgresql_where=text("checkout_id IS NOT NULL")),
    Index("redemption_stale_idx", "hold_expires_at", postgresql_where=text("state = 'held'")),
    postgresql_with={"fillfactor": 90},
)

redemption_refund_table: Final = Table(
    "redemption_refund",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("redemption_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("points", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("posting_sequence", BigInteger),
    Column("clerk", Text),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

redemption_request_table: Final = Table(
    "redemption_request",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("answer", JSONB(none_as_null=True)),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)
"""What a till asked under one idempotency key, and the answer it was given."""
