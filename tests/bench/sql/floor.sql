-- The floor: the least that any ledger must do, one UPDATE and one INSERT on bare tables, in one function call.
CREATE TABLE floor_account (member_id uuid PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 60);
CREATE TABLE floor_entry (
    member_id uuid NOT NULL, seq bigint NOT NULL, amount bigint NOT NULL, recorded_at timestamptz NOT NULL
);
CREATE FUNCTION bench_member(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$SELECT lpad(to_hex(n), 32, '0')::uuid$$;
INSERT INTO floor_account SELECT bench_member(n), 0 FROM generate_series(1, 50000) AS n;
CREATE FUNCTION floor_post(p_member uuid, p_amount bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_balance bigint;
BEGIN
    UPDATE floor_account SET balance = balance + p_amount WHERE member_id = p_member RETURNING balance INTO v_balance;
    INSERT INTO floor_entry VALUES (p_member, v_balance, p_amount, now());
    RETURN v_balance;
END
$$;
