-- The two commonest postings. Nearly every earn and spend is plain - an account that exists, nothing due, no debt, few
-- lots, a new key - and is done here in two or three statements. Whatever is not plain is left to the general functions,
-- which also refuse with a reason; nothing is left written by then.
--
-- Why it is worth saying twice what the general functions say: in each transaction PL/pgSQL prepares anew every
-- expression that it meets. The general functions meet over a hundred, and that, not the work, is most of what a single
-- posting would cost. What was measured and tried is in docs/decisions/ledger.md.
--
-- A statement that waits for the account's lock is evaluated again on the row as it then is, conditions, balances and
-- clock together; what it locked and read is therefore the newest. The key's unique index finds a repeated posting. That
-- the hashes are the same as the general functions write is what `ledger verify` shows.

-- An earn writes the account first: that locks it, reads it and links the chain. What it wrote is then the entry. Plain is
-- an earn of today by the unit's policy, in a unit whose day `ledger.expiry_on` has worked out. The clock is read once:
-- each mention of it would be prepared apart.
CREATE FUNCTION ledger.earn(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text,
    p_rule text DEFAULT NULL, p_effective timestamptz DEFAULT NULL, p_expiry text DEFAULT 'policy',
    p_expires timestamptz DEFAULT NULL, p_available timestamptz DEFAULT NULL, p_priority integer DEFAULT 0,
    p_only_plain boolean DEFAULT false
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    v_clock timestamptz := ledger.clock();
    v_expires timestamptz;
    v_seq bigint;
    v_posted bigint;
    v_pending bigint;
    v_held bigint;
    v_idle timestamptz;
    v_head bytea;
    v_now timestamptz;
BEGIN
    IF p_amount BETWEEN 1 AND 1000000000000 AND p_expiry = 'policy' AND p_priority = 0
        AND coalesce(p_effective, p_available) IS NULL
    THEN
        UPDATE ledger.account AS a
        SET posted = a.posted + p_amount, seq = a.seq + 1, last_at = greatest(v_clock, a.last_at),
            next_due = least(a.next_due, u.day_expires), inline_lots = a.inline_lots || (a.seq + 1),
            inline_left = a.inline_left || p_amount, inline_expires = a.inline_expires || u.day_expires,
            head = sha256(a.head || record_send(ROW(
                p_member, p_unit, a.seq + 1, p_programme, a.seq + 1, 'earn'::text, p_amount, 'issued'::text,
                'member'::text, a.posted + p_amount, a.pending, a.held, 0::bigint, p_key, p_hash, NULL::uuid,
                NULL::bigint, NULL::uuid, NULL::uuid, true, u.day_expires, NULL::timestamptz, 0, NULL::uuid,
                NULL::bigint, NULL::timestamptz, a.idle_expires_at, p_source, NULL::text, NULL::text, NULL::text,
                p_rule, greatest(v_clock, a.last_at), greatest(v_clock, a.last_at), NULL::bigint[], NULL::bigint[])))
        FROM ledger.unit AS u
        WHERE u.programme_id = p_programme AND u.code = p_unit
            AND u.day_from <= greatest(v_clock, a.last_at) AND u.day_until > greatest(v_clock, a.last_at)
            AND a.member_id = p_member AND a.unit = p_unit AND a.programme_id = p_programme
            AND a.debt = 0 AND ledger.fits(a, u.day_expires)
            AND coalesce(a.next_due > greatest(v_clock, a.last_at), true)
        RETURNING a.seq, a.posted, a.pending, a.held, a.idle_expires_at, a.head, a.last_at, u.day_expires
        INTO v_seq, v_posted, v_pending, v_held, v_idle, v_head, v_now, v_expires;
    END IF;
    IF v_seq IS NOT NULL THEN
        INSERT INTO ledger.entry (
            member_id, unit, seq, programme_id, posting, kind, amount, debit, credit, posted, pending, held, debt,
            idem_key, request_hash, opens_lot, lot_expires_at, lot_priority, idle_expires_at, source, rule_version,
            effective_at, recorded_at, hash)
        VALUES (
            p_member, p_unit, v_seq, p_programme, v_seq, 'earn', p_amount, 'issued', 'member',
            v_posted, v_pending, v_held, 0, p_key, p_hash, true, v_expires, 0, v_idle, p_source, p_rule,
            v_now, v_now, v_head)
        ON CONFLICT (member_id, idem_key) WHERE idem_key IS NOT NULL DO NOTHING;
        IF FOUND THEN
            RETURN (p_member, p_unit, v_seq, v_seq, v_posted, v_pending, v_held, 0, v_now, NULL, false)::ledger.result;
        END IF;
        PERFORM ledger.take_back_earn(p_member, p_unit, p_amount);
    END IF;
    IF p_only_plain THEN
        RETURN NULL;
    END IF;
    RETURN ledger.earn_fully(
        p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_rule, p_effective, p_expiry, p_expires,
        p_available, p_priority);
END
$$;

-- Whether a lot that expires then may stand behind the lots in the account's row. A plain expression, to be taken into
-- the statement.
CREATE FUNCTION ledger.fits(a ledger.account, p_expires timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT cardinality(a.inline_lots) < ledger.most_inline() AND (
        a.inline_lots = '{}'
        OR coalesce(a.inline_expires[cardinality(a.inline_lots)], 'infinity') <= coalesce(p_expires, 'infinity'))
$$;

-- The key had been used: the account is again what its last entry says. `next_due` may be early, and then is found to
-- have been when it comes.
CREATE FUNCTION ledger.take_back_earn(p_member uuid, p_unit text, p_amount bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE ledger.account AS a
    SET posted = a.posted - p_amount, seq = a.seq - 1, inline_lots = trim_array(a.inline_lots, 1),
        inline_left = trim_array(a.inline_left, 1), inline_expires = trim_array(a.inline_expires, 1),
        last_at = coalesce(
            (SELECT e.recorded_at FROM ledger.entry AS e
             WHERE e.member_id = a.member_id AND e.unit = a.unit AND e.seq = a.seq - 1), '-infinity'),
        head = coalesce(
            (SELECT e.hash FROM ledger.entry AS e
             WHERE e.member_id = a.member_id AND e.unit = a.unit AND e.seq = a.seq - 1), '')
    WHERE a.member_id = p_member AND a.unit = p_unit
$$;

-- A spend from the lots in the account's row: the first so many whole, the last of them in part.
CREATE FUNCTION ledger.spend(
    p_programme uuid, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text,
    p_effective timestamptz DEFAULT NULL, p_only_plain boolean DEFAULT false
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    v_seq bigint;
    v_posted bigint;
    v_pending bigint;
    v_held bigint;
    v_debt bigint;
    v_idle timestamptz;
    v_head bytea;
    v_now timestamptz;
    v_effective timestamptz;
    v_lots bigint[];
    v_left bigint[];
    v_last integer := 1;
    v_over bigint;
    v_hash bytea;
BEGIN
    SELECT a.seq + 1, a.posted - p_amount, a.pending, a.held, a.debt, a.idle_expires_at, a.head,
        greatest(ledger.clock(), a.last_at), coalesce(p_effective, greatest(ledger.clock(), a.last_at)),
        a.inline_lots, a.inline_left, a.inline_left[1] - p_amount
    INTO v_seq, v_posted, v_pending, v_held, v_debt, v_idle, v_head, v_now, v_effective, v_lots, v_left, v_over
    FROM ledger.account AS a
    JOIN ledger.unit AS u ON u.programme_id = p_programme AND u.code = p_unit
    WHERE a.member_id = p_member AND a.unit = p_unit AND a.programme_id = p_programme
        AND a.posted >= p_amount AND NOT a.filed
        AND (a.next_due IS NULL OR a.next_due > greatest(ledger.clock(), a.last_at))
        AND (p_effective IS NULL OR p_effective <= greatest(ledger.clock(), a.last_at))
        AND u.spendable AND u.expiry_kind <> 'after_activity'
        AND p_amount BETWEEN 1 AND 1000000000000
    FOR NO KEY UPDATE OF a;
    -- How much of the last lot taken is left over; what the row's lots add up to is `posted`, so there is a last one.
    WHILE v_over < 0 LOOP
        v_last := v_last + 1;
        v_over := v_over + v_left[v_last];
    END LOOP;
    IF v_over IS NOT NULL THEN
        INSERT INTO ledger.entry (
            member_id, unit, seq, programme_id, posting, kind, amount, debit, credit, posted, pending, held, debt,
            idem_key, request_hash, opens_lot, idle_expires_at, source, effective_at, recorded_at, lots, amounts, hash)
        SELECT
            p_member, p_unit, v_seq, p_programme, v_seq, 'spend', p_amount, 'member', 'redeemed',
            v_posted, v_pending, v_held, v_debt, p_key, p_hash, false, v_idle, p_source, v_effective, v_now,
            taken.lots, taken.amounts,
            sha256(v_head || record_send(ROW(
                p_member, p_unit, v_seq, p_programme, v_seq, 'spend'::text, p_amount, 'member'::text, 'redeemed'::text,
                v_posted, v_pending, v_held, v_debt, p_key, p_hash, NULL::uuid, NULL::bigint, NULL::uuid, NULL::uuid,
                false, NULL::timestamptz, NULL::timestamptz, NULL::integer, NULL::uuid, NULL::bigint, NULL::timestamptz,
                v_idle, p_source, NULL::text, NULL::text, NULL::text, NULL::text, v_effective, v_now,
                taken.lots, taken.amounts)))
        FROM (SELECT v_lots[:v_last] AS lots, v_left[:v_last - 1] || (v_left[v_last] - v_over) AS amounts) AS taken
        ON CONFLICT (member_id, idem_key) WHERE idem_key IS NOT NULL DO NOTHING
        RETURNING hash INTO v_hash;
    END IF;
    IF v_hash IS NULL THEN
        IF p_only_plain THEN
            RETURN NULL;
        END IF;
        RETURN ledger.spend_fully(p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_effective);
    END IF;
    v_last := v_last + (v_over = 0)::integer;
    UPDATE ledger.account
    SET posted = v_posted, seq = v_seq, last_at = v_now, head = v_hash,
        inline_lots = inline_lots[v_last:], inline_expires = inline_expires[v_last:],
        inline_left = CASE v_over WHEN 0 THEN inline_left[v_last:] ELSE v_over || inline_left[v_last + 1:] END
    WHERE member_id = p_member AND unit = p_unit;
    RETURN (p_member, p_unit, v_seq, v_seq, v_posted, v_pending, v_held, v_debt, v_now, NULL, false)::ledger.result;
END
$$;
