"""Seeds of draws follow a key rotation; why a prize waits is a code, which pages say in the reader's language."""

from __future__ import annotations

from alembic import op

revision = "0030_draw_seeds"
down_revision = "0029_prize_draws"
branch_labels = None
depends_on = None

REFUSE_CHANGE = """
    CREATE OR REPLACE FUNCTION refuse_prize_draw_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.seed IS NULL AND OLD.withdrawn_at IS NULL AND NEW.entries >= OLD.entries
            AND (NEW.id, NEW.programme_id, NEW.code, NEW.definition, NEW.opens_at, NEW.closes_at, NEW.commitment,
                    {sealed_new}NEW.published_by, NEW.published_at)
                = (OLD.id, OLD.programme_id, OLD.code, OLD.definition, OLD.opens_at, OLD.closes_at, OLD.commitment,
                    {sealed_old}OLD.published_by, OLD.published_at)
            AND (NEW.withdrawn_at IS NULL OR OLD.entries = 0)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'a published draw never changes; what was drawn stays'
            USING ERRCODE = 'restrict_violation';
    END
    $$
"""


def upgrade() -> None:
    # Another seed under the same commitment would be found out by whoever checks the proof; another seal is harmless.
    op.execute(REFUSE_CHANGE.format(sealed_new="", sealed_old=""))
    # Sentences of before: what still waits is tried again within a minute, and then says its code.
    op.execute("UPDATE prize_draw_entry SET problem = NULL WHERE problem IS NOT NULL AND given_at IS NULL")


def downgrade() -> None:
    op.execute(REFUSE_CHANGE.format(sealed_new="NEW.sealed_seed, ", sealed_old="OLD.sealed_seed, "))
