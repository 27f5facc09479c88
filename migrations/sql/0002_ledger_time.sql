-- What time does to an account: holds end, points become spendable, lots expire.

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
CREATE FUNCTION ledger.mature(a ledger.account, l ledger.filed_lot, e ledger.entry) RETURNS ledger.account
LANGUAGE plpgsql AS $$
BEGIN
    e.kind := 'mature';
    e.amount := l.remaining;
    e.debit := 'pending';
    e.credit := 'member';
    a := ledger.append(a, e, ARRAY[l.seq], ARRAY[l.remaining]);
    UPDATE ledger.filed_lot SET pending = false WHERE member_id = a.member_id AND unit = a.unit AND seq = l.seq;
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
    l ledger.filed_lot;
BEGIN
    e.posting := p_posting;
    e.source := 'time';
    e.kind := 'expire';
    e.credit := 'expired';
    FOR l IN
        SELECT * FROM ledger.filed_lot
        WHERE member_id = a.member_id AND unit = a.unit AND open
            AND (expires_at <= p_until OR (expires_at IS NULL AND a.idle_expires_at <= p_until AND NOT pending))
        ORDER BY expires_at, seq
    LOOP
        e.amount := l.remaining;
        e.debit := CASE WHEN l.pending THEN 'pending' ELSE 'member' END;
        e.effective_at := coalesce(l.expires_at, a.idle_expires_at);
        a := ledger.append(a, e, ARRAY[l.seq], ARRAY[l.remaining]);
        UPDATE ledger.filed_lot SET remaining = 0, expired = expired + l.remaining, open = false, pending = false
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
    l ledger.filed_lot;
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
        SELECT * INTO l FROM ledger.filed_lot
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
        (SELECT min(expires_at) FROM ledger.filed_lot WHERE member_id = a.member_id AND unit = a.unit AND open),
        (SELECT min(available_at) FROM ledger.filed_lot
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
