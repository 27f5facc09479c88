"""Earn campaigns: drafts, versions, who changed what, what was given for which order; missions."""

from __future__ import annotations

from alembic import op

revision = "0024_earn_campaigns"
down_revision = "0023_segments"
branch_labels = None
depends_on = None

CAMPAIGNS = (
    """
    CREATE TABLE earn_campaign (
        id uuid CONSTRAINT earn_campaign_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        code text NOT NULL,
        draft jsonb,
        changes integer NOT NULL DEFAULT 0,
        version integer NOT NULL DEFAULT 0,
        ended_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT earn_campaign_programme_id_code_key UNIQUE (programme_id, code)
    )
    """,
    """
    CREATE TABLE earn_campaign_version (
        campaign_id uuid NOT NULL,
        version integer NOT NULL,
        programme_id uuid NOT NULL,
        definition jsonb NOT NULL,
        starts_at timestamptz NOT NULL,
        ends_at timestamptz,
        published_by text NOT NULL,
        published_at timestamptz NOT NULL DEFAULT now(),
        withdrawn_at timestamptz,
        CONSTRAINT earn_campaign_version_pkey PRIMARY KEY (campaign_id, version),
        CONSTRAINT earn_campaign_version_span_check CHECK (ends_at > starts_at)
    )
    """,
    "CREATE INDEX earn_campaign_version_programme_id_starts_at_idx ON earn_campaign_version (programme_id, starts_at)",
    """
    CREATE FUNCTION refuse_earn_campaign_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.withdrawn_at IS NULL AND NEW.withdrawn_at < OLD.starts_at
            AND (NEW.campaign_id, NEW.version, NEW.programme_id, NEW.definition, NEW.starts_at, NEW.published_by)
                = (OLD.campaign_id, OLD.version, OLD.programme_id, OLD.definition, OLD.starts_at, OLD.published_by)
            AND NEW.ends_at IS NOT DISTINCT FROM OLD.ends_at AND NEW.published_at = OLD.published_at
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'a published campaign never changes; publish another version, or end it'
            USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER earn_campaign_version_is_immutable BEFORE UPDATE OR DELETE ON earn_campaign_version
        FOR EACH ROW EXECUTE FUNCTION refuse_earn_campaign_version_change()
    """,
    """
    CREATE TABLE earn_campaign_change (
        campaign_id uuid NOT NULL,
        number integer NOT NULL,
        programme_id uuid NOT NULL,
        what text NOT NULL,
        draft jsonb,
        version integer,
        changed_by text NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT earn_campaign_change_pkey PRIMARY KEY (campaign_id, number)
    )
    """,
    """
    CREATE TABLE earn_campaign_award (
        member_id uuid NOT NULL,
        order_id uuid NOT NULL,
        campaign_id uuid NOT NULL,
        programme_id uuid NOT NULL,
        version integer NOT NULL,
        unit text NOT NULL,
        points bigint NOT NULL,
        taken_back bigint NOT NULL DEFAULT 0,
        line_points bigint[] NOT NULL,
        ledger_sequence bigint NOT NULL,
        day date NOT NULL,
        given_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT earn_campaign_award_pkey PRIMARY KEY (member_id, order_id, campaign_id),
        CONSTRAINT earn_campaign_award_taken_back_check CHECK (taken_back BETWEEN 0 AND points)
    )
    """,
    "CREATE INDEX earn_campaign_award_campaign_id_day_idx ON earn_campaign_award (campaign_id, day)",
    """
    CREATE TABLE earn_campaign_member (
        member_id uuid NOT NULL,
        campaign_id uuid NOT NULL,
        programme_id uuid NOT NULL,
        times integer NOT NULL,
        points bigint NOT NULL,
        days jsonb NOT NULL,
        CONSTRAINT earn_campaign_member_pkey PRIMARY KEY (member_id, campaign_id)
    )
    """,
)

MISSIONS = (
    """
    CREATE TABLE mission (
        id uuid CONSTRAINT mission_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        code text NOT NULL,
        definition jsonb NOT NULL,
        starts_at timestamptz NOT NULL,
        ends_at timestamptz,
        published_by text NOT NULL,
        published_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT mission_programme_id_code_key UNIQUE (programme_id, code),
        CONSTRAINT mission_span_check CHECK (ends_at > starts_at)
    )
    """,
    """
    CREATE TABLE mission_reward (
        member_id uuid NOT NULL,
        mission_id uuid NOT NULL,
        programme_id uuid NOT NULL,
        points bigint NOT NULL,
        ledger_sequence bigint NOT NULL,
        given_at timestamptz NOT NULL,
        CONSTRAINT mission_reward_pkey PRIMARY KEY (member_id, mission_id)
    )
    """,
    "CREATE INDEX mission_reward_programme_id_mission_id_idx ON mission_reward (programme_id, mission_id)",
    """
    CREATE TABLE member_visit (
        member_id uuid NOT NULL,
        day date NOT NULL,
        programme_id uuid NOT NULL,
        CONSTRAINT member_visit_pkey PRIMARY KEY (member_id, day)
    )
    """,
)


def upgrade() -> None:
    for statement in (*CAMPAIGNS, *MISSIONS):
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "member_visit",
        "mission_reward",
        "mission",
        "earn_campaign_member",
        "earn_campaign_award",
        "earn_campaign_change",
        "earn_campaign_version",
        "earn_campaign",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_earn_campaign_version_change()")
