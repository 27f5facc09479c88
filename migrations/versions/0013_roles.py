"""To be filled in."""

from __future__ import annotations

revision = "0013_roles"
down_revision = "0012_seals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
