-- Earning, spending and taking back, in full: whatever the account is like. The plain cases are in `0002_ledger_plain`.

-- Points come in: earned (from 'issued') or given by staff (from 'adjusted').
-- p_expiry: 'policy' (the unit's), 'never', or 'at' with p_expires.
CREATE FUNCTION ledger.earn_fully(
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
    PERFORM ledger.check_amount(p_amount);
    a := ledger.lock_account(p_member, p_unit, p_programme);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
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
        WHEN 'policy' THEN ledger.expiry_on(u.programme_id, u.code, e.effective_at)
        WHEN 'at' THEN p_expires
    END;
    v_first := a.seq + 1;
    a := ledger.touch(a, u, e.effective_at);
    a := ledger.grant_points(a, e);
    PERFORM ledger.save_account(ledger.gather(a));
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
CREATE FUNCTION ledger.spend_fully(
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
    PERFORM ledger.check_amount(p_amount);
    a := ledger.lock_account(p_member, p_unit, p_programme);
    r := ledger.replay(p_member, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
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
    PERFORM ledger.save_account(ledger.gather(a));
    RETURN ledger.answer(a, a.seq);
END
$$;

-- Staff give (above 0) or take (below 0) points by hand.
CREATE FUNCTION ledger.adjust(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text,
    p_reason text, p_actor text, p_approved_by text, p_expiry text DEFAULT 'policy', p_expires timestamptz DEFAULT NULL
) RETURNS ledger.result LANGUAGE plpgsql AS $$
BEGIN
    IF p_amount < 0 THEN
        RETURN ledger.spend_fully(
            p_programme, p_member, p_unit, -p_amount, p_key, p_hash, p_source, p_kind => 'adjust', p_to => 'adjusted',
            p_reason => p_reason, p_actor => p_actor, p_approved_by => p_approved_by);
    END IF;
    RETURN ledger.earn_fully(
        p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_expiry => p_expiry, p_expires => p_expires,
        p_kind => 'adjust', p_from => 'adjusted', p_reason => p_reason, p_actor => p_actor,
        p_approved_by => p_approved_by);
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
    a := ledger.spill(a);
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
