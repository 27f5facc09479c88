-- The sweep: what time brings, for accounts that nobody touches. The program reads which accounts are due and hands them
-- over in small lots; two sweeps at once, and a sweep and postings, take different accounts and wait for nobody.

-- Settle those of the accounts that are still due and that nobody else holds, and answer how many are not due any more
-- and how many entries it made. Where lots that stand in the account's row expire and nothing else happens, which is nearly always,
-- one statement does all; the rest is settled account by account.
CREATE FUNCTION ledger.settle_due(p_members uuid[], p_units text[], OUT accounts bigint, OUT entries bigint)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_members uuid[];
    v_units text[];
BEGIN
    SELECT array_agg(member_id), array_agg(unit) INTO v_members, v_units
    FROM (
        SELECT a.member_id, a.unit
        FROM unnest(p_members, p_units) AS asked (member_id, unit)
        JOIN ledger.account AS a ON a.member_id = asked.member_id AND a.unit = asked.unit
        WHERE a.next_due <= ledger.clock()
        ORDER BY a.member_id, a.unit
        FOR NO KEY UPDATE OF a SKIP LOCKED
    ) AS due;
    entries := ledger.expire_together(v_members, v_units);
    SELECT entries + coalesce(sum(ledger.settle_account(a.member_id, a.unit)), 0) INTO entries
    FROM unnest(v_members, v_units) AS due (member_id, unit)
    JOIN ledger.account AS a ON a.member_id = due.member_id AND a.unit = due.unit
    WHERE a.next_due <= ledger.clock();
    SELECT count(*) INTO accounts
    FROM unnest(v_members, v_units) AS due (member_id, unit)
    JOIN ledger.account AS a ON a.member_id = due.member_id AND a.unit = due.unit
    WHERE (a.next_due <= ledger.clock()) IS NOT TRUE;
END
$$;

-- Expire lots of accounts that the caller has locked, where nothing waits, is held, is filed or expires by idleness.
-- Lots stand in the row in the order in which they expire, so those that did are the first ones. It writes what
-- `ledger.expire_lots` writes for one account; a test holds the two to the same entries.
CREATE FUNCTION ledger.expire_together(p_members uuid[], p_units text[]) RETURNS bigint LANGUAGE sql AS $$
    WITH plain AS MATERIALIZED (
        SELECT a.member_id, a.unit, a.programme_id, a.posted, a.seq, a.head, a.last_at, a.debt,
            a.inline_lots, a.inline_left, a.inline_expires, greatest(ledger.clock(), a.last_at) AS now
        FROM unnest(p_members, p_units) AS due (member_id, unit)
        JOIN ledger.account AS a ON a.member_id = due.member_id AND a.unit = due.unit
        WHERE NOT a.filed AND a.pending = 0 AND a.held = 0 AND a.idle_expires_at IS NULL
    ), expired AS (
        SELECT plain.member_id, plain.unit, plain.programme_id, plain.head, plain.now, plain.debt,
            lot.seq AS lot, lot.amount, lot.expires_at, lot.place, plain.seq + lot.place AS seq,
            (plain.posted - sum(lot.amount) OVER line)::bigint AS posted
        FROM plain
        CROSS JOIN LATERAL unnest(plain.inline_lots, plain.inline_left, plain.inline_expires)
            WITH ORDINALITY AS lot (seq, amount, expires_at, place)
        WHERE lot.expires_at <= plain.now
        WINDOW line AS (PARTITION BY plain.member_id, plain.unit ORDER BY lot.place)
    ), chained AS MATERIALIZED (
        SELECT *, ledger.chain(CASE place WHEN 1 THEN head ELSE '' END || record_send(ROW(
            member_id, unit, seq, programme_id, seq, 'expire'::text, amount, 'member'::text, 'expired'::text,
            posted, 0::bigint, 0::bigint, debt, NULL::text, NULL::bytea, NULL::uuid, NULL::bigint, NULL::uuid,
            NULL::uuid, false, NULL::timestamptz, NULL::timestamptz, NULL::integer, NULL::uuid, NULL::bigint,
            NULL::timestamptz, NULL::timestamptz, 'time'::text, NULL::text, NULL::text, NULL::text, NULL::text,
            expires_at, now, ARRAY[lot], ARRAY[amount])
        )) OVER (PARTITION BY member_id, unit ORDER BY place) AS hash
        FROM expired
    ), entered AS (
        INSERT INTO ledger.entry (
            member_id, unit, seq, programme_id, posting, kind, amount, debit, credit, posted, pending, held, debt,
            opens_lot, source, effective_at, recorded_at, lots, amounts, hash)
        SELECT member_id, unit, seq, programme_id, seq, 'expire', amount, 'member', 'expired', posted, 0, 0, debt,
            false, 'time', expires_at, now, ARRAY[lot], ARRAY[amount], hash
        FROM chained
    ), filed AS (
        -- What was expired from is filed, so that it can be reinstated.
        INSERT INTO ledger.filed_lot (
            member_id, unit, seq, granted, remaining, expired, expires_at, available_at, priority, open, pending)
        SELECT c.member_id, c.unit, c.lot, e.amount, 0, c.amount, c.expires_at, e.lot_available_at, e.lot_priority,
            false, false
        FROM chained AS c
        JOIN ledger.entry AS e ON e.member_id = c.member_id AND e.unit = c.unit AND e.seq = c.lot
    ), settled AS (
        SELECT plain.member_id, plain.unit, coalesce(max(c.place), 0)::integer AS gone, max(c.now) AS now,
            (array_agg(c.hash ORDER BY c.place DESC))[1] AS head, coalesce(sum(c.amount), 0) AS amount
        FROM plain LEFT JOIN chained AS c ON c.member_id = plain.member_id AND c.unit = plain.unit
        GROUP BY plain.member_id, plain.unit
    ), updated AS (
        UPDATE ledger.account AS a
        SET posted = a.posted - n.amount, seq = a.seq + n.gone, head = coalesce(n.head, a.head),
            last_at = coalesce(n.now, a.last_at), next_due = a.inline_expires[n.gone + 1],
            inline_lots = a.inline_lots[n.gone + 1:], inline_left = a.inline_left[n.gone + 1:],
            inline_expires = a.inline_expires[n.gone + 1:]
        FROM settled AS n
        WHERE a.member_id = n.member_id AND a.unit = n.unit
    )
    SELECT count(*) FROM chained
$$;
