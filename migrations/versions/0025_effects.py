"""Campaigns that were sent, to whom, and what of them was used: what effects are measured on."""

from __future__ import annotations

from alembic import op

revision = "0025_effects"
down_revision = "0024_earn_campaigns"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE sent_campaign (
        id uuid CONSTRAINT sent_campaign_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        channel_id uuid NOT NULL,
        code text NOT NULL,
        kind text NOT NULL DEFAULT '',
        first_day date NOT NULL,
        last_day date NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT sent_campaign_channel_id_code_key UNIQUE (channel_id, code),
        CONSTRAINT sent_campaign_days_check CHECK (first_day <= last_day)
    )
    """,
    "CREATE INDEX sent_campaign_programme_id_idx ON sent_campaign (programme_id)",
    """
    CREATE TABLE sent_campaign_member (
        member_id uuid NOT NULL,
        campaign_id uuid NOT NULL,
        programme_id uuid NOT NULL,
        CONSTRAINT sent_campaign_member_pkey PRIMARY KEY (member_id, campaign_id)
    )
    """,
    "CREATE INDEX sent_campaign_member_campaign_id_member_id_idx ON sent_campaign_member (campaign_id, member_id)",
    """
    CREATE TABLE sent_campaign_use (
        member_id uuid NOT NULL,
        campaign_id uuid NOT NULL,
        customer text NOT NULL,
        benefit text NOT NULL,
        day date NOT NULL,
        number integer NOT NULL,
        programme_id uuid NOT NULL,
        store text NOT NULL DEFAULT '',
        clerk text NOT NULL DEFAULT '',
        discount_minor bigint,
        CONSTRAINT sent_campaign_use_pkey PRIMARY KEY (member_id, campaign_id, customer, benefit, day, number)
    )
    """,
    "CREATE INDEX sent_campaign_use_campaign_id_idx ON sent_campaign_use (campaign_id)",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in ("sent_campaign_use", "sent_campaign_member", "sent_campaign"):
        op.execute(f"DROP TABLE {table}")
