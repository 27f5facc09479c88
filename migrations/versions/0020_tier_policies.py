"""What surrounds tier policies: their history, simulations, tiers given by hand, warnings, and reviews in bulk."""

from __future__ import annotations

from alembic import op

revision = "0020_tier_policies"
down_revision = "0019_trace_desk"
branch_labels = None
depends_on = None

_OF_A_LADDER = "FOREIGN KEY (programme_id, ladder_code) REFERENCES ladder (programme_id, code)"


def upgrade() -> None:
    op.execute(f"""
        CREATE TABLE ladder_event (
            programme_id uuid NOT NULL,
            ladder_code text NOT NULL,
            number integer NOT NULL,
            version integer NOT NULL,
            revision integer NOT NULL,
            action text NOT NULL,
            changes jsonb NOT NULL,
            done_by text NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT ladder_event_pkey PRIMARY KEY (programme_id, ladder_code, number),
            CONSTRAINT ladder_event_programme_id_ladder_code_fkey {_OF_A_LADDER}
        )
    """)
    op.execute(f"""
        CREATE TABLE ladder_simulation (
            programme_id uuid NOT NULL,
            ladder_code text NOT NULL,
            version integer NOT NULL,
            revision integer NOT NULL,
            result jsonb NOT NULL,
            simulated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            simulated_by text NOT NULL,
            CONSTRAINT ladder_simulation_pkey PRIMARY KEY (programme_id, ladder_code, version, revision),
            CONSTRAINT ladder_simulation_programme_id_ladder_code_fkey {_OF_A_LADDER}
        )
    """)
    _create_of_members()


def _create_of_members() -> None:
    op.execute("""
        CREATE TABLE tier_grant (
            member_id uuid NOT NULL,
            grant_id uuid NOT NULL,
            ladder_code text NOT NULL,
            programme_id uuid NOT NULL,
            tier_code text NOT NULL,
            ends_at timestamptz NOT NULL,
            reason text NOT NULL,
            granted_by text NOT NULL,
            granted_at timestamptz NOT NULL,
            withdrawn_at timestamptz,
            withdrawn_by text,
            CONSTRAINT tier_grant_pkey PRIMARY KEY (member_id, grant_id)
        )
    """)
    op.execute("""
        CREATE TABLE tier_warning (
            member_id uuid NOT NULL,
            ladder_code text NOT NULL,
            ends_at timestamptz NOT NULL,
            programme_id uuid NOT NULL,
            tier_code text NOT NULL,
            reasons jsonb NOT NULL,
            warned_at timestamptz NOT NULL,
            CONSTRAINT tier_warning_pkey PRIMARY KEY (member_id, ladder_code, ends_at)
        )
    """)
    op.execute("""
        CREATE INDEX tier_warning_programme_id_ladder_code_warned_at_member_id_idx
        ON tier_warning (programme_id, ladder_code, warned_at, member_id)
    """)

    op.execute("""
        CREATE UNLOGGED TABLE tier_proposal (
            run_id uuid NOT NULL,
            number bigint NOT NULL,
            member_id uuid NOT NULL,
            was_sequence integer NOT NULL,
            kind text,
            from_tier text NOT NULL,
            reasons jsonb,
            tier_code text,
            tier_rank integer,
            ladder_version integer,
            since timestamptz,
            changed_at timestamptz,
            valid_until timestamptz,
            grace_until timestamptz,
            review_at timestamptz,
            change_sequence integer,
            counts_from date,
            qualified_on date,
            qualified_from date,
            granted boolean,
            former_tier text,
            former_rank integer,
            former_until timestamptz,
            CONSTRAINT tier_proposal_pkey PRIMARY KEY (run_id, number)
        )
    """)


def downgrade() -> None:
    for table in ("tier_proposal", "tier_warning", "tier_grant", "ladder_simulation", "ladder_event"):
        op.execute(f"DROP TABLE {table}")
