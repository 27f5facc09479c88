-- Who may do what. One role owns the database and migrates it; the application is another, which owns nothing, makes
-- nothing, and of the ledger may read every row and write none. It posts through the functions that the migration
-- names, which run with their owner's rights. What they call is closed to it: `ledger.append` would add any entry.
--
-- None of these functions pins `search_path`. Running with the owner's rights costs nothing that can be measured; a SET
-- clause costs 3 to 6 microseconds a call, and they need none. Every table, type and function of ours that they name is
-- named with its schema. What is not (operators, casts, built-in functions) could only be taken for something else if
-- the caller could make something else, and it can make nothing: no schema, nothing in any schema, and, because types
-- are looked up in the temporary schema first, nothing temporary either. `ledger.admission` sees to that.

-- A unit's policies are settings of the programme, and the one thing of the ledger that is changed in place.
CREATE FUNCTION ledger.define_unit(p_unit jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO ledger.unit (
        programme_id, code, spendable, time_zone, expiry_kind, expiry_months, expiry_days, expiry_month, expiry_day,
        shortfall, expired_return_days, reinstate_days, adjust_limit)
    SELECT programme_id, code, spendable, time_zone, expiry_kind, expiry_months, expiry_days, expiry_month, expiry_day,
        shortfall, expired_return_days, reinstate_days, adjust_limit
    FROM jsonb_populate_record(NULL::ledger.unit, p_unit)
    ON CONFLICT (programme_id, code) DO UPDATE SET
        spendable = excluded.spendable, time_zone = excluded.time_zone, expiry_kind = excluded.expiry_kind,
        expiry_months = excluded.expiry_months, expiry_days = excluded.expiry_days,
        expiry_month = excluded.expiry_month, expiry_day = excluded.expiry_day, shortfall = excluded.shortfall,
        expired_return_days = excluded.expired_return_days, reinstate_days = excluded.reinstate_days,
        adjust_limit = excluded.adjust_limit, day_from = NULL, day_until = NULL, day_expires = NULL
$$;

-- The statements that are missing until `p_role` may do what the application needs and no more; none where it is so
-- already. Rules, not lists: what a later migration adds is covered without being named.
--   database, schemas  connect and use; make nothing, not even temporary tables
--   ledger's tables    read
--   ledger's functions those that run with their owner's rights, and the clock
--   public's tables    read, add, change, delete rows; of the schema's version, read
CREATE FUNCTION ledger.admission(p_role name) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC, %I', current_database(), p_role)
    WHERE has_database_privilege(p_role, current_database(), 'CREATE, TEMPORARY')
    UNION ALL
    SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), p_role)
    WHERE NOT has_database_privilege(p_role, current_database(), 'CONNECT')
    UNION ALL
    SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, %I', nspname, p_role)
    FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND has_schema_privilege(p_role, oid, 'CREATE')
    UNION ALL
    SELECT format('GRANT USAGE ON SCHEMA %I TO %I', nspname, p_role)
    FROM pg_namespace
    WHERE nspname IN ('ledger', 'public') AND NOT has_schema_privilege(p_role, oid, 'USAGE')
    UNION ALL
    SELECT format('REVOKE ALL ON %s FROM PUBLIC, %I; GRANT SELECT ON %1$s TO %2$I', oid::regclass, p_role)
    FROM pg_class
    WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
        AND (NOT has_table_privilege(p_role, oid, 'SELECT')
             OR has_table_privilege(p_role, oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
             OR has_any_column_privilege(p_role, oid, 'INSERT, UPDATE, REFERENCES'))
    UNION ALL
    SELECT format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, %I', oid::regprocedure, p_role)
    FROM pg_proc
    WHERE pronamespace = 'ledger'::regnamespace AND NOT (prosecdef OR oid = 'ledger.clock()'::regprocedure)
        AND has_function_privilege(p_role, oid, 'EXECUTE')
    UNION ALL
    SELECT format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC; GRANT EXECUTE ON ROUTINE %1$s TO %I',
                  oid::regprocedure, p_role)
    FROM pg_proc
    WHERE pronamespace = 'ledger'::regnamespace AND (prosecdef OR oid = 'ledger.clock()'::regprocedure)
        AND (has_function_privilege('public', oid, 'EXECUTE') OR NOT has_function_privilege(p_role, oid, 'EXECUTE'))
    UNION ALL
    SELECT format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %s FROM PUBLIC, %I; GRANT SELECT ON %1$s TO %2$I',
                  oid::regclass, p_role)
    FROM pg_class
    WHERE oid = to_regclass('public.alembic_version')
        AND (NOT has_table_privilege(p_role, oid, 'SELECT')
             OR has_table_privilege(p_role, oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
    UNION ALL
    SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', oid::regclass, p_role)
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname <> 'alembic_version'
        AND NOT (has_table_privilege(p_role, oid, 'SELECT') AND has_table_privilege(p_role, oid, 'INSERT')
                 AND has_table_privilege(p_role, oid, 'UPDATE') AND has_table_privilege(p_role, oid, 'DELETE'))
    UNION ALL
    SELECT format('GRANT USAGE ON SEQUENCE %s TO %I', oid::regclass, p_role)
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace
        AND CASE relkind WHEN 'S' THEN NOT has_sequence_privilege(p_role, oid, 'USAGE') END
$$;

-- Let a role in as the application; answers how many rights were given or taken. The program calls it at each start
-- after its migrations, so rights follow the schema, and a dump restored elsewhere gets them again. A role that is, or
-- can become, the owner is left as it is: taking the owner's rights away would lock the owner out.
CREATE FUNCTION ledger.admit_application(p_role name) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_statement text;
    v_count integer := 0;
BEGIN
    IF pg_has_role(p_role, current_user, 'MEMBER') THEN
        RETURN 0;
    END IF;
    FOR v_statement IN SELECT * FROM ledger.admission(p_role) LOOP
        EXECUTE v_statement;
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END
$$;
