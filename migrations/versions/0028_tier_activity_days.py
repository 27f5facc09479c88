"""Find what members did in the last days without reading all that they ever did, and write less with each decision.

Activity is written day by day, so a range of pages has few days, and an index over ranges is a few pages in all. The
members of a tier are found by reading the programme's rows once, which takes less than an index of their own costs
each review.
"""

from __future__ import annotations

from alembic import op

revision = "0028_tier_activity_days"
down_revision = "0027_hold_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX tier_activity_day_idx ON tier_activity USING brin (day)
        WITH (pages_per_range = 32, autosummarize = true)
    """)
    op.execute("DROP INDEX member_tier_programme_id_ladder_code_tier_code_idx")


def downgrade() -> None:
    op.execute("""
        CREATE INDEX member_tier_programme_id_ladder_code_tier_code_idx
        ON member_tier (programme_id, ladder_code, tier_code)
    """)
    op.execute("DROP INDEX tier_activity_day_idx")
