"""Checkouts: a basket's quote, and the coupons and points that are locked and used for it as one."""

from __future__ import annotations

from alembic import op

revision = "0022_checkout"
down_revision = "0021_benefits"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE checkout (
        member_id uuid NOT NULL,
        id uuid NOT NULL,
        programme_id uuid NOT NULL,
        channel_id uuid NOT NULL,
        clerk text,
        state text NOT NULL CONSTRAINT checkout_state_check
            CHECK (state IN ('locked', 'used', 'released', 'refunded', 'expired')),
        currency text NOT NULL,
        basket jsonb NOT NULL,
        quote jsonb NOT NULL,
        total_minor bigint NOT NULL,
        payable_minor bigint NOT NULL,
        locked_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        order_number text,
        used_at timestamptz,
        refunded_lines jsonb NOT NULL DEFAULT '[]',
        closed_at timestamptz,
        CONSTRAINT checkout_pkey PRIMARY KEY (member_id, id)
    ) WITH (fillfactor = 90)
    """,
    "CREATE INDEX checkout_id_idx ON checkout (id)",
    "CREATE INDEX checkout_order_idx ON checkout (channel_id, order_number) WHERE order_number IS NOT NULL",
    "CREATE INDEX checkout_stale_idx ON checkout (expires_at) WHERE state = 'locked'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE checkout")
