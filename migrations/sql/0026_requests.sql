-- Postings that programs ask for, as one call: every round trip of a batch is time in which the next one waits.

-- A batch whose items are one JSON text, which a client writes fifty times faster than eleven arrays.
CREATE FUNCTION ledger.post_items(p_programme uuid, p_items json)
RETURNS SETOF ledger.batch_answer LANGUAGE sql SECURITY DEFINER AS $$
    SELECT answers.*
    FROM (
        SELECT array_agg(kind ORDER BY place) AS kinds, array_agg(member ORDER BY place) AS members,
            array_agg(unit ORDER BY place) AS units, array_agg(amount ORDER BY place) AS amounts,
            array_agg(key ORDER BY place) AS keys, array_agg(decode(hash, 'hex') ORDER BY place) AS hashes,
            array_agg(source ORDER BY place) AS sources, array_agg(rule ORDER BY place) AS rules,
            array_agg(effective ORDER BY place) AS effective,
            CASE WHEN bool_or(more IS NOT NULL) THEN array_agg(more ORDER BY place) END AS more
        FROM ROWS FROM (json_to_recordset(p_items) AS (
            kind text, member uuid, unit text, amount bigint, key text, hash text, source text, rule text,
            effective timestamptz, more jsonb
        )) WITH ORDINALITY AS item (kind, member, unit, amount, key, hash, source, rule, effective, more, place)
    ) AS i
    CROSS JOIN LATERAL ledger.post_batch(
        p_programme, i.kinds, i.members, i.units, i.amounts, i.keys, i.hashes, i.sources, i.rules, i.effective, i.more
    ) AS answers
$$;

-- Hold members, in the order of their ids, and post a batch that is theirs. Unless all of them are active nothing is
-- posted and no row answered: whose account an item belongs to is then for the caller to find out. `p_patience` is how
-- long the rest of the transaction waits for a lock; NULL leaves it as it is.
CREATE FUNCTION post_to_active(p_programme uuid, p_patience text, p_members uuid[], p_items json)
RETURNS SETOF ledger.batch_answer LANGUAGE plpgsql SET plan_cache_mode = 'force_generic_plan' AS $$
DECLARE
    v_held integer;
BEGIN
    IF p_patience IS NOT NULL THEN
        PERFORM set_config('lock_timeout', p_patience, true);
    END IF;
    SELECT count(*) INTO v_held FROM (
        SELECT FROM member WHERE id = ANY (p_members) AND programme_id = p_programme AND state = 'active'
        ORDER BY id FOR KEY SHARE
    ) AS held;
    IF v_held = cardinality(p_members) THEN
        RETURN QUERY SELECT * FROM ledger.post_items(p_programme, p_items);
    END IF;
END
$$;
