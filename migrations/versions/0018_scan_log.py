"""To be filled in."""

from __future__ import annotations

revision = "0018_scan_log"
down_revision = "0017_packing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
