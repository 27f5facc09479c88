"""To be filled in."""

from __future__ import annotations

revision = "0017_packing"
down_revision = "0016_epcis"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
