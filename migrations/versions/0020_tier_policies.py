"""To be filled in."""

from __future__ import annotations

revision = "0020_tier_policies"
down_revision = "0019_trace_desk"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
