"""Members: who somebody is, what they agreed to, and who turned out to be the same person."""

from __future__ import annotations

from alembic import op

revision = "0003_members"
down_revision = "0002_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE member (
            id uuid CONSTRAINT member_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            state text NOT NULL DEFAULT 'active'
                CONSTRAINT member_state_check CHECK (state IN ('active', 'merged', 'erased')),
            merged_into uuid,
            joined_at timestamptz NOT NULL,
            joined_channel text NOT NULL,
            locale text,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT member_merged_into_check CHECK ((state = 'merged') = (merged_into IS NOT NULL))
        )
    """)
    op.execute("CREATE INDEX member_programme_id_joined_at_id_idx ON member (programme_id, joined_at, id)")
    op.execute("CREATE INDEX member_merged_into_idx ON member (merged_into) WHERE merged_into IS NOT NULL")
    op.execute("""
        CREATE TABLE member_identity (
            programme_id uuid NOT NULL,
            kind text NOT NULL CONSTRAINT member_identity_kind_check
                CHECK (kind IN ('phone', 'email', 'customer', 'card', 'ouid', 'wallet')),
            digest bytea NOT NULL,
            scope text NOT NULL,
            id uuid NOT NULL,
            member_id uuid NOT NULL,
            sealed bytea NOT NULL,
            channel text NOT NULL,
            verified_at timestamptz,
            added_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT member_identity_pkey PRIMARY KEY (programme_id, kind, digest, scope)
        )
    """)
    op.execute("CREATE INDEX member_identity_member_id_idx ON member_identity (member_id)")
    op.execute("""
        CREATE TABLE member_profile (
            member_id uuid NOT NULL,
            field text NOT NULL,
            sealed bytea NOT NULL,
            source text NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT member_profile_pkey PRIMARY KEY (member_id, field)
        )
    """)
    _create_consent()
    op.execute("""
        CREATE TABLE member_merge (
            id uuid CONSTRAINT member_merge_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            survivor_id uuid NOT NULL,
            absorbed_id uuid NOT NULL,
            key text NOT NULL,
            request_hash bytea NOT NULL,
            identity_ids uuid[] NOT NULL,
            merged_at timestamptz NOT NULL DEFAULT now(),
            merged_by text NOT NULL,
            merged_because text NOT NULL,
            undone_at timestamptz,
            undone_by text,
            undone_because text,
            CONSTRAINT member_merge_programme_id_key_key UNIQUE (programme_id, key),
            CONSTRAINT member_merge_two_members_check CHECK (survivor_id <> absorbed_id)
        )
    """)
    op.execute("CREATE INDEX member_merge_survivor_id_idx ON member_merge (survivor_id)")
    op.execute("CREATE INDEX member_merge_absorbed_id_idx ON member_merge (absorbed_id)")
    op.execute("CREATE UNIQUE INDEX member_merge_standing_key ON member_merge (absorbed_id) WHERE undone_at IS NULL")
    op.execute("""
        CREATE TABLE member_erasure (
            member_id uuid CONSTRAINT member_erasure_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            erased_at timestamptz NOT NULL DEFAULT now(),
            erased_by text NOT NULL,
            erased_because text NOT NULL
        )
    """)


def _create_consent() -> None:
    op.execute("""
        CREATE TABLE member_consent (
            member_id uuid NOT NULL,
            id uuid NOT NULL,
            purpose text NOT NULL,
            granted boolean NOT NULL,
            text_version text NOT NULL,
            given_at timestamptz NOT NULL,
            source text NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT member_consent_pkey PRIMARY KEY (member_id, id),
            CONSTRAINT member_consent_said_once_key
                UNIQUE (member_id, purpose, given_at, source, granted, text_version)
        )
    """)
    # What somebody agreed to is evidence: a change of mind is a new row, never a changed one.
    op.execute("""
        CREATE FUNCTION member_consent_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'member_consent is append-only' USING ERRCODE = 'restrict_violation';
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER member_consent_append_only BEFORE UPDATE OR DELETE ON member_consent
            FOR EACH ROW EXECUTE FUNCTION member_consent_refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER member_consent_never_emptied BEFORE TRUNCATE ON member_consent
            FOR EACH STATEMENT EXECUTE FUNCTION member_consent_refuse_change()
    """)


def downgrade() -> None:
    for table in (
        "member_erasure",
        "member_merge",
        "member_consent",
        "member_profile",
        "member_identity",
        "member",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION member_consent_refuse_change()")
