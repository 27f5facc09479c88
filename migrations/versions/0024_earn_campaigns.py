"""To be filled in."""

from __future__ import annotations

revision = "0024_earn_campaigns"
down_revision = "0023_segments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
