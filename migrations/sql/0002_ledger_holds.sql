-- Holds: points set aside, then captured or released.

-- A hold takes its points out of their lots at once, so that a capture never fails on balance. It frees itself.
CREATE FUNCTION ledger.hold_points(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_hold uuid, p_expires timestamptz,
    p_key text, p_hash bytea, p_source text
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    u ledger.unit;
    e ledger.entry;
    r ledger.result;
    t ledger.takings;
BEGIN
    PERFORM ledger.check_amount(p_amount);
    a := ledger.lock_account(p_member, p_unit, p_programme);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
    u := ledger.unit_of(a);
    IF NOT u.spendable THEN
        PERFORM ledger.refuse('not_spendable', jsonb_build_object('unit', a.unit));
    END IF;
    a.last_at := greatest(ledger.clock(), a.last_at);
    a := ledger.settle(a);
    IF p_expires <= a.last_at OR p_expires > a.last_at + interval '400 days' THEN
        PERFORM ledger.refuse('hold_expiry_out_of_range', jsonb_build_object('expires_at', p_expires));
    END IF;
    IF a.posted < p_amount THEN
        PERFORM ledger.refuse('insufficient_balance',
            jsonb_build_object('available', a.posted, 'requested', p_amount, 'unit', a.unit));
    END IF;
    a := ledger.touch(a, u, a.last_at);
    t := ledger.take(a, p_amount);
    e.kind := 'hold';
    e.amount := p_amount;
    e.debit := 'member';
    e.credit := 'held';
    e.hold_id := p_hold;
    e.hold_expires_at := p_expires;
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.source := p_source;
    e.effective_at := a.last_at;
    a := ledger.append(a, e, t.lots, t.amounts);
    INSERT INTO ledger.hold (member_id, hold_id, unit, seq, amount, captured, released, lots, amounts, expires_at, state)
    VALUES (a.member_id, p_hold, a.unit, a.seq, p_amount, 0, 0, t.lots, t.amounts, p_expires, 'open');
    a.next_due := least(a.next_due, p_expires);
    PERFORM ledger.save_account(a);
    RETURN ledger.answer(a, a.seq, p_hold);
END
$$;

-- Capture (spend) or release a part of a hold, or all that is left of it. Captures take the soonest-expiring points of
-- the hold, releases give the latest-expiring ones back.
CREATE FUNCTION ledger.end_hold(
    p_member uuid, p_unit text, p_hold uuid, p_amount bigint, p_capture boolean, p_key text, p_hash bytea, p_source text
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    e ledger.entry;
    h ledger.hold;
    r ledger.result;
    s ledger.takings;
    v_amount bigint;
    v_left bigint;
    v_first bigint;
BEGIN
    a := ledger.lock_account(p_member, p_unit, NULL);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
    a.last_at := greatest(ledger.clock(), a.last_at);
    SELECT * INTO h FROM ledger.hold WHERE member_id = p_member AND hold_id = p_hold AND unit = p_unit;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('hold_not_found');
    ELSIF h.state = 'expired' OR (h.state = 'open' AND h.expires_at <= a.last_at) THEN
        PERFORM ledger.refuse('hold_expired', jsonb_build_object('expired_at', h.expires_at));
    ELSIF h.state <> 'open' THEN
        PERFORM ledger.refuse('hold_closed', jsonb_build_object('state', h.state));
    END IF;
    v_left := h.amount - h.captured - h.released;
    v_amount := coalesce(p_amount, v_left);
    PERFORM ledger.check_amount(v_amount);
    IF v_amount > v_left THEN
        PERFORM ledger.refuse('more_than_held', jsonb_build_object('left', v_left, 'requested', v_amount));
    END IF;
    a := ledger.settle(a);
    v_first := a.seq + 1;
    e.posting := v_first;
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.source := p_source;
    e.effective_at := a.last_at;
    IF p_capture THEN
        s := ledger.slice((h.lots, h.amounts, h.amount)::ledger.takings, h.captured, v_amount);
        e.kind := 'capture';
        e.amount := v_amount;
        e.debit := 'held';
        e.credit := 'redeemed';
        e.hold_id := p_hold;
        a := ledger.append(a, e, s.lots, s.amounts);
        UPDATE ledger.hold SET captured = captured + v_amount,
            state = CASE WHEN v_amount = v_left THEN 'captured' ELSE state END
        WHERE member_id = p_member AND hold_id = p_hold;
    ELSE
        a := ledger.release_part(a, h, v_amount, e, CASE WHEN h.captured > 0 THEN 'captured' ELSE 'released' END);
        a := ledger.settle(a, v_first);
        a := ledger.repay(a, v_first, a.last_at);
    END IF;
    PERFORM ledger.save_account(a);
    RETURN ledger.answer(a, v_first, p_hold);
END
$$;
