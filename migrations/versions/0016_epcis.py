"""To be filled in."""

from __future__ import annotations

revision = "0016_epcis"
down_revision = "0015_links"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
