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
    -- What is earned on the day that lasts from `day_from` to before `day_until` expires at `day_expires`: worked out
    -- once a day, because preparing the calendar's expressions costs more than the rest of an earn's reading.
    day_from timestamptz,
    day_until timestamptz,
    day_expires timestamptz,
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
    inline_lots bigint[] NOT NULL DEFAULT '{}',
    inline_left bigint[] NOT NULL DEFAULT '{}',
    inline_expires timestamptz[] NOT NULL DEFAULT '{}',
    filed boolean NOT NULL DEFAULT false,
    CONSTRAINT account_pkey PRIMARY KEY (member_id, unit)
) WITH (fillfactor = 50);
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
    CONSTRAINT entry_pkey PRIMARY KEY (member_id, unit, seq)
);
CREATE UNIQUE INDEX entry_member_id_idem_key_idx ON ledger.entry (member_id, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX entry_member_id_unit_reverses_idx ON ledger.entry (member_id, unit, reverses) WHERE reverses IS NOT NULL;

-- What each entry took from, or gave back to, which lot, in the order in which it did.
CREATE VIEW ledger.allocation AS
SELECT e.member_id, e.unit, e.seq, taken.position::integer AS position, taken.lot_seq, taken.amount
FROM ledger.entry AS e
CROSS JOIN LATERAL unnest(e.lots, e.amounts) WITH ORDINALITY AS taken (lot_seq, amount, position);

-- Lots live in two places. The few that most accounts have stand in the account's own row, side by side in three
-- arrays in the order in which they are spent: an earn or a spend then touches no other row. What does not fit there -
-- more than sixteen lots, lots that wait, that came from another member, that were expired from or have a priority of
-- their own - is filed here, and `account.filed` says that open ones may be. A lot that was used up while it stood in
-- the row is in neither place: its entry says all there is to say.
CREATE TABLE ledger.filed_lot (
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
    CONSTRAINT filed_lot_pkey PRIMARY KEY (member_id, unit, seq),
    CONSTRAINT filed_lot_remaining_check CHECK (remaining >= 0 AND expired >= 0 AND open = (remaining > 0))
) WITH (fillfactor = 80);
CREATE INDEX filed_lot_spend_order_idx ON ledger.filed_lot (member_id, unit, priority, expires_at, seq) WHERE open;
CREATE INDEX filed_lot_origin_idx ON ledger.filed_lot (member_id, unit, origin_member, origin_seq)
    WHERE origin_member IS NOT NULL;

-- Every lot, wherever it stands.
CREATE VIEW ledger.lot AS
SELECT member_id, unit, seq, granted, remaining, expired, expires_at, available_at, priority,
       origin_member, origin_seq, open, pending
FROM ledger.filed_lot
UNION ALL
SELECT e.member_id, e.unit, e.seq, e.amount, inline.remaining, 0, e.lot_expires_at, e.lot_available_at, e.lot_priority,
       e.lot_origin_member, e.lot_origin_seq, true, false
FROM ledger.account AS a
CROSS JOIN LATERAL unnest(a.inline_lots, a.inline_left) AS inline (seq, remaining)
JOIN ledger.entry AS e ON e.member_id = a.member_id AND e.unit = a.unit AND e.seq = inline.seq
UNION ALL
SELECT e.member_id, e.unit, e.seq, e.amount, 0, 0, e.lot_expires_at, e.lot_available_at, e.lot_priority,
       e.lot_origin_member, e.lot_origin_seq, false, false
FROM ledger.entry AS e
JOIN ledger.account AS a ON a.member_id = e.member_id AND a.unit = e.unit
WHERE e.opens_lot AND e.seq <> ALL (a.inline_lots)
    AND NOT EXISTS (SELECT FROM ledger.filed_lot AS l WHERE l.member_id = e.member_id AND l.unit = e.unit AND l.seq = e.seq);

-- The lots that points are left in, and no more of each than is needed to add them up over all members.
CREATE VIEW ledger.open_lot AS
SELECT member_id, unit, seq, remaining, expires_at, pending FROM ledger.filed_lot WHERE open
UNION ALL
SELECT a.member_id, a.unit, inline.seq, inline.remaining, inline.expires_at, false
FROM ledger.account AS a
CROSS JOIN LATERAL unnest(a.inline_lots, a.inline_left, a.inline_expires) AS inline (seq, remaining, expires_at);

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
