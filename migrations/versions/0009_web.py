"""Who may ask (API keys, staff, sessions, one-time codes, throttle) and the answers kept for repeated requests."""

from __future__ import annotations

from alembic import op

revision = "0009_web"
down_revision = "0008_items"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE api_key (
            id uuid CONSTRAINT api_key_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            channel_id uuid,
            name text NOT NULL,
            prefix text NOT NULL CONSTRAINT api_key_prefix_key UNIQUE,
            secret_hash bytea NOT NULL,
            scopes text[] NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            revoked_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE staff (
            id uuid CONSTRAINT staff_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            username text NOT NULL,
            name text NOT NULL,
            password_hash text NOT NULL,
            role text NOT NULL CONSTRAINT staff_role_check CHECK (role IN ('clerk', 'crm', 'admin')),
            channel_id uuid,
            active boolean NOT NULL DEFAULT true,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT staff_programme_id_username_key UNIQUE (programme_id, username),
            CONSTRAINT staff_clerk_has_channel_check CHECK (role <> 'clerk' OR channel_id IS NOT NULL)
        )
    """)
    op.execute("""
        CREATE TABLE web_session (
            token_hash bytea CONSTRAINT web_session_pkey PRIMARY KEY,
            kind text NOT NULL CONSTRAINT web_session_kind_check CHECK (kind IN ('staff', 'member')),
            programme_id uuid NOT NULL,
            subject_id uuid NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX web_session_subject_id_idx ON web_session (subject_id)")
    op.execute("CREATE INDEX web_session_expires_at_idx ON web_session (expires_at)")
    op.execute("""
        CREATE TABLE one_time_code (
            id uuid CONSTRAINT one_time_code_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            purpose text NOT NULL,
            phone_index bytea NOT NULL,
            code_hash bytea NOT NULL,
            tries smallint NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL,
            used_at timestamptz
        )
    """)
    op.execute("""
        CREATE INDEX one_time_code_programme_id_purpose_phone_index_idx
        ON one_time_code (programme_id, purpose, phone_index)
    """)
    op.execute("CREATE INDEX one_time_code_expires_at_idx ON one_time_code (expires_at)")
    op.execute("""
        CREATE TABLE throttle (
            subject bytea CONSTRAINT throttle_pkey PRIMARY KEY,
            attempts integer NOT NULL,
            window_ends_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX throttle_window_ends_at_idx ON throttle (window_ends_at)")
    op.execute("""
        CREATE TABLE staff_action (
            id uuid CONSTRAINT staff_action_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            staff_id uuid NOT NULL,
            action text NOT NULL,
            subject_id uuid NOT NULL,
            done_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX staff_action_subject_id_id_idx ON staff_action (subject_id, id)")
    op.execute("""
        CREATE TABLE idempotency (
            client_id uuid NOT NULL,
            key text NOT NULL,
            request_hash bytea NOT NULL,
            status smallint,
            body bytea,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT idempotency_pkey PRIMARY KEY (client_id, key)
        )
    """)
    op.execute("CREATE INDEX idempotency_created_at_idx ON idempotency (created_at)")


def downgrade() -> None:
    for table in ("idempotency", "staff_action", "throttle", "one_time_code", "web_session", "staff", "api_key"):
        op.execute(f"DROP TABLE {table}")
