-- Closing the books.

-- The moment before which nothing more can be recorded: now, or when the oldest transaction began that may still be
-- posting. A posting locks `ledger.account` before it takes the clock, so one that is not seen here takes it later than
-- we do. Locks are seen whoever holds them; NULL where one's beginning is not (another's prepared transaction).
CREATE FUNCTION ledger.posting_horizon() RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_now timestamptz := ledger.clock();
    v_oldest timestamptz;
    v_hidden bigint;
BEGIN
    SELECT min(s.xact_start), count(*) FILTER (WHERE s.xact_start IS NULL) INTO v_oldest, v_hidden
    FROM pg_locks AS l
    LEFT JOIN pg_stat_activity AS s ON s.pid = l.pid
    WHERE l.locktype = 'relation' AND l.relation = 'ledger.account'::regclass
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.mode IN ('RowShareLock', 'RowExclusiveLock') AND l.granted
        AND l.pid IS DISTINCT FROM pg_backend_pid();
    RETURN CASE WHEN v_hidden = 0 THEN least(v_now, v_oldest) END;
END
$$;

-- How long a closing waits before it calls a moment complete. Nothing should come later; a server's clock that is set
-- back a little would bring something.
CREATE FUNCTION ledger.closing_margin() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '1 minute' $$;

-- How many accounts one statement of a closing takes, and after how many entries an account gets a checkpoint.
CREATE FUNCTION ledger.closing_batch() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 10000 $$;
CREATE FUNCTION ledger.checkpoint_spacing() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 256 $$;

