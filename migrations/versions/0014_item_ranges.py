"""Lots, exceptions of ranges and items, imported serials, printers and exports of codes, files of products."""

from __future__ import annotations

from alembic import op

revision = "0014_item_ranges"
down_revision = "0013_roles"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE lot (
        gtin text NOT NULL,
        code text NOT NULL,
        programme_id uuid NOT NULL,
        made_on date,
        expires_on date,
        region text,
        note text NOT NULL DEFAULT '',
        state text,
        state_at timestamptz,
        state_by text,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT lot_pkey PRIMARY KEY (gtin, code),
        CONSTRAINT lot_state_check CHECK (state IN ('recalled', 'retired'))
    )
    """,
    "CREATE INDEX lot_programme_id_idx ON lot (programme_id)",
    """
    CREATE TABLE code_key (
        programme_id uuid NOT NULL,
        kid smallint NOT NULL,
        state text,
        state_at timestamptz,
        compromised_at timestamptz,
        note text NOT NULL DEFAULT '',
        CONSTRAINT code_key_pkey PRIMARY KEY (programme_id, kid),
        CONSTRAINT code_key_state_check CHECK (state IN ('recalled', 'retired'))
    )
    """,
    "ALTER TABLE code_range ADD COLUMN state_at timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE code_range ADD COLUMN exempt_at timestamptz",
    "ALTER TABLE code_range ADD COLUMN honey_export_id uuid",
    "CREATE INDEX code_range_gtin_lot_idx ON code_range (gtin, lot)",
    "ALTER TABLE item ADD COLUMN exempt_at timestamptz",
    """
    CREATE TABLE imported_code (
        gtin text NOT NULL,
        serial text NOT NULL,
        index bigint NOT NULL,
        programme_id uuid NOT NULL,
        pin_digest bytea,
        CONSTRAINT imported_code_pkey PRIMARY KEY (gtin, serial)
    )
    """,
    "CREATE UNIQUE INDEX imported_code_gtin_index_idx ON imported_code (gtin, index)",
    """
    CREATE UNLOGGED TABLE imported_line (
        import_id uuid NOT NULL,
        line bigint NOT NULL,
        serial text NOT NULL,
        pin_digest bytea,
        CONSTRAINT imported_line_pkey PRIMARY KEY (import_id, line)
    )
    """,
    """
    CREATE TABLE printer (
        id uuid CONSTRAINT printer_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        name text NOT NULL,
        recipient text,
        note text NOT NULL DEFAULT '',
        retired_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT printer_programme_id_name_key UNIQUE (programme_id, name)
    )
    """,
    """
    CREATE TABLE code_export (
        gtin text NOT NULL,
        kid smallint NOT NULL,
        lo bigint NOT NULL,
        id uuid NOT NULL,
        hi bigint NOT NULL,
        programme_id uuid NOT NULL,
        range_id uuid NOT NULL,
        printer_id uuid,
        contents text NOT NULL,
        layout jsonb NOT NULL,
        packed boolean NOT NULL DEFAULT false,
        recipient text,
        honey_lo bigint,
        honey_hi bigint,
        lines bigint NOT NULL,
        state text NOT NULL,
        holder text,
        size bigint,
        sha256 bytea,
        codes_sha256 bytea,
        created_at timestamptz NOT NULL,
        created_by text,
        handed_out_at timestamptz,
        completed_at timestamptz,
        CONSTRAINT code_export_pkey PRIMARY KEY (gtin, kid, lo, id),
        CONSTRAINT code_export_interval_check CHECK (lo >= 0 AND lo <= hi AND hi < 34359738368),
        CONSTRAINT code_export_state_check CHECK (state IN ('ready', 'begun', 'completed', 'withdrawn'))
    )
    """,
    "CREATE INDEX code_export_id_idx ON code_export (id)",
    "CREATE INDEX code_export_range_id_idx ON code_export (range_id)",
    "CREATE INDEX code_export_programme_id_id_idx ON code_export (programme_id, id)",
    """
    CREATE TABLE code_download (
        export_id uuid NOT NULL,
        id uuid NOT NULL,
        programme_id uuid NOT NULL,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        address text,
        first_byte bigint NOT NULL,
        sent_bytes bigint,
        sha256 bytea,
        completed boolean NOT NULL DEFAULT false,
        ended_at timestamptz,
        CONSTRAINT code_download_pkey PRIMARY KEY (export_id, id)
    )
    """,
    """
    CREATE TABLE stored_file (
        sha256 bytea CONSTRAINT stored_file_pkey PRIMARY KEY,
        media_type text NOT NULL,
        content bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    # Pictures and PDFs are packed already.
    "ALTER TABLE stored_file ALTER COLUMN content SET STORAGE EXTERNAL",
    """
    CREATE TABLE product_media (
        gtin text NOT NULL,
        id uuid NOT NULL,
        programme_id uuid NOT NULL,
        kind text NOT NULL,
        place integer NOT NULL,
        titles jsonb NOT NULL,
        sha256 bytea,
        link text,
        media_type text,
        size bigint,
        width integer,
        height integer,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT product_media_pkey PRIMARY KEY (gtin, id),
        CONSTRAINT product_media_kind_check CHECK (kind IN ('picture', 'document')),
        CONSTRAINT product_media_target_check CHECK ((sha256 IS NULL) <> (link IS NULL))
    )
    """,
    "CREATE INDEX product_media_sha256_idx ON product_media (sha256)",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "product_media",
        "stored_file",
        "code_download",
        "code_export",
        "printer",
        "imported_line",
        "imported_code",
        "code_key",
        "lot",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE item DROP COLUMN exempt_at")
    op.execute("DROP INDEX code_range_gtin_lot_idx")
    op.execute("ALTER TABLE code_range DROP COLUMN honey_export_id, DROP COLUMN exempt_at, DROP COLUMN state_at")
