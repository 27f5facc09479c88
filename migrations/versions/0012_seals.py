"""To be filled in."""

from __future__ import annotations

revision = "0012_seals"
down_revision = "0011_books"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
