"""The programme and its channels."""

from __future__ import annotations

from alembic import op

revision = "0001_kernel"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE programme (
            id uuid CONSTRAINT programme_pkey PRIMARY KEY,
            code text NOT NULL CONSTRAINT programme_code_key UNIQUE,
            name text NOT NULL,
            time_zone text NOT NULL,
            currency text NOT NULL,
            locale text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE channel (
            id uuid CONSTRAINT channel_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            code text NOT NULL,
            name text NOT NULL,
            kind text NOT NULL,
            currency text NOT NULL,
            time_zone text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT channel_programme_id_code_key UNIQUE (programme_id, code)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE channel")
    op.execute("DROP TABLE programme")
