-- Looking back at one account.

-- The last entry of an account that was recorded by a moment, 0 where there is none. Entries are numbered without gaps
-- and recorded in their order, so twenty looks at the primary key find it among a million.
CREATE FUNCTION ledger.seq_at(p_member uuid, p_unit text, p_moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    v_low bigint := 0;
    v_high bigint := coalesce((SELECT seq FROM ledger.entry WHERE member_id = p_member AND unit = p_unit
                               ORDER BY seq DESC LIMIT 1), 0);
    v_middle bigint;
BEGIN
    WHILE v_low < v_high LOOP
        v_middle := (v_low + v_high + 1) / 2;
        IF (SELECT recorded_at FROM ledger.entry WHERE member_id = p_member AND unit = p_unit AND seq = v_middle)
            <= p_moment
        THEN
            v_low := v_middle;
        ELSE
            v_high := v_middle - 1;
        END IF;
    END LOOP;
    RETURN v_low;
END
$$;

-- Write down what each lot holds, as often as is worth while up to entry `p_seq`. Checkpoints lie as many entries apart
-- as lots were open, and at least `checkpoint_spacing`: a look back then reads about as much as it answers, and all
-- checkpoints together are never more than the entries.
CREATE FUNCTION ledger.add_checkpoints(p_member uuid, p_unit text, p_seq bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    c ledger.checkpoint;
    v_next bigint;
BEGIN
    SELECT * INTO c FROM ledger.checkpoint WHERE member_id = p_member AND unit = p_unit ORDER BY seq DESC LIMIT 1;
    LOOP
        v_next := coalesce(c.seq, 0) + greatest(ledger.checkpoint_spacing(), coalesce(cardinality(c.lots), 0));
        EXIT WHEN v_next > p_seq;
        INSERT INTO ledger.checkpoint (
            member_id, unit, seq, after_seq, least_effective_at, lots, spendable, pending, held)
        SELECT p_member, p_unit, v_next, coalesce(c.seq, 0),
            (SELECT min(effective_at) FROM ledger.entry
             WHERE member_id = p_member AND unit = p_unit AND seq > coalesce(c.seq, 0) AND seq <= v_next),
            coalesce(array_agg(lot ORDER BY lot), '{}'), coalesce(array_agg(spendable ORDER BY lot), '{}'),
            coalesce(array_agg(pending ORDER BY lot), '{}'), coalesce(array_agg(held ORDER BY lot), '{}')
        FROM (
            SELECT lot, sum(spendable)::bigint AS spendable, sum(pending)::bigint AS pending, sum(held)::bigint AS held
            FROM (
                SELECT lot, spendable, pending, held
                FROM unnest(c.lots, c.spendable, c.pending, c.held) AS before (lot, spendable, pending, held)
                UNION ALL
                SELECT lot, spendable, pending, held FROM ledger.lot_change
                WHERE member_id = p_member AND unit = p_unit AND seq > coalesce(c.seq, 0) AND seq <= v_next
            ) AS changes
            GROUP BY lot
            HAVING sum(spendable) <> 0 OR sum(pending) <> 0 OR sum(held) <> 0
        ) AS holding
        RETURNING * INTO c;
    END LOOP;
END
$$;
