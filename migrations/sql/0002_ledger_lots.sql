-- Lots: opening them, taking from them, putting back into them, and where they stand.

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
        INSERT INTO ledger.filed_lot (member_id, unit, seq, granted, remaining, expires_at, available_at, priority,
                                origin_member, origin_seq, open, pending)
        VALUES (a.member_id, a.unit, a.seq, v_left, v_left, e.lot_expires_at, e.lot_available_at, e.lot_priority,
                e.lot_origin_member, e.lot_origin_seq, true, coalesce(v_pending, false));
        -- A lot without an expiry of its own goes when the member has been idle for too long, which may be by now.
        a.next_due := least(
            a.next_due, e.lot_expires_at, CASE WHEN v_pending THEN e.lot_available_at ELSE a.idle_expires_at END);
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
        SELECT seq, remaining FROM ledger.filed_lot
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
        UPDATE ledger.filed_lot SET remaining = remaining - t.total, open = remaining > t.total
        WHERE member_id = a.member_id AND unit = a.unit AND seq = t.lots[1];
    ELSIF t.lots IS NOT NULL THEN
        UPDATE ledger.filed_lot AS lot SET remaining = lot.remaining - taken.amount, open = lot.remaining > taken.amount
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
    PERFORM ledger.restore(a, p_lots);
    WITH back AS (
        UPDATE ledger.filed_lot AS lot SET remaining = lot.remaining + given.amount, open = true
        FROM unnest(p_lots, p_amounts) AS given (seq, amount)
        WHERE lot.member_id = a.member_id AND lot.unit = a.unit AND lot.seq = given.seq
        RETURNING lot.expires_at
    )
    SELECT min(expires_at) INTO v_due FROM back;
    a.next_due := least(a.next_due, v_due, a.idle_expires_at);
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

-- Write the lots that stand in the account's row out to the table, where the general functions work on them. The row
-- is written as well: whatever the posting comes to, the two places agree.
CREATE FUNCTION ledger.spill(a ledger.account) RETURNS ledger.account LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(a.inline_lots) > 0 THEN
        INSERT INTO ledger.filed_lot (member_id, unit, seq, granted, remaining, expires_at, available_at, priority,
                                      origin_member, origin_seq, open, pending)
        SELECT e.member_id, e.unit, e.seq, e.amount, inline.remaining, e.lot_expires_at, e.lot_available_at,
            e.lot_priority, e.lot_origin_member, e.lot_origin_seq, true, false
        FROM unnest(a.inline_lots, a.inline_left) AS inline (seq, remaining)
        JOIN ledger.entry AS e ON e.member_id = a.member_id AND e.unit = a.unit AND e.seq = inline.seq;
        a.inline_lots := '{}';
        a.inline_left := '{}';
        a.inline_expires := '{}';
        UPDATE ledger.account SET inline_lots = '{}', inline_left = '{}', inline_expires = '{}', filed = true
        WHERE member_id = a.member_id AND unit = a.unit;
    END IF;
    a.filed := true;  -- what the general functions open from here on is filed
    RETURN a;
END
$$;

-- Take the open lots back into the account's row, where they are few and plain; the caller saves the account.
CREATE FUNCTION ledger.gather(a ledger.account) RETURNS ledger.account LANGUAGE plpgsql AS $$
DECLARE
    v_lots bigint[];
    v_left bigint[];
    v_expires timestamptz[];
    v_plain boolean;
BEGIN
    SELECT array_agg(seq ORDER BY expires_at, seq), array_agg(remaining ORDER BY expires_at, seq),
        array_agg(expires_at ORDER BY expires_at, seq),
        bool_and(priority = 0 AND NOT pending AND origin_member IS NULL AND expired = 0)
    INTO v_lots, v_left, v_expires, v_plain
    FROM (
        SELECT * FROM ledger.filed_lot WHERE member_id = a.member_id AND unit = a.unit AND open
        LIMIT ledger.most_inline() + 1
    ) AS few;
    IF v_lots IS NULL THEN
        a.filed := false;
    ELSIF v_plain AND cardinality(v_lots) <= ledger.most_inline() AND a.inline_lots = '{}' THEN
        DELETE FROM ledger.filed_lot WHERE member_id = a.member_id AND unit = a.unit AND open;
        a.inline_lots := v_lots;
        a.inline_left := v_left;
        a.inline_expires := v_expires;
        a.filed := false;
    END IF;
    RETURN a;
END
$$;

-- How many lots an account's row holds. More would make the row longer than writing them elsewhere costs.
CREATE FUNCTION ledger.most_inline() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 16';

-- File lots that were used up while they stood in the row, so that points can be put back into them.
CREATE FUNCTION ledger.restore(a ledger.account, p_lots bigint[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger.filed_lot (member_id, unit, seq, granted, remaining, expires_at, available_at, priority,
                                  origin_member, origin_seq, open, pending)
    SELECT e.member_id, e.unit, e.seq, e.amount, 0, e.lot_expires_at, e.lot_available_at, e.lot_priority,
        e.lot_origin_member, e.lot_origin_seq, false, false
    FROM ledger.entry AS e
    WHERE e.member_id = a.member_id AND e.unit = a.unit AND e.seq = ANY (p_lots)
    ON CONFLICT DO NOTHING
$$;
