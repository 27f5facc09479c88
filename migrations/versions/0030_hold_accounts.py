"""Accounts that a transaction holds before anything else: one order of locks."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0030_hold_accounts"
down_revision = "0025_effects"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql" / "0030_hold_accounts.sql"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(SQL.read_text(encoding="utf-8").replace("%", "%%"))
    op.execute("REVOKE EXECUTE ON ROUTINE ledger.hold_accounts, ledger.drop_unused_accounts FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP FUNCTION ledger.drop_unused_accounts")
    op.execute("DROP FUNCTION ledger.hold_accounts")
