-- One order of locks for a transaction that posts, does other things, and posts again: its accounts come first, all of
-- them, in the order of their ids. An account that is locked only when the second posting comes is waited for while
-- rows are held that whoever has the account is about to ask for.

-- Lock accounts in the order of their ids until the transaction ends, opening those that are missing. Answers whether
-- one has no entry yet, so that there is something to put away again where nothing is posted to it.
CREATE FUNCTION ledger.hold_accounts(p_programme uuid, p_members uuid[], p_units text[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM ledger.open_accounts(
        p_programme, array_fill('earn'::text, ARRAY[cardinality(p_members)]), p_members, p_units);
    PERFORM ledger.lock_in_order(p_members, p_units);
    RETURN EXISTS (
        SELECT FROM unnest(p_members, p_units) AS asked (member_id, unit)
        JOIN ledger.account AS a USING (member_id, unit) WHERE a.seq = 0);
END
$$;

-- Put away what was opened and had nothing posted to it.
CREATE FUNCTION ledger.drop_unused_accounts(p_members uuid[], p_units text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM ledger.drop_unused(member_id, unit) FROM unnest(p_members, p_units) AS asked (member_id, unit);
END
$$;
