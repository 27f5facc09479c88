"""The application's role, whose only way to write is the ledger's public functions; the sweep is one of them."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0013_roles"
down_revision = "0012_seals"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"

DOORS = (
    "earn",
    "spend",
    "adjust",
    "post_batch",
    "claw_back",
    "hold_points",
    "end_hold",
    "reverse",
    "reinstate",
    "confirm",
    "transfer",
    "move_all",
    "move_back",
    "settle_account",
)
"""The functions of the migrations before this one that the application calls. Later ones say it where they are made."""

OF_MEMBERS = ("filed_lot", "hold")
"""Tables in which one member may own nearly all rows: most have none. Left to itself the planner takes that for what
everybody has, and settling anybody's account scans the table. It is told that members have few rows each."""


def upgrade() -> None:
    for name in DOORS:
        op.execute(f"ALTER FUNCTION ledger.{name} SECURITY DEFINER")
    for part in ("sweep", "roles"):
        text = (SQL / f"0013_{part}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(text.replace("%", "%%"))
    for table in OF_MEMBERS:
        op.execute(f"ALTER TABLE ledger.{table} ALTER COLUMN member_id SET (n_distinct = -0.2)")
    # Nobody calls what nobody let them call. The application's role is let in by `ledger.admit_application`.
    op.execute("REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA ledger FROM PUBLIC")


def downgrade() -> None:
    # Rights that were given stay: they are the role's, and end with the tables and functions they are about.
    for name in ("admit_application", "admission", "define_unit", "settle_due", "expire_together"):
        op.execute(f"DROP FUNCTION ledger.{name}")
    for name in DOORS:
        op.execute(f"ALTER FUNCTION ledger.{name} SECURITY INVOKER")
    for table in OF_MEMBERS:
        op.execute(f"ALTER TABLE ledger.{table} ALTER COLUMN member_id RESET (n_distinct)")
    op.execute("GRANT EXECUTE ON ALL ROUTINES IN SCHEMA ledger TO PUBLIC")
