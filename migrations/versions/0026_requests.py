"""Postings that programs ask for, posted by one call that holds their members first."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0026_requests"
down_revision = "0025_effects"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    op.get_bind().exec_driver_sql((SQL / "0026_requests.sql").read_text(encoding="utf-8"))
    op.execute("REVOKE EXECUTE ON FUNCTION ledger.post_items FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP FUNCTION post_to_active")
    op.execute("DROP FUNCTION ledger.post_items")
