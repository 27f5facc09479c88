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

-- The database clock stamps entries. It is a function of its own so that tests can move it.
CREATE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

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

-- Write the account back, once a posting.
CREATE FUNCTION ledger.save_account(a ledger.account) RETURNS void LANGUAGE sql AS $$
    UPDATE ledger.account SET
        posted = a.posted, pending = a.pending, held = a.held, debt = a.debt, seq = a.seq,
        next_due = a.next_due, idle_expires_at = a.idle_expires_at, last_at = a.last_at, head = a.head
    WHERE member_id = a.member_id AND unit = a.unit
$$;

-- Open a lot by an entry whose debit class and amount are given. Debt is repaid first: a member in debt who is given
-- points gets only what is left over. Points that are not yet available are pending, and repay when they mature.
CREATE FUNCTION ledger.grant_points(a ledger.account, e ledger.entry) RETURNS ledger.account LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint := e.amount;
    v_pending boolean := e.lot_available_at > a.last_at;
    d ledger.entry;
BEGIN
    e.posting := coalesce(e.posting, a.seq + 1);
    IF a.debt > 0 AND NOT coalesce(v_pending, false) THEN
        d := e;
        d.amount := least(a.debt, v_left);
        d.credit := 'debt';
        d.opens_lot := false;
        d.lot_expires_at := NULL;
        d.lot_available_at := NULL;
        d.lot_priority := NULL;
        a := ledger.append(a, d, NULL, NULL);
        v_left := v_left - d.amount;
    END IF;
    IF v_left > 0 THEN
        e.amount := v_left;
        e.credit := CASE WHEN v_pending THEN 'pending' ELSE 'member' END;
        e.opens_lot := true;
        e.lot_priority := coalesce(e.lot_priority, 0);
        a := ledger.append(a, e, NULL, NULL);
        INSERT INTO ledger.lot (member_id, unit, seq, granted, remaining, expires_at, available_at, priority,
                                origin_member, origin_seq, open, pending)
        VALUES (a.member_id, a.unit, a.seq, v_left, v_left, e.lot_expires_at, e.lot_available_at, e.lot_priority,
                e.lot_origin_member, e.lot_origin_seq, true, coalesce(v_pending, false));
        a.next_due := least(a.next_due, e.lot_expires_at, CASE WHEN v_pending THEN e.lot_available_at END);
    END IF;
    RETURN a;
END
$$;

-- What is taken out of, or put back into, lots: lots and amounts side by side, in the order of taking.
CREATE TYPE ledger.takings AS (lots bigint[], amounts bigint[], total bigint);

-- Take up to `p_amount` from the open, available lots: lowest priority number first, soonest expiring first,
-- never-expiring last, then oldest.
CREATE FUNCTION ledger.take(a ledger.account, p_amount bigint) RETURNS ledger.takings LANGUAGE plpgsql AS $$
DECLARE
    t ledger.takings := (NULL, NULL, 0)::ledger.takings;
    l record;
    v_part bigint;
BEGIN
    IF p_amount <= 0 THEN
        RETURN t;
    END IF;
    FOR l IN
        SELECT seq, remaining FROM ledger.lot
        WHERE member_id = a.member_id AND unit = a.unit AND open AND NOT pending
        ORDER BY priority, expires_at, seq
    LOOP
        v_part := least(l.remaining, p_amount - t.total);
        t.lots := t.lots || l.seq;
        t.amounts := t.amounts || v_part;
        t.total := t.total + v_part;
        EXIT WHEN t.total = p_amount;
    END LOOP;
    PERFORM ledger.take_from(a, t);
    RETURN t;
END
$$;

CREATE FUNCTION ledger.take_from(a ledger.account, t ledger.takings) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF array_length(t.lots, 1) = 1 THEN
        UPDATE ledger.lot SET remaining = remaining - t.total, open = remaining > t.total
        WHERE member_id = a.member_id AND unit = a.unit AND seq = t.lots[1];
    ELSIF t.lots IS NOT NULL THEN
        UPDATE ledger.lot SET remaining = lot.remaining - taken.amount, open = lot.remaining > taken.amount
        FROM unnest(t.lots, t.amounts) AS taken (seq, amount)
        WHERE lot.member_id = a.member_id AND lot.unit = a.unit AND lot.seq = taken.seq;
    END IF;
