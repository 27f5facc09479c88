-- One programme whose points expire at the end of the month two years after they were earned, and its members: member n
-- of the first so many has the id bench_member(n).
INSERT INTO ledger.unit (programme_id, code, spendable, time_zone, expiry_kind, expiry_months, shortfall,
                         reinstate_days, adjust_limit)
VALUES ('00000000-0000-0000-0000-00000000000f', 'points', true, 'Asia/Shanghai', 'end_of_month', 24, 'debt', 90, 1000000);

-- Ids spread over the whole range, as those of real members would be once there are many.
CREATE FUNCTION bench_member(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT md5(n::text)::uuid$$;

-- Post for members p_first .. p_last in one batch: p_earns earns over the last 20 months, or one spend of 5. The first
-- earn of members up to p_expiring is of 24 months ago: it expires at the end of this month. The second is of plenty, so
-- that nobody runs out of points while postings are measured; member 1, on whom all clients meet, has most.
CREATE FUNCTION bench_load(p_first bigint, p_last bigint, p_kind text, p_earns integer, p_expiring bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
    v_refused bigint;
BEGIN
    SELECT count(*), count(b.refusal) INTO v_count, v_refused
    FROM (
        SELECT array_agg(p_kind) AS kinds, array_agg(bench_member(n)) AS members, array_agg('points'::text) AS units,
            array_agg(CASE WHEN p_kind = 'earn' AND k = 2 THEN CASE n WHEN 1 THEN 1000000 ELSE 1000 END
                                    WHEN p_kind = 'spend' THEN 5 ELSE 10 END::bigint)
                AS amounts, array_agg(p_kind || k) AS keys, array_agg('\x01'::bytea) AS hashes,
            array_agg('bench'::text) AS sources, array_agg(NULL::text) AS rules,
            array_agg(CASE
                WHEN p_kind = 'spend' THEN NULL
                WHEN k = 1 AND n <= p_expiring
                    THEN date_trunc('month', now() AT TIME ZONE 'Asia/Shanghai') - interval '24 months' + interval '10 days'
                ELSE now() - make_interval(months => 20 - 4 * k)
            END::timestamptz) AS effective
        FROM generate_series(p_first, p_last) AS n CROSS JOIN generate_series(1, p_earns) AS k
    ) AS a
    CROSS JOIN LATERAL ledger.post_batch(
        '00000000-0000-0000-0000-00000000000f', a.kinds, a.members, a.units, a.amounts, a.keys, a.hashes, a.sources,
        a.rules, a.effective) AS b;
    IF v_refused > 0 THEN
        RAISE EXCEPTION '% of % postings were refused', v_refused, v_count;
    END IF;
    RETURN v_count;
END
$$;

-- The same for one member alone, who gets p_count earns.
CREATE FUNCTION bench_load_one(p_member bigint, p_from bigint, p_count bigint) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (
        SELECT array_agg('earn'::text) AS kinds, array_agg(bench_member(p_member)) AS members, array_agg('points'::text) AS units,
            array_agg(10::bigint) AS amounts, array_agg('one' || k) AS keys, array_agg('\x01'::bytea) AS hashes,
            array_agg('bench'::text) AS sources, array_agg(NULL::text) AS rules, array_agg(NULL::timestamptz) AS effective
        FROM generate_series(p_from, p_from + p_count - 1) AS k
    ) AS a
    CROSS JOIN LATERAL ledger.post_batch(
        '00000000-0000-0000-0000-00000000000f', a.kinds, a.members, a.units, a.amounts, a.keys, a.hashes, a.sources,
        a.rules, a.effective) AS b
$$;
