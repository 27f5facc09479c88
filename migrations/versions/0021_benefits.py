"""Benefits: what may be used up of them (quotas), exact to the unit."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0021_benefits"
down_revision = "0020_tier_policies"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"

TABLES = (
    """
    CREATE TABLE quota (
        owner_id uuid NOT NULL,
        unit text NOT NULL,
        programme_id uuid NOT NULL,
        total bigint NOT NULL CONSTRAINT quota_total_check CHECK (total >= 0),
        CONSTRAINT quota_pkey PRIMARY KEY (owner_id, unit)
    )
    """,
    # Updated all the time, so each page has room for new versions of its rows.
    """
    CREATE TABLE quota_part (
        owner_id uuid NOT NULL,
        unit text NOT NULL,
        part smallint NOT NULL,
        remaining bigint NOT NULL CONSTRAINT quota_part_remaining_check CHECK (remaining >= 0),
        CONSTRAINT quota_part_pkey PRIMARY KEY (owner_id, unit, part)
    ) WITH (fillfactor = 20)
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    text = (SQL / "0021_quota.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(text.replace("%", "%%"))


def downgrade() -> None:
    for function in ("quota_take(uuid, text, bigint, bigint)", "quota_take_all", "quota_give", "quota_set"):
        op.execute(f"DROP FUNCTION {function}")
    for table in ("quota_part", "quota"):
        op.execute(f"DROP TABLE {table}")