END
$$;

-- Put points back into the lots they came from, each with the expiry it has. A lot that has expired since follows the
-- unit's policy: the caller asks `expired_since` first. Returns the account with its next due moment.
CREATE FUNCTION ledger.put_back(a ledger.account, p_lots bigint[], p_amounts bigint[]) RETURNS ledger.account
LANGUAGE plpgsql AS $$
DECLARE
    v_due timestamptz;
BEGIN
    WITH back AS (
        UPDATE ledger.lot SET remaining = lot.remaining + given.amount, open = true
        FROM unnest(p_lots, p_amounts) AS given (seq, amount)
        WHERE lot.member_id = a.member_id AND lot.unit = a.unit AND lot.seq = given.seq
        RETURNING lot.expires_at
    )
    SELECT min(expires_at) INTO v_due FROM back;
    a.next_due := least(a.next_due, v_due);
    RETURN a;
END
$$;

-- The part of a sequence of takings that lies between `p_from` and `p_from + p_amount` points.
CREATE FUNCTION ledger.slice(t ledger.takings, p_from bigint, p_amount bigint) RETURNS ledger.takings
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    s ledger.takings := (NULL, NULL, 0)::ledger.takings;
    v_position bigint := 0;
    v_low bigint;
    v_high bigint;
BEGIN
    FOR i IN 1 .. coalesce(array_length(t.lots, 1), 0) LOOP
        v_low := greatest(v_position, p_from);
        v_high := least(v_position + t.amounts[i], p_from + p_amount);
        IF v_high > v_low THEN
            s.lots := s.lots || t.lots[i];
            s.amounts := s.amounts || (v_high - v_low);
            s.total := s.total + v_high - v_low;
        END IF;
        v_position := v_position + t.amounts[i];
    END LOOP;
    RETURN s;
END
$$;

-- Undo the last step first: the same takings in the opposite order.
CREATE FUNCTION ledger.backwards(t ledger.takings) RETURNS ledger.takings LANGUAGE sql IMMUTABLE AS $$
    SELECT (array_agg(l ORDER BY n DESC), array_agg(m ORDER BY n DESC), t.total)::ledger.takings
    FROM unnest(t.lots, t.amounts) WITH ORDINALITY AS taken (l, m, n)
$$;

-- Release the last `p_amount` points that a hold has left, back into their lots.
CREATE FUNCTION ledger.release_part(a ledger.account, h ledger.hold, p_amount bigint, e ledger.entry, p_state text)
RETURNS ledger.account LANGUAGE plpgsql AS $$
DECLARE
    s ledger.takings;
BEGIN
    s := ledger.slice((h.lots, h.amounts, h.amount)::ledger.takings, h.amount - h.released - p_amount, p_amount);
    e.kind := 'release';
    e.amount := p_amount;
    e.debit := 'held';
    e.credit := 'member';
    e.hold_id := h.hold_id;
    a := ledger.append(a, e, s.lots, s.amounts);
    a := ledger.put_back(a, s.lots, s.amounts);
    UPDATE ledger.hold SET released = released + p_amount,
        state = CASE WHEN captured + released + p_amount = amount THEN p_state ELSE state END
    WHERE member_id = h.member_id AND hold_id = h.hold_id;
    RETURN a;
END
$$;

-- One pending lot becomes spendable.
CREATE FUNCTION ledger.mature(a ledger.account, l ledger.lot, e ledger.entry) RETURNS ledger.account
LANGUAGE plpgsql AS $$
BEGIN
    e.kind := 'mature';
    e.amount := l.remaining;
    e.debit := 'pending';
    e.credit := 'member';
    a := ledger.append(a, e, ARRAY[l.seq], ARRAY[l.remaining]);
    UPDATE ledger.lot SET pending = false WHERE member_id = a.member_id AND unit = a.unit AND seq = l.seq;
    a.next_due := least(a.next_due, l.expires_at);
    RETURN a;
