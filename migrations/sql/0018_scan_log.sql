-- The log of scans, by the month. A month that has no partition of its own goes to the default one, so that nothing is
-- ever refused for want of a job that did not run. The partitions are in a schema of their own, which nobody uses but
-- through the tables.

-- Make the partitions from this month to `p_ahead` months on, bring home what the default ones hold of the months kept,
-- and drop the months before the last `p_keep` ones; all are kept where that is null. Answers what was done.
--
-- It runs with its owner's rights, because the application makes and drops no tables. Whoever may delete scans may call
-- it: it does nothing else. It waits for nobody longer than a moment, since what waits for a table's lock holds up
-- whoever comes after it; the next run does what this one could not.
CREATE FUNCTION public.keep_scan_log(p_now timestamptz, p_ahead integer, p_keep integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_parent text;
    v_default text;
    v_name text;
    v_month timestamp;
    v_this timestamp := date_trunc('month', p_now AT TIME ZONE 'UTC');
    v_oldest timestamp := CASE WHEN p_keep IS NULL THEN '-infinity' ELSE v_this - make_interval(months => p_keep) END;
    v_rows bigint;
BEGIN
    IF p_keep < 2 THEN
        RAISE EXCEPTION 'verdicts look back at scans; at least 2 months are kept' USING ERRCODE = '22023';
    END IF;
    PERFORM set_config('lock_timeout', '2s', true);
    FOREACH v_parent IN ARRAY ARRAY['item_scan', 'refused_scan'] LOOP
        IF NOT has_table_privilege(session_user, 'public.' || v_parent, 'DELETE') THEN
            RAISE EXCEPTION 'who may not delete scans may not keep their log' USING ERRCODE = '42501';
        END IF;
        v_default := v_parent || '_default';
        EXECUTE format('LOCK TABLE ONLY public.%I IN SHARE UPDATE EXCLUSIVE MODE', v_parent);  -- one at a time
        FOR v_month IN EXECUTE format($q$
            SELECT $1 + make_interval(months => n) AS month FROM generate_series(0, $2) AS n
            UNION
            SELECT date_trunc('month', at AT TIME ZONE 'UTC') FROM scan_log.%I
            WHERE at AT TIME ZONE 'UTC' >= $3 AND at AT TIME ZONE 'UTC' < $1
            ORDER BY month$q$, v_default) USING v_this, p_ahead, v_oldest
        LOOP
            v_name := v_parent || to_char(v_month, '_YYYY_MM');
            CONTINUE WHEN to_regclass('scan_log.' || v_name) IS NOT NULL;
            EXECUTE format('LOCK TABLE scan_log.%I IN ACCESS EXCLUSIVE MODE', v_default);
            EXECUTE format('CREATE TABLE scan_log.%I (LIKE public.%I INCLUDING DEFAULTS)', v_name, v_parent);
            EXECUTE format($q$
                WITH moved AS (
                    DELETE FROM scan_log.%I WHERE at >= $1 AT TIME ZONE 'UTC'
                        AND at < ($1 + interval '1 month') AT TIME ZONE 'UTC' RETURNING *)
                INSERT INTO scan_log.%I SELECT * FROM moved$q$, v_default, v_name) USING v_month;
            -- Attaching lets scans go on meanwhile; making a partition in place would not.
            EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION scan_log.%I FOR VALUES FROM (%L) TO (%L)',
                           v_parent, v_name, v_month AT TIME ZONE 'UTC',
                           (v_month + interval '1 month') AT TIME ZONE 'UTC');
            RETURN NEXT 'made ' || v_name;
        END LOOP;
        FOR v_name IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass('public.' || v_parent) AND c.relname ~ '_\d{4}_\d{2}$'
                AND to_date(right(c.relname::text, 7), 'YYYY_MM') < v_oldest
            ORDER BY c.relname
        LOOP
            EXECUTE format('DROP TABLE scan_log.%I', v_name);
            RETURN NEXT 'dropped ' || v_name;
        END LOOP;
        EXECUTE format('DELETE FROM scan_log.%I WHERE at < $1', v_default) USING v_oldest AT TIME ZONE 'UTC';
        GET DIAGNOSTICS v_rows = ROW_COUNT;
        IF v_rows > 0 THEN
            RETURN NEXT format('deleted %s rows of %s', v_rows, v_default);
        END IF;
    END LOOP;
END
$$;
