"""Tier ladders and their versions, members' tiers with the history of why, and the daily roll-up they count on."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0004_tiers"
down_revision = "0003_members"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    _create_ladders()
    _create_member_tiers()
    _create_activity()
    op.get_bind().exec_driver_sql((SQL / "0004_tiers_counting.sql").read_text(encoding="utf-8"))


def _create_ladders() -> None:
    op.execute("""
        CREATE TABLE ladder (
            programme_id uuid NOT NULL,
            code text NOT NULL,
            changes integer NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ladder_pkey PRIMARY KEY (programme_id, code)
        )
    """)
    op.execute("""
        CREATE TABLE ladder_version (
            programme_id uuid NOT NULL,
            ladder_code text NOT NULL,
            version integer NOT NULL CONSTRAINT ladder_version_version_check CHECK (version > 0),
            state text NOT NULL,
            revision integer NOT NULL,
            title text NOT NULL,
            definition jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            created_by text NOT NULL,
            effective_at timestamptz,
            published_at timestamptz,
            published_by text,
            started_at timestamptz,
            retired_at timestamptz,
            retired_by text,
            CONSTRAINT ladder_version_state_check CHECK (state IN ('draft', 'published', 'retired')),
            CONSTRAINT ladder_version_effective_at_check CHECK (state <> 'published' OR effective_at IS NOT NULL),
            CONSTRAINT ladder_version_pkey PRIMARY KEY (programme_id, ladder_code, version),
            CONSTRAINT ladder_version_programme_id_ladder_code_fkey
                FOREIGN KEY (programme_id, ladder_code) REFERENCES ladder (programme_id, code)
        )
    """)
    op.execute("""
        CREATE FUNCTION refuse_ladder_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.version = NEW.version AND (OLD.state = 'draft' OR
                OLD.state = 'published' AND NEW.definition = OLD.definition AND (
                    NEW.state = 'published' AND NEW.effective_at = OLD.effective_at OR
                    NEW.state = 'retired' OR
                    NEW.state = 'draft' AND OLD.effective_at > clock_timestamp())) THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'a published tier policy is never changed: publish another';
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER ladder_version_is_immutable BEFORE UPDATE OR DELETE ON ladder_version
        FOR EACH ROW EXECUTE FUNCTION refuse_ladder_version_change()
    """)


def _create_member_tiers() -> None:
    op.execute("""
        CREATE TABLE member_tier (
            member_id uuid NOT NULL,
            ladder_code text NOT NULL,
            programme_id uuid NOT NULL,
            tier_code text NOT NULL,
            tier_rank integer NOT NULL,
            ladder_version integer NOT NULL,
            since timestamptz,
            changed_at timestamptz,
            valid_until timestamptz,
            grace_until timestamptz,
            review_at timestamptz,
            change_sequence integer NOT NULL,
            joined_on date,
            counts_from date,
            qualified_on date,
            qualified_from date,
            granted boolean NOT NULL DEFAULT false,
            former_tier text,
            former_rank integer,
            former_until timestamptz,
            CONSTRAINT member_tier_pkey PRIMARY KEY (member_id, ladder_code)
        ) WITH (fillfactor = 90)
    """)
    op.execute("""
        CREATE INDEX member_tier_due_idx ON member_tier (programme_id, ladder_code, review_at, member_id)
        WHERE review_at IS NOT NULL
    """)
    op.execute("""
        CREATE INDEX member_tier_programme_id_ladder_code_tier_code_idx
        ON member_tier (programme_id, ladder_code, tier_code)
    """)
    op.execute("""
        CREATE TABLE tier_change (
            member_id uuid NOT NULL,
            ladder_code text NOT NULL,
            sequence integer NOT NULL,
            programme_id uuid NOT NULL,
            kind text NOT NULL CONSTRAINT tier_change_kind_check
                CHECK (kind IN ('upgrade', 'downgrade', 'kept', 'soft_landing', 'grace', 'undone', 'grant',
                    'grant_ended', 'merge', 'unmerge')),
            cause text NOT NULL,
            ladder_version integer NOT NULL,
            from_tier text NOT NULL,
            to_tier text NOT NULL,
            reasons jsonb NOT NULL,
            at timestamptz NOT NULL,
            valid_until timestamptz,
            grace_until timestamptz,
            recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT tier_change_pkey PRIMARY KEY (member_id, ladder_code, sequence)
        )
    """)


def _create_activity() -> None:
    op.execute("""
        CREATE TABLE tier_activity (
            member_id uuid NOT NULL,
            metric text NOT NULL,
            day date NOT NULL,
            programme_id uuid NOT NULL,
            amount bigint NOT NULL,
            CONSTRAINT tier_activity_pkey PRIMARY KEY (member_id, metric, day)
        ) WITH (fillfactor = 90)
    """)
    op.execute("""
        CREATE TABLE tier_merge (
            member_id uuid NOT NULL,
            absorbed_id uuid NOT NULL,
            programme_id uuid NOT NULL,
            merged_at timestamptz NOT NULL,
            states jsonb NOT NULL,
            CONSTRAINT tier_merge_pkey PRIMARY KEY (member_id, absorbed_id)
        )
    """)
    op.execute("""
        CREATE TABLE tier_activity_moved (
            member_id uuid NOT NULL,
            absorbed_id uuid NOT NULL,
            metric text NOT NULL,
            day date NOT NULL,
            amount bigint NOT NULL,
            CONSTRAINT tier_activity_moved_pkey PRIMARY KEY (member_id, absorbed_id, metric, day),
            CONSTRAINT tier_activity_moved_member_id_absorbed_id_fkey
                FOREIGN KEY (member_id, absorbed_id) REFERENCES tier_merge (member_id, absorbed_id) ON DELETE CASCADE
        )
    """)


def downgrade() -> None:
    op.execute("DROP VIEW tier_membership")
    for function in ("tier_day_start", "tier_anniversary", "count_tier_activity", "tier_roll_ups", "ladder_stamp"):
        op.execute(f"DROP FUNCTION {function}")
    for table in (
        "tier_activity_moved",
        "tier_merge",
        "tier_activity",
        "tier_change",
        "member_tier",
        "ladder_version",
        "ladder",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_ladder_version_change()")
