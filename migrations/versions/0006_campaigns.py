"""Earn policies: versions that are published once and never change."""

from __future__ import annotations

from alembic import op

revision = "0006_campaigns"
down_revision = "0005_redemption"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE earn_policy_version (
            programme_id uuid NOT NULL,
            version integer NOT NULL,
            definition jsonb NOT NULL,
            valid_from timestamptz NOT NULL,
            published_by text NOT NULL,
            published_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT earn_policy_version_pkey PRIMARY KEY (programme_id, version)
        )
    """)
    op.execute("""
        CREATE FUNCTION refuse_change_of_earn_policy() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'a published earn policy never changes; publish another version'
                USING ERRCODE = 'restrict_violation';
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER earn_policy_version_is_immutable
        BEFORE UPDATE OR DELETE ON earn_policy_version
        FOR EACH ROW EXECUTE FUNCTION refuse_change_of_earn_policy()
    """)


def downgrade() -> None:
    op.execute("DROP TABLE earn_policy_version")
    op.execute("DROP FUNCTION refuse_change_of_earn_policy()")
