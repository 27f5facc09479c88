"""To be filled in."""

from __future__ import annotations

revision = "0021_benefits"
down_revision = "0020_tier_policies"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
