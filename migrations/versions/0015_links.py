"""Where a product's Digital Link leads: links that the brand manages."""

from __future__ import annotations

from alembic import op

revision = "0015_links"
down_revision = "0014_item_ranges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE digital_link (
            key text NOT NULL,
            value text NOT NULL,
            path text NOT NULL,
            id uuid NOT NULL,
            programme_id uuid NOT NULL,
            link_type text NOT NULL,
            target text NOT NULL,
            title text NOT NULL,
            languages text[] NOT NULL,
            media_type text NOT NULL,
            contexts text[] NOT NULL,
            is_default boolean NOT NULL,
            valid_from timestamptz,
            valid_until timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT digital_link_pkey PRIMARY KEY (key, value, path, id),
            CONSTRAINT digital_link_validity_check CHECK (valid_from < valid_until)
        )
    """)
    op.execute("CREATE INDEX digital_link_id_idx ON digital_link (id)")
    op.execute("CREATE INDEX digital_link_programme_id_idx ON digital_link (programme_id, key, value)")


def downgrade() -> None:
    op.execute("DROP TABLE digital_link")
