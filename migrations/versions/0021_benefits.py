"""Benefits: templates in versions, what they may use up, what members hold, what happened to it, issues in bulk."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0021_benefits"
down_revision = "0020_tier_policies"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"

TABLES = (
    """
    CREATE TABLE quota (
        owner_id uuid NOT NULL,
        unit text NOT NULL,
        programme_id uuid NOT NULL,
        total bigint NOT NULL CONSTRAINT quota_total_check CHECK (total >= 0),
        CONSTRAINT quota_pkey PRIMARY KEY (owner_id, unit)
    )
    """,
    # Updated all the time, so each page has room for new versions of its rows.
    """
    CREATE TABLE quota_part (
        owner_id uuid NOT NULL,
        unit text NOT NULL,
        part smallint NOT NULL,
        remaining bigint NOT NULL CONSTRAINT quota_part_remaining_check CHECK (remaining >= 0),
        CONSTRAINT quota_part_pkey PRIMARY KEY (owner_id, unit, part)
    ) WITH (fillfactor = 20)
    """,
    """
    CREATE TABLE benefit_budget (
        id uuid CONSTRAINT benefit_budget_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        code text NOT NULL,
        name jsonb NOT NULL,
        currency text NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT benefit_budget_programme_id_code_key UNIQUE (programme_id, code)
    )
    """,
    """
    CREATE TABLE benefit_template (
        id uuid CONSTRAINT benefit_template_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        code text NOT NULL,
        state text NOT NULL
            CONSTRAINT benefit_template_state_check CHECK (state IN ('draft', 'published', 'retired')),
        version integer NOT NULL CONSTRAINT benefit_template_version_check CHECK (version >= 0),
        draft jsonb,
        stock text NOT NULL
            CONSTRAINT benefit_template_stock_check CHECK (stock IN ('unlimited', 'counted', 'codes')),
        created_at timestamptz NOT NULL DEFAULT now(),
        changed_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT benefit_template_programme_id_code_key UNIQUE (programme_id, code)
    )
    """,
    """
    CREATE TABLE benefit_version (
        template_id uuid NOT NULL,
        version integer NOT NULL CONSTRAINT benefit_version_version_check CHECK (version > 0),
        definition jsonb NOT NULL,
        published_at timestamptz NOT NULL DEFAULT now(),
        published_by text NOT NULL,
        CONSTRAINT benefit_version_pkey PRIMARY KEY (template_id, version)
    )
    """,
    """
    CREATE TABLE benefit_change (
        template_id uuid NOT NULL,
        number integer NOT NULL,
        action text NOT NULL,
        actor text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        before jsonb,
        after jsonb,
        undone boolean NOT NULL DEFAULT false,
        CONSTRAINT benefit_change_pkey PRIMARY KEY (template_id, number)
    )
    """,
    """
    CREATE TABLE benefit_code (
        template_id uuid NOT NULL,
        code text NOT NULL,
        programme_id uuid NOT NULL,
        free boolean NOT NULL DEFAULT true,
        taken_by uuid,
        taken_at timestamptz,
        CONSTRAINT benefit_code_pkey PRIMARY KEY (template_id, code)
    )
    """,
    "CREATE INDEX benefit_code_free_idx ON benefit_code (template_id, code) WHERE free",
    """
    CREATE TABLE benefit (
        member_id uuid NOT NULL,
        id uuid NOT NULL,
        programme_id uuid NOT NULL,
        template_id uuid NOT NULL,
        version integer NOT NULL,
        code text NOT NULL,
        state text NOT NULL CONSTRAINT benefit_state_check CHECK
            (state IN ('issued', 'locked', 'used', 'returned', 'expired', 'revoked', 'transferred')),
        open boolean NOT NULL,
        source text NOT NULL,
        campaign text,
        issue_key text NOT NULL,
        issued_at timestamptz NOT NULL,
        valid_from timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        locked_by uuid,
        locked_until timestamptz,
        changed_at timestamptz NOT NULL,
        CONSTRAINT benefit_pkey PRIMARY KEY (member_id, id)
    ) WITH (fillfactor = 90)
    """,
    "CREATE UNIQUE INDEX benefit_issued_once_idx ON benefit (member_id, issue_key)",
    "CREATE INDEX benefit_code_idx ON benefit (code)",
    "CREATE INDEX benefit_template_id_idx ON benefit (template_id)",
    "CREATE INDEX benefit_open_idx ON benefit (expires_at) WHERE open",
    """
    CREATE TABLE benefit_holder (
        member_id uuid NOT NULL,
        template_id uuid NOT NULL,
        asked_at timestamptz NOT NULL,
        CONSTRAINT benefit_holder_pkey PRIMARY KEY (member_id, template_id)
    ) WITH (fillfactor = 90)
    """,
    """
    CREATE TABLE benefit_event (
        member_id uuid NOT NULL,
        id uuid NOT NULL,
        benefit_id uuid NOT NULL,
        programme_id uuid NOT NULL,
        template_id uuid NOT NULL,
        version integer NOT NULL,
        kind text NOT NULL CONSTRAINT benefit_event_kind_check CHECK (kind IN
            ('issued', 'seen', 'locked', 'used', 'released', 'returned', 'revoked', 'expired', 'transferred')),
        at timestamptz NOT NULL,
        campaign text,
        channel_id uuid,
        clerk text,
        actor text,
        order_number text,
        amount_minor bigint,
        currency text,
        CONSTRAINT benefit_event_pkey PRIMARY KEY (member_id, id)
    )
    """,
    "CREATE INDEX benefit_event_template_id_at_idx ON benefit_event (template_id, at)",
    """
    CREATE FUNCTION benefit_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'what happened to a benefit is never changed';
    END
    $$
    """,
    """
    CREATE TRIGGER benefit_event_stays BEFORE UPDATE OR DELETE ON benefit_event
        FOR EACH ROW EXECUTE FUNCTION benefit_event_stays()
    """,
    """
    CREATE TABLE benefit_issue (
        id uuid CONSTRAINT benefit_issue_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        template_id uuid NOT NULL,
        version integer NOT NULL,
        name text NOT NULL,
        campaign text,
        audience jsonb NOT NULL,
        state text NOT NULL
            CONSTRAINT benefit_issue_state_check CHECK (state IN ('gathering', 'running', 'done', 'stopped')),
        reason text,
        total bigint,
        cursor uuid,
        done bigint NOT NULL DEFAULT 0,
        issued bigint NOT NULL DEFAULT 0,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        finished_at timestamptz
    )
    """,
    "CREATE INDEX benefit_issue_template_id_idx ON benefit_issue (template_id)",
    "CREATE INDEX benefit_issue_unfinished_idx ON benefit_issue (id) WHERE finished_at IS NULL",
    """
    CREATE TABLE benefit_issue_member (
        issue_id uuid NOT NULL,
        member_id uuid NOT NULL,
        CONSTRAINT benefit_issue_member_pkey PRIMARY KEY (issue_id, member_id)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    text = (SQL / "0021_quota.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(text.replace("%", "%%"))


def downgrade() -> None:
    for function in ("quota_take(uuid, text, bigint, bigint)", "quota_take_all", "quota_give", "quota_set"):
        op.execute(f"DROP FUNCTION {function}")
    for table in (
        "benefit_issue_member",
        "benefit_issue",
        "benefit_event",
        "benefit_holder",
        "benefit",
        "benefit_code",
        "benefit_change",
        "benefit_version",
        "benefit_template",
        "benefit_budget",
        "quota_part",
        "quota",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION benefit_event_stays")
