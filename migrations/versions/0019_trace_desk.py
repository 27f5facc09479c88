"""Alerts with their states and their history, scans by day, joins from item pages, and the dealers of ranges."""

from __future__ import annotations

from alembic import op

revision = "0019_trace_desk"
down_revision = "0018_scan_log"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE alert (
        id uuid CONSTRAINT alert_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        kind text NOT NULL,
        subject text NOT NULL,
        about jsonb NOT NULL,
        state text NOT NULL,
        first_at timestamptz NOT NULL,
        last_at timestamptz NOT NULL,
        times bigint NOT NULL,
        raised_at timestamptz NOT NULL,
        state_at timestamptz NOT NULL,
        state_by text,
        note text NOT NULL DEFAULT '',
        CONSTRAINT alert_state_check CHECK (state IN ('open', 'acknowledged', 'closed')),
        CONSTRAINT alert_times_check CHECK (times > 0)
    )
    """,
    # Whoever raises the same thing twice finds the first one, as long as nobody has closed it.
    """
    CREATE UNIQUE INDEX alert_unclosed_idx ON alert (programme_id, kind, subject) WHERE state <> 'closed'
    """,
    "CREATE INDEX alert_closed_idx ON alert (programme_id, kind, subject, state_at) WHERE state = 'closed'",
    "CREATE INDEX alert_programme_id_last_at_id_idx ON alert (programme_id, last_at, id)",
    """
    CREATE TABLE alert_event (
        alert_id uuid NOT NULL,
        id uuid NOT NULL,
        programme_id uuid NOT NULL,
        kind text NOT NULL,
        at timestamptz NOT NULL,
        actor text,
        note text NOT NULL DEFAULT '',
        CONSTRAINT alert_event_pkey PRIMARY KEY (alert_id, id)
    )
    """,
    """
    CREATE TABLE alert_settings (
        programme_id uuid CONSTRAINT alert_settings_pkey PRIMARY KEY,
        settings jsonb NOT NULL,
        changed_at timestamptz NOT NULL,
        changed_by text
    )
    """,
    """
    CREATE TABLE scan_day (
        programme_id uuid NOT NULL,
        day date NOT NULL,
        gtin text NOT NULL,
        origin_id uuid NOT NULL,
        dealer text NOT NULL,
        region text NOT NULL,
        verdict text NOT NULL,
        scans bigint NOT NULL,
        CONSTRAINT scan_day_pkey PRIMARY KEY (programme_id, day, gtin, origin_id, dealer, region, verdict)
    )
    """,
    """
    CREATE TABLE scan_day_progress (
        programme_id uuid CONSTRAINT scan_day_progress_pkey PRIMARY KEY,
        counted_until timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE item_join (
        member_id uuid CONSTRAINT item_join_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        gtin text NOT NULL,
        kid smallint NOT NULL,
        index bigint NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX item_join_programme_id_at_idx ON item_join (programme_id, at)",
    "ALTER TABLE code_range ADD COLUMN dealer text",
    "CREATE INDEX code_range_dealer_idx ON code_range (programme_id, dealer) WHERE dealer IS NOT NULL",
    # What alerts are made from is rare; each of these holds that alone, so that the log is never searched for it.
    "CREATE INDEX item_suspected_idx ON item (programme_id, suspected_at) WHERE suspected_at IS NOT NULL",
    "CREATE INDEX item_scan_diverted_idx ON item_scan (programme_id, at) WHERE diverted",
    "CREATE INDEX refused_scan_honey_idx ON refused_scan (programme_id, at) WHERE reason = 'honey'",
    "CREATE INDEX refused_scan_gtin_serial_at_idx ON refused_scan (gtin, serial, at)",
    "ALTER TABLE staff_action ADD COLUMN note text NOT NULL DEFAULT ''",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE staff_action DROP COLUMN note")
    for index in (
        "refused_scan_gtin_serial_at_idx",
        "refused_scan_honey_idx",
        "item_scan_diverted_idx",
        "item_suspected_idx",
        "code_range_dealer_idx",
    ):
        op.execute(f"DROP INDEX {index}")
    op.execute("ALTER TABLE code_range DROP COLUMN dealer")
    for table in ("item_join", "scan_day_progress", "scan_day", "alert_settings", "alert_event", "alert"):
        op.execute(f"DROP TABLE {table}")
