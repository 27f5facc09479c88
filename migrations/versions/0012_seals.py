"""Seals of the ledger: what it said at a moment, signed."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0012_seals"
down_revision = "0011_books"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql" / "0012_seals.sql"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP FUNCTION ledger.add_seal")
    op.execute("DROP TABLE ledger.seal")
