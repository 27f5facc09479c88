"""EPCIS events: as they were given, what they mention, captures under way, and what shoppers are shown of them."""

from __future__ import annotations

from alembic import op

revision = "0016_epcis"
down_revision = "0015_links"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE epcis_event (
        key uuid CONSTRAINT epcis_event_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        event_id text NOT NULL,
        event_type text NOT NULL,
        action text,
        event_time timestamptz NOT NULL,
        record_time timestamptz NOT NULL,
        biz_step text,
        disposition text,
        read_point text,
        biz_location text,
        transformation_id text,
        declared_at timestamptz,
        error_reason text,
        context json NOT NULL,
        given json NOT NULL,
        content bytea NOT NULL,
        capture_id uuid,
        actor text
    )
    """,
    "CREATE INDEX epcis_event_event_id_idx ON epcis_event (event_id)",
    "CREATE INDEX epcis_event_programme_id_event_time_key_idx ON epcis_event (programme_id, event_time, key)",
    "CREATE INDEX epcis_event_programme_id_record_time_key_idx ON epcis_event (programme_id, record_time, key)",
    """
    CREATE TABLE epcis_mention (
        name text COLLATE "C" NOT NULL,
        event_key uuid NOT NULL,
        role text NOT NULL,
        programme_id uuid NOT NULL,
        CONSTRAINT epcis_mention_pkey PRIMARY KEY (name, event_key, role)
    )
    """,
    """
    CREATE TABLE epcis_item (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        index bigint NOT NULL,
        event_key uuid NOT NULL,
        programme_id uuid NOT NULL,
        CONSTRAINT epcis_item_pkey PRIMARY KEY (gtin, kid, index, event_key)
    )
    """,
    """
    CREATE TABLE epcis_value (
        programme_id uuid NOT NULL,
        kind text NOT NULL,
        value text NOT NULL,
        told text NOT NULL,
        CONSTRAINT epcis_value_pkey PRIMARY KEY (programme_id, kind, value)
    )
    """,
    """
    CREATE TABLE epcis_capture (
        id uuid CONSTRAINT epcis_capture_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        error_behaviour text NOT NULL,
        event_count integer NOT NULL,
        part_count integer NOT NULL,
        next_part integer NOT NULL DEFAULT 0,
        envelope json NOT NULL,
        actor text,
        CONSTRAINT epcis_capture_error_behaviour_check CHECK (error_behaviour IN ('rollback', 'proceed'))
    )
    """,
    "CREATE INDEX epcis_capture_programme_id_id_idx ON epcis_capture (programme_id, id)",
    "CREATE INDEX epcis_capture_unfinished_idx ON epcis_capture (created_at) WHERE finished_at IS NULL",
    """
    CREATE TABLE epcis_capture_progress (
        capture_id uuid CONSTRAINT epcis_capture_progress_pkey PRIMARY KEY,
        processed integer NOT NULL DEFAULT 0,
        captured integer NOT NULL DEFAULT 0,
        failed integer NOT NULL DEFAULT 0,
        errors json NOT NULL DEFAULT '[]'
    )
    """,
    """
    CREATE TABLE epcis_capture_part (
        capture_id uuid NOT NULL,
        number integer NOT NULL,
        first_event integer NOT NULL,
        events bytea NOT NULL,
        CONSTRAINT epcis_capture_part_pkey PRIMARY KEY (capture_id, number)
    )
    """,
    """
    CREATE TABLE epcis_public_step (
        programme_id uuid NOT NULL,
        biz_step text NOT NULL,
        kind text NOT NULL,
        CONSTRAINT epcis_public_step_pkey PRIMARY KEY (programme_id, biz_step)
    )
    """,
    """
    CREATE TABLE epcis_place (
        programme_id uuid NOT NULL,
        place text NOT NULL,
        names json NOT NULL,
        CONSTRAINT epcis_place_pkey PRIMARY KEY (programme_id, place)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "epcis_place",
        "epcis_public_step",
        "epcis_capture_part",
        "epcis_capture_progress",
        "epcis_capture",
        "epcis_value",
        "epcis_item",
        "epcis_mention",
        "epcis_event",
    ):
        op.execute(f"DROP TABLE {table}")
