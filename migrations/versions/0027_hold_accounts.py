"""Accounts that a transaction holds before anything else: one order of locks. Benefits as rewards beside points."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0027_hold_accounts"
down_revision = "0026_requests"
branch_labels = None
depends_on = None

REWARDS = (
    "ALTER TABLE earn_campaign_award ALTER COLUMN ledger_sequence DROP NOT NULL",
    "ALTER TABLE earn_campaign_award ADD COLUMN benefit_id uuid",
    """
    ALTER TABLE earn_campaign_award
        ADD CONSTRAINT earn_campaign_award_posting_check CHECK ((points > 0) = (ledger_sequence IS NOT NULL)),
        ADD CONSTRAINT earn_campaign_award_reward_check CHECK (points > 0 OR benefit_id IS NOT NULL)
    """,
    "ALTER TABLE mission_reward ALTER COLUMN ledger_sequence DROP NOT NULL",
)

SQL = Path(__file__).parents[1] / "sql" / "0027_hold_accounts.sql"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(SQL.read_text(encoding="utf-8").replace("%", "%%"))
    op.execute("REVOKE EXECUTE ON ROUTINE ledger.hold_accounts, ledger.drop_unused_accounts FROM PUBLIC")
    for statement in REWARDS:
        op.execute(statement)


def downgrade() -> None:
    # What gave benefits alone has no row in the earlier schema.
    op.execute("DELETE FROM mission_reward WHERE ledger_sequence IS NULL")
    op.execute("DELETE FROM earn_campaign_award WHERE ledger_sequence IS NULL")
    op.execute("ALTER TABLE mission_reward ALTER COLUMN ledger_sequence SET NOT NULL")
    op.execute("ALTER TABLE earn_campaign_award DROP CONSTRAINT earn_campaign_award_reward_check")
    op.execute("ALTER TABLE earn_campaign_award DROP CONSTRAINT earn_campaign_award_posting_check")
    op.execute("ALTER TABLE earn_campaign_award DROP COLUMN benefit_id")
    op.execute("ALTER TABLE earn_campaign_award ALTER COLUMN ledger_sequence SET NOT NULL")
    op.execute("DROP FUNCTION ledger.drop_unused_accounts")
    op.execute("DROP FUNCTION ledger.hold_accounts")
