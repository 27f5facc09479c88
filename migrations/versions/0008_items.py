"""Products, series and ranges of item codes, items, scans and claims."""

from __future__ import annotations

from alembic import op

revision = "0008_items"
down_revision = "0007_orders"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE product (
        gtin text CONSTRAINT product_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        names jsonb NOT NULL,
        descriptions jsonb NOT NULL,
        category text NOT NULL DEFAULT '',
        points_on_claim bigint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT product_points_on_claim_check CHECK (points_on_claim >= 0)
    )
    """,
    "CREATE INDEX product_programme_id_idx ON product (programme_id)",
    """
    CREATE TABLE code_series (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        programme_id uuid NOT NULL,
        next_index bigint NOT NULL,
        CONSTRAINT code_series_pkey PRIMARY KEY (gtin, kid),
        CONSTRAINT code_series_next_index_check CHECK (next_index BETWEEN 0 AND 34359738368)
    )
    """,
    """
    CREATE TABLE code_range (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        lo bigint NOT NULL,
        hi bigint NOT NULL,
        id uuid NOT NULL,
        origin_id uuid NOT NULL,
        programme_id uuid NOT NULL,
        state text NOT NULL,
        print_order text NOT NULL,
        lot text,
        region text,
        expires_on date,
        policy jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT code_range_pkey PRIMARY KEY (gtin, kid, lo),
        CONSTRAINT code_range_interval_check CHECK (lo >= 0 AND lo <= hi AND hi < 34359738368)
    )
    """,
    "CREATE INDEX code_range_id_idx ON code_range (id)",
    "CREATE INDEX code_range_origin_id_idx ON code_range (origin_id)",
    "CREATE INDEX code_range_programme_id_id_idx ON code_range (programme_id, id)",
    """
    CREATE TABLE range_event (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        lo bigint NOT NULL,
        id uuid NOT NULL,
        hi bigint NOT NULL,
        programme_id uuid NOT NULL,
        kind text NOT NULL,
        at timestamptz NOT NULL,
        places jsonb,
        public boolean NOT NULL,
        actor text,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT range_event_pkey PRIMARY KEY (gtin, kid, lo, id),
        CONSTRAINT range_event_interval_check CHECK (lo >= 0 AND lo <= hi AND hi < 34359738368)
    )
    """,
    """
    CREATE TABLE item (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        index bigint NOT NULL,
        programme_id uuid NOT NULL,
        state text,
        scan_count integer NOT NULL DEFAULT 0,
        first_scanned_at timestamptz,
        first_device bytea,
        first_member_id uuid,
        first_city text,
        last_scanned_at timestamptz,
        suspected_at timestamptz,
        cleared_at timestamptz,
        pin_failures smallint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT item_pkey PRIMARY KEY (gtin, kid, index)
    )
    """,
    """
    CREATE TABLE item_scan (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        index bigint NOT NULL,
        at timestamptz NOT NULL,
        id uuid NOT NULL,
        programme_id uuid NOT NULL,
        device bytea NOT NULL,
        member_id uuid,
        address_prefix text,
        city text,
        region text,
        latitude double precision,
        longitude double precision,
        place_source text,
        verdict text NOT NULL,
        diverted boolean NOT NULL DEFAULT false,
        CONSTRAINT item_scan_pkey PRIMARY KEY (gtin, kid, index, at, id)
    )
    """,
    "CREATE INDEX item_scan_programme_id_at_idx ON item_scan (programme_id, at)",
    """
    CREATE TABLE refused_scan (
        device bytea NOT NULL,
        at timestamptz NOT NULL,
        id uuid NOT NULL,
        programme_id uuid NOT NULL,
        address_prefix text,
        gtin text NOT NULL,
        serial text NOT NULL,
        reason text NOT NULL,
        CONSTRAINT refused_scan_pkey PRIMARY KEY (device, at, id)
    )
    """,
    "CREATE INDEX refused_scan_address_prefix_at_idx ON refused_scan (address_prefix, at)",
    "CREATE INDEX refused_scan_programme_id_at_idx ON refused_scan (programme_id, at)",
    """
    CREATE TABLE item_claim (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        index bigint NOT NULL,
        programme_id uuid NOT NULL,
        member_id uuid NOT NULL,
        device bytea NOT NULL,
        at timestamptz NOT NULL,
        points bigint NOT NULL,
        CONSTRAINT item_claim_pkey PRIMARY KEY (gtin, kid, index)
    )
    """,
    "CREATE INDEX item_claim_member_id_at_idx ON item_claim (member_id, at)",
    "CREATE INDEX item_claim_programme_id_at_idx ON item_claim (programme_id, at)",
    """
    CREATE TABLE claim_tally (
        subject text NOT NULL,
        day date NOT NULL,
        claims integer NOT NULL,
        CONSTRAINT claim_tally_pkey PRIMARY KEY (subject, day)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "claim_tally",
        "item_claim",
        "refused_scan",
        "item_scan",
        "item",
        "range_event",
        "code_range",
        "code_series",
        "product",
    ):
        op.execute(f"DROP TABLE {table}")
