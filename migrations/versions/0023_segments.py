"""Segments and their versions, tags, members' trade by day and channel, and who is held out of what."""

from __future__ import annotations

from alembic import op

revision = "0023_segments"
down_revision = "0022_checkout"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE segment (
        id uuid CONSTRAINT segment_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        name text NOT NULL,
        version integer NOT NULL DEFAULT 0,
        draft jsonb,
        draft_number integer NOT NULL DEFAULT 0,
        draft_by text,
        retired_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT segment_programme_id_name_key UNIQUE (programme_id, name)
    )
    """,
    """
    CREATE TABLE segment_version (
        segment_id uuid NOT NULL,
        version integer NOT NULL,
        programme_id uuid NOT NULL,
        rule jsonb NOT NULL,
        note text NOT NULL DEFAULT '',
        saved_by text NOT NULL,
        saved_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT segment_version_pkey PRIMARY KEY (segment_id, version),
        CONSTRAINT segment_version_version_check CHECK (version > 0),
        CONSTRAINT segment_version_segment_id_fkey FOREIGN KEY (segment_id) REFERENCES segment (id)
    )
    """,
    """
    CREATE FUNCTION refuse_segment_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a saved version of a segment never changes; save another'
            USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER segment_version_is_immutable BEFORE UPDATE OR DELETE ON segment_version
        FOR EACH ROW EXECUTE FUNCTION refuse_segment_version_change()
    """,
    """
    CREATE TABLE member_tag (
        member_id uuid NOT NULL,
        tag text NOT NULL,
        programme_id uuid NOT NULL,
        added_by text NOT NULL,
        added_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT member_tag_pkey PRIMARY KEY (member_id, tag)
    )
    """,
    "CREATE INDEX member_tag_programme_id_tag_idx ON member_tag (programme_id, tag)",
    """
    CREATE TABLE member_trade (
        member_id uuid NOT NULL,
        day date NOT NULL,
        channel_id uuid NOT NULL,
        currency text NOT NULL,
        programme_id uuid NOT NULL,
        orders integer NOT NULL,
        amount_minor bigint NOT NULL,
        CONSTRAINT member_trade_pkey PRIMARY KEY (member_id, day, channel_id, currency)
    ) WITH (fillfactor = 90)
    """,
    # Of what somebody told about themselves, the month of a birthday alone is kept in the clear: segments ask for it.
    "ALTER TABLE member_profile ADD COLUMN month smallint",
    "CREATE INDEX item_scan_member_id_at_idx ON item_scan (member_id, at) WHERE member_id IS NOT NULL",
    """
    CREATE TABLE holdout (
        campaign_id uuid CONSTRAINT holdout_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        share_bp integer NOT NULL,
        defined_by text NOT NULL,
        defined_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT holdout_share_check CHECK (share_bp BETWEEN 0 AND 5000)
    )
    """,
    "CREATE INDEX holdout_programme_id_idx ON holdout (programme_id)",
    """
    CREATE TABLE held_out (
        member_id uuid NOT NULL,
        campaign_id uuid NOT NULL,
        programme_id uuid NOT NULL,
        held_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT held_out_pkey PRIMARY KEY (member_id, campaign_id)
    )
    """,
    "CREATE INDEX held_out_campaign_id_member_id_idx ON held_out (campaign_id, member_id)",
)

FILL_TRADE = """
    INSERT INTO member_trade (member_id, day, channel_id, currency, programme_id, orders, amount_minor)
    SELECT t.member_id, (t.at AT TIME ZONE p.time_zone)::date, t.channel_id, t.currency, t.programme_id,
        sum(t.orders), sum(t.amount_minor)
    FROM (
        SELECT o.member_id, o.placed_at AS at, o.channel_id, o.currency, o.programme_id,
            CASE WHEN r.cancelled OR r.amount_minor >= o.total_minor AND o.total_minor > 0 THEN 0 ELSE 1 END AS orders,
            o.total_minor - coalesce(r.amount_minor, 0) AS amount_minor
        FROM purchase_order AS o
        LEFT JOIN (
            SELECT member_id, order_id, sum(amount_minor) AS amount_minor, bool_or(kind = 'cancellation') AS cancelled
            FROM refund WHERE order_id IS NOT NULL GROUP BY member_id, order_id
        ) AS r ON r.member_id = o.member_id AND r.order_id = o.order_id
        UNION ALL
        SELECT member_id, refunded_at, channel_id, currency, programme_id, 0, -amount_minor
        FROM refund WHERE order_id IS NULL
    ) AS t JOIN programme AS p ON p.id = t.programme_id
    GROUP BY 1, 2, 3, 4, 5
"""


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    op.execute(FILL_TRADE)


def downgrade() -> None:
    op.execute("DROP INDEX item_scan_member_id_at_idx")
    op.execute("ALTER TABLE member_profile DROP COLUMN month")
    for table in ("held_out", "holdout", "member_trade", "member_tag", "segment_version", "segment"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_segment_version_change()")