-- Close the books: take every account that has moved since it was closed last, add what it did to the roll-up, and note
-- its head. Answers the closing; all NULL where nothing had moved, or somebody else is closing them at this moment.
--
-- Accounts are found by what was recorded since the moment until which the last closing was complete. `p_thorough`
-- compares every account instead; that is done by itself at the first closing, and where the server's clock was set back
-- behind the last one.
-- Each batch of accounts is one statement, which sees each account as of one moment. What is posted to it later is the
-- next closing's.
CREATE FUNCTION ledger.close_books(p_thorough boolean DEFAULT false) RETURNS ledger.closing
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    c ledger.closing;
    p ledger.closing;
    b record;
    v_members uuid[];
    v_units text[];
    v_now timestamptz := ledger.clock();
    v_set_back boolean;
    v_from integer := 1;
    v_batch integer := ledger.closing_batch();
    v_accounts bigint;
    v_entries bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the books are closed in READ COMMITTED: what is committed must be seen';
    END IF;
    IF NOT pg_try_advisory_xact_lock('ledger.closing'::regclass::oid::bigint) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO p FROM ledger.closing ORDER BY number DESC LIMIT 1;
    v_set_back := coalesce(v_now < p.closed_at, false);
    c := (coalesce(p.number, 0) + 1, v_now, ledger.posting_horizon() - ledger.closing_margin(), 0, 0);
    c.complete_until := coalesce(
        CASE WHEN v_set_back THEN c.complete_until ELSE greatest(c.complete_until, p.complete_until) END, 'epoch');
    PERFORM ledger.open_books();
    IF p_thorough OR p.number IS NULL OR v_set_back THEN
        v_members := ARRAY['00000000-0000-0000-0000-000000000000'];
        v_units := ARRAY[''];
        LOOP
            SELECT array_agg(a.member_id ORDER BY a.member_id, a.unit), array_agg(a.unit ORDER BY a.member_id, a.unit)
            INTO v_members, v_units
            FROM (SELECT member_id, unit FROM ledger.account
                  WHERE (member_id, unit) > (v_members[cardinality(v_members)], v_units[cardinality(v_units)])
                  ORDER BY member_id, unit LIMIT v_batch) AS a;
            EXIT WHEN v_members IS NULL;
            SELECT * INTO v_accounts, v_entries FROM ledger.close_accounts(c.number, v_members, v_units);
            c.accounts := c.accounts + v_accounts;
            c.entries := c.entries + v_entries;
        END LOOP;
    ELSE
        -- With the moment written into it, so that the planner knows how little it is about.
        EXECUTE format(
            'SELECT array_agg(member_id ORDER BY member_id, unit), array_agg(unit ORDER BY member_id, unit)
             FROM (SELECT DISTINCT member_id, unit FROM ledger.entry WHERE recorded_at >= %L) AS moved', p.complete_until)
        INTO v_members, v_units;
        WHILE v_from <= coalesce(cardinality(v_members), 0) LOOP
            SELECT * INTO v_accounts, v_entries FROM ledger.close_accounts(
                c.number, v_members[v_from : v_from + v_batch - 1], v_units[v_from : v_from + v_batch - 1]);
            c.accounts := c.accounts + v_accounts;
            c.entries := c.entries + v_entries;
            v_from := v_from + v_batch;
        END LOOP;
    END IF;
    IF c.accounts = 0 THEN
        RETURN NULL;
    END IF;
    INSERT INTO ledger.closing VALUES (c.*);
    FOR b IN
        SELECT member_id, unit, seq FROM ledger.closed_head
        WHERE closing = c.number AND seq >= ledger.checkpoint_spacing()
    LOOP
        PERFORM ledger.add_checkpoints(b.member_id, b.unit, b.seq);
    END LOOP;
    RETURN c;
END
$$;

-- Close such of these accounts as have moved; answers how many, and by how many entries.
CREATE FUNCTION ledger.close_accounts(
    p_closing bigint, p_members uuid[], p_units text[], OUT accounts bigint, OUT entries bigint
) LANGUAGE sql AS $$
    WITH moved AS MATERIALIZED (
        SELECT a.member_id, a.unit, coalesce(closed.seq, 0) AS after_seq, last.seq, last.hash
        FROM unnest(p_members, p_units) AS a (member_id, unit)
        LEFT JOIN LATERAL (
            SELECT h.seq FROM ledger.closed_head AS h WHERE h.member_id = a.member_id AND h.unit = a.unit
            ORDER BY h.closing DESC LIMIT 1
        ) AS closed ON true
        CROSS JOIN LATERAL (
            SELECT e.seq, e.hash FROM ledger.entry AS e WHERE e.member_id = a.member_id AND e.unit = a.unit
            ORDER BY e.seq DESC LIMIT 1
        ) AS last
        WHERE last.seq > coalesce(closed.seq, 0)
    ), heads AS (
        INSERT INTO ledger.closed_head (member_id, unit, closing, seq, head)
        SELECT member_id, unit, p_closing, seq, hash FROM moved
    ), rolled AS (
        INSERT INTO ledger.flow AS f (
            programme_id, unit, recorded_day, effective_day, cohort_month, expiry_month, kind, debit, credit,
            amount, entries, opened)
        SELECT p.programme_id, p.unit, p.recorded_day, p.effective_day, p.cohort_month, p.expiry_month, p.kind, p.debit,
            p.credit, sum(p.amount)::bigint, sum(p.entries), sum(p.opened)
        FROM moved JOIN ledger.part AS p
            ON p.member_id = moved.member_id AND p.unit = moved.unit AND p.seq > moved.after_seq AND p.seq <= moved.seq
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ON CONFLICT ON CONSTRAINT flow_pkey DO UPDATE SET
            amount = f.amount + excluded.amount, entries = f.entries + excluded.entries,
            opened = f.opened + excluded.opened
    )
    SELECT count(*), coalesce(sum(seq - after_seq), 0)::bigint FROM moved
$$;

-- Give each unit a book; a unit whose time zone was changed is rolled up anew in its new zone.
CREATE FUNCTION ledger.open_books() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    u record;
BEGIN
    INSERT INTO ledger.book (programme_id, unit, time_zone)
    SELECT programme_id, code, time_zone FROM ledger.unit ON CONFLICT DO NOTHING;
    FOR u IN
        SELECT n.programme_id, n.code FROM ledger.unit AS n
        JOIN ledger.book AS k ON k.programme_id = n.programme_id AND k.unit = n.code
        WHERE k.time_zone <> n.time_zone
    LOOP
        PERFORM ledger.roll_up_anew(u.programme_id, u.code);
    END LOOP;
END
$$;

-- Make the roll-up of a unit anew from the entries that are closed.
CREATE FUNCTION ledger.roll_up_anew(p_programme uuid, p_unit text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_members uuid[] := ARRAY['00000000-0000-0000-0000-000000000000'];
BEGIN
    PERFORM pg_advisory_xact_lock('ledger.closing'::regclass::oid::bigint);
    UPDATE ledger.book SET time_zone = u.time_zone
    FROM ledger.unit AS u
    WHERE book.programme_id = p_programme AND book.unit = p_unit AND u.programme_id = p_programme AND u.code = p_unit;
    DELETE FROM ledger.flow WHERE programme_id = p_programme AND unit = p_unit;
    LOOP
        SELECT array_agg(a.member_id ORDER BY a.member_id) INTO v_members
        FROM (SELECT member_id FROM ledger.account
              WHERE member_id > v_members[cardinality(v_members)] AND unit = p_unit AND programme_id = p_programme
              ORDER BY member_id LIMIT ledger.closing_batch()) AS a;
        EXIT WHEN v_members IS NULL;
        INSERT INTO ledger.flow AS f (
            programme_id, unit, recorded_day, effective_day, cohort_month, expiry_month, kind, debit, credit,
            amount, entries, opened)
        SELECT p.programme_id, p.unit, p.recorded_day, p.effective_day, p.cohort_month, p.expiry_month, p.kind, p.debit,
            p.credit, sum(p.amount)::bigint, sum(p.entries), sum(p.opened)
        FROM unnest(v_members) AS a (member_id)
        CROSS JOIN LATERAL (
            SELECT h.seq FROM ledger.closed_head AS h WHERE h.member_id = a.member_id AND h.unit = p_unit
            ORDER BY h.closing DESC LIMIT 1
        ) AS closed
        JOIN ledger.part AS p ON p.member_id = a.member_id AND p.unit = p_unit AND p.seq <= closed.seq
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ON CONFLICT ON CONSTRAINT flow_pkey DO UPDATE SET
            amount = f.amount + excluded.amount, entries = f.entries + excluded.entries,
            opened = f.opened + excluded.opened;
    END LOOP;
END
$$;
