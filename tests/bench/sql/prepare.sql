-- One programme; 50,000 members with one lot, 20,000 with 10 lots of plenty, and 20,000 with 10 lots of one point, each
-- to be spent once.
INSERT INTO ledger.unit (programme_id, code, spendable, time_zone, expiry_kind, expiry_months, shortfall,
                         reinstate_days, adjust_limit)
VALUES ('00000000-0000-0000-0000-00000000000f', 'points', true, 'Asia/Shanghai', 'end_of_month', 24, 'debt', 90, 1000000);
CREATE FUNCTION bench_give(p_first integer, p_last integer, p_amount bigint, p_key text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(b.refusal) FROM (
        SELECT array_agg('earn'::text) AS kinds, array_agg(bench_member(n)) AS members, array_agg('points'::text) AS units,
            array_agg(p_amount) AS amounts, array_agg(p_key) AS keys, array_agg('\x01'::bytea) AS hashes,
            array_agg('bench'::text) AS sources, array_agg(NULL::text) AS rules, array_agg(NULL::timestamptz) AS moments
        FROM generate_series(p_first, p_last) AS n
    ) AS a
    CROSS JOIN LATERAL ledger.post_batch(
        '00000000-0000-0000-0000-00000000000f', kinds, members, units, amounts, keys, hashes, sources, rules, moments
    ) AS b
$$;
DO $$
BEGIN
    FOR n IN 0 .. 9 LOOP
        PERFORM bench_give(n * 5000 + 1, n * 5000 + 5000, 10, 'lot');
    END LOOP;
    FOR n IN 10 .. 17 LOOP
        FOR l IN 1 .. 10 LOOP
            PERFORM bench_give(n * 5000 + 1, n * 5000 + 5000, CASE WHEN n < 14 THEN 1000000 ELSE 1 END, 'lot' || l);
        END LOOP;
    END LOOP;
END
$$;
-- The same earn without its hash, in order to see what the chain costs.
DO $$
DECLARE
    v_source text := pg_get_functiondef('ledger.earn'::regproc);
BEGIN
    v_source := replace(v_source, 'FUNCTION ledger.earn(', 'FUNCTION bench_earn_unchained(');
    v_source := regexp_replace(v_source, 'sha256\(a.head \|\| record_send\(ROW\(.*?\)\)\)', 'a.head');
    IF v_source LIKE '%sha256%' THEN
        RAISE EXCEPTION 'the hash is still there: %', v_source;
    END IF;
    EXECUTE v_source;
END
$$;
CREATE SEQUENCE bench_across START 70001 CACHE 50;
VACUUM ANALYZE;
