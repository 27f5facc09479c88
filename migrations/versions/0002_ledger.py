"""The points ledger: tables, and the functions that are its only writers."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002_ledger"
down_revision = "0001_kernel"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
PARTS = ("tables", "accounts", "lots", "time", "postings", "plain", "holds", "reversals", "transfers", "batch")


def upgrade() -> None:
    for part in PARTS:
        text = (SQL / f"0002_ledger_{part}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(text)


def downgrade() -> None:
    op.execute("DROP SCHEMA ledger CASCADE")
