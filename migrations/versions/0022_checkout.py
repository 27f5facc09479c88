"""To be filled in."""

from __future__ import annotations

revision = "0022_checkout"
down_revision = "0021_benefits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
