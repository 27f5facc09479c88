-- Seals: what the ledger said at a moment, signed by a key that the database does not hold. A seal covers the closings
-- since the seal before it; its root is that of a Merkle tree over the heads of the accounts that moved in them.
-- Nothing here checks a signature: the database is what seals are evidence against.

CREATE TABLE ledger.seal (
    number bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    first_closing bigint NOT NULL,
    last_closing bigint NOT NULL,
    complete_until timestamptz NOT NULL,
    leaves bigint NOT NULL,
    root bytea NOT NULL,
    previous bytea NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT seal_pkey PRIMARY KEY (number),
    CONSTRAINT seal_closings_check CHECK (first_closing <= last_closing)
);

CREATE TRIGGER seal_append_only BEFORE UPDATE OR DELETE ON ledger.seal
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER seal_no_truncate BEFORE TRUNCATE ON ledger.seal
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- Add the next seal. Two sealers at once make the same number, and the second is refused by the key.
CREATE FUNCTION ledger.add_seal(
    p_number bigint, p_sealed_at timestamptz, p_first_closing bigint, p_last_closing bigint,
    p_complete_until timestamptz, p_leaves bigint, p_root bytea, p_previous bytea, p_key_id text, p_signature bytea
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    s ledger.seal;
BEGIN
    SELECT * INTO s FROM ledger.seal ORDER BY number DESC LIMIT 1;
    IF p_number <> coalesce(s.number, 0) + 1 OR p_first_closing <= s.last_closing THEN
        PERFORM ledger.refuse('seal_out_of_order', jsonb_build_object('number', p_number, 'newest', s.number));
    END IF;
    INSERT INTO ledger.seal VALUES (
        p_number, p_sealed_at, p_first_closing, p_last_closing, p_complete_until,
        p_leaves, p_root, p_previous, p_key_id, p_signature);
END
$$;
