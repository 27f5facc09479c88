"""To be filled in."""

from __future__ import annotations

revision = "0023_segments"
down_revision = "0022_checkout"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
