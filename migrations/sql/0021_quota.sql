-- A quota is so much of something that may be used up: pieces of stock, uses, money. It lies in parts, and whoever takes
-- takes from a part that nobody else is at, so that takers do not wait for each other. Only when no free part has enough
-- are all of them locked and looked at together: then it is exact to the unit, and what is left is dealt out anew.
-- One transaction that takes from several quotas takes from them in the order of owner and unit.

CREATE FUNCTION quota_take(p_owner uuid, p_unit text, p_amount bigint, p_least bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
-- Take p_amount, or, where fewer are left, what is left if it is at least p_least. Answers how much was taken: 0 where
-- there is too little, NULL where no such quota limits anything.
DECLARE
    c_parts CONSTANT integer := 32;
    v_start integer := floor(random() * c_parts);
    v_part smallint;
    v_left bigint;
    v_take bigint;
    v_dealt bigint;
BEGIN
    SELECT part INTO v_part FROM quota_part
    WHERE owner_id = p_owner AND unit = p_unit AND part = v_start AND remaining >= p_amount
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        SELECT part INTO v_part FROM quota_part
        WHERE owner_id = p_owner AND unit = p_unit AND remaining >= p_amount
        ORDER BY (part + v_start) % c_parts LIMIT 1
        FOR UPDATE SKIP LOCKED;
    END IF;
    IF FOUND THEN
        UPDATE quota_part SET remaining = remaining - p_amount
        WHERE owner_id = p_owner AND unit = p_unit AND part = v_part;
        RETURN p_amount;
    END IF;

    -- What others are taking just now is still counted here: so too little here is too little.
    SELECT sum(remaining) INTO v_left FROM quota_part WHERE owner_id = p_owner AND unit = p_unit;
    IF v_left IS NULL THEN
        RETURN NULL;
    ELSIF v_left < p_least THEN
        RETURN 0;
    END IF;
    PERFORM FROM quota_part WHERE owner_id = p_owner AND unit = p_unit ORDER BY part FOR UPDATE;
    SELECT sum(remaining) INTO v_left FROM quota_part WHERE owner_id = p_owner AND unit = p_unit;
    v_take := least(v_left, p_amount);
    IF v_take < p_least THEN
        RETURN 0;
    END IF;
    v_left := v_left - v_take;
    v_dealt := greatest(1, least(c_parts, v_left / p_amount));
    UPDATE quota_part
    SET remaining = CASE WHEN part < v_dealt THEN v_left / v_dealt + (part < v_left % v_dealt)::integer ELSE 0 END
    WHERE owner_id = p_owner AND unit = p_unit;
    RETURN v_take;
END
$$;

CREATE FUNCTION quota_take_all(p_owners uuid[], p_units text[], p_amounts bigint[]) RETURNS integer
LANGUAGE plpgsql AS $$
-- Take from each of several quotas, which come in the order of owner and unit. Answers 0, or the place of the first
-- that has too little; what was taken before it is the caller's to undo.
BEGIN
    FOR i IN 1 .. coalesce(array_length(p_owners, 1), 0) LOOP
        IF quota_take(p_owners[i], p_units[i], p_amounts[i], p_amounts[i]) = 0 AND p_amounts[i] > 0 THEN
            RETURN i;
        END IF;
    END LOOP;
    RETURN 0;
END
$$;

CREATE FUNCTION quota_give(p_owner uuid, p_unit text, p_amount bigint) RETURNS void
LANGUAGE plpgsql AS $$
-- Give back what was taken; nothing where no such quota limits anything.
DECLARE
    c_parts CONSTANT integer := 32;
    v_start integer := floor(random() * c_parts);
    v_part smallint;
BEGIN
    SELECT part INTO v_part FROM quota_part
    WHERE owner_id = p_owner AND unit = p_unit
    ORDER BY (part + v_start) % c_parts LIMIT 1
    FOR UPDATE SKIP LOCKED;
    UPDATE quota_part SET remaining = remaining + p_amount
    WHERE owner_id = p_owner AND unit = p_unit AND part = coalesce(v_part, v_start);
END
$$;

CREATE FUNCTION quota_set(p_owner uuid, p_unit text, p_programme uuid, p_total bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
-- Say how much there is in all, what was taken included. Answers how much was taken; where that is more than p_total,
-- nothing changes.
DECLARE
    c_parts CONSTANT integer := 32;
    v_taken bigint;
    v_left bigint;
BEGIN
    INSERT INTO quota (owner_id, unit, programme_id, total) VALUES (p_owner, p_unit, p_programme, 0)
    ON CONFLICT (owner_id, unit) DO NOTHING;
    PERFORM FROM quota WHERE owner_id = p_owner AND unit = p_unit FOR UPDATE;
    INSERT INTO quota_part (owner_id, unit, part, remaining)
    SELECT p_owner, p_unit, part, 0 FROM generate_series(0, c_parts - 1) part
    ON CONFLICT (owner_id, unit, part) DO NOTHING;
    PERFORM FROM quota_part WHERE owner_id = p_owner AND unit = p_unit ORDER BY part FOR UPDATE;
    SELECT total - (SELECT sum(remaining) FROM quota_part WHERE owner_id = p_owner AND unit = p_unit)
    INTO v_taken FROM quota WHERE owner_id = p_owner AND unit = p_unit;
    v_left := p_total - v_taken;
    IF v_left >= 0 THEN
        UPDATE quota SET total = p_total WHERE owner_id = p_owner AND unit = p_unit;
        UPDATE quota_part SET remaining = v_left / c_parts + (part < v_left % c_parts)::integer
        WHERE owner_id = p_owner AND unit = p_unit;
    END IF;
    RETURN v_taken;
END
$$;
