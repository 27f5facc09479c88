-- One programme; 10,000 members with 10 lots of plenty, and 8,000 with 10 lots of one point, each to be spent once.
INSERT INTO ledger.unit (programme_id, code, spendable, time_zone, expiry_kind, expiry_months, shortfall,
                         reinstate_days, adjust_limit)
VALUES ('00000000-0000-0000-0000-00000000000f', 'points', true, 'Asia/Shanghai', 'end_of_month', 24, 'debt', 90, 1000000);
DO $$
BEGIN
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
CREATE SEQUENCE bench_across START 20001 CACHE 50;
VACUUM ANALYZE;
