"""To be filled in."""

from __future__ import annotations

revision = "0011_books"
down_revision = "0010_queue"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
