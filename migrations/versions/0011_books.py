"""The books: closings, the roll-up of entries that every report reads, and looking back at any moment."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0011_books"
down_revision = "0010_queue"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
PARTS = ("tables", "parts", "checkpoints", "closing")

FUNCTIONS = (
    "close_books(boolean)",
    "close_accounts(bigint, uuid[], text[])",
    "open_books()",
    "roll_up_anew(uuid, text)",
    "add_checkpoints(uuid, text, bigint)",
    "seq_at(uuid, text, timestamptz)",
    "checkpoint_spacing()",
    "closing_batch()",
    "closing_margin()",
    "posting_horizon()",
)


def upgrade() -> None:
    for part in PARTS:
        text = (SQL / f"0011_books_{part}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(text.replace("%", "%%"))


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION ledger.{function}")
    for view in ("lot_change", "part", "dated_entry", "zone"):
        op.execute(f"DROP VIEW ledger.{view}")
    op.execute("DROP TABLE accounting_policy")
    op.execute("DROP INDEX ledger.entry_recorded_at_effective_at_idx")
    for table in ("checkpoint", "flow", "book", "closed_head", "closing"):
        op.execute(f"DROP TABLE ledger.{table}")