END
$$;

-- Nobody owes points and has some to spend: what became spendable repays first.
CREATE FUNCTION ledger.repay(a ledger.account, p_posting bigint, p_moment timestamptz) RETURNS ledger.account
LANGUAGE plpgsql AS $$
DECLARE
    e ledger.entry;
    t ledger.takings;
BEGIN
    IF a.debt > 0 AND a.posted > 0 THEN
        t := ledger.take(a, least(a.debt, a.posted));
        e.posting := p_posting;
        e.kind := 'repay';
        e.amount := t.total;
        e.debit := 'member';
        e.credit := 'debt';
        e.source := 'time';
        e.effective_at := p_moment;
        a := ledger.append(a, e, t.lots, t.amounts);
    END IF;
    RETURN a;
END
$$;

-- Expire every open lot whose moment is not after `p_until`.
CREATE FUNCTION ledger.expire_lots(a ledger.account, p_posting bigint, p_until timestamptz) RETURNS ledger.account
LANGUAGE plpgsql AS $$
DECLARE
    e ledger.entry;
    l ledger.lot;
BEGIN
    e.posting := p_posting;
    e.source := 'time';
    e.kind := 'expire';
    e.credit := 'expired';
    FOR l IN
        SELECT * FROM ledger.lot
        WHERE member_id = a.member_id AND unit = a.unit AND open
            AND (expires_at <= p_until OR (expires_at IS NULL AND a.idle_expires_at <= p_until AND NOT pending))
        ORDER BY expires_at, seq
    LOOP
        e.amount := l.remaining;
        e.debit := CASE WHEN l.pending THEN 'pending' ELSE 'member' END;
        e.effective_at := coalesce(l.expires_at, a.idle_expires_at);
        a := ledger.append(a, e, ARRAY[l.seq], ARRAY[l.remaining]);
        UPDATE ledger.lot SET remaining = 0, expired = expired + l.remaining, open = false, pending = false
        WHERE member_id = a.member_id AND unit = a.unit AND seq = l.seq;
    END LOOP;
    RETURN a;
END
$$;

-- Do what time has brought, in the order in which it came, so that a late settlement ends where a timely one would:
-- holds that ran out free their points, pending points become spendable and repay, lots expire. Exactly at the moment
-- counts as past it; of what falls on one moment, expiry comes first. Entries belong to `p_posting` where given;
-- otherwise each is a posting of its own.
CREATE FUNCTION ledger.settle(a ledger.account, p_posting bigint DEFAULT NULL) RETURNS ledger.account
LANGUAGE plpgsql AS $$
DECLARE
    e ledger.entry;
    h ledger.hold;
    l ledger.lot;
    v_moment timestamptz;
BEGIN
    IF a.next_due IS NULL OR a.next_due > a.last_at THEN
        RETURN a;
    END IF;
    e.posting := p_posting;
    e.source := 'time';
    LOOP
        SELECT * INTO h FROM ledger.hold
        WHERE member_id = a.member_id AND unit = a.unit AND state = 'open' AND expires_at <= a.last_at
        ORDER BY expires_at, hold_id LIMIT 1;
        SELECT * INTO l FROM ledger.lot
        WHERE member_id = a.member_id AND unit = a.unit AND open AND pending AND available_at <= a.last_at
            AND (expires_at IS NULL OR expires_at > available_at)
        ORDER BY available_at, seq LIMIT 1;
        v_moment := least(h.expires_at, l.available_at);
        a := ledger.expire_lots(a, p_posting, coalesce(v_moment, a.last_at));
        EXIT WHEN v_moment IS NULL;
        e.effective_at := v_moment;
        IF h.expires_at = v_moment THEN
            a := ledger.release_part(a, h, h.amount - h.captured - h.released, e, 'expired');
            a := ledger.expire_lots(a, p_posting, v_moment);
        ELSE
            a := ledger.mature(a, l, e);
        END IF;
        a := ledger.repay(a, p_posting, v_moment);
    END LOOP;
    SELECT least(
        (SELECT min(expires_at) FROM ledger.lot WHERE member_id = a.member_id AND unit = a.unit AND open),
        (SELECT min(available_at) FROM ledger.lot
         WHERE member_id = a.member_id AND unit = a.unit AND open AND pending AND available_at > a.last_at),
        (SELECT min(expires_at) FROM ledger.hold
         WHERE member_id = a.member_id AND unit = a.unit AND state = 'open'),
        CASE WHEN a.posted > 0 AND a.idle_expires_at > a.last_at THEN a.idle_expires_at END
    ) INTO a.next_due;
    RETURN a;
