-- One programme; 10,000 members with one lot, 10,000 members with 10 lots of plenty, and 8,000 with 10 lots of one point, each to be spent once.
INSERT INTO ledger.unit (programme_id, code, spendable, time_zone, expiry_kind, expiry_months, shortfall,
                         reinstate_days, adjust_limit)
VALUES ('00000000-0000-0000-0000-00000000000f', 'points', true, 'Asia/Shanghai', 'end_of_month', 24, 'debt', 90, 1000000);
DO $$
BEGIN
    FOR n IN 1 .. 10000 LOOP
        PERFORM ledger.earn('00000000-0000-0000-0000-00000000000f', bench_member(n), 'points', 10, 'lot', '\x01', 'bench');
    END LOOP;
    FOR n IN 10001 .. 20000 LOOP
        FOR l IN 1 .. 10 LOOP
            PERFORM ledger.earn('00000000-0000-0000-0000-00000000000f', bench_member(n), 'points', 1000000,
                                'lot' || l, '\x01', 'bench');
        END LOOP;
    END LOOP;
    FOR n IN 20001 .. 28000 LOOP
        FOR l IN 1 .. 10 LOOP
            PERFORM ledger.earn('00000000-0000-0000-0000-00000000000f', bench_member(n), 'points', 1,
                                'lot' || l, '\x01', 'bench');
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
    v_source := regexp_replace(v_source, 'sha256\(v_head \|\| record_send\(ROW\(.*?\)\)\)\)', 'v_head)');
    IF v_source LIKE '%sha256%' THEN
        RAISE EXCEPTION 'the hash is still there: %', v_source;
    END IF;
    EXECUTE v_source;
END
$$;
CREATE SEQUENCE bench_across START 20001 CACHE 50;
VACUUM ANALYZE;
