"""Prize draws with auditable odds: what was committed to, who entered in which order, and what was drawn."""

from __future__ import annotations

from alembic import op

revision = "0029_prize_draws"
down_revision = "0028_tier_activity_days"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE prize_draw (
        id uuid CONSTRAINT prize_draw_pkey PRIMARY KEY,
        programme_id uuid NOT NULL,
        code text NOT NULL,
        definition jsonb NOT NULL,
        opens_at timestamptz NOT NULL,
        closes_at timestamptz NOT NULL,
        commitment bytea NOT NULL,
        sealed_seed bytea NOT NULL,
        entries integer NOT NULL DEFAULT 0,
        withdrawn_at timestamptz,
        seed bytea,
        beacon text,
        drawn_at timestamptz,
        drawn_by text,
        published_by text NOT NULL,
        published_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT prize_draw_programme_id_code_key UNIQUE (programme_id, code),
        CONSTRAINT prize_draw_span_check CHECK (closes_at > opens_at),
        CONSTRAINT prize_draw_drawn_check CHECK ((seed IS NULL) = (drawn_at IS NULL))
    )
    """,
    "CREATE INDEX prize_draw_programme_id_closes_at_idx ON prize_draw (programme_id, closes_at)",
    """
    CREATE FUNCTION refuse_prize_draw_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.seed IS NULL AND OLD.withdrawn_at IS NULL AND NEW.entries >= OLD.entries
            AND (NEW.id, NEW.programme_id, NEW.code, NEW.definition, NEW.opens_at, NEW.closes_at, NEW.commitment,
                    NEW.sealed_seed, NEW.published_by, NEW.published_at)
                = (OLD.id, OLD.programme_id, OLD.code, OLD.definition, OLD.opens_at, OLD.closes_at, OLD.commitment,
                    OLD.sealed_seed, OLD.published_by, OLD.published_at)
            AND (NEW.withdrawn_at IS NULL OR OLD.entries = 0)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'a published draw never changes; what was drawn stays'
            USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER prize_draw_is_immutable BEFORE UPDATE OR DELETE ON prize_draw
        FOR EACH ROW EXECUTE FUNCTION refuse_prize_draw_change()
    """,
    """
    CREATE TABLE prize_draw_entry (
        member_id uuid NOT NULL,
        draw_id uuid NOT NULL,
        number integer NOT NULL,
        programme_id uuid NOT NULL,
        ticket text NOT NULL,
        entry_key text NOT NULL,
        source text NOT NULL,
        points bigint NOT NULL,
        entered_at timestamptz NOT NULL,
        prize text,
        given_at timestamptz,
        given_to uuid,
        problem text,
        CONSTRAINT prize_draw_entry_pkey PRIMARY KEY (member_id, draw_id, number),
        CONSTRAINT prize_draw_entry_member_id_draw_id_entry_key_key UNIQUE (member_id, draw_id, entry_key)
    )
    """,
    "CREATE INDEX prize_draw_entry_draw_id_number_idx ON prize_draw_entry (draw_id, number)",
    """
    CREATE INDEX prize_draw_entry_waiting_idx ON prize_draw_entry (draw_id)
        WHERE prize IS NOT NULL AND given_at IS NULL
    """,
    """
    CREATE FUNCTION refuse_prize_draw_entry_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND (OLD.prize IS NULL OR NEW.prize = OLD.prize) AND OLD.given_at IS NULL
            AND (NEW.member_id, NEW.draw_id, NEW.number, NEW.ticket, NEW.entry_key, NEW.source, NEW.points,
                    NEW.entered_at)
                = (OLD.member_id, OLD.draw_id, OLD.number, OLD.ticket, OLD.entry_key, OLD.source, OLD.points,
                    OLD.entered_at)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'an entry stays as it is, and so does what it won'
            USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER prize_draw_entry_is_immutable BEFORE UPDATE OR DELETE ON prize_draw_entry
        FOR EACH ROW EXECUTE FUNCTION refuse_prize_draw_entry_change()
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE prize_draw_entry")
    op.execute("DROP TABLE prize_draw")
    op.execute("DROP FUNCTION refuse_prize_draw_entry_change")
    op.execute("DROP FUNCTION refuse_prize_draw_change")
