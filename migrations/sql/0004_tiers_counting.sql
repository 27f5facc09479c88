-- What counting in bulk (tiers/counting.py) asks of the database, in one call for a batch of any size.
--
-- Each statement sees what the locks before it waited for, as one statement for everything would not. Answers NULL,
-- with nothing written, unless the programme's time zone and the ladder's published versions are those that the
-- caller remembers: its days and starting tiers are made by them. `p_starts` is NULL where there is no ladder.

CREATE FUNCTION ladder_stamp(p_programme uuid, p_ladder text) RETURNS text LANGUAGE sql STABLE AS $$
    -- Whatever the number of changes, no other row was written by the same transaction.
    SELECT p.time_zone || ' ' || coalesce((
        SELECT l.changes || '/' || l.xmin FROM ladder l WHERE l.programme_id = p.id AND l.code = p_ladder
    ), 'none')
    FROM programme p WHERE p.id = p_programme
$$;

-- Days before the fold count as one: lifetime sums need no more of them.
CREATE FUNCTION tier_roll_ups(p_members uuid[], p_metrics text[], p_fold date, p_first_day date)
RETURNS TABLE (member_id uuid, metric text, day date, amount bigint) LANGUAGE sql STABLE AS $$
    SELECT a.member_id, a.metric, greatest(a.day, p_fold), sum(a.amount)::bigint FROM tier_activity a
    WHERE a.member_id = ANY (p_members) AND a.metric = ANY (p_metrics) AND a.day >= p_first_day
    GROUP BY 1, 2, 3
$$;

CREATE FUNCTION count_tier_activity(
    p_programme uuid, p_ladder text, p_stamp text, p_members uuid[], p_starts json, p_metrics text[], p_fold date,
    p_first_day date, p_amounts json
) RETURNS json LANGUAGE plpgsql SET plan_cache_mode = 'force_generic_plan' AS $$
DECLARE
    v_states json;
    v_bounds json;
    v_new json;
BEGIN
    IF ladder_stamp(p_programme, p_ladder) IS DISTINCT FROM p_stamp THEN
        RETURN NULL;
    END IF;
    IF p_starts IS NOT NULL THEN
        INSERT INTO member_tier
            (member_id, ladder_code, programme_id, tier_code, tier_rank, ladder_version, change_sequence, joined_on)
        SELECT n.member_id, p_ladder, p_programme, n.tier_code, n.tier_rank, n.ladder_version, 0,
            (s.joined_at AT TIME ZONE split_part(p_stamp, ' ', 1))::date
        FROM json_to_recordset(p_starts)
            AS n (member_id uuid, tier_code text, tier_rank integer, ladder_version integer)
        LEFT JOIN tier_membership s ON s.member_id = n.member_id
        WHERE NOT EXISTS (
            SELECT FROM member_tier m WHERE m.member_id = n.member_id AND m.ladder_code = p_ladder)
        ORDER BY n.member_id
        ON CONFLICT DO NOTHING;
        -- What is counted here counts on every ladder: a review of another one waits for it, or we for the review.
        SELECT json_agg(locked) FILTER (WHERE locked.ladder_code = p_ladder) INTO v_states FROM (
            SELECT * FROM member_tier m WHERE m.member_id = ANY (p_members)
            ORDER BY m.member_id, m.ladder_code FOR UPDATE
        ) AS locked;
        -- What a sum over days can come to at most.
        SELECT json_agg(json_build_array(member_id, metric, most)) INTO v_bounds FROM (
            SELECT member_id, metric, sum(greatest(amount, 0))::bigint AS most
            FROM tier_roll_ups(p_members, p_metrics, p_fold, p_first_day)
            GROUP BY 1, 2
        ) AS bounds;
    END IF;
    WITH recorded AS (
        INSERT INTO tier_activity (member_id, metric, day, programme_id, amount)
        SELECT n.member_id, n.metric, n.day, p_programme, n.amount
        FROM json_to_recordset(p_amounts) AS n (member_id uuid, metric text, day date, amount bigint)
        ORDER BY n.member_id, n.metric, n.day
        ON CONFLICT (member_id, metric, day) DO UPDATE SET amount = tier_activity.amount + excluded.amount
        -- Whoever updates a row here has locked it before, which its xmax shows; a new row has none.
        RETURNING member_id, metric, day, xmax = 0 AS is_new
    )
    SELECT json_agg(json_build_array(member_id, metric, day)) INTO v_new FROM recorded WHERE is_new;
    RETURN json_build_object('states', v_states, 'bounds', v_bounds, 'new', v_new);
END
$$;

-- When members joined: what tiers know of members, who own the table.
CREATE VIEW tier_membership AS SELECT id AS member_id, programme_id, joined_at FROM member;

-- `tiers.windows` and `loyalty.kit.clock` say the same in Python.
CREATE FUNCTION tier_anniversary(p_joined date, p_day date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (p_joined + make_interval(years => y))::date <= p_day
        THEN (p_joined + make_interval(years => y))::date ELSE (p_joined + make_interval(years => y - 1))::date END
    FROM (SELECT (extract(year FROM p_day) - extract(year FROM p_joined))::integer AS y) AS years
$$;

-- The first moment of a local day. Where clocks go back over midnight there are two, and PostgreSQL takes the later.
CREATE FUNCTION tier_day_start(p_day date, p_zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (t - interval '1 hour') AT TIME ZONE p_zone = p_day::timestamp
        THEN t - interval '1 hour' ELSE t END
    FROM (SELECT p_day::timestamp AT TIME ZONE p_zone AS t) AS start
$$;
