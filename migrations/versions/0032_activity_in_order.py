"""Keep what a member did together, and read it without the table.

Activity lies in its table in the order in which it happened, so that each row of a member is on a page of its own. The
key has them side by side; with the amount in it nothing else is read, be it by one posting or by a review of everybody.
That is why reviews need no proposals any more. An index is enough only where the table is vacuumed: often, then.
"""

from __future__ import annotations

from alembic import op

revision = "0032_activity_in_order"
down_revision = "0031_who_ended"
branch_labels = None
depends_on = None

_KEY = "ADD CONSTRAINT tier_activity_pkey PRIMARY KEY (member_id, metric, day)"


def upgrade() -> None:
    op.execute(f"""
        ALTER TABLE tier_activity DROP CONSTRAINT tier_activity_pkey, {_KEY} INCLUDE (amount),
            SET (autovacuum_vacuum_insert_scale_factor = 0.02)
    """)
    op.execute("DROP TABLE tier_proposal")


def downgrade() -> None:
    op.execute(f"""
        ALTER TABLE tier_activity DROP CONSTRAINT tier_activity_pkey, {_KEY},
            RESET (autovacuum_vacuum_insert_scale_factor)
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
