"""To be filled in."""

from __future__ import annotations

revision = "0014_item_ranges"
down_revision = "0013_roles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
