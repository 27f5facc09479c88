"""The job queue's tables: procrastinate's own steps, as the library ships them, up to the version named here.

A release of the library that brings further steps comes with a migration of ours that applies those.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0010_queue"
down_revision = "0009_web"
branch_labels = None
depends_on = None

LAST_STEP = "03.04.00_50"


def upgrade() -> None:
    steps = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    for step in steps:
        if step.name[: len(LAST_STEP)] <= LAST_STEP:
            op.get_bind().exec_driver_sql(step.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("""
        DO $$
        DECLARE
            found record;
        BEGIN
            FOR found IN SELECT oid::regprocedure AS name FROM pg_proc WHERE proname LIKE 'procrastinate_%' LOOP
                EXECUTE 'DROP ROUTINE ' || found.name || ' CASCADE';
            END LOOP;
            FOR found IN SELECT tablename AS name FROM pg_tables WHERE tablename LIKE 'procrastinate_%' LOOP
                EXECUTE 'DROP TABLE ' || found.name || ' CASCADE';
            END LOOP;
            FOR found IN
                SELECT typname AS name FROM pg_type WHERE typname LIKE 'procrastinate_%' AND typtype IN ('e', 'c')
            LOOP
                EXECUTE 'DROP TYPE ' || found.name || ' CASCADE';
            END LOOP;
        END
        $$
    """)
