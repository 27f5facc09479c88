"""Redemptions that nobody finished: they read as expired at once, and the sweep writes it down."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from redemption.catalogue import return_to_stock
from redemption.checks import clock
from redemption.tables import coupon_table, redemption_table


async def sweep(connection: AsyncConnection, *, limit: int = 500, catalogue_item_id: UUID | None = None) -> int:
    """Close up to `limit` redemptions whose time ran out: stock goes back, coupons are free. Answers how many.

    The ledger frees their points by itself. Rows that another process works on are skipped; a second sweep does
    nothing.
    """
    columns = redemption_table.c
    stale = select(columns.member_id, columns.id).where(columns.state == "held", columns.hold_expires_at <= clock())
    if catalogue_item_id is not None:
        stale = stale.where(columns.catalogue_item_id == catalogue_item_id)
    stale = stale.order_by(columns.hold_expires_at).limit(limit).with_for_update(skip_locked=True)
    keys = [(row.member_id, row.id) for row in await connection.execute(stale)]
    if not keys:
        return 0
    close = (
        update(redemption_table)
        .where(tuple_(columns.member_id, columns.id).in_(keys), columns.state == "held")
        .values(state="expired", closed_at=columns.hold_expires_at)
        .returning(columns.id, columns.catalogue_item_id, columns.coupon_id)
    )
    closed = (await connection.execute(close)).all()
    shelved = Counter(row.catalogue_item_id for row in closed if row.catalogue_item_id is not None)
    for item_id in sorted(shelved):
        await return_to_stock(connection, item_id=item_id, count=shelved[item_id])
    locked = [row.coupon_id for row in closed if row.coupon_id is not None]
    if locked:
        free = update(coupon_table).where(
            coupon_table.c.id.in_(locked),
            coupon_table.c.state == "locked",
            coupon_table.c.locked_by.in_([row.id for row in closed]),
        )
        await connection.execute(free.values(state="issued", locked_by=None, locked_until=None, changed_at=clock()))
    return len(closed)


async def sweep_all(engine: AsyncEngine, *, batch_size: int = 500) -> int:
    """Close all redemptions whose time ran out, one transaction a batch. Answers how many."""
    count = 0
    while True:
        async with transaction(engine) as connection:
            closed = await sweep(connection, limit=batch_size)
        count += closed
        if closed == 0:
            return count
