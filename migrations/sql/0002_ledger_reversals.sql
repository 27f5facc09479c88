-- Reversals: taking back what was earned, giving back what was spent, bringing back what expired.

-- How much of a posting has been reversed, over all the accounts that are one person's (a merge moves the account that
-- pays; what was reversed before it still counts).
CREATE FUNCTION ledger.reversed_so_far(p_accounts uuid[], p_unit text, p_origin uuid, p_seq bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(amount), 0)::bigint FROM ledger.entry
    WHERE member_id = ANY (p_accounts) AND unit = p_unit AND reverses = p_seq AND reverses_member = p_origin
$$;

-- The total of a posting and its takings in their order. What time added to the posting afterwards is not part of it.
CREATE FUNCTION ledger.posting_takings(o ledger.entry) RETURNS ledger.takings LANGUAGE plpgsql STABLE AS $$
DECLARE
    t ledger.takings := (NULL, NULL, 0)::ledger.takings;
    n ledger.entry;
BEGIN
    FOR n IN SELECT * FROM ledger.entry WHERE member_id = o.member_id AND unit = o.unit AND seq >= o.seq ORDER BY seq LOOP
        EXIT WHEN n.posting <> o.seq;
        CONTINUE WHEN n.kind <> o.kind;
        t.total := t.total + n.amount;
        t.lots := t.lots || n.lots;
        t.amounts := t.amounts || n.amounts;
    END LOOP;
    RETURN t;
END
$$;

