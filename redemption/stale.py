"""Redemptions that nobody finished: they read as expired at once, and the sweep writes it down."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from redemption.benefit_steps import release_benefit
from redemption.catalogue import return_to_stock
from redemption.checks import clock
from redemption.record import read_redemption
from redemption.tables import redemption_table


async def sweep(
    connection: AsyncConnection,
    *,
    limit: int = 500,
    catalogue_item_id: UUID | None = None,
    benefit_template_id: UUID | None = None,
) -> int:
    """Close up to `limit` redemptions whose time ran out: stock goes back, benefits are free. Answers how many.

    The ledger frees their points by itself. Rows that another process works on are skipped; a second sweep does
    nothing.
    """
    columns = redemption_table.c
    stale = select(columns.member_id, columns.id).where(columns.state == "held", columns.hold_expires_at <= clock())
    if catalogue_item_id is not None:
        stale = stale.where(columns.catalogue_item_id == catalogue_item_id)
    if benefit_template_id is not None:
        stale = stale.where(columns.benefit_template_id == benefit_template_id)
    stale = stale.order_by(columns.hold_expires_at).limit(limit).with_for_update(skip_locked=True)
    keys = [(row.member_id, row.id) for row in await connection.execute(stale)]
    if not keys:
        return 0
    close = (
        update(redemption_table)
        .where(tuple_(columns.member_id, columns.id).in_(keys), columns.state == "held")
        .values(state="expired", closed_at=columns.hold_expires_at)
        .returning(redemption_table, columns.closed_at.label("now"))
    )
    closed = [read_redemption(row) for row in await connection.execute(close)]
    shelved = Counter(row.catalogue_item_id for row in closed if row.catalogue_item_id is not None)
    for item_id in sorted(shelved):
        await return_to_stock(connection, item_id=item_id, count=shelved[item_id])
    for each in sorted(closed, key=lambda each: each.id):
        if each.benefit_id is not None:
            await release_benefit(connection, each, now=each.hold_expires_at)
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
