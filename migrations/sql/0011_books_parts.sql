-- How entries are read for the books.

-- The zone that a unit's days and months are reckoned in: the book's, and before its first closing the unit's own.
CREATE VIEW ledger.zone AS
SELECT u.programme_id, u.code AS unit, coalesce(b.time_zone, u.time_zone) AS time_zone
FROM ledger.unit AS u
LEFT JOIN ledger.book AS b ON b.programme_id = u.programme_id AND b.unit = u.code;

-- Entries with their days. An account is counted with its first entry.
CREATE VIEW ledger.dated_entry AS
SELECT e.member_id, e.unit, e.seq, e.programme_id, e.kind, e.debit, e.credit, e.recorded_at, e.effective_at,
    (e.recorded_at AT TIME ZONE z.time_zone)::date AS recorded_day,
    (e.effective_at AT TIME ZONE z.time_zone)::date AS effective_day,
    e.amount, 1 AS entries, (e.seq = 1)::integer AS opened
FROM ledger.entry AS e
JOIN ledger.zone AS z ON z.programme_id = e.programme_id AND z.unit = e.unit;

-- Every entry, split over the lots that it moves: the rows that `ledger.flow` is the sum of.
--
-- Points belong to the month in which they were earned. A lot that travelled, or was reinstated, knows the lot it came
-- from, perhaps over several steps. Where no lot is concerned, what undoes a posting belongs to the month of that
-- posting, and anything else to its own: points that repay a debt at once were earned in this very month.
CREATE VIEW ledger.part AS
SELECT e.member_id, e.unit, e.seq, e.programme_id, e.kind, e.debit, e.credit, e.recorded_at, e.effective_at,
    (e.recorded_at AT TIME ZONE z.time_zone)::date AS recorded_day,
    (e.effective_at AT TIME ZONE z.time_zone)::date AS effective_day,
    date_trunc('month', coalesce(
        CASE
            WHEN e.lot_origin_seq IS NOT NULL OR o.lot_origin_seq IS NOT NULL THEN (
                WITH RECURSIVE origin AS (
                    SELECT x.effective_at, x.lot_origin_member, x.lot_origin_seq
                    FROM ledger.entry AS x
                    WHERE x.member_id = coalesce(e.lot_origin_member, o.lot_origin_member) AND x.unit = e.unit
                        AND x.seq = coalesce(e.lot_origin_seq, o.lot_origin_seq)
                    UNION ALL
                    SELECT x.effective_at, x.lot_origin_member, x.lot_origin_seq
                    FROM origin JOIN ledger.entry AS x
                        ON x.member_id = origin.lot_origin_member AND x.unit = e.unit AND x.seq = origin.lot_origin_seq
                )
                SELECT origin.effective_at FROM origin WHERE origin.lot_origin_seq IS NULL)
            WHEN taken.lot IS NOT NULL THEN o.effective_at
            WHEN e.reverses IS NOT NULL THEN (
                SELECT x.effective_at FROM ledger.entry AS x
                WHERE x.member_id = e.reverses_member AND x.unit = e.unit AND x.seq = e.reverses)
        END, e.effective_at) AT TIME ZONE z.time_zone)::date AS cohort_month,
    CASE
        WHEN taken.lot IS NULL AND NOT e.opens_lot THEN '-infinity'::date
        ELSE coalesce(date_trunc('month', (
            CASE WHEN e.opens_lot THEN e.lot_expires_at ELSE o.lot_expires_at END - interval '1 microsecond'
        ) AT TIME ZONE z.time_zone)::date, 'infinity'::date)
    END AS expiry_month,
    coalesce(taken.amount, e.amount) AS amount,
    -- An entry is counted once, however many lots it moves.
    (coalesce(taken.position, 1) = 1)::integer AS entries,
    (coalesce(taken.position, 1) = 1 AND e.seq = 1)::integer AS opened
FROM ledger.entry AS e
JOIN ledger.zone AS z ON z.programme_id = e.programme_id AND z.unit = e.unit
LEFT JOIN LATERAL unnest(e.lots, e.amounts) WITH ORDINALITY AS taken (lot, amount, position) ON true
-- The lot's own entry is looked up by its whole key. Without the fence the planner, who expects a few entries of each
-- account, reads all of them and filters: quadratic for a member who has many.
LEFT JOIN LATERAL (
    SELECT x.effective_at, x.lot_expires_at, x.lot_origin_member, x.lot_origin_seq
    FROM ledger.entry AS x
    WHERE x.member_id = e.member_id AND x.unit = e.unit AND x.seq = taken.lot
    OFFSET 0
) AS o ON true;

-- What each entry did to what its lots hold: `spendable`, `pending` and `held` points, each with its sign.
CREATE VIEW ledger.lot_change AS
SELECT e.member_id, e.unit, e.seq, e.effective_at, e.recorded_at,
    coalesce(taken.lot, e.seq) AS lot,
    coalesce(taken.amount, e.amount) * ((e.credit = 'member')::integer - (e.debit = 'member')::integer) AS spendable,
    coalesce(taken.amount, e.amount) * ((e.credit = 'pending')::integer - (e.debit = 'pending')::integer) AS pending,
    coalesce(taken.amount, e.amount) * ((e.credit = 'held')::integer - (e.debit = 'held')::integer) AS held
FROM ledger.entry AS e
LEFT JOIN LATERAL unnest(e.lots, e.amounts) WITH ORDINALITY AS taken (lot, amount, position) ON true
WHERE e.opens_lot OR taken.lot IS NOT NULL;
