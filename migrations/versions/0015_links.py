"""To be filled in."""

from __future__ import annotations

revision = "0015_links"
down_revision = "0014_item_ranges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
