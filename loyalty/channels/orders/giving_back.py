"""What was redeemed on the receipts of orders: locked before it is looked at, and given back by the order's refunds.

A clerk may give the same back at the till at the same moment. Whoever comes second sees what the first has done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.channels.orders.shares import OrderRefunds, spent_to_give_back
from loyalty.kit.programme import Channel
from redemption import till
from redemption.checkout.finishing import close_refunded
from redemption.checkout.record import lock_with_checkouts
from redemption.reading import find_by_receipt
from redemption.record import Redemption

SPENT_UNIT: Final = "points"
"""What is redeemed, and so given back, is of this unit."""


async def lock_spent(
    connection: AsyncConnection, channel: Channel, receipts: Sequence[tuple[str, Sequence[UUID]]]
) -> list[Redemption]:
    """What people redeemed on receipts of a channel (a number, and all ids of the person), locked with its checkouts.

    A till locks a redemption before the account; so this comes before anything is posted.
    """
    found = [
        redemption
        for receipt_number, person_ids in receipts
        for redemption in await find_by_receipt(connection, channel_id=channel.id, receipt_number=receipt_number)
        if redemption.member_id in person_ids
    ]
    return await lock_with_checkouts(connection, programme_id=channel.programme_id, redemptions=found)


async def give_back(
    connection: AsyncConnection,
    channel: Channel,
    spent: Sequence[Redemption],
    after: OrderRefunds,
    person_ids: Sequence[UUID],
    refund_id: UUID,
) -> dict[UUID, int]:
    """Give back the share of the points that paid for a part of an order, and with its last part the benefits.

    `spent` is what `lock_spent` answers. A benefit that was used on the receipt comes back if its template says so;
    what the catalogue sold is undone by voiding it. What a clerk has given back at the till already counts.
    """
    given_back: dict[UUID, int] = {}
    for redemption in spent:
        if redemption.state != "captured":
            continue
        points = None
        if redemption.kind == "money_off":
            points = spent_to_give_back(redemption.points, after) - redemption.refunded_points
        used = redemption.kind in ("coupon", "benefit") and after.whole
        if used or (points is not None and points > 0):
            await till.refund(
                connection,
                programme_id=channel.programme_id,
                redemption_id=redemption.id,
                points=points,
                person_ids=person_ids,
                key=f"refund:{refund_id}:{redemption.id}",
            )
            if points:
                given_back[redemption.id] = points
    if after.whole:
        for checkout_id in sorted({each.checkout_id for each in spent if each.checkout_id}):
            await close_refunded(connection, programme_id=channel.programme_id, checkout_id=checkout_id)
    return given_back