-- Reverse a posting, whole or in part, as often as is wanted, never beyond it. `p_member` pays or receives; the posting
-- is `p_seq` of `p_origin`, who is the same unless members were merged since; `p_accounts` are all accounts that are
-- this person's.
CREATE FUNCTION ledger.reverse(
    p_member uuid, p_unit text, p_origin uuid, p_seq bigint, p_amount bigint, p_accounts uuid[],
    p_key text, p_hash bytea, p_source text, p_effective timestamptz DEFAULT NULL
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    e ledger.entry;
    o ledger.entry;
    r ledger.result;
    t ledger.takings;
    v_amount bigint;
    v_done bigint;
    v_first bigint;
BEGIN
    SELECT * INTO o FROM ledger.entry WHERE member_id = p_origin AND unit = p_unit AND seq = p_seq;
    IF NOT FOUND OR o.posting <> o.seq THEN
        PERFORM ledger.refuse('entry_not_found', jsonb_build_object('sequence', p_seq));
    END IF;
    a := ledger.lock_account(p_member, p_unit, o.programme_id);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
    a.last_at := greatest(ledger.clock(), a.last_at);
    a := ledger.settle(a);
    IF o.kind NOT IN ('earn', 'spend', 'capture', 'adjust') THEN
        PERFORM ledger.refuse('not_reversible', jsonb_build_object('kind', o.kind));
    END IF;
    t := ledger.posting_takings(o);
    v_done := ledger.reversed_so_far(p_accounts || p_member || p_origin, p_unit, p_origin, p_seq);
    v_amount := coalesce(p_amount, t.total - v_done);
    IF v_amount > t.total - v_done OR (p_amount IS NULL AND v_amount = 0) THEN
        PERFORM ledger.refuse('more_than_left',
            jsonb_build_object('left', t.total - v_done, 'requested', coalesce(p_amount, t.total)));
    END IF;
    PERFORM ledger.check_amount(v_amount);
    v_first := a.seq + 1;
    e.posting := v_first;
    e.kind := 'reverse';
    e.effective_at := ledger.check_effective(p_effective, a.last_at);
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.source := p_source;
    e.rule_version := o.rule_version;
    e.reverses_member := p_origin;
    e.reverses := p_seq;
    IF o.debit IN ('issued', 'adjusted') THEN
        e.credit := o.debit;
        a := ledger.take_back(a, e, p_origin, o, v_amount);
    ELSE
        e.debit := o.credit;
        a := ledger.give_back(a, e, o, ledger.backwards(t), v_done, v_amount);
    END IF;
    a := ledger.settle(a, v_first);
    PERFORM ledger.save_account(a);
    RETURN ledger.answer(a, v_first);
END
$$;

-- Take earned points back: from their own lot, then what of it has expired (the member has lost that already and does
-- not lose it twice), then from other lots, then into debt.
CREATE FUNCTION ledger.take_back(a ledger.account, e ledger.entry, p_origin uuid, o ledger.entry, p_amount bigint)
RETURNS ledger.account LANGUAGE plpgsql AS $$
DECLARE
    l ledger.filed_lot;
    v_left bigint := p_amount;
    v_part bigint;
BEGIN
    FOR l IN
        SELECT * FROM ledger.filed_lot
        WHERE member_id = a.member_id AND unit = a.unit
            AND ((a.member_id = p_origin AND seq BETWEEN o.seq AND o.seq + 1)
                 OR (origin_member = p_origin AND origin_seq BETWEEN o.seq AND o.seq + 1))
        ORDER BY seq
    LOOP
        -- An earn is at most two entries: debt repaid, then the lot; the lot may therefore be the next number.
        CONTINUE WHEN NOT EXISTS (
            SELECT FROM ledger.entry WHERE member_id = p_origin AND unit = a.unit
                AND seq = CASE WHEN l.origin_member = p_origin THEN l.origin_seq ELSE l.seq END AND posting = o.seq);
        v_part := least(l.remaining, v_left);
        IF v_part > 0 THEN
            e.amount := v_part;
            e.debit := CASE WHEN l.pending THEN 'pending' ELSE 'member' END;
            a := ledger.append(a, e, ARRAY[l.seq], ARRAY[v_part]);
            UPDATE ledger.filed_lot SET remaining = l.remaining - v_part, open = l.remaining > v_part,
                pending = l.pending AND l.remaining > v_part
            WHERE member_id = a.member_id AND unit = a.unit AND seq = l.seq;
            v_left := v_left - v_part;
        END IF;
        v_part := least(l.expired, v_left);
        IF v_part > 0 THEN
            e.amount := v_part;
            e.debit := 'expired';
            a := ledger.append(a, e, ARRAY[l.seq], ARRAY[v_part]);
            UPDATE ledger.filed_lot SET expired = l.expired - v_part
            WHERE member_id = a.member_id AND unit = a.unit AND seq = l.seq;
            v_left := v_left - v_part;
        END IF;
    END LOOP;
    IF v_left > 0 THEN
        a := ledger.take_or_owe(a, ledger.unit_of(a), e, v_left);
    END IF;
    RETURN a;
END
$$;

-- Give spent points back, the last taken first: debt is repaid, then each point returns to the lot it came from with
-- the expiry it had. A lot that has expired since follows the unit's policy: its points expire again at once, or come
-- back in a lot of their own with a grace of so many days.
CREATE FUNCTION ledger.give_back(
    a ledger.account, e ledger.entry, o ledger.entry, t ledger.takings, p_done bigint, p_amount bigint
) RETURNS ledger.account LANGUAGE plpgsql AS $$
DECLARE
    u ledger.unit := ledger.unit_of(a);
    s ledger.takings;
    v_debt bigint := least(a.debt, p_amount);
    v_lots bigint[];
    v_amounts bigint[];
    v_home bigint;
    v_expires timestamptz;
    v_origin_member uuid;
    v_origin_seq bigint;
    v_own ledger.entry;
    f ledger.entry;
BEGIN
    IF v_debt > 0 THEN
        e.amount := v_debt;
        e.credit := 'debt';
        a := ledger.append(a, e, NULL, NULL);
    END IF;
    s := ledger.slice(t, p_done + v_debt, p_amount - v_debt);
    FOR i IN 1 .. coalesce(array_length(s.lots, 1), 0) LOOP
        -- The entry that opened a lot has its terms, wherever the lot stands and whether or not it is used up.
        SELECT * INTO v_own FROM ledger.entry WHERE member_id = o.member_id AND unit = a.unit AND seq = s.lots[i];
        v_origin_member := coalesce(v_own.lot_origin_member, o.member_id);
        v_origin_seq := coalesce(v_own.lot_origin_seq, v_own.seq);
        IF a.member_id = o.member_id THEN
            v_home := v_own.seq;
            v_expires := v_own.lot_expires_at;
        ELSIF a.member_id = v_origin_member THEN
            -- It had come from this very account, as a gift or in a merger that was undone.
            SELECT seq, lot_expires_at INTO v_home, v_expires FROM ledger.entry
            WHERE member_id = a.member_id AND unit = a.unit AND seq = v_origin_seq;
        ELSE
            SELECT seq, expires_at INTO v_home, v_expires FROM ledger.filed_lot
            WHERE member_id = a.member_id AND unit = a.unit
                AND origin_member = v_origin_member AND origin_seq = v_origin_seq
            ORDER BY seq LIMIT 1;
        END IF;
        IF v_home IS NOT NULL
            AND (v_expires IS NULL OR v_expires > a.last_at OR u.expired_return_days IS NULL) THEN
            v_lots := v_lots || v_home;
            v_amounts := v_amounts || s.amounts[i];
        ELSE
            f := e;
            f.amount := s.amounts[i];
            f.lot_origin_member := v_origin_member;
            f.lot_origin_seq := v_origin_seq;
            f.lot_priority := v_own.lot_priority;
            f.lot_expires_at := CASE
                WHEN v_own.lot_expires_at <= a.last_at AND u.expired_return_days IS NOT NULL
                THEN a.last_at + make_interval(days => u.expired_return_days)
                ELSE v_own.lot_expires_at
            END;
            a := ledger.grant_points(a, f);
        END IF;
    END LOOP;
    IF v_lots IS NOT NULL THEN
        e.amount := (SELECT sum(amount) FROM unnest(v_amounts) AS amount);
        e.credit := 'member';
        a := ledger.append(a, e, v_lots, v_amounts);
        a := ledger.put_back(a, v_lots, v_amounts);
    END IF;
    RETURN a;
END
$$;

-- Expired points inside the unit's window come back, in a lot of their own that expires at `p_expires` (NULL: never).
CREATE FUNCTION ledger.reinstate(
    p_member uuid, p_unit text, p_seq bigint, p_amount bigint, p_expires timestamptz,
    p_key text, p_hash bytea, p_source text, p_actor text DEFAULT NULL, p_reason text DEFAULT NULL
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    u ledger.unit;
    e ledger.entry;
    o ledger.entry;
    r ledger.result;
    v_first bigint;
    v_left bigint;
    v_lot bigint;
BEGIN
    a := ledger.lock_account(p_member, p_unit, NULL);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
    u := ledger.unit_of(a);
    a.last_at := greatest(ledger.clock(), a.last_at);
    a := ledger.settle(a);
    SELECT * INTO o FROM ledger.entry WHERE member_id = p_member AND unit = p_unit AND seq = p_seq;
    IF NOT FOUND OR o.kind <> 'expire' THEN
        PERFORM ledger.refuse('entry_not_found', jsonb_build_object('sequence', p_seq, 'kind', o.kind));
    END IF;
    IF a.last_at >= o.effective_at + make_interval(days => u.reinstate_days) THEN
        PERFORM ledger.refuse('reinstate_window_over',
            jsonb_build_object('expired_at', o.effective_at, 'days', u.reinstate_days));
    END IF;
    IF p_expires <= a.last_at THEN
        PERFORM ledger.refuse('expiry_in_past', jsonb_build_object('expires_at', p_expires));
    END IF;
    v_lot := o.lots[1];
    SELECT least(o.amount - ledger.reversed_so_far(ARRAY[p_member], p_unit, p_member, p_seq), expired),
        coalesce(origin_member, p_member), coalesce(origin_seq, v_lot)
    INTO v_left, e.lot_origin_member, e.lot_origin_seq
    FROM ledger.filed_lot WHERE member_id = p_member AND unit = p_unit AND seq = v_lot;
    e.amount := coalesce(p_amount, v_left);
    IF e.amount > v_left OR (p_amount IS NULL AND v_left = 0) THEN
        PERFORM ledger.refuse('more_than_left', jsonb_build_object('left', v_left, 'requested', e.amount));
    END IF;
    PERFORM ledger.check_amount(e.amount);
    UPDATE ledger.filed_lot SET expired = expired - e.amount WHERE member_id = p_member AND unit = p_unit AND seq = v_lot;
    v_first := a.seq + 1;
    e.posting := v_first;
    e.kind := 'reinstate';
    e.debit := 'expired';
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.source := p_source;
    e.actor := p_actor;
    e.reason := p_reason;
    e.reverses_member := p_member;
    e.reverses := p_seq;
    e.effective_at := a.last_at;
    e.lot_expires_at := p_expires;
    a := ledger.touch(a, u, a.last_at);
    a := ledger.grant_points(a, e);
    PERFORM ledger.save_account(a);
    RETURN ledger.answer(a, v_first);
END
$$;

-- Points that waited for an event (a delivery confirmed, a return window closed early) become spendable.
CREATE FUNCTION ledger.confirm(p_member uuid, p_unit text, p_seq bigint, p_key text, p_hash bytea, p_source text)
RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    e ledger.entry;
    l ledger.filed_lot;
    r ledger.result;
    v_first bigint;
BEGIN
    a := ledger.lock_account(p_member, p_unit, NULL);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
    a.last_at := greatest(ledger.clock(), a.last_at);
    a := ledger.settle(a);
    SELECT * INTO l FROM ledger.filed_lot WHERE member_id = p_member AND unit = p_unit AND seq = p_seq;
    IF NOT FOUND OR NOT l.pending OR NOT l.open THEN
        PERFORM ledger.refuse('not_pending', jsonb_build_object('sequence', p_seq));
    END IF;
    v_first := a.seq + 1;
    e.posting := v_first;
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.source := p_source;
    e.effective_at := a.last_at;
    a := ledger.touch(a, ledger.unit_of(a), a.last_at);
    a := ledger.mature(a, l, e);
    a := ledger.repay(a, v_first, a.last_at);
    PERFORM ledger.save_account(a);
    RETURN ledger.answer(a, v_first);
END
$$;

-- Do what time has brought to one account; the sweep calls it, and every posting does the same for its own account.
CREATE FUNCTION ledger.settle_account(p_member uuid, p_unit text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    v_before bigint;
BEGIN
    SELECT * INTO a FROM ledger.account WHERE member_id = p_member AND unit = p_unit FOR NO KEY UPDATE;
    IF NOT FOUND OR a.next_due IS NULL THEN
        RETURN 0;
    END IF;
    v_before := a.seq;
    IF a.next_due <= greatest(ledger.clock(), a.last_at) THEN
        a := ledger.spill(a);
        -- The account's clock moves only with an entry: a rebuild has nothing else to read it from.
        a := ledger.settle_at(a, greatest(ledger.clock(), a.last_at));
        PERFORM ledger.save_account(a);
    END IF;
    RETURN a.seq - v_before;
END
$$;

CREATE FUNCTION ledger.settle_at(a ledger.account, p_now timestamptz) RETURNS ledger.account LANGUAGE plpgsql AS $$
DECLARE
    v_last timestamptz := a.last_at;
    v_before bigint := a.seq;
BEGIN
    a.last_at := p_now;
    a := ledger.settle(a);
    IF a.seq = v_before THEN
        a.last_at := v_last;
    END IF;
    RETURN a;
END
$$;