END
$$;

-- What the member does moves the moment at which idle points expire, under the policy of that name.
CREATE FUNCTION ledger.touch(a ledger.account, u ledger.unit, p_effective timestamptz) RETURNS ledger.account
LANGUAGE plpgsql AS $$
DECLARE
    v_day date;
BEGIN
    IF u.expiry_kind = 'after_activity' THEN
        v_day := (p_effective AT TIME ZONE u.time_zone)::date;
        v_day := (v_day + make_interval(months => u.expiry_months))::date;
        a.idle_expires_at := greatest(a.idle_expires_at, (v_day + 1)::timestamp AT TIME ZONE u.time_zone);
        a.next_due := least(a.next_due, a.idle_expires_at);
    END IF;
    RETURN a;
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

-- Points come in: earned (from 'issued') or given by staff (from 'adjusted').
-- p_expiry: 'policy' (the unit's), 'never', or 'at' with p_expires.
CREATE FUNCTION ledger.earn(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text,
    p_rule text DEFAULT NULL, p_effective timestamptz DEFAULT NULL, p_expiry text DEFAULT 'policy',
    p_expires timestamptz DEFAULT NULL, p_available timestamptz DEFAULT NULL, p_priority integer DEFAULT 0,
    p_kind text DEFAULT 'earn', p_from text DEFAULT 'issued', p_reason text DEFAULT NULL,
    p_actor text DEFAULT NULL, p_approved_by text DEFAULT NULL
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    u ledger.unit;
    e ledger.entry;
    r ledger.result;
    v_first bigint;
BEGIN
    IF p_kind = 'earn' AND p_available IS NULL AND p_amount BETWEEN 1 AND 1000000000000 THEN
        r := ledger.earn_plainly(p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_rule, p_effective,
                                 p_expiry, p_expires, p_priority);
        IF r.seq IS NOT NULL THEN
            RETURN r;
        END IF;
    END IF;
    PERFORM ledger.check_amount(p_amount);
    a := ledger.lock_account(p_member, p_unit, p_programme);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    u := ledger.unit_of(a);
    a.last_at := greatest(ledger.clock(), a.last_at);
    IF p_kind = 'adjust' THEN
        PERFORM ledger.check_approval(u, p_amount, p_actor, p_approved_by);
    END IF;
    a := ledger.settle(a);
    e.effective_at := ledger.check_effective(p_effective, a.last_at);
    e.kind := p_kind;
    e.amount := p_amount;
    e.debit := p_from;
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.source := p_source;
    e.rule_version := p_rule;
    e.reason := p_reason;
    e.actor := p_actor;
    e.approved_by := p_approved_by;
    e.lot_priority := p_priority;
    e.lot_available_at := p_available;
    e.lot_expires_at := CASE p_expiry
        WHEN 'policy' THEN ledger.expiry_of(u, e.effective_at)
        WHEN 'at' THEN p_expires
    END;
    v_first := a.seq + 1;
    IF p_kind = 'earn' THEN
        a := ledger.touch(a, u, e.effective_at);
    END IF;
    a := ledger.grant_points(a, e);
    PERFORM ledger.save_account(a);
    RETURN ledger.answer(a, v_first);
END
$$;

CREATE FUNCTION ledger.check_approval(u ledger.unit, p_amount bigint, p_actor text, p_approved_by text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_amount > u.adjust_limit AND (p_approved_by IS NULL OR p_approved_by IS NOT DISTINCT FROM p_actor) THEN
        PERFORM ledger.refuse('approval_needed', jsonb_build_object('limit', u.adjust_limit));
    END IF;
END
$$;

-- Points go out: spent (to 'redeemed') or taken by staff (to 'adjusted'). Refused whole where there are too few.
CREATE FUNCTION ledger.spend(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text,
    p_effective timestamptz DEFAULT NULL, p_kind text DEFAULT 'spend', p_to text DEFAULT 'redeemed',
    p_reason text DEFAULT NULL, p_actor text DEFAULT NULL, p_approved_by text DEFAULT NULL
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    u ledger.unit;
    e ledger.entry;
    r ledger.result;
    t ledger.takings;
BEGIN
    IF p_kind = 'spend' AND p_amount BETWEEN 1 AND 1000000000000 THEN
        r := ledger.spend_plainly(p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_effective);
        IF r.seq IS NOT NULL THEN
            RETURN r;
        END IF;
    END IF;
    PERFORM ledger.check_amount(p_amount);
    a := ledger.lock_account(p_member, p_unit, p_programme);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    u := ledger.unit_of(a);
    a.last_at := greatest(ledger.clock(), a.last_at);
    IF p_kind = 'adjust' THEN
        PERFORM ledger.check_approval(u, p_amount, p_actor, p_approved_by);
    ELSIF NOT u.spendable THEN
        PERFORM ledger.refuse('not_spendable', jsonb_build_object('unit', a.unit));
    END IF;
    a := ledger.settle(a);
    e.effective_at := ledger.check_effective(p_effective, a.last_at);
    IF a.posted < p_amount THEN
        PERFORM ledger.refuse('insufficient_balance',
            jsonb_build_object('available', a.posted, 'requested', p_amount, 'unit', a.unit));
    END IF;
    IF p_kind = 'spend' THEN
        a := ledger.touch(a, u, e.effective_at);
    END IF;
    t := ledger.take(a, p_amount);
    e.kind := p_kind;
    e.amount := p_amount;
    e.debit := 'member';
    e.credit := p_to;
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.source := p_source;
    e.reason := p_reason;
    e.actor := p_actor;
    e.approved_by := p_approved_by;
    a := ledger.append(a, e, t.lots, t.amounts);
    PERFORM ledger.save_account(a);
    RETURN ledger.answer(a, a.seq);
END
$$;

-- Points earned without a purchase to point at are taken back: from open lots, then by policy into debt.
CREATE FUNCTION ledger.claw_back(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text,
    p_rule text DEFAULT NULL, p_effective timestamptz DEFAULT NULL
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    e ledger.entry;
    r ledger.result;
    v_first bigint;
BEGIN
    PERFORM ledger.check_amount(p_amount);
    a := ledger.lock_account(p_member, p_unit, p_programme);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a.last_at := greatest(ledger.clock(), a.last_at);
    a := ledger.settle(a);
    v_first := a.seq + 1;
    e.posting := v_first;
    e.effective_at := ledger.check_effective(p_effective, a.last_at);
    e.kind := 'claw_back';
    e.credit := 'issued';
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.source := p_source;
    e.rule_version := p_rule;
    a := ledger.take_or_owe(a, ledger.unit_of(a), e, p_amount);
    PERFORM ledger.save_account(a);
    RETURN ledger.answer(a, v_first);
END
$$;

-- Take `p_amount` from open lots in spend order; what is missing becomes debt, or is forgiven, by the unit's policy.
-- Either way an entry says so: nothing is lost in silence.
CREATE FUNCTION ledger.take_or_owe(a ledger.account, u ledger.unit, e ledger.entry, p_amount bigint)
RETURNS ledger.account LANGUAGE plpgsql AS $$
DECLARE
    t ledger.takings;
BEGIN
    t := ledger.take(a, least(a.posted, p_amount));
    IF t.total > 0 THEN
        e.amount := t.total;
        e.debit := 'member';
        a := ledger.append(a, e, t.lots, t.amounts);
    END IF;
    IF t.total < p_amount THEN
        e.amount := p_amount - t.total;
        e.debit := CASE u.shortfall WHEN 'forgive' THEN 'forgiven' ELSE 'debt' END;
        a := ledger.append(a, e, NULL, NULL);
    END IF;
    RETURN a;
END
$$;
