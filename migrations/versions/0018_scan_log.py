"""The log of scans in partitions by the month, and a brand's own thresholds of scans and claims."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0018_scan_log"
down_revision = "0017_packing"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql" / "0018_scan_log.sql"

LOGS = {
    "item_scan": ("gtin, kid, index, at, id", ("programme_id, at",)),
    "refused_scan": ("device, at, id", ("address_prefix, at", "programme_id, at")),
}
"""Each log's primary key and its other indexes."""

AHEAD_MONTHS = 2

SETTINGS = """
    CREATE TABLE item_settings (
        programme_id uuid CONSTRAINT item_settings_pkey PRIMARY KEY,
        settings jsonb NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """


def upgrade() -> None:
    op.execute(SETTINGS)
    op.execute("CREATE SCHEMA scan_log")
    op.get_bind().exec_driver_sql(SQL.read_text(encoding="utf-8").replace("%", "%%"))
    for table in LOGS:
        op.execute(f"ALTER TABLE {table} SET SCHEMA scan_log")  # with its indexes, whose names are free again
        _make(table, "PARTITION BY RANGE (at)")
        op.execute(f"CREATE TABLE scan_log.{table}_default PARTITION OF {table} DEFAULT")
        op.execute(f"INSERT INTO {table} SELECT * FROM scan_log.{table}")
        op.execute(f"DROP TABLE scan_log.{table}")
    op.execute(f"SELECT keep_scan_log(now(), {AHEAD_MONTHS}, NULL)")


def downgrade() -> None:
    for table in LOGS:
        op.execute(f"ALTER TABLE {table} SET SCHEMA scan_log")
        _make(table)
        op.execute(f"INSERT INTO {table} SELECT * FROM scan_log.{table}")
    op.execute("DROP FUNCTION keep_scan_log")
    op.execute("DROP SCHEMA scan_log CASCADE")
    op.execute("DROP TABLE item_settings")


def _make(table: str, partitioned: str = "") -> None:
    """Make a log as the one that was put aside is."""
    key, indexes = LOGS[table]
    op.execute(f"CREATE TABLE {table} (LIKE scan_log.{table} INCLUDING DEFAULTS) {partitioned}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY ({key})")
    for columns in indexes:
        op.execute(f"CREATE INDEX {table}_{columns.replace(', ', '_')}_idx ON {table} ({columns})")
