"""Balances of many members at once, for questions about a programme's members: a SELECT for whoever asks to join.

Nothing is settled first, as reading one account does: a million accounts are not written to because of a question.
"""

from __future__ import annotations

from sqlalchemy import Subquery, case, func, select

from ledger.tables import account_table, lot_view


def balances_of_unit(unit: str = "points") -> Subquery:
    """`member_id`, `spendable`, `pending`, `held` and `debt` of every account of a unit, one row each.

    Points whose moment has passed are not spendable, whether they were swept yet or not. Pending points and holds that
    have come due since the last sweep are what the sweep left.
    """
    account, lot = account_table.c, lot_view.c
    expired = (
        select(func.coalesce(func.sum(lot.remaining), 0))
        .where(
            lot.member_id == account.member_id,
            lot.unit == account.unit,
            lot.open,
            ~lot.pending,
            lot.expires_at <= func.clock_timestamp(),
        )
        .scalar_subquery()
    )
    due = account.next_due <= func.clock_timestamp()
    return (
        select(
            account.member_id,
            (account.posted - case((due, expired), else_=0)).label("spendable"),
            account.pending,
            account.held,
            account.debt,
        )
        .where(account.unit == unit)
        .subquery("balances")
    )
