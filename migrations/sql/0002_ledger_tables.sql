-- The ledger's tables. `entry` is the truth and is only ever added to: one row holds a transfer whole, with the lots it
-- took from or gave to. `account`, `lot` and `hold` are projections that can be rebuilt from the entries. Every key starts with member_id, so that the tables can be
-- distributed by member; no key, foreign key or trigger crosses members.

CREATE SCHEMA ledger;

CREATE TABLE ledger.unit (
    programme_id uuid NOT NULL,
    code text NOT NULL,
    spendable boolean NOT NULL,
    time_zone text NOT NULL,
    expiry_kind text NOT NULL,
    expiry_months integer,
    expiry_days integer,
    expiry_month integer,
    expiry_day integer,
    shortfall text NOT NULL,
    expired_return_days integer,
    reinstate_days integer NOT NULL,
    adjust_limit bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT unit_pkey PRIMARY KEY (programme_id, code)
);

CREATE TABLE ledger.account (
    member_id uuid NOT NULL,
    unit text NOT NULL,
    programme_id uuid NOT NULL,
    posted bigint NOT NULL DEFAULT 0,
    pending bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    debt bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    next_due timestamptz,
    idle_expires_at timestamptz,
    last_at timestamptz NOT NULL,
    head bytea NOT NULL,
    CONSTRAINT account_pkey PRIMARY KEY (member_id, unit),
    CONSTRAINT account_not_negative_check CHECK (posted >= 0 AND pending >= 0 AND held >= 0 AND debt >= 0)
) WITH (fillfactor = 60);
CREATE INDEX account_next_due_idx ON ledger.account (next_due) WHERE next_due IS NOT NULL;
-- No index by programme: posting looks accounts up by member, a plan made while the table is new could take such an
-- index for that instead, and sums over a programme read all its accounts anyway.

CREATE TABLE ledger.entry (
    member_id uuid NOT NULL,
    unit text NOT NULL,
    seq bigint NOT NULL,
    programme_id uuid NOT NULL,
    posting bigint NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    posted bigint NOT NULL,
    pending bigint NOT NULL,
    held bigint NOT NULL,
    debt bigint NOT NULL,
    idem_key text,
    request_hash bytea,
    reverses_member uuid,
    reverses bigint,
    hold_id uuid,
    peer_id uuid,
    opens_lot boolean NOT NULL,
    lot_expires_at timestamptz,
    lot_available_at timestamptz,
    lot_priority integer,
    lot_origin_member uuid,
    lot_origin_seq bigint,
    hold_expires_at timestamptz,
    idle_expires_at timestamptz,
    source text NOT NULL,
    reason text,
    actor text,
    approved_by text,
    rule_version text,
    effective_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    lots bigint[],
    amounts bigint[],
    hash bytea NOT NULL,
    CONSTRAINT entry_pkey PRIMARY KEY (member_id, unit, seq),
    CONSTRAINT entry_amount_check CHECK (amount > 0)
);
CREATE UNIQUE INDEX entry_member_id_idem_key_idx ON ledger.entry (member_id, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX entry_member_id_unit_reverses_idx ON ledger.entry (member_id, unit, reverses) WHERE reverses IS NOT NULL;

-- What each entry took from, or gave back to, which lot, in the order in which it did.
CREATE VIEW ledger.allocation AS
SELECT e.member_id, e.unit, e.seq, taken.position::integer AS position, taken.lot_seq, taken.amount
FROM ledger.entry AS e
CROSS JOIN LATERAL unnest(e.lots, e.amounts) WITH ORDINALITY AS taken (lot_seq, amount, position);

CREATE TABLE ledger.lot (
    member_id uuid NOT NULL,
    unit text NOT NULL,
    seq bigint NOT NULL,
    granted bigint NOT NULL,
    remaining bigint NOT NULL,
    expired bigint NOT NULL DEFAULT 0,
    expires_at timestamptz,
    available_at timestamptz,
    priority integer NOT NULL,
    origin_member uuid,
    origin_seq bigint,
    open boolean NOT NULL,
    pending boolean NOT NULL,
    CONSTRAINT lot_pkey PRIMARY KEY (member_id, unit, seq),
    CONSTRAINT lot_remaining_check CHECK (remaining >= 0 AND expired >= 0 AND open = (remaining > 0))
) WITH (fillfactor = 80);
CREATE INDEX lot_spend_order_idx ON ledger.lot (member_id, unit, priority, expires_at, seq) WHERE open;
CREATE INDEX lot_origin_idx ON ledger.lot (member_id, unit, origin_member, origin_seq) WHERE origin_member IS NOT NULL;

CREATE TABLE ledger.hold (
    member_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    unit text NOT NULL,
    seq bigint NOT NULL,
    amount bigint NOT NULL,
    captured bigint NOT NULL,
    released bigint NOT NULL,
    lots bigint[] NOT NULL,
    amounts bigint[] NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL,
    CONSTRAINT hold_pkey PRIMARY KEY (member_id, hold_id),
    CONSTRAINT hold_amount_check CHECK (amount > 0 AND captured >= 0 AND released >= 0 AND captured + released <= amount)
);
CREATE INDEX hold_member_id_unit_idx ON ledger.hold (member_id, unit) WHERE state = 'open';

-- The second fence behind the application role's missing privileges: nobody changes what was posted, by mistake.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'LE001', MESSAGE = 'append_only',
        DETAIL = '{"table":"' || TG_TABLE_NAME || '"}';
END
$$;
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE ON ledger.entry
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER entry_no_truncate BEFORE TRUNCATE ON ledger.entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
