-- Many postings in one call, each with an answer of its own. Items of one account are posted in their order.
--
-- Three ways, each for what the one before leaves: plain earns of accounts with a single item go together in one
-- statement that locks, reads and writes (`earn_at_once`); those of accounts with several items go together in a larger
-- one (`earn_together`); the rest item by item. A refused item is undone alone and answers its reason.
--
-- Batches cannot wait for each other in a circle. The first statement takes accounts in the order of their ids; what it
-- leaves is locked only where nobody has to be waited for. Where somebody has, or a key is there already, everything is
-- undone and begun again with all accounts locked in their order first.

CREATE TYPE ledger.batch_answer AS (
    place integer, answer ledger.result, refusal text, figures jsonb
);

-- PL/pgSQL, because an aggregate calls it for each row, and a function in SQL costs ten times as much there.
CREATE FUNCTION ledger.link(p_head bytea, p_record bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(p_head || p_record);
END
$$;

-- The hash chain over consecutive records; the first one is given with the head that it follows in front of it.
CREATE AGGREGATE ledger.chain(bytea) (SFUNC = ledger.link, STYPE = bytea, INITCOND = '');

-- The arrays are of one length; `p_more` holds what only some kinds need, and may be NULL where no item needs it.
CREATE FUNCTION ledger.post_batch(
    p_programme uuid, p_kinds text[], p_members uuid[], p_units text[], p_amounts bigint[], p_keys text[],
    p_hashes bytea[], p_sources text[], p_rules text[], p_effective timestamptz[], p_more jsonb[] DEFAULT NULL
) RETURNS SETOF ledger.batch_answer LANGUAGE plpgsql AS $$
DECLARE
    v_answers ledger.batch_answer[];
    v_rest integer[];
    v_answer ledger.batch_answer;
    v_refused boolean := false;
    i integer;
BEGIN
    -- Few items are not worth the large statements.
    IF cardinality(p_members) > 3 THEN
        BEGIN
            v_answers := ledger.earn_at_once(
                p_programme, p_kinds, p_members, p_units, p_amounts, p_keys, p_hashes, p_sources, p_rules, p_effective,
                p_more);
            IF cardinality(v_answers) = cardinality(p_members) THEN
                RETURN QUERY SELECT * FROM unnest(v_answers);
                RETURN;
            END IF;
            v_rest := ledger.places_left(cardinality(p_members), v_answers);
            IF NOT ledger.lock_at_once(p_members, p_units, v_rest) THEN
                RAISE EXCEPTION USING ERRCODE = 'LE002';
            END IF;
        EXCEPTION WHEN unique_violation OR SQLSTATE 'LE002' THEN
            v_rest := NULL;
        END;
    END IF;
    IF v_rest IS NULL THEN
        v_answers := NULL;
        v_rest := ledger.places_left(cardinality(p_members), NULL);
        PERFORM ledger.open_accounts(p_programme, p_kinds, p_members, p_units);
        PERFORM ledger.lock_in_order(p_members, p_units);
    END IF;
    -- A key that comes twice must be met twice.
    IF cardinality(v_rest) > 8 AND cardinality(p_members) = (
        SELECT count(*) FROM (SELECT DISTINCT * FROM unnest(p_members, p_keys)) AS keys
    ) THEN
        v_answers := v_answers || ledger.earn_together(
            p_programme, p_kinds, p_members, p_units, p_amounts, p_keys, p_hashes, p_sources, p_rules, p_effective,
            p_more, v_rest);
        v_rest := ledger.places_left(cardinality(p_members), v_answers);
    END IF;
    RETURN QUERY SELECT * FROM unnest(v_answers);
    FOREACH i IN ARRAY v_rest LOOP
        v_answer := (i, NULL, NULL, NULL);
        v_answer.answer := ledger.post_plainly(
            p_programme, p_kinds[i], p_members[i], p_units[i], p_amounts[i], p_keys[i], p_hashes[i], p_sources[i],
            p_rules[i], p_effective[i], p_more[i]);
        IF (v_answer.answer).seq IS NULL THEN
            v_answer := ledger.post_singly(
                i, p_programme, p_kinds[i], p_members[i], p_units[i], p_amounts[i], p_keys[i], p_hashes[i],
                p_sources[i], p_rules[i], p_effective[i], p_more[i]);
        END IF;
        v_refused := v_refused OR v_answer.refusal IS NOT NULL;
        RETURN NEXT v_answer;
    END LOOP;
    IF v_refused THEN
        PERFORM ledger.drop_unused(member_id, unit) FROM unnest(p_members, p_units) AS asked (member_id, unit);
    END IF;
END
$$;

-- The places of a batch that have no answer yet.
CREATE FUNCTION ledger.places_left(p_count integer, p_answers ledger.batch_answer[]) RETURNS integer[]
LANGUAGE sql AS $$
    SELECT ARRAY(
        SELECT place FROM generate_series(1, p_count) AS place
        EXCEPT SELECT place FROM unnest(p_answers) ORDER BY place)
$$;

CREATE FUNCTION ledger.lock_in_order(p_members uuid[], p_units text[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (
        SELECT FROM ledger.account AS a
        JOIN (SELECT DISTINCT * FROM unnest(p_members, p_units) AS asked (member_id, unit)) AS asked
            USING (member_id, unit)
        ORDER BY a.member_id, a.unit
        FOR NO KEY UPDATE OF a
    ) AS locked
$$;

-- Lock the accounts of some places without waiting for anybody. False where that is not possible, or one is missing.
CREATE FUNCTION ledger.lock_at_once(p_members uuid[], p_units text[], p_places integer[]) RETURNS boolean
LANGUAGE sql AS $$
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT p_members[place] AS member_id, p_units[place] AS unit FROM unnest(p_places) AS place
    ), locked AS MATERIALIZED (
        SELECT FROM ledger.account AS a JOIN asked USING (member_id, unit) FOR NO KEY UPDATE OF a SKIP LOCKED
    )
    SELECT (SELECT count(*) FROM locked) = (SELECT count(*) FROM asked)
$$;

-- The plain earns of a batch whose accounts have no other item. An item is plain as in `ledger.earn`. What the account
-- was is read where it is written: an UPDATE that waited is evaluated again on the account as it then is. A key that is
-- there already fails the statement. Answers those that it posted.
--
-- The settings keep every plan that the planner may choose to accounts in the order of their ids, and to one plan: how
-- large a batch is changes nothing about how it is best done, and planning anew would cost more than forty postings.
CREATE FUNCTION ledger.earn_at_once(
    p_programme uuid, p_kinds text[], p_members uuid[], p_units text[], p_amounts bigint[], p_keys text[],
    p_hashes bytea[], p_sources text[], p_rules text[], p_effective timestamptz[], p_more jsonb[]
) RETURNS ledger.batch_answer[] LANGUAGE sql
SET plan_cache_mode = 'force_generic_plan' SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
AS $$
    WITH today AS MATERIALIZED (
        SELECT u, u.code, c.now, ledger.expiry_of(u, c.now) AS expires
        FROM ledger.unit AS u CROSS JOIN (SELECT ledger.clock() AS now) AS c
        WHERE u.programme_id = p_programme AND u.expiry_kind <> 'after_activity'
    ), asked AS MATERIALIZED (
        SELECT i.place::integer, i.member_id, i.unit, i.amount, i.key, i.hash, i.source, i.rule, t.now,
            coalesce(i.effective_at, t.now) AS effective,
            CASE WHEN i.effective_at IS NULL THEN t.expires ELSE ledger.expiry_of(t.u, i.effective_at) END AS expires
        FROM unnest(p_kinds, p_members, p_units, p_amounts, p_keys, p_hashes, p_sources, p_rules, p_effective, p_more)
            WITH ORDINALITY AS i (kind, member_id, unit, amount, key, hash, source, rule, effective_at, more, place)
        JOIN today AS t ON t.code = i.unit
        WHERE i.kind = 'earn' AND i.more IS NULL AND i.amount BETWEEN 1 AND 1000000000000
            AND (i.effective_at IS NULL OR i.effective_at <= t.now)
            AND i.member_id NOT IN (SELECT m FROM unnest(p_members) AS m GROUP BY m HAVING count(*) > 1)
        ORDER BY i.member_id, i.unit
    ), posted AS (
        UPDATE ledger.account AS a
        SET posted = a.posted + i.amount, seq = a.seq + 1, last_at = i.now, next_due = least(a.next_due, i.expires),
            head = sha256(a.head || record_send(ROW(
                i.member_id, i.unit, a.seq + 1, p_programme, a.seq + 1, 'earn'::text, i.amount, 'issued'::text,
                'member'::text, a.posted + i.amount, a.pending, a.held, 0::bigint, i.key, i.hash, NULL::uuid,
                NULL::bigint, NULL::uuid, NULL::uuid, true, i.expires, NULL::timestamptz, 0, NULL::uuid, NULL::bigint,
                NULL::timestamptz, a.idle_expires_at, i.source, NULL::text, NULL::text, NULL::text, i.rule,
                i.effective, i.now, NULL::bigint[], NULL::bigint[]))),
            inline_lots = CASE WHEN ledger.fits(a, i.expires) THEN a.inline_lots || (a.seq + 1) ELSE a.inline_lots END,
            inline_left = CASE WHEN ledger.fits(a, i.expires) THEN a.inline_left || i.amount ELSE a.inline_left END,
            inline_expires = CASE WHEN ledger.fits(a, i.expires) THEN a.inline_expires || i.expires
                ELSE a.inline_expires END,
            filed = a.filed OR NOT ledger.fits(a, i.expires)
        FROM asked AS i
        WHERE a.member_id = i.member_id AND a.unit = i.unit AND a.programme_id = p_programme
            AND a.debt = 0 AND a.last_at <= i.now AND coalesce(least(a.next_due, i.expires) > i.now, true)
        RETURNING i.*, a.seq, a.posted, a.pending, a.held, a.idle_expires_at, a.head,
            a.seq = ANY (a.inline_lots) AS fits
    ), entries AS (
        INSERT INTO ledger.entry (
            member_id, unit, seq, programme_id, posting, kind, amount, debit, credit, posted, pending, held, debt,
            idem_key, request_hash, opens_lot, lot_expires_at, lot_priority, idle_expires_at, source, rule_version,
            effective_at, recorded_at, hash)
        SELECT member_id, unit, seq, p_programme, seq, 'earn', amount, 'issued', 'member', posted, pending, held, 0,
            key, hash, true, expires, 0, idle_expires_at, source, rule, effective, now, head
        FROM posted
    ), filed AS (
        INSERT INTO ledger.filed_lot (member_id, unit, seq, granted, remaining, expires_at, priority, open, pending)
        SELECT member_id, unit, seq, amount, amount, expires, 0, true, false FROM posted WHERE NOT fits
    )
    SELECT array_agg((
        place, (member_id, unit, seq, seq, posted, pending, held, 0, now, NULL, false)::ledger.result, NULL, NULL
    )::ledger.batch_answer)
    FROM posted
$$;

-- Members who are new get their accounts, all together and in order: opened one by one, in the order of the items, two
-- batches could wait for each other.
CREATE FUNCTION ledger.open_accounts(p_programme uuid, p_kinds text[], p_members uuid[], p_units text[])
RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger.account (member_id, unit, programme_id, last_at, head)
    SELECT DISTINCT asked.member_id, asked.unit, p_programme, '-infinity'::timestamptz, '\x'::bytea
    FROM unnest(p_kinds, p_members, p_units) AS asked (kind, member_id, unit)
    JOIN ledger.unit AS u ON u.programme_id = p_programme AND u.code = asked.unit
    WHERE asked.kind IN ('earn', 'spend', 'claw_back', 'adjust', 'hold') AND NOT EXISTS (
        SELECT FROM ledger.account AS a WHERE a.member_id = asked.member_id AND a.unit = asked.unit)
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION ledger.post_plainly(
    p_programme uuid, p_kind text, p_member uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea,
    p_source text, p_rule text, p_effective timestamptz, p_more jsonb
) RETURNS ledger.result LANGUAGE plpgsql AS $$
BEGIN
    IF p_kind = 'spend' THEN
        RETURN ledger.spend(
            p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_effective, p_only_plain => true);
    ELSIF p_kind = 'earn' AND p_more IS NULL THEN
        RETURN ledger.earn(
            p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_rule, p_effective,
            p_only_plain => true);
    END IF;
    RETURN NULL;
END
$$;

-- One item, in a subtransaction of its own: what it is refused for undoes it alone.
CREATE FUNCTION ledger.post_singly(
    p_place integer, p_programme uuid, p_kind text, p_member uuid, p_unit text, p_amount bigint, p_key text,
    p_hash bytea, p_source text, p_rule text, p_effective timestamptz, p_more jsonb
) RETURNS ledger.batch_answer LANGUAGE plpgsql AS $$
DECLARE
    v_answer ledger.batch_answer := (p_place, NULL, NULL, NULL);
    v_figures text;
BEGIN
    v_answer.answer := CASE p_kind
        WHEN 'earn' THEN ledger.earn_fully(
            p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_rule, p_effective,
            coalesce(p_more ->> 'expiry', 'policy'), (p_more ->> 'expires')::timestamptz,
            (p_more ->> 'available')::timestamptz, coalesce((p_more ->> 'priority')::integer, 0))
        WHEN 'spend' THEN ledger.spend_fully(
            p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_effective)
        WHEN 'claw_back' THEN ledger.claw_back(
            p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_rule, p_effective)
        WHEN 'adjust' THEN ledger.adjust(
            p_programme, p_member, p_unit, p_amount, p_key, p_hash, p_source, p_more ->> 'reason', p_more ->> 'actor',
            p_more ->> 'approved_by', coalesce(p_more ->> 'expiry', 'policy'), (p_more ->> 'expires')::timestamptz)
        WHEN 'hold' THEN ledger.hold_points(
            p_programme, p_member, p_unit, p_amount, (p_more ->> 'hold')::uuid, (p_more ->> 'expires')::timestamptz,
            p_key, p_hash, p_source)
        WHEN 'capture' THEN ledger.end_hold(
            p_member, p_unit, (p_more ->> 'hold')::uuid, p_amount, true, p_key, p_hash, p_source)
        WHEN 'release' THEN ledger.end_hold(
            p_member, p_unit, (p_more ->> 'hold')::uuid, p_amount, false, p_key, p_hash, p_source)
        WHEN 'reverse' THEN ledger.reverse(
            p_member, p_unit, coalesce((p_more ->> 'origin')::uuid, p_member), (p_more ->> 'seq')::bigint, p_amount,
            ARRAY(SELECT jsonb_array_elements_text(p_more -> 'accounts')::uuid), p_key, p_hash, p_source, p_effective)
        WHEN 'confirm' THEN ledger.confirm(
            p_member, p_unit, (p_more ->> 'seq')::bigint, p_key, p_hash, p_source)
    END;
    RETURN v_answer;
EXCEPTION WHEN SQLSTATE 'LE001' THEN
    GET STACKED DIAGNOSTICS v_answer.refusal = MESSAGE_TEXT, v_figures = PG_EXCEPTION_DETAIL;
    v_answer.figures := v_figures::jsonb;
    RETURN v_answer;
END
$$;

-- The plain earns among some places of a batch, whose accounts the caller has locked. Answers those that it posted.
CREATE FUNCTION ledger.earn_together(
    p_programme uuid, p_kinds text[], p_members uuid[], p_units text[], p_amounts bigint[], p_keys text[],
    p_hashes bytea[], p_sources text[], p_rules text[], p_effective timestamptz[], p_more jsonb[], p_places integer[]
) RETURNS ledger.batch_answer[] LANGUAGE sql SET plan_cache_mode = 'force_generic_plan' AS $$
    WITH asked AS (
        -- An item is plain as in `ledger.earn`, and its key is new on this member. Only what is needed is carried on.
        SELECT i.place, i.member_id, i.unit, i.amount, i.key, i.hash, i.source, i.rule, c.now, c.effective, x.expires,
            a.seq AS last_seq, a.posted AS last_posted, a.pending, a.held, a.head, a.idle_expires_at,
            cardinality(a.inline_lots) AS inline,
            CASE a.inline_lots WHEN '{}' THEN '-infinity'
                ELSE coalesce(a.inline_expires[cardinality(a.inline_lots)], 'infinity') END AS last_expires,
            i.kind = 'earn' AND i.more IS NULL AND i.amount BETWEEN 1 AND 1000000000000
                AND a.debt = 0 AND coalesce(least(a.next_due, x.expires) > c.now, true) AND c.effective <= c.now
                AND u.expiry_kind <> 'after_activity'
                AND NOT EXISTS (SELECT FROM ledger.entry AS e WHERE e.member_id = i.member_id AND e.idem_key = i.key)
            AS plain
        FROM unnest(p_kinds, p_members, p_units, p_amounts, p_keys, p_hashes, p_sources, p_rules, p_effective, p_more)
            WITH ORDINALITY AS i (kind, member_id, unit, amount, key, hash, source, rule, effective_at, more, place)
        JOIN ledger.account AS a ON a.member_id = i.member_id AND a.unit = i.unit AND a.programme_id = p_programme
        JOIN ledger.unit AS u ON u.programme_id = p_programme AND u.code = i.unit
        CROSS JOIN LATERAL (
            SELECT greatest(ledger.clock(), a.last_at) AS now,
                coalesce(i.effective_at, greatest(ledger.clock(), a.last_at)) AS effective
        ) AS c
        CROSS JOIN LATERAL (SELECT ledger.expiry_of(u, c.effective) AS expires OFFSET 0) AS x
        WHERE i.place IN (SELECT unnest(p_places))
    ), ranked AS (
        SELECT *, bool_and(plain) OVER account AS plain_account, count(*) OVER account AS of_account,
            last_seq + row_number() OVER line AS seq, (last_posted + sum(amount) OVER line)::bigint AS posted,
            coalesce(expires, 'infinity') >= lag(coalesce(expires, 'infinity'), 1, last_expires) OVER line AS in_order
        FROM asked
        WINDOW account AS (PARTITION BY member_id, unit), line AS (PARTITION BY member_id, unit ORDER BY place)
    ), recorded AS (
        SELECT *,
            CASE seq WHEN last_seq + 1 THEN head ELSE '' END || record_send(ROW(
                member_id, unit, seq, p_programme, seq, 'earn'::text, amount, 'issued'::text, 'member'::text,
                posted, pending, held, 0::bigint, key, hash, NULL::uuid, NULL::bigint, NULL::uuid, NULL::uuid,
                true, expires, NULL::timestamptz, 0, NULL::uuid, NULL::bigint, NULL::timestamptz, idle_expires_at,
                source, NULL::text, NULL::text, NULL::text, rule, effective, now, NULL::bigint[], NULL::bigint[]))
            AS record
        FROM ranked
        WHERE plain_account
    ), chained AS MATERIALIZED (
        SELECT place, member_id, unit, seq, amount, posted, pending, held, key, hash, expires, idle_expires_at, source,
            rule, effective, now, in_order AND inline + of_account <= ledger.most_inline() AS fits,
            sha256(record) AS chain_hash
        FROM recorded
        WHERE of_account = 1
        UNION ALL
        SELECT place, member_id, unit, seq, amount, posted, pending, held, key, hash, expires, idle_expires_at, source,
            rule, effective, now, in_order AND inline + of_account <= ledger.most_inline() AS fits,
            ledger.chain(record) OVER (PARTITION BY member_id, unit ORDER BY place)
        FROM recorded
        WHERE of_account > 1
    ), entries AS (
        INSERT INTO ledger.entry (
            member_id, unit, seq, programme_id, posting, kind, amount, debit, credit, posted, pending, held, debt,
            idem_key, request_hash, opens_lot, lot_expires_at, lot_priority, idle_expires_at, source, rule_version,
            effective_at, recorded_at, hash)
        SELECT member_id, unit, seq, p_programme, seq, 'earn', amount, 'issued', 'member', posted, pending, held, 0,
            key, hash, true, expires, 0, idle_expires_at, source, rule, effective, now, chain_hash
        FROM chained
    ), accounts AS MATERIALIZED (
        SELECT member_id, unit, max(seq) AS seq, max(posted) AS posted, max(now) AS last_at, min(expires) AS due,
            (array_agg(chain_hash ORDER BY seq DESC))[1] AS head,
            array_agg(seq ORDER BY seq) AS lots, array_agg(amount ORDER BY seq) AS amounts,
            array_agg(expires ORDER BY seq) AS expires,
            bool_and(fits) AS fits
        FROM chained
        GROUP BY member_id, unit
    ), filed AS (
        INSERT INTO ledger.filed_lot (member_id, unit, seq, granted, remaining, expires_at, priority, open, pending)
        SELECT member_id, unit, lot.seq, lot.amount, lot.amount, lot.expires, 0, true, false
        FROM accounts CROSS JOIN LATERAL unnest(lots, amounts, expires) AS lot (seq, amount, expires)
        WHERE NOT fits
    ), updated AS (
        UPDATE ledger.account AS a
        SET posted = n.posted, seq = n.seq, last_at = n.last_at, head = n.head, next_due = least(a.next_due, n.due),
            inline_lots = CASE WHEN n.fits THEN a.inline_lots || n.lots ELSE a.inline_lots END,
            inline_left = CASE WHEN n.fits THEN a.inline_left || n.amounts ELSE a.inline_left END,
            inline_expires = CASE WHEN n.fits THEN a.inline_expires || n.expires ELSE a.inline_expires END,
            filed = a.filed OR NOT n.fits
        FROM accounts AS n
        WHERE a.member_id = n.member_id AND a.unit = n.unit
    )
    SELECT array_agg((
        place, (member_id, unit, seq, seq, posted, pending, held, 0, now, NULL, false)::ledger.result, NULL, NULL
    )::ledger.batch_answer)
    FROM chained
$$;
