"""Who withdrew a draw, and who ended a mission before its time. Of what is over already nobody knows."""

from __future__ import annotations

from alembic import op

revision = "0031_who_ended"
down_revision = "0030_draw_seeds"
branch_labels = None
depends_on = None

COLUMNS = (
    """
    ALTER TABLE prize_draw
        ADD COLUMN withdrawn_by text,
        ADD CONSTRAINT prize_draw_withdrawn_check CHECK (withdrawn_by IS NULL OR withdrawn_at IS NOT NULL)
    """,
    """
    ALTER TABLE mission
        ADD COLUMN ended_by text,
        ADD CONSTRAINT mission_ended_check CHECK (ended_by IS NULL OR ends_at IS NOT NULL)
    """,
)


def upgrade() -> None:
    for statement in COLUMNS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE mission DROP COLUMN ended_by")
    op.execute("ALTER TABLE prize_draw DROP COLUMN withdrawn_by")
