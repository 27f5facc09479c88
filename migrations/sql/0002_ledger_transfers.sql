-- Transfers between members: the one operation that locks two accounts, always in the order of their ids.

CREATE TYPE ledger.pair AS (a ledger.account, b ledger.account);

CREATE FUNCTION ledger.lock_pair(p_first uuid, p_second uuid, p_unit text, p_programme uuid) RETURNS ledger.pair
LANGUAGE plpgsql AS $$
DECLARE
    a ledger.account;
    b ledger.account;
    v_now timestamptz;
BEGIN
    IF p_first = p_second THEN
        PERFORM ledger.refuse('same_member');
    ELSIF p_first < p_second THEN
        a := ledger.lock_account(p_first, p_unit, p_programme);
        b := ledger.lock_account(p_second, p_unit, p_programme);
    ELSE
        b := ledger.lock_account(p_second, p_unit, p_programme);
        a := ledger.lock_account(p_first, p_unit, p_programme);
    END IF;
    -- Both sides of a transfer bear one moment.
    v_now := greatest(ledger.clock(), a.last_at, b.last_at);
    a.last_at := v_now;
    b.last_at := v_now;
    RETURN (a, b)::ledger.pair;
END
$$;

-- Give points to another member: lots travel with their expiry.
CREATE FUNCTION ledger.transfer(
    p_programme uuid, p_from uuid, p_to uuid, p_unit text, p_amount bigint, p_key text, p_hash bytea, p_source text
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    p ledger.pair;
    a ledger.account;
    b ledger.account;
    e ledger.entry;
    l ledger.filed_lot;
    r ledger.result;
    t ledger.takings;
    u ledger.unit;
    v_first bigint;
BEGIN
    PERFORM ledger.check_amount(p_amount);
    p := ledger.lock_pair(p_from, p_to, p_unit, p_programme);
    a := p.a;
    b := p.b;
    r := ledger.replay(p_from, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
    b := ledger.spill(b);
    u := ledger.unit_of(a);
    IF NOT u.spendable THEN
        PERFORM ledger.refuse('not_spendable', jsonb_build_object('unit', a.unit));
    END IF;
    a := ledger.settle(a);
    b := ledger.settle(b);
    IF a.posted < p_amount THEN
        PERFORM ledger.refuse('insufficient_balance',
            jsonb_build_object('available', a.posted, 'requested', p_amount, 'unit', a.unit));
    END IF;
    a := ledger.touch(a, u, a.last_at);
    b := ledger.touch(b, u, b.last_at);
    t := ledger.take(a, p_amount);
    v_first := a.seq + 1;
    e.kind := 'transfer';
    e.source := p_source;
    e.effective_at := a.last_at;
    e.amount := p_amount;
    e.debit := 'member';
    e.credit := 'transfer';
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.peer_id := p_to;
    a := ledger.append(a, e, t.lots, t.amounts);
    e.posting := b.seq + 1;
    e.idem_key := NULL;
    e.request_hash := NULL;
    e.debit := 'transfer';
    e.peer_id := p_from;
    FOR i IN 1 .. array_length(t.lots, 1) LOOP
        SELECT * INTO l FROM ledger.filed_lot WHERE member_id = p_from AND unit = p_unit AND seq = t.lots[i];
        b := ledger.arrive(b, e, l, t.amounts[i]);
    END LOOP;
    PERFORM ledger.save_account(a);
    PERFORM ledger.save_account(b);
    RETURN ledger.answer(a, v_first);
END
$$;

-- Points from another member's lot arrive: debt first, then a lot with the same terms that remembers its origin.
CREATE FUNCTION ledger.arrive(b ledger.account, e ledger.entry, l ledger.filed_lot, p_amount bigint) RETURNS ledger.account
LANGUAGE plpgsql AS $$
BEGIN
    e.amount := p_amount;
    e.debit := 'transfer';
    e.lot_expires_at := l.expires_at;
    e.lot_available_at := CASE WHEN l.pending THEN l.available_at END;
    e.lot_priority := l.priority;
    e.lot_origin_member := coalesce(l.origin_member, l.member_id);
    e.lot_origin_seq := coalesce(l.origin_seq, l.seq);
    RETURN ledger.grant_points(b, e);
END
$$;

-- Move all that one member has of a unit to another, because they are one person: lots with their expiry, what is
-- pending, and debt, which the survivor's points repay first.
CREATE FUNCTION ledger.move_all(
    p_programme uuid, p_from uuid, p_to uuid, p_unit text, p_key text, p_hash bytea, p_source text
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    p ledger.pair;
    a ledger.account;
    b ledger.account;
    d ledger.entry;
    e ledger.entry;
    l ledger.filed_lot;
    r ledger.result;
    v_debt bigint;
    v_first bigint;
BEGIN
    p := ledger.lock_pair(p_from, p_to, p_unit, p_programme);
    a := p.a;
    b := p.b;
    r := ledger.replay(p_from, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
    b := ledger.spill(b);
    a := ledger.settle(a);
    b := ledger.settle(b);
    IF a.held > 0 THEN
        PERFORM ledger.refuse('open_holds', jsonb_build_object('held', a.held));
    END IF;
    v_first := a.seq + 1;
    e.kind := 'transfer';
    e.source := p_source;
    e.effective_at := a.last_at;
    d := e;
    e.posting := v_first;
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.peer_id := p_to;
    d.posting := b.seq + 1;
    d.peer_id := p_from;
    b.idle_expires_at := greatest(a.idle_expires_at, b.idle_expires_at);
    IF a.debt > 0 THEN
        v_debt := a.debt;
        e.amount := v_debt;
        e.debit := 'transfer';
        e.credit := 'debt';
        a := ledger.append(a, e, NULL, NULL);
        d.credit := 'transfer';
        b := ledger.take_or_owe(b, ledger.debt_unit(b), d, v_debt);
    END IF;
    FOR l IN
        SELECT * FROM ledger.filed_lot WHERE member_id = p_from AND unit = p_unit AND open
        ORDER BY priority, expires_at, seq
    LOOP
        e.amount := l.remaining;
        e.debit := CASE WHEN l.pending THEN 'pending' ELSE 'member' END;
        e.credit := 'transfer';
        a := ledger.append(a, e, ARRAY[l.seq], ARRAY[l.remaining]);
        UPDATE ledger.filed_lot SET remaining = 0, open = false, pending = false
        WHERE member_id = p_from AND unit = p_unit AND seq = l.seq;
        b := ledger.arrive(b, d, l, l.remaining);
    END LOOP;
    IF a.seq >= v_first THEN
        a.next_due := NULL;
        b.next_due := least(b.next_due, CASE WHEN b.posted > 0 THEN b.idle_expires_at END);
    ELSE
        b.idle_expires_at := (p.b).idle_expires_at;
    END IF;
    -- Where nothing moved, too: time may have brought something, and the lots are filed now.
    PERFORM ledger.save_account(a);
    PERFORM ledger.save_account(b);
    PERFORM ledger.drop_unused(a.member_id, p_unit);
    PERFORM ledger.drop_unused(b.member_id, p_unit);
    RETURN ledger.answer(a, CASE WHEN a.seq >= v_first THEN v_first END);
END
$$;

-- A debt that moves is never forgiven on the way, whatever the unit's policy for shortfalls is.
CREATE FUNCTION ledger.debt_unit(a ledger.account) RETURNS ledger.unit LANGUAGE plpgsql AS $$
DECLARE
    u ledger.unit := ledger.unit_of(a);
BEGIN
    u.shortfall := 'debt';
    RETURN u;
END
$$;

-- Undo `move_all`: two members were one by mistake. What is left of the moved lots goes back to the lots it came from;
-- debt that one paid for the other is owed again by the one whose it was. What was spent meanwhile stays spent.
CREATE FUNCTION ledger.move_back(
    p_programme uuid, p_survivor uuid, p_absorbed uuid, p_unit text, p_moved text,
    p_key text, p_hash bytea, p_source text
) RETURNS ledger.result LANGUAGE plpgsql AS $$
DECLARE
    p ledger.pair;
    a ledger.account;
    b ledger.account;
    d ledger.entry;
    e ledger.entry;
    m ledger.entry;
    x record;
    l ledger.filed_lot;
    r ledger.result;
    v_first bigint;
    v_part bigint;
    v_lots bigint[];
    v_amounts bigint[];
BEGIN
    p := ledger.lock_pair(p_survivor, p_absorbed, p_unit, p_programme);
    a := p.a;
    b := p.b;
    r := ledger.replay(p_survivor, p_key, p_hash);
    IF r.seq IS NOT NULL THEN
        RETURN r;
    END IF;
    a := ledger.spill(a);
    b := ledger.spill(b);
    a := ledger.settle(a);
    b := ledger.settle(b);
    v_first := a.seq + 1;
    e.kind := 'transfer';
    e.source := p_source;
    e.effective_at := a.last_at;
    d := e;
    e.posting := v_first;
    e.idem_key := p_key;
    e.request_hash := p_hash;
    e.peer_id := p_absorbed;
    d.posting := b.seq + 1;
    d.peer_id := p_survivor;
    -- Before anything comes home: the entries have to say how long it may lie idle.
    b.idle_expires_at := greatest(a.idle_expires_at, b.idle_expires_at);
    -- Lots first: what is still there goes home before a debt that is owed again could be taken from it.
    -- The entries of the survivor that the move made, each with the lot that its points had left. What left the one
    -- member and what arrived at the other are the same points in the same order, so the places in it tell them apart,
    -- even where several lots came from one.
    FOR x IN
        WITH arrived AS (
            SELECT n AS entry, CASE WHEN n.debit = 'transfer' AND n.lot_origin_seq IS NOT NULL THEN
                sum(n.amount) FILTER (WHERE n.debit = 'transfer' AND n.lot_origin_seq IS NOT NULL) OVER (ORDER BY n.seq)
                - n.amount END AS place
            FROM ledger.entry AS n
            WHERE n.member_id = p_survivor AND n.unit = p_unit AND n.kind = 'transfer' AND n.peer_id = p_absorbed
                AND n.source = p_moved
        ), gone AS (
            SELECT n.lots[1] AS lot, n.amount, sum(n.amount) OVER (ORDER BY n.seq) - n.amount AS place
            FROM ledger.entry AS n
            WHERE n.member_id = p_absorbed AND n.unit = p_unit AND n.kind = 'transfer' AND n.peer_id = p_survivor
                AND n.source = p_moved AND n.credit = 'transfer' AND n.lots IS NOT NULL
        )
        SELECT arrived.entry, gone.lot AS home
        FROM arrived LEFT JOIN gone ON arrived.place >= gone.place AND arrived.place < gone.place + gone.amount
        ORDER BY (arrived.entry).opens_lot DESC, (arrived.entry).seq
    LOOP
        m := x.entry;
        IF m.opens_lot THEN
            SELECT * INTO l FROM ledger.filed_lot WHERE member_id = p_survivor AND unit = p_unit AND seq = m.seq;
            CONTINUE WHEN NOT l.open;
            e.amount := l.remaining;
            e.debit := CASE WHEN l.pending THEN 'pending' ELSE 'member' END;
            e.credit := 'transfer';
            a := ledger.append(a, e, ARRAY[l.seq], ARRAY[l.remaining]);
            UPDATE ledger.filed_lot SET remaining = 0, open = false, pending = false
            WHERE member_id = p_survivor AND unit = p_unit AND seq = l.seq;
            b := ledger.come_home(b, d, x.home, l.remaining, l.pending);
        ELSIF m.credit = 'debt' THEN
            -- The absorbed member's points had repaid the survivor's debt: the survivor owes it again.
            e.credit := 'transfer';
            a := ledger.take_or_owe(a, ledger.debt_unit(a), e, m.amount);
            b := ledger.come_home(b, d, x.home, m.amount, false);
        ELSE
            -- The survivor had paid, or taken over, the absorbed member's debt: it goes back to the member whose it was.
            d.amount := m.amount;
            d.debit := 'debt';
            d.credit := 'transfer';
            b := ledger.append(b, d, NULL, NULL);
            e.debit := 'transfer';
            v_part := least(a.debt, m.amount);
            IF v_part > 0 THEN
                e.amount := v_part;
                e.credit := 'debt';
                a := ledger.append(a, e, NULL, NULL);
            END IF;
            IF m.amount > v_part AND m.debit = 'member' THEN
                SELECT s.lots, s.amounts INTO v_lots, v_amounts
                FROM ledger.slice(ledger.backwards((m.lots, m.amounts, m.amount)::ledger.takings), v_part, m.amount - v_part) AS s;
                e.amount := m.amount - v_part;
                e.credit := 'member';
                a := ledger.append(a, e, v_lots, v_amounts);
                a := ledger.put_back(a, v_lots, v_amounts);
            ELSIF m.amount > v_part THEN
                e.amount := m.amount - v_part;
                e.lot_expires_at := ledger.expiry_of(ledger.unit_of(a), a.last_at);
                a := ledger.grant_points(a, e);
                e.lot_expires_at := NULL;
            END IF;
        END IF;
    END LOOP;
    IF a.seq >= v_first THEN
        b.next_due := least(b.next_due, CASE WHEN b.posted > 0 THEN b.idle_expires_at END);
        a := ledger.repay(ledger.settle(a, v_first), v_first, a.last_at);
        b := ledger.repay(ledger.settle(b, d.posting), d.posting, b.last_at);
    ELSE
        b.idle_expires_at := (p.b).idle_expires_at;
    END IF;
    PERFORM ledger.save_account(a);
    PERFORM ledger.save_account(b);
    PERFORM ledger.drop_unused(a.member_id, p_unit);
    PERFORM ledger.drop_unused(b.member_id, p_unit);
    RETURN ledger.answer(a, CASE WHEN a.seq >= v_first THEN v_first END);
END
$$;

-- Points return to the lot that they left in the move.
CREATE FUNCTION ledger.come_home(
    b ledger.account, d ledger.entry, p_lot bigint, p_amount bigint, p_pending boolean
) RETURNS ledger.account LANGUAGE plpgsql AS $$
DECLARE
    l ledger.filed_lot;
BEGIN
    SELECT * INTO l FROM ledger.filed_lot WHERE member_id = b.member_id AND unit = b.unit AND seq = p_lot;
    d.amount := p_amount;
    d.debit := 'transfer';
    d.credit := CASE WHEN p_pending THEN 'pending' ELSE 'member' END;
    b := ledger.append(b, d, ARRAY[l.seq], ARRAY[p_amount]);
    UPDATE ledger.filed_lot SET remaining = remaining + p_amount, open = true, pending = p_pending
    WHERE member_id = b.member_id AND unit = b.unit AND seq = l.seq;
    b.next_due := least(b.next_due, l.expires_at, CASE WHEN p_pending THEN l.available_at END);
    RETURN b;
END
$$;
