"""Cases and pallets, as intervals of items."""

from __future__ import annotations

from alembic import op

revision = "0017_packing"
down_revision = "0016_epcis"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE logistic_unit (
        sscc text CONSTRAINT logistic_unit_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        parent text,
        packed_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX logistic_unit_parent_idx ON logistic_unit (parent) WHERE parent IS NOT NULL",
    "CREATE INDEX logistic_unit_programme_id_packed_at_idx ON logistic_unit (programme_id, packed_at)",
    """
    CREATE TABLE packed_interval (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        lo bigint NOT NULL,
        hi bigint NOT NULL,
        sscc text NOT NULL,
        CONSTRAINT packed_interval_pkey PRIMARY KEY (gtin, kid, lo),
        CONSTRAINT packed_interval_interval_check CHECK (lo >= 0 AND lo <= hi)
    )
    """,
    "CREATE INDEX packed_interval_sscc_idx ON packed_interval (sscc)",
    """
    CREATE TABLE packing_event (
        sscc text NOT NULL,
        id uuid NOT NULL,
        programme_id uuid NOT NULL,
        kind text NOT NULL,
        at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        intervals jsonb NOT NULL,
        units jsonb NOT NULL,
        actor text,
        CONSTRAINT packing_event_pkey PRIMARY KEY (sscc, id)
    )
    """,
    "CREATE INDEX packing_event_programme_id_at_id_idx ON packing_event (programme_id, at, id)",
    "CREATE INDEX packing_event_programme_id_recorded_at_id_idx ON packing_event (programme_id, recorded_at, id)",
    "CREATE INDEX packing_event_units_idx ON packing_event USING gin (units) WHERE units <> '[]'",
    """
    CREATE TABLE packing_event_piece (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        lo bigint NOT NULL,
        event_id uuid NOT NULL,
        hi bigint NOT NULL,
        sscc text NOT NULL,
        CONSTRAINT packing_event_piece_pkey PRIMARY KEY (gtin, kid, lo, event_id)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in ("packing_event_piece", "packing_event", "packed_interval", "logistic_unit"):
        op.execute(f"DROP TABLE {table}")
