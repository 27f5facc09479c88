-- The ledger's operations. Each public function is one posting in one call: lock the account, look the key up, take
-- the clock, settle what is due, do the operation, write the account once. PL/pgSQL is VOLATILE on purpose: under
-- READ COMMITTED each statement then takes a fresh snapshot, so what is read after the lock is what the lock protects.
--
-- Refusals are raised with SQLSTATE LE001, the reason's code as the message and its figures as JSON in the detail.
-- Nothing here reads personal data; nothing touches another member's rows except `transfer` and its relatives.

-- What a posting answers. A repeated posting answers the same, read back from its entries.
CREATE TYPE ledger.result AS (
    member_id uuid, unit text, seq bigint, last_seq bigint,
    posted bigint, pending bigint, held bigint, debt bigint,
    recorded_at timestamptz, hold_id uuid, replayed boolean
);

-- The database clock stamps entries: a posting happens when its statement reached the server, and never before the
-- account's last entry, whatever it waited for in between. It is a function of its own so that tests can move it.
CREATE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT statement_timestamp()';

CREATE FUNCTION ledger.refuse(p_code text, p_detail jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'LE001', MESSAGE = p_code, DETAIL = p_detail::text;
END
$$;

CREATE FUNCTION ledger.clamped_date(p_year integer, p_month integer, p_day integer) RETURNS date
LANGUAGE sql IMMUTABLE AS $$
    SELECT least(make_date(p_year, p_month, 1) + p_day - 1,
                 (make_date(p_year, p_month, 1) + interval '1 month' - interval '1 day')::date)
$$;

-- The first yearly day that is not before `p_day`.
CREATE FUNCTION ledger.next_yearly_date(p_day date, p_month integer, p_day_of_month integer) RETURNS date
LANGUAGE sql IMMUTABLE AS $$
    SELECT min(day) FROM (VALUES
        (ledger.clamped_date(extract(year FROM p_day)::integer, p_month, p_day_of_month)),
        (ledger.clamped_date(extract(year FROM p_day)::integer + 1, p_month, p_day_of_month))
    ) AS days (day) WHERE day >= p_day
$$;

-- The moment at which points earned at `p_from` expire under a unit's policy; NULL is never. Calendar rules use the
-- programme's time zone, months are clamped to their last day, and the last day counts whole. A plain expression, so
-- that the planner can take it into the statement that uses it.
CREATE FUNCTION ledger.expiry_of(u ledger.unit, p_from timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT (CASE u.expiry_kind
        WHEN 'fixed_period' THEN
            ((p_from AT TIME ZONE u.time_zone)::date + make_interval(months => coalesce(u.expiry_months, 0)))::date
            + coalesce(u.expiry_days, 0)
        WHEN 'end_of_month' THEN
            (date_trunc('month', (p_from AT TIME ZONE u.time_zone)::date + make_interval(months => u.expiry_months))
             + interval '1 month' - interval '1 day')::date
        WHEN 'yearly' THEN
            ledger.next_yearly_date(
                ((p_from AT TIME ZONE u.time_zone)::date + make_interval(months => coalesce(u.expiry_months, 0)))::date,
                u.expiry_month, u.expiry_day)
    END + 1)::timestamp AT TIME ZONE u.time_zone
$$;

-- The same by the unit's name. Where the moment lies today, today's answer is kept for those who come after; nobody
-- waits for it, and nobody who changes the unit's policy is overtaken: that empties the day.
CREATE FUNCTION ledger.expiry_on(p_programme uuid, p_unit text, p_from timestamptz) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    u ledger.unit;
    v_day date;
    v_expires timestamptz;
BEGIN
    SELECT * INTO u FROM ledger.unit WHERE programme_id = p_programme AND code = p_unit;
    v_expires := ledger.expiry_of(u, p_from);
    v_day := (p_from AT TIME ZONE u.time_zone)::date;
    IF u.expiry_kind <> 'after_activity' AND v_day = (ledger.clock() AT TIME ZONE u.time_zone)::date
        AND NOT coalesce(p_from >= u.day_from AND p_from < u.day_until, false) THEN
        PERFORM FROM ledger.unit WHERE programme_id = p_programme AND code = p_unit AND unit = u
        FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            UPDATE ledger.unit SET day_from = v_day::timestamp AT TIME ZONE u.time_zone,
                day_until = (v_day + 1)::timestamp AT TIME ZONE u.time_zone, day_expires = v_expires
            WHERE programme_id = p_programme AND code = p_unit;
        END IF;
    END IF;
    RETURN v_expires;
END
$$;

-- Lock a member's account of one unit, making it at the first posting. The programme is checked where it is given.
CREATE FUNCTION ledger.lock_account(p_member uuid, p_unit text, p_programme uuid) RETURNS ledger.account
LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
BEGIN
    SELECT * INTO a FROM ledger.account WHERE member_id = p_member AND unit = p_unit FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        IF p_programme IS NULL THEN
            PERFORM ledger.refuse('account_not_found');
        END IF;
        INSERT INTO ledger.account (member_id, unit, programme_id, last_at, head)
        VALUES (p_member, p_unit, p_programme, '-infinity', '\x')
        ON CONFLICT DO NOTHING;
        SELECT * INTO a FROM ledger.account WHERE member_id = p_member AND unit = p_unit FOR NO KEY UPDATE;
    END IF;
    IF a.programme_id <> p_programme THEN
        PERFORM ledger.refuse('other_programme');
    END IF;
    RETURN a;
END
$$;

CREATE FUNCTION ledger.unit_of(a ledger.account) RETURNS ledger.unit LANGUAGE plpgsql AS $$
DECLARE
    u ledger.unit;
BEGIN
    SELECT * INTO u FROM ledger.unit WHERE programme_id = a.programme_id AND code = a.unit;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('unit_not_found', jsonb_build_object('unit', a.unit));
    END IF;
    RETURN u;
END
$$;

-- The answer that a key has had before; NULL where the key is new. Raises where the request was another.
CREATE FUNCTION ledger.replay(p_member uuid, p_key text, p_hash bytea) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    e ledger.entry;
    n ledger.entry;
    r ledger.result;
BEGIN
    SELECT * INTO e FROM ledger.entry WHERE member_id = p_member AND idem_key = p_key;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF e.request_hash <> p_hash THEN
        PERFORM ledger.refuse('key_reused', jsonb_build_object('key', p_key));
    END IF;
    r := (e.member_id, e.unit, e.seq, e.seq, 0, 0, 0, 0, e.recorded_at, e.hold_id, true)::ledger.result;
    -- A posting's entries follow each other, so its last one is found without reading what came later.
    FOR n IN SELECT * FROM ledger.entry WHERE member_id = e.member_id AND unit = e.unit AND seq >= e.seq ORDER BY seq LOOP
        EXIT WHEN n.posting <> e.seq;
        r.last_seq := n.seq;
        r.posted := n.posted;
        r.pending := n.pending;
        r.held := n.held;
        r.debt := n.debt;
    END LOOP;
    RETURN r;
END
$$;

-- Add one entry, moving its amount between two classes of account, and chain its hash to the entry before it.
-- `e` carries what the caller knows; sequence, balances, clock and hash are filled in here.
CREATE FUNCTION ledger.append(a ledger.account, e ledger.entry, p_lots bigint[], p_amounts bigint[])
RETURNS ledger.account LANGUAGE plpgsql AS $$
BEGIN
    CASE e.debit
        WHEN 'member' THEN a.posted := a.posted - e.amount;
        WHEN 'pending' THEN a.pending := a.pending - e.amount;
        WHEN 'held' THEN a.held := a.held - e.amount;
        WHEN 'debt' THEN a.debt := a.debt + e.amount;
        ELSE NULL;
    END CASE;
    CASE e.credit
        WHEN 'member' THEN a.posted := a.posted + e.amount;
        WHEN 'pending' THEN a.pending := a.pending + e.amount;
        WHEN 'held' THEN a.held := a.held + e.amount;
        WHEN 'debt' THEN a.debt := a.debt - e.amount;
        ELSE NULL;
    END CASE;
    a.seq := a.seq + 1;
    e.member_id := a.member_id;
    e.unit := a.unit;
    e.programme_id := a.programme_id;
    e.seq := a.seq;
    e.posting := coalesce(e.posting, a.seq);
    IF e.posting <> e.seq THEN
        e.idem_key := NULL;
        e.request_hash := NULL;
    END IF;
    e.opens_lot := coalesce(e.opens_lot, false);
    e.posted := a.posted;
    e.pending := a.pending;
    e.held := a.held;
    e.debt := a.debt;
    e.idle_expires_at := a.idle_expires_at;
    e.recorded_at := a.last_at;
    e.lots := p_lots;
    e.amounts := p_amounts;
    -- record_send writes each value with its type and length, or its absence, so no two records look the same.
    e.hash := sha256(a.head || record_send(ROW(
        e.member_id, e.unit, e.seq, e.programme_id, e.posting, e.kind, e.amount, e.debit, e.credit,
        e.posted, e.pending, e.held, e.debt, e.idem_key, e.request_hash, e.reverses_member, e.reverses,
        e.hold_id, e.peer_id, e.opens_lot, e.lot_expires_at, e.lot_available_at, e.lot_priority,
        e.lot_origin_member, e.lot_origin_seq, e.hold_expires_at, e.idle_expires_at,
        e.source, e.reason, e.actor, e.approved_by, e.rule_version, e.effective_at, e.recorded_at,
        e.lots, e.amounts)));
    a.head := e.hash;
    INSERT INTO ledger.entry VALUES (e.*);
    RETURN a;
END
$$;

-- An account that was opened for a posting which then had nothing to say is not kept: accounts follow from entries.
CREATE FUNCTION ledger.drop_unused(p_member uuid, p_unit text) RETURNS void LANGUAGE sql AS $$
    DELETE FROM ledger.account WHERE member_id = p_member AND unit = p_unit AND seq = 0
$$;

-- Write the account back, once a posting. Its clock moves only with an entry: a rebuild has nothing else to read it from.
CREATE FUNCTION ledger.save_account(a ledger.account) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Not a CHECK of the table: of those the expression is read from the catalogue and prepared by every posting, and
    -- the plain ones cannot come below zero by what they ask of the account.
    IF least(a.posted, a.pending, a.held, a.debt) < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'a balance would fall below zero';
    END IF;
    UPDATE ledger.account SET
        posted = a.posted, pending = a.pending, held = a.held, debt = a.debt, seq = a.seq,
        next_due = a.next_due, idle_expires_at = a.idle_expires_at, head = a.head,
        last_at = CASE WHEN seq < a.seq THEN a.last_at ELSE last_at END,
        inline_lots = a.inline_lots, inline_left = a.inline_left, inline_expires = a.inline_expires, filed = a.filed
    WHERE member_id = a.member_id AND unit = a.unit;
END
$$;

CREATE FUNCTION ledger.answer(a ledger.account, p_seq bigint, p_hold uuid DEFAULT NULL) RETURNS ledger.result
LANGUAGE sql STABLE AS $$
    SELECT (a.member_id, a.unit, p_seq, a.seq, a.posted, a.pending, a.held, a.debt, a.last_at, p_hold, false)::ledger.result
$$;

CREATE FUNCTION ledger.check_amount(p_amount bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_amount IS NULL OR p_amount <= 0 OR p_amount > 1000000000000 THEN
        PERFORM ledger.refuse('amount_out_of_range', jsonb_build_object('amount', p_amount, 'most', 1000000000000));
    END IF;
END
$$;

CREATE FUNCTION ledger.check_effective(p_effective timestamptz, p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql AS $$
BEGIN
    -- A channel's clock may be a little ahead of ours; a posting from tomorrow is a mistake.
    IF p_effective > p_now + interval '5 minutes' THEN
        PERFORM ledger.refuse('effective_in_future', jsonb_build_object('effective_at', p_effective));
    END IF;
    RETURN coalesce(p_effective, p_now);
END
$$;
