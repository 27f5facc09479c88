-- The plain case of the two commonest postings, in as few expressions as they can be said in.
--
-- In each transaction PL/pgSQL prepares anew every expression that it meets; the general functions meet a hundred and
-- more, and that, not the work, is most of what a single posting costs. What nearly every earn and spend is - an
-- account that exists, nothing due, no debt, a new key - is therefore done here in four or five statements. Whatever is
-- not plain answers NULL, has written nothing, and is left to the general function, which refuses with a reason.
--
-- The rule of the general path holds here too: lock first, and only then, in a statement of its own, take the clock and
-- look further. A clock taken in the locking statement would be older than the posting that it waited for.
-- The key's unique index refuses a repeated posting. That the hashes are the same is what `ledger verify` shows.

CREATE FUNCTION ledger.earn_plainly(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text, p_rule text,
    p_effective timestamptz, p_expiry text, p_expires timestamptz, p_priority integer
) RETURNS ledger.result LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_seq bigint;
    v_posted bigint;
    v_pending bigint;
    v_held bigint;
    v_idle timestamptz;
    v_head bytea;
    v_last timestamptz;
    v_due timestamptz;
    v_now timestamptz;
    v_effective timestamptz;
    v_expires timestamptz;
    v_hash bytea;
BEGIN
    SELECT seq + 1, posted + p_amount, pending, held, idle_expires_at, head, last_at, next_due
    INTO v_seq, v_posted, v_pending, v_held, v_idle, v_head, v_last, v_due
    FROM ledger.account
    WHERE member_id = p_member AND unit = p_unit AND programme_id = p_programme AND debt = 0
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT clock.now, coalesce(p_effective, clock.now),
        CASE p_expiry WHEN 'policy' THEN ledger.expiry_of(u, coalesce(p_effective, clock.now))
                      WHEN 'at' THEN p_expires END
    INTO v_now, v_effective, v_expires
    FROM (SELECT greatest(ledger.clock(), v_last) AS now OFFSET 0) AS clock
    JOIN ledger.unit AS u ON u.programme_id = p_programme AND u.code = p_unit
    WHERE (v_due IS NULL OR v_due > clock.now)
        AND u.expiry_kind <> 'after_activity' AND (p_effective IS NULL OR p_effective <= clock.now);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO ledger.entry (
        member_id, unit, seq, programme_id, posting, kind, amount, debit, credit, posted, pending, held, debt,
        idem_key, request_hash, opens_lot, lot_expires_at, lot_priority, idle_expires_at, source, rule_version,
        effective_at, recorded_at, hash)
    VALUES (
        p_member, p_unit, v_seq, p_programme, v_seq, 'earn', p_amount, 'issued', 'member',
        v_posted, v_pending, v_held, 0, p_key, p_hash, true, v_expires, p_priority, v_idle, p_source, p_rule,
        v_effective, v_now,
        sha256(v_head || record_send(ROW(
            p_member, p_unit, v_seq, p_programme, v_seq, 'earn'::text, p_amount, 'issued'::text, 'member'::text,
            v_posted, v_pending, v_held, 0::bigint, p_key, p_hash, NULL::uuid, NULL::bigint, NULL::uuid, NULL::uuid,
            true, v_expires, NULL::timestamptz, p_priority, NULL::uuid, NULL::bigint, NULL::timestamptz, v_idle,
            p_source, NULL::text, NULL::text, NULL::text, p_rule, v_effective, v_now,
            NULL::bigint[], NULL::bigint[]))))
    ON CONFLICT (member_id, idem_key) WHERE idem_key IS NOT NULL DO NOTHING
    RETURNING hash INTO v_hash;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO ledger.lot (member_id, unit, seq, granted, remaining, expires_at, priority, open, pending)
    VALUES (p_member, p_unit, v_seq, p_amount, p_amount, v_expires, p_priority, true, false);
    UPDATE ledger.account
    SET posted = v_posted, seq = v_seq, last_at = v_now, head = v_hash, next_due = least(next_due, v_expires)
    WHERE member_id = p_member AND unit = p_unit;
    RETURN (p_member, p_unit, v_seq, v_seq, v_posted, v_pending, v_held, 0, v_now, NULL, false)::ledger.result;
