"""Purchases, what they earned, and what was refunded of them."""

from __future__ import annotations

from alembic import op

revision = "0007_orders"
down_revision = "0006_campaigns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE order_reference (
            channel_id uuid NOT NULL,
            kind text NOT NULL,
            external_id text NOT NULL,
            programme_id uuid NOT NULL,
            member_id uuid,
            document_id uuid,
            content_hash bytea,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT order_reference_pkey PRIMARY KEY (channel_id, kind, external_id)
        )
    """)
    op.execute("""
        CREATE TABLE waiting_refund (
            channel_id uuid NOT NULL,
            order_external_id text NOT NULL,
            kind text NOT NULL,
            external_id text NOT NULL,
            programme_id uuid NOT NULL,
            document jsonb NOT NULL,
            refused_field text,
            refused_reason text,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT waiting_refund_pkey PRIMARY KEY (channel_id, order_external_id, kind, external_id)
        )
    """)
    op.execute("""
        CREATE TABLE purchase_order (
            member_id uuid NOT NULL,
            order_id uuid NOT NULL,
            programme_id uuid NOT NULL,
            channel_id uuid NOT NULL,
            external_id text NOT NULL,
            receipt_number text NOT NULL,
            placed_at timestamptz NOT NULL,
            currency text NOT NULL,
            total_minor bigint NOT NULL,
            discount_minor bigint NOT NULL,
            tier_code text,
            policy_version integer NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT purchase_order_pkey PRIMARY KEY (member_id, order_id)
        )
    """)
    op.execute("""
        CREATE INDEX purchase_order_member_id_placed_at_order_id_idx
        ON purchase_order (member_id, placed_at, order_id)
    """)
    op.execute("CREATE INDEX purchase_order_order_id_idx ON purchase_order (order_id)")
    op.execute("""
        CREATE TABLE order_line (
            member_id uuid NOT NULL,
            order_id uuid NOT NULL,
            line_number integer NOT NULL,
            line_id text NOT NULL,
            sku text NOT NULL,
            category text,
            description text,
            quantity bigint NOT NULL,
            amount_minor bigint NOT NULL,
            paid_minor bigint NOT NULL,
            CONSTRAINT order_line_pkey PRIMARY KEY (member_id, order_id, line_number),
            CONSTRAINT order_line_member_id_order_id_fkey
                FOREIGN KEY (member_id, order_id) REFERENCES purchase_order (member_id, order_id)
        )
    """)
    op.execute("""
        CREATE TABLE order_earning (
            member_id uuid NOT NULL,
            order_id uuid NOT NULL,
            unit text NOT NULL,
            points bigint NOT NULL,
            taken_back bigint NOT NULL DEFAULT 0,
            line_points bigint[] NOT NULL,
            rules jsonb NOT NULL,
            ledger_sequence bigint NOT NULL,
            CONSTRAINT order_earning_pkey PRIMARY KEY (member_id, order_id, unit),
            CONSTRAINT order_earning_member_id_order_id_fkey
                FOREIGN KEY (member_id, order_id) REFERENCES purchase_order (member_id, order_id),
            CONSTRAINT order_earning_taken_back_check CHECK (taken_back BETWEEN 0 AND points)
        )
    """)
    op.execute("""
        CREATE TABLE refund (
            member_id uuid NOT NULL,
            refund_id uuid NOT NULL,
            programme_id uuid NOT NULL,
            channel_id uuid NOT NULL,
            kind text NOT NULL,
            external_id text NOT NULL,
            order_id uuid,
            currency text NOT NULL,
            amount_minor bigint NOT NULL,
            by_amount boolean NOT NULL,
            refunded_at timestamptz NOT NULL,
            policy_version integer,
            taken_back jsonb NOT NULL,
            given_back jsonb NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT refund_pkey PRIMARY KEY (member_id, refund_id)
        )
    """)
    op.execute("CREATE INDEX refund_member_id_order_id_idx ON refund (member_id, order_id)")
    op.execute("CREATE INDEX refund_member_id_refunded_at_refund_id_idx ON refund (member_id, refunded_at, refund_id)")
    op.execute("""
        CREATE TABLE refund_line (
            member_id uuid NOT NULL,
            refund_id uuid NOT NULL,
            line_number integer NOT NULL,
            quantity bigint NOT NULL,
            amount_minor bigint NOT NULL,
            CONSTRAINT refund_line_pkey PRIMARY KEY (member_id, refund_id, line_number),
            CONSTRAINT refund_line_member_id_refund_id_fkey
                FOREIGN KEY (member_id, refund_id) REFERENCES refund (member_id, refund_id)
        )
    """)


def downgrade() -> None:
    for table in (
        "refund_line",
        "refund",
        "order_earning",
        "order_line",
        "purchase_order",
        "waiting_refund",
        "order_reference",
    ):
        op.execute(f"DROP TABLE {table}")
