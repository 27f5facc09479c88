-- The books. What the entries add up to, kept as sums: by day, by the month in which points were earned and the month in
-- which they expire. Everything here follows from `ledger.entry` and can be made from it again.
--
-- A closing takes each account that has moved since it was last closed, and no account twice. How far an account is
-- closed is written down for each account; transaction numbers would not survive a dump and its restore.

CREATE TABLE ledger.closing (
    number bigint NOT NULL,
    closed_at timestamptz NOT NULL,
    -- Every entry recorded before this moment is in this closing or an earlier one.
    complete_until timestamptz NOT NULL,
    accounts bigint NOT NULL,
    entries bigint NOT NULL,
    CONSTRAINT closing_pkey PRIMARY KEY (number),
    CONSTRAINT closing_counts_check CHECK (accounts > 0 AND entries >= accounts)
);

-- One row an account and closing that it is in: its last entry then, and that entry's hash.
CREATE TABLE ledger.closed_head (
    member_id uuid NOT NULL,
    unit text NOT NULL,
    closing bigint NOT NULL,
    seq bigint NOT NULL,
    head bytea NOT NULL,
    CONSTRAINT closed_head_pkey PRIMARY KEY (member_id, unit, closing) INCLUDE (seq)
);
CREATE INDEX closed_head_closing_idx ON ledger.closed_head (closing, member_id, unit);

CREATE TRIGGER closing_append_only BEFORE UPDATE OR DELETE ON ledger.closing
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER closing_no_truncate BEFORE TRUNCATE ON ledger.closing
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER closed_head_append_only BEFORE UPDATE OR DELETE ON ledger.closed_head
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER closed_head_no_truncate BEFORE TRUNCATE ON ledger.closed_head
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- The time zone in which a unit's days and months were reckoned. A unit whose zone was changed is rolled up anew.
CREATE TABLE ledger.book (
    programme_id uuid NOT NULL,
    unit text NOT NULL,
    time_zone text NOT NULL,
    CONSTRAINT book_pkey PRIMARY KEY (programme_id, unit)
);

-- The roll-up of what is closed. Days and months are the book's; a month is its first day.
--   cohort_month  in which the points were earned, wherever their lot has travelled since
--   expiry_month  of the last moment at which they can be spent; infinity: never; -infinity: no lot is concerned
--   opened        how many of the entries were the first of their account
-- An entry that takes from lots of several months is several rows; it is counted in the first of them.
CREATE TABLE ledger.flow (
    programme_id uuid NOT NULL,
    unit text NOT NULL,
    recorded_day date NOT NULL,
    effective_day date NOT NULL,
    cohort_month date NOT NULL,
    expiry_month date NOT NULL,
    kind text NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    amount bigint NOT NULL,
    entries bigint NOT NULL,
    opened bigint NOT NULL,
    CONSTRAINT flow_pkey PRIMARY KEY (
        programme_id, unit, recorded_day, effective_day, cohort_month, expiry_month, kind, debit, credit)
) WITH (fillfactor = 70);

-- What each lot of an account held after entry `seq`, every few hundred entries, so that a look at any moment reads no
-- more than those. Lots that held nothing are left out. `after_seq` and `least_effective_at` are about the entries since
-- the checkpoint before: where one of them took effect before some moment although it was recorded after it.
CREATE TABLE ledger.checkpoint (
    member_id uuid NOT NULL,
    unit text NOT NULL,
    seq bigint NOT NULL,
    after_seq bigint NOT NULL,
    least_effective_at timestamptz NOT NULL,
    lots bigint[] NOT NULL,
    spendable bigint[] NOT NULL,
    pending bigint[] NOT NULL,
    held bigint[] NOT NULL,
    CONSTRAINT checkpoint_pkey PRIMARY KEY (member_id, unit, seq)
);
CREATE INDEX checkpoint_late_idx ON ledger.checkpoint (member_id, unit, seq, after_seq, least_effective_at);

-- Finding what was recorded, or took effect, in a stretch of time. Entries lie in the order in which they were recorded,
-- so a few words for each stretch of pages are enough, and a posting writes nothing into this index. Effects may come
-- late: several spans a stretch keep one late entry from making it look as wide as a year.
CREATE INDEX entry_recorded_at_effective_at_idx ON ledger.entry
    USING brin (recorded_at, effective_at timestamptz_minmax_multi_ops) WITH (pages_per_range = 64, autosummarize = on);

-- How a programme's points are accounted for, by version; none is ever changed.
CREATE TABLE accounting_policy (
    programme_id uuid NOT NULL,
    unit text NOT NULL,
    version integer NOT NULL,
    policy jsonb NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    published_by text NOT NULL,
    CONSTRAINT accounting_policy_pkey PRIMARY KEY (programme_id, unit, version),
    CONSTRAINT accounting_policy_version_check CHECK (version > 0)
);
