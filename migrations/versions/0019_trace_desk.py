"""To be filled in."""

from __future__ import annotations

revision = "0019_trace_desk"
down_revision = "0018_scan_log"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