END
$$;

-- A spend that the next lot alone can pay.
CREATE FUNCTION ledger.spend_plainly(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text,
    p_effective timestamptz
) RETURNS ledger.result LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_seq bigint;
    v_posted bigint;
    v_pending bigint;
    v_held bigint;
    v_debt bigint;
    v_idle timestamptz;
    v_head bytea;
    v_last timestamptz;
    v_due timestamptz;
    v_now timestamptz;
    v_effective timestamptz;
    v_hash bytea;
    v_lot bigint;
    v_remaining bigint;
BEGIN
    SELECT seq + 1, posted - p_amount, pending, held, debt, idle_expires_at, head, last_at, next_due
    INTO v_seq, v_posted, v_pending, v_held, v_debt, v_idle, v_head, v_last, v_due
    FROM ledger.account
    WHERE member_id = p_member AND unit = p_unit AND programme_id = p_programme AND posted >= p_amount
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT clock.now, coalesce(p_effective, clock.now) INTO v_now, v_effective
    FROM (SELECT greatest(ledger.clock(), v_last) AS now OFFSET 0) AS clock
    JOIN ledger.unit AS u ON u.programme_id = p_programme AND u.code = p_unit
    WHERE (v_due IS NULL OR v_due > clock.now)
        AND u.spendable AND u.expiry_kind <> 'after_activity' AND (p_effective IS NULL OR p_effective <= clock.now);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT seq, remaining INTO v_lot, v_remaining FROM ledger.lot
    WHERE member_id = p_member AND unit = p_unit AND open AND NOT pending
    ORDER BY priority, expires_at, seq LIMIT 1;
    IF v_remaining < p_amount THEN
        RETURN NULL;
    END IF;
    INSERT INTO ledger.entry (
        member_id, unit, seq, programme_id, posting, kind, amount, debit, credit, posted, pending, held, debt,
        idem_key, request_hash, opens_lot, idle_expires_at, source, effective_at, recorded_at, lots, amounts, hash)
    VALUES (
        p_member, p_unit, v_seq, p_programme, v_seq, 'spend', p_amount, 'member', 'redeemed',
        v_posted, v_pending, v_held, v_debt, p_key, p_hash, false, v_idle, p_source, v_effective, v_now,
        ARRAY[v_lot], ARRAY[p_amount],
        sha256(v_head || record_send(ROW(
            p_member, p_unit, v_seq, p_programme, v_seq, 'spend'::text, p_amount, 'member'::text, 'redeemed'::text,
            v_posted, v_pending, v_held, v_debt, p_key, p_hash, NULL::uuid, NULL::bigint, NULL::uuid, NULL::uuid,
            false, NULL::timestamptz, NULL::timestamptz, NULL::integer, NULL::uuid, NULL::bigint, NULL::timestamptz,
            v_idle, p_source, NULL::text, NULL::text, NULL::text, NULL::text, v_effective, v_now,
            ARRAY[v_lot], ARRAY[p_amount]))))
    ON CONFLICT (member_id, idem_key) WHERE idem_key IS NOT NULL DO NOTHING
    RETURNING hash INTO v_hash;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE ledger.lot SET remaining = v_remaining - p_amount, open = v_remaining > p_amount
    WHERE member_id = p_member AND unit = p_unit AND seq = v_lot;
    UPDATE ledger.account SET posted = v_posted, seq = v_seq, last_at = v_now, head = v_hash
    WHERE member_id = p_member AND unit = p_unit;
    RETURN (p_member, p_unit, v_seq, v_seq, v_posted, v_pending, v_held, v_debt, v_now, NULL, false)::ledger.result;
END
$$;
